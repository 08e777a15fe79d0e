"""Day bars: one question per session for every stock that traded, whoever is captured by the minute.

The vendor makes them of the trades of all exchanges, by the tape's rules of which trade may set which price. So the
close is as a rule the closing auction's, which minutes have at 16:00, and no listing exchange's official price as such:
https://polygon.io/knowledge-base/article/how-does-polygon-create-the-ohlcv-open-high-low-close-volume-aggregate-bars
and https://github.com/polygon-io/issues/issues/67.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.errors import LakeError, NotPublishedYet, OutsideHistory
from bellwether.quality.prepare import staged_schema
from bellwether.quality.reasons import WarningName
from bellwether.sources import endpoints
from bellwether.sources.filters import Value
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import Request
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import GroupedBar
from bellwether.sources.source import Answer
from bellwether.sources.walk import PageLog
from bellwether.tickers import WHOLE
from bellwether.universe.spec import malformed_among

_COLUMNS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "vwap": "vw", "transactions": "n"}
_PUBLISHED_WITHIN = timedelta(days=2)  # of the end of a session; what still is not there will not come


@dataclass(frozen=True)
class DailyBars:
    """The day bar of every stock, OTC left out: a `Source`."""

    dataset: str = "daily_bars"

    def ask(self, rest: PolygonRest, subject: str, hours: SessionHours, page_log: PageLog) -> Iterator[Answer]:
        """Ask once, for the whole market."""
        del subject
        yield rest.listing(endpoints.GROUPED_DAILY, _filters(hours), page_log=page_log)

    def subject_of(self, request: Request) -> str:
        """Return `WHOLE`; `ValueError` for what asks for no day bars."""
        if request.endpoint != endpoints.GROUPED_DAILY.name:
            msg = f"no request for day bars, but for {request.endpoint}"
            raise ValueError(msg)
        return WHOLE

    def check_asked(self, request: Request, hours: SessionHours) -> None:
        """Refuse any day but the session; `LakeError`."""
        expected = ListingChain.asking(endpoints.GROUPED_DAILY, _filters(hours)).request.arguments
        if request.arguments != expected:
            msg = f"asked for {dict(request.arguments)}, while the session asks for {dict(expected)}"
            raise LakeError(msg)

    def rows(self, subject: str, answers: Sequence[Answer], hours: SessionHours) -> pa.Table:
        """Return the bars of well-formed tickers.

        Raises
        ------
        NotPublishedYet
            There is none: some stock trades on every session.
        OutsideHistory
            There is none, long after the session.
        """
        del subject
        answer = _listed(answers)
        if not answer.rows:
            raise _why_none(answer, hours)
        malformed = _malformed(answer)
        bars = [bar for bar in answer.rows if bar.ticker not in malformed]
        columns = {"ticker": [bar.ticker for bar in bars], "date": [hours.session] * len(bars)}
        columns |= {name: [getattr(bar, field) for bar in bars] for name, field in _COLUMNS.items()}
        return pa.table(columns, schema=staged_schema(self.dataset))


def left_out(answers: Sequence[Answer], _hours: SessionHours) -> dict[str, int]:
    """Return what of the answers becomes no row, counted by `WarningName`."""
    return {WarningName.MALFORMED_TICKERS.value: len(_malformed(_listed(answers)))}


def _filters(hours: SessionHours) -> dict[str, Value]:
    return {"day": hours.session, "include_otc": False}


def _listed(answers: Sequence[Answer]) -> Listing[GroupedBar]:
    [answer] = answers
    if not isinstance(answer, Listing):
        msg = f"not an answer about day bars: {type(answer).__name__}"
        raise TypeError(msg)
    return answer


def _malformed(answer: Listing[GroupedBar]) -> dict[str, str]:
    return malformed_among(bar.ticker for bar in answer.rows)


def _why_none(answer: Listing[GroupedBar], hours: SessionHours) -> NotPublishedYet | OutsideHistory:
    page = answer.pages[0]
    is_late = page.received_utc > hours.post_close + _PUBLISHED_WITHIN
    why = "the plan's history seems to begin later" if is_late else "they are not published yet"
    error = OutsideHistory if is_late else NotPublishedYet
    message = f"not one stock has a day bar of {hours.session}: {why}"
    return error(message, url=page.url, status=page.http_status, request_id=page.request_id)
