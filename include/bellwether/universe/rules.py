"""Who a rule means on a session, asked of the vendor point in time: what is known today plays no part.

Listings are asked for as of the session itself, so a delisted or renamed ticker is found under the name it had
then. Volume is that of the session before: nobody could have chosen by the session's own. What the answers say
is decided by their values alone, whatever order rows and pages come in. Knows no lake.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from bellwether.calendar import get_calendar
from bellwether.errors import ConfigError
from bellwether.sources import endpoints
from bellwether.sources.filters import Value
from bellwether.sources.listing import Listing
from bellwether.sources.raw import RawPage
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import GroupedBar, Ticker
from bellwether.sources.walk import PageLog
from bellwether.universe.spec import ActiveTickers, TopDollarVolume


@dataclass(frozen=True)
class Found:
    """What a rule gives.

    Attributes
    ----------
    tickers
        As the vendor writes them, which may be malformed; no two alike.
    pages
        The answers that say so.
    """

    tickers: frozenset[str]
    pages: tuple[RawPage, ...]


def find(
    rule: ActiveTickers | TopDollarVolume, rest: PolygonRest, session: date, page_log: PageLog | None = None
) -> Found:
    """Return the tickers a rule means on a session.

    Parameters
    ----------
    rule, rest, session
        What to ask whom, as of when.
    page_log
        Where an unfinished listing is resumed from.

    Raises
    ------
    ConfigError
        The rule gives none, or the vendor lists no ticker of a type.
    VendorError
        No complete answer.
    """
    answers = [_listed(kind, rest, session, page_log) for kind in sorted(set(rule.types))]
    listed = {row.ticker for answer in answers for row in answer.rows}
    if isinstance(rule, ActiveTickers):
        return Found(frozenset(listed), _pages(answers))
    before = get_calendar().previous(session)
    traded = rest.grouped_daily(before)
    chosen = [ticker for ticker in rank(traded.rows) if not rule.types or ticker in listed][: rule.count]
    if not chosen:
        msg = f"{rule.origin}: no such ticker was traded on {before}, the session before {session}; use other types"
        raise ConfigError(msg)
    return Found(frozenset(chosen), _pages([*answers, traded]))


def rank(rows: Iterable[GroupedBar]) -> list[str]:
    """Return the tickers of grouped daily bars, from the most to the least dollars traded, equals by name.

    Volume times VWAP, or times the close where the vendor gives no VWAP; what is no amount counts as nothing
    traded, since it has no place in an order.
    """
    dollars: dict[str, float] = {}
    for row in rows:
        amount = row.v * (row.c if row.vw is None else row.vw)
        dollars[row.ticker] = amount if math.isfinite(amount) else 0.0
    return sorted(dollars, key=lambda ticker: (-dollars[ticker], ticker))


def _listed(kind: str, rest: PolygonRest, session: date, page_log: PageLog | None) -> Listing[Ticker]:
    filters: dict[str, Value] = {"date": session, "active": True, "market": "stocks", "type": kind}
    answer = rest.listing(endpoints.TICKERS, filters, page_log=page_log)
    if not answer.rows:
        msg = f"the vendor lists no ticker of type {kind} on {session}; correct the types of the universe's rule"
        raise ConfigError(msg)
    return answer


def _pages(answers: Iterable[Listing[Any]]) -> tuple[RawPage, ...]:
    return tuple(page for answer in answers for page in answer.pages)
