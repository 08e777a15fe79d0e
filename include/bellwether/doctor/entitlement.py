"""What the plan includes: one cheap call per dataset, and what its answer says.

Included, not included, not published yet, or nobody can tell: these four are never mixed up. Knows the
questions and how answers are read; what a plan costs or is called is not its business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from bellwether.calendar import get_calendar
from bellwether.doctor.finding import Finding, ok, problem, unknown, warning
from bellwether.errors import NotEntitled, NotPublishedYet, VendorError
from bellwether.sources import endpoints
from bellwether.sources.aggregates import Aggregates
from bellwether.sources.filters import Value
from bellwether.sources.listing import Listing
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import Contract

type Answer = Aggregates | Listing[Any]

_CAPTURED = "equities"
_WEEK = timedelta(days=7)
_MONTH = timedelta(days=30)


class Verdict(StrEnum):
    """What one call told."""

    INCLUDED = "included"
    NOT_INCLUDED = "not included"
    NOT_YET = "not published yet"
    UNKNOWN = "could not check"


@dataclass(frozen=True)
class Result:
    """What came of one question.

    Attributes
    ----------
    reason
        The vendor's words, or ours, for everything but `INCLUDED`.
    answer
        The answer itself, for `INCLUDED`.
    error
        What kept an answer from coming, where that was an error.
    """

    verdict: Verdict
    reason: str = ""
    answer: Answer | None = None
    error: VendorError | None = None

    @property
    def rows(self) -> int:
        """How many rows came."""
        if isinstance(self.answer, Aggregates):
            return int(self.answer.table.num_rows)
        return len(self.answer.rows) if self.answer else 0


def result_of(ask: Callable[[], Answer]) -> Result:
    """Return what came of asking."""
    try:
        return Result(Verdict.INCLUDED, answer=ask())
    except NotEntitled as error:
        return Result(Verdict.NOT_INCLUDED, error.message, error=error)
    except NotPublishedYet as error:
        return Result(Verdict.NOT_YET, error.message, error=error)
    except VendorError as error:
        return Result(Verdict.UNKNOWN, f"{type(error).__name__}: {error.message}", error=error)


@dataclass(frozen=True)
class Subject:
    """What the questions are about.

    Attributes
    ----------
    ticker
        A stock that trades every minute and has options.
    session
        The last completed session.
    today
        The vendor's date in New York.
    contract
        A living option on the ticker, once one was found.
    """

    ticker: str
    session: date
    today: date
    contract: Contract | None = None


@dataclass(frozen=True)
class Probe:
    """One dataset's question.

    Attributes
    ----------
    dataset
        How the doctor calls it.
    ask
        Makes the call.
    needs_contract
        It cannot be asked before the contracts have named one.
    """

    dataset: str
    ask: Callable[[PolygonRest, Subject], Answer]
    needs_contract: bool = False

    def put(self, through: Callable[[Callable[[PolygonRest], Answer]], Answer], subject: Subject) -> Result:
        """Return what came of the question; `through` asks it, as `Vendor.ask` does."""
        if self.needs_contract and subject.contract is None:
            return Result(Verdict.UNKNOWN, "no option contract is known to ask about")
        return result_of(lambda: through(lambda rest: self.ask(rest, subject)))


def session_bars(rest: PolygonRest, ticker: str, session: date) -> Aggregates:
    """Return the minute bars of one session, extended hours included."""
    hours = get_calendar().hours(session)
    last_minute = hours.post_close - timedelta(minutes=1)
    return rest.aggregates(ticker, int(hours.pre_open.timestamp() * 1000), int(last_minute.timestamp() * 1000))


def monthly_expiration(today: date) -> date:
    """Return the next day, after today, on which monthly options expire: the third Friday, or the session before."""
    calendar = get_calendar()
    first = today.replace(day=1)
    while True:
        third_friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
        expiration = calendar.previous(third_friday + timedelta(days=1))
        if expiration > today:
            return expiration
        first = (first + timedelta(days=31)).replace(day=1)


def _contracts(rest: PolygonRest, subject: Subject) -> Answer:
    # One expiration and calls alone are some hundred rows, one page; whole chains are thousands.
    filters: dict[str, Value] = {
        "underlying_ticker": subject.ticker,
        "expiration_date": monthly_expiration(subject.today),
        "contract_type": "call",
    }
    return rest.listing(endpoints.CONTRACTS, filters)


def _option_bars(rest: PolygonRest, subject: Subject) -> Answer:
    return session_bars(rest, _contract_of(subject).ticker, subject.session)


def _snapshot(rest: PolygonRest, subject: Subject) -> Answer:
    contract = _contract_of(subject)
    filters: dict[str, Value] = {
        "underlying": subject.ticker,
        "expiration_date": contract.expiration_date,
        "strike_price": contract.strike_price,
        "contract_type": "call",
    }
    return rest.listing(endpoints.OPTIONS_SNAPSHOT, filters)


def _contract_of(subject: Subject) -> Contract:
    if subject.contract is None:
        message = "no contract is known yet"
        raise ValueError(message)
    return subject.contract


def _of_ticker(endpoint: endpoints.Endpoint[Any]) -> Callable[[PolygonRest, Subject], Answer]:
    return lambda rest, subject: rest.listing(endpoint, {"ticker": subject.ticker})


PROBES = (
    Probe(_CAPTURED, lambda rest, subject: session_bars(rest, subject.ticker, subject.session)),
    Probe("options contracts", _contracts),
    Probe("options bars", _option_bars, needs_contract=True),
    Probe("options snapshot", _snapshot, needs_contract=True),
    Probe("index I:VIX", lambda rest, subject: session_bars(rest, "I:VIX", subject.session)),
    Probe(
        "news",
        lambda rest, subject: rest.listing(
            endpoints.NEWS, {"ticker": subject.ticker, "published_utc.gte": get_calendar().hours(subject.session).open}
        ),
    ),
    Probe("reference", _of_ticker(endpoints.TICKERS)),
    # Of all stocks: most have none, and a list without rows is not proven to be one everywhere.
    Probe(
        "splits",
        lambda rest, subject: rest.listing(endpoints.SPLITS, {"execution_date.gte": subject.session - _MONTH}),
    ),
    Probe("dividends", _of_ticker(endpoints.DIVIDENDS)),
    Probe(
        "treasury yields",
        lambda rest, subject: rest.listing(endpoints.TREASURY_YIELDS, {"date.gte": subject.session - _WEEK}),
    ),
)
"""One call each, in this order: the contracts name the option that the two after them ask about."""


def first_contract(result: Result) -> Contract | None:
    """Return a contract near the middle of those listed, where options trade; None where none was listed."""
    listed = result.answer.rows if isinstance(result.answer, Listing) else ()
    return listed[len(listed) // 2] if listed else None


def judge(dataset: str, result: Result) -> Finding:
    """Return what the plan includes of a dataset, and what that means; only what is captured can be a problem."""
    is_captured = dataset == _CAPTURED
    match result.verdict:
        case Verdict.INCLUDED if isinstance(result.answer, Aggregates) and not result.rows:
            return unknown(dataset, "answered, but without a single bar of the last completed session")
        case Verdict.INCLUDED:
            return ok(dataset, f"included ({result.rows:,} rows came)")
        case Verdict.NOT_INCLUDED if is_captured:
            advice = "choose a plan with stocks' aggregates, or use the key of one"
            return problem(dataset, f"not included in this plan: no session can be captured ({result.reason})", advice)
        case Verdict.NOT_INCLUDED:
            return warning(dataset, f"not included in this plan ({result.reason})", "leave it off, or change the plan")
        case Verdict.NOT_YET:
            return warning(dataset, f"included, but not published yet ({result.reason})", "ask again tomorrow")
        case _:
            return unknown(dataset, result.reason)
