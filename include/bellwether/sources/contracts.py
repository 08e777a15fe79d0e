"""The option contracts that matter on a session: an underlying's opening price, then what is listed around it.

Which contracts are wanted is a rule of the configuration (`bellwether.options.rules`). Questions are bounded by it, so
that few pages come; the choice is made from the answers alone, and stored ones give the same rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import partial
from math import ceil, floor
from typing import Any, Final, Literal

import msgspec
import pyarrow as pa

from bellwether.calendar import SessionHours, get_calendar
from bellwether.errors import BadResponse, LakeError, NotFound
from bellwether.logging import get_logger
from bellwether.options.hours import priced_by
from bellwether.options.rules import ContractRule, ContractSelection
from bellwether.options.selection import select
from bellwether.options.symbols import OptionSymbol
from bellwether.schemas import CONTRACTS
from bellwether.sources import endpoints
from bellwether.sources.aggregates import Aggregates, BarChain
from bellwether.sources.filters import Value
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import Request
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import Contract
from bellwether.sources.source import EMPTY_REASON, Answer, answer_to
from bellwether.sources.walk import PageLog

log = get_logger(__name__)

PREVIOUS_CLOSE: Final = "previous_close"

# What has traded by the time the contracts are due is known on plans 15 minutes behind too: a backfill of the session
# finds the same price as the run at its opening.
_FIRST_MINUTES = timedelta(minutes=5)
# Contracts may trade until the session before they expire, or expire on the Saturday after their last day.
_EXPIRATION_SLACK = timedelta(days=7)

_UNCHOSEN = pa.schema([field.with_nullable(True) for field in CONTRACTS if field.name != "chosen_by"])


@dataclass(frozen=True)
class _Place:
    """One place where an opening price may stand.

    Attributes
    ----------
    source
        As rows name it.
    read
        Returns the price an answer holds, dollars; None where it holds none.
    """

    source: str
    request: Request
    ask: Callable[[PolygonRest], Answer]
    read: Callable[[Answer], float | None]


@dataclass(frozen=True)
class _Opening:
    """An opening price and where it stood; neither where there is none."""

    price: float | None = None
    source: str | None = None


class ListedContracts:
    """The contracts of an underlying that the configuration wants: a `Source`.

    Parameters
    ----------
    selection
        Which contracts are wanted, by underlying.
    """

    def __init__(self, selection: ContractSelection) -> None:
        self._selection = selection

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return "contracts"

    def ask(self, rest: PolygonRest, subject: str, hours: SessionHours, page_log: PageLog) -> Iterator[Answer]:
        """Ask for the opening price, place by place until there is one, then for living and for expired contracts.

        The vendor lists contracts that have expired since apart from those that have not.
        """
        opening = _Opening()
        for place in _places(subject, hours):
            answer = answer_to(partial(place.ask, rest))
            yield answer
            if (price := place.read(answer)) is not None:
                opening = _Opening(price, place.source)
                break
        if opening.source == PREVIOUS_CLOSE:
            log.warning("did not open; chosen by its last close", underlying=subject, price=opening.price)
        rule = self._selection.rule_for(subject)
        listings = []
        for is_expired in (False, True):
            filters = {**_filters(subject, opening.price, hours.session, rule), "expired": is_expired}
            listing = rest.listing(endpoints.CONTRACTS, filters, page_log=page_log)
            listings.append(listing)
            yield listing
        _check_choosable(subject, opening, listings, rule)

    def subject_of(self, request: Request) -> str:
        """Return the underlying of a request."""
        asked = request.arguments.get("underlying_ticker") or request.arguments.get("ticker")
        if asked is None:
            msg = f"{request.endpoint} asks for no contracts and no opening price"
            raise ValueError(msg)
        return asked.removeprefix("I:")

    def check_asked(self, request: Request, hours: SessionHours) -> None:
        """Refuse what was asked of another session, or for another price; `LakeError`."""
        if request.endpoint == endpoints.CONTRACTS.name:
            is_same = request.arguments.get("as_of") == hours.session.isoformat()
        else:
            is_same = request in [place.request for place in _places(self.subject_of(request), hours)]
        if not is_same:
            msg = f"{request.endpoint} was asked with {dict(request.arguments)}, and is not asked so of {hours.session}"
            raise LakeError(msg)

    def rows(self, subject: str, answers: Sequence[Answer], hours: SessionHours) -> pa.Table:
        """Return the contracts chosen; beside them those that cannot be judged, for the gate to refuse.

        Raises
        ------
        NotFound
            The vendor knows neither a price nor a contract of the underlying.
        LakeError
            An answer is missing, or was bounded closer than the rule is today.
        BadResponse
            Contracts are listed, and nothing tells near which price to choose.
        """
        given = {_request_of(answer).key: answer for answer in answers}
        opening = _opening(subject, hours, given)
        rule = self._selection.rule_for(subject)
        wanted = _filters(subject, opening.price, hours.session, rule)
        listings = [_listing(given.values(), wanted, is_expired=is_expired) for is_expired in (False, True)]
        listed = _united(listings)
        if opening.price is None and not listed:
            for answer in answers:
                if isinstance(answer, NotFound):
                    raise answer
        _check_choosable(subject, opening, listings, rule)
        table = _chosen(listed, opening, hours.session, rule)
        if table.num_rows:
            return table
        meant = rule.words(opening.price) + (f" ({opening.source})" if opening.source else "")
        reason = f"of {len(listed)} contracts listed nearby none is meant: {meant}"
        return table.replace_schema_metadata({EMPTY_REASON: reason.encode()})


def _places(underlying: str, hours: SessionHours) -> list[_Place]:
    """Return where the opening price may stand, the best place first."""
    ticker = priced_by(underlying)
    calendar = get_calendar()
    before = calendar.hours(calendar.previous(hours.session))
    return [
        _day(ticker, hours.session, "open", "open_close"),
        _minutes(ticker, hours.open, hours.open + _FIRST_MINUTES, "open", "first_minute"),
        _day(ticker, before.session, "close", PREVIOUS_CLOSE),
        _minutes(ticker, before.open, before.close, "close", PREVIOUS_CLOSE),
    ]


def _day(ticker: str, day: date, price: Literal["open", "close"], source: str) -> _Place:
    """Return the place of a price among the official ones of a day."""

    def read(answer: Answer) -> float | None:
        return _positive(getattr(answer.rows[0], price)) if isinstance(answer, Listing) else None

    request = ListingChain.asking(endpoints.OPEN_CLOSE, {"ticker": ticker, "day": day}).request
    return _Place(source, request, lambda rest: rest.open_close(ticker, day), read)


def _minutes(ticker: str, start: datetime, end: datetime, price: Literal["open", "close"], source: str) -> _Place:
    """Return the place of a price among minute bars: the open of the first, or the close of the last."""
    from_ms, to_ms = int(start.timestamp() * 1000), int((end - timedelta(minutes=1)).timestamp() * 1000)

    def read(answer: Answer) -> float | None:
        if not isinstance(answer, Aggregates) or not answer.table.num_rows:
            return None
        return _positive(answer.table[price][0 if price == "open" else -1].as_py())

    request = BarChain(ticker, from_ms, to_ms).request
    return _Place(source, request, lambda rest: rest.aggregates(ticker, from_ms, to_ms), read)


def _positive(price: float) -> float | None:
    return price if price > 0 else None


def _opening(subject: str, hours: SessionHours, given: Mapping[str, Answer]) -> _Opening:
    """Return the opening price that answers tell, looking where `ask` does."""
    for place in _places(subject, hours):
        answer = given.get(place.request.key)
        if answer is None:
            msg = f"there is no answer to {place.request.endpoint} {dict(place.request.arguments)}"
            raise LakeError(msg)
        if (price := place.read(answer)) is not None:
            return _Opening(price, place.source)
    return _Opening()


def _filters(underlying: str, price: float | None, session: date, rule: ContractRule) -> dict[str, Value]:
    """Return what to ask for: at least all that the rule can mean, expired or not."""
    filters: dict[str, Value] = {
        "underlying_ticker": underlying,
        "as_of": session,
        "expiration_date.gte": session,
    }
    if not rule.monthlies:
        filters["expiration_date.lte"] = session + timedelta(days=rule.lookahead_days) + _EXPIRATION_SLACK
    if rule.strikes.percent is not None and price is not None:
        # Strikes have at most three decimals: outwards to the next ones, so that rounding loses none.
        reach = Fraction(repr(price)) * Fraction(repr(rule.strikes.percent)) / 100
        filters["strike_price.gte"] = floor((Fraction(repr(price)) - reach) * 1000) / 1000
        filters["strike_price.lte"] = ceil((Fraction(repr(price)) + reach) * 1000) / 1000
    return filters


def _request_of(answer: Answer) -> Request:
    return answer.pages[0].request


def _listing(answers: Iterable[Answer], wanted: Mapping[str, Value], *, is_expired: bool) -> Listing[Contract]:
    """Return the answer that lists all that is wanted.

    Raises
    ------
    LakeError
        There is none, or it was asked for less.
    """
    asked = ListingChain.asking(endpoints.CONTRACTS, {**wanted, "expired": is_expired}).request.arguments
    for answer in answers:
        request = _request_of(answer)
        is_it = request.endpoint == endpoints.CONTRACTS.name and request.arguments.get("expired") == asked["expired"]
        if not is_it or not isinstance(answer, Listing):
            continue
        if not _covers(request.arguments, asked):
            msg = f"contracts were asked for with {dict(request.arguments)}; today's rule needs {dict(asked)}"
            raise LakeError(msg)
        return answer
    msg = f"there is no answer to {endpoints.CONTRACTS.name} {dict(asked)}"
    raise LakeError(msg)


def _covers(given: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether every row that satisfies the filters wanted satisfies those given too."""

    def reaches(name: str, text: str) -> bool:
        if name not in wanted:
            return False
        kind: Callable[[str], Any] = float if name.startswith("strike_price") else str
        bound, needed = kind(text), kind(wanted[name])
        if name.endswith((".gte", ".lte")):
            return bool(bound <= needed if name.endswith(".gte") else bound >= needed)
        return bool(bound == needed)

    return all(reaches(name, text) for name, text in given.items())


def _united(listings: Sequence[Listing[Contract]]) -> list[Contract]:
    """Return every contract once; two that contradict each other stay, for the gate to refuse both."""
    found: dict[str, list[Contract]] = {}
    for listing in listings:
        for contract in listing.rows:
            known = found.setdefault(contract.ticker, [])
            if contract not in known:
                known.append(contract)
    return [contract for same in found.values() for contract in same]


def _check_choosable(
    subject: str, opening: _Opening, listings: Sequence[Listing[Contract]], rule: ContractRule
) -> None:
    needs_price = rule.strikes.percent is not None or rule.strikes.count is not None
    if opening.price is None and needs_price and any(listing.rows for listing in listings):
        page = listings[0].pages[-1]
        msg = (
            f"contracts of {subject} are listed, but no opening price and no previous close is known to choose by; "
            "strikes: wide needs none"
        )
        raise BadResponse(msg, url=page.url, status=200, request_id=page.request_id)


def _chosen(listed: Sequence[Contract], opening: _Opening, session: date, rule: ContractRule) -> pa.Table:
    plain = [contract for contract in listed if _is_plain(contract)]
    odd = [contract for contract in listed if not _is_plain(contract)]
    chosen = select(_table(plain, opening), opening.price, session, rule)
    unjudged = _table(odd, opening).append_column("chosen_by", pa.nulls(len(odd), pa.string()))
    schema = pa.schema([field.with_nullable(True) for field in CONTRACTS])
    return pa.concat_tables([chosen.cast(schema), unjudged.cast(schema)])


def _is_plain(contract: Contract) -> bool:
    """Return whether the rule can be applied: a call or a put, with a symbol that can be read."""
    try:
        OptionSymbol.parse(contract.ticker)
    except ValueError:
        return False
    return contract.contract_type in ("call", "put")


def _table(contracts: Sequence[Contract], opening: _Opening) -> pa.Table:
    rows = [
        {
            "ticker": contract.ticker,
            "underlying": contract.underlying_ticker,
            "right": contract.contract_type,
            "exercise_style": contract.exercise_style,
            "expiration": contract.expiration_date,
            "strike": contract.strike_price,
            "multiplier": contract.shares_per_contract,
            "is_adjusted": bool(contract.additional_underlyings) or _has_adjusted_root(contract.ticker),
            "additional_underlyings": msgspec.json.encode(contract.additional_underlyings).decode()
            if contract.additional_underlyings
            else None,
            "opening_price": opening.price,
            "opening_price_source": opening.source,
        }
        for contract in contracts
    ]
    return pa.Table.from_pylist(rows, schema=_UNCHOSEN)


def _has_adjusted_root(ticker: str) -> bool:
    return ticker[:-15][-1:].isdigit()
