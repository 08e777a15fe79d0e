"""What kind of plan it seems to be: how fresh, how far back, and whether its rate limit is set.

The vendor tells none of this; it is read off its answers, and what they cannot tell is said to be unknown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.doctor.entitlement import Result, Verdict
from bellwether.doctor.finding import Finding, ok, unknown, warning
from bellwether.doctor.vendor import FREE_REQUESTS_PER_MINUTE
from bellwether.sources.aggregates import Aggregates

HISTORY_BEGINS = date(2003, 9, 10)
"""The vendor's first minute bars of stocks."""

MOST_HISTORY_CALLS = 3

_PLANS_YEARS = (1, 2, 5, 10, 15, 20)
_FREE_YEARS = 2
# A plan's history may begin some days later than its years say; the session asked for is safely within.
_MARGIN = timedelta(days=7)
_REAL_TIME = timedelta(minutes=10)


class Freshness(StrEnum):
    """How soon bars can be had."""

    REAL_TIME = "real time"
    DELAYED = "delayed by 15 minutes"
    END_OF_DAY = "end of day"
    UNKNOWN = "unknown"


def freshness(bars: Result, today: Result | None, now: datetime) -> Freshness:
    """Return how fresh the plan's bars are.

    Parameters
    ----------
    bars
        What came of asking for the last completed session.
    today
        What came of asking for the session under way; None where none is, or nobody asked.
    now
        The vendor's time, aware.
    """
    answers = [result.answer for result in (bars, today) if result and isinstance(result.answer, Aggregates)]
    if any(answer.status == "DELAYED" for answer in answers):
        return Freshness.DELAYED
    if today is None or today.verdict is Verdict.UNKNOWN:
        return Freshness.UNKNOWN
    if today.verdict is not Verdict.INCLUDED:
        return Freshness.END_OF_DAY
    if not today.rows or not isinstance(today.answer, Aggregates):
        return Freshness.UNKNOWN
    last: datetime = pc.max(today.answer.table["ts"]).as_py()
    return Freshness.REAL_TIME if now - last <= _REAL_TIME else Freshness.DELAYED


def judge_freshness(fresh: Freshness) -> Finding:
    """Return what the freshness means for the daily capture."""
    match fresh:
        case Freshness.UNKNOWN:
            return unknown(
                "freshness", "real time or end of day shows only while the market trades", "ask during trading hours"
            )
        case Freshness.END_OF_DAY:
            return ok("freshness", "end of day: sessions come complete in the evening; nothing is to be had before")
        case _:
            return ok("freshness", f"{fresh}: sessions can be captured at 20:15 New York as scheduled")


@dataclass(frozen=True)
class Depth:
    """How far back bars go.

    Attributes
    ----------
    reaches
        The oldest session that was answered with bars; None for none.
    stops
        The youngest one that was not; None where none was refused.
    why_unknown
        Why the search ended early; empty where it did not.
    """

    reaches: date | None
    stops: date | None
    why_unknown: str = ""


def looks_free(depth: Depth, today: date) -> bool:
    """Return whether bars two years old are the oldest that are answered, as on the free plan."""
    if depth.stops is None or depth.why_unknown:
        return False
    return depth.reaches is None or depth.reaches > _years_before(today, _FREE_YEARS + 1)


def candidates(today: date) -> list[date]:
    """Return the sessions to ask for, youngest first: just inside of what the plans reach, and the very first."""
    calendar = get_calendar()
    edges = [_years_before(today, years) + _MARGIN for years in _PLANS_YEARS]
    return [calendar.next(edge - timedelta(days=1)) for edge in (*edges, HISTORY_BEGINS)]


def measure_depth(ask: Callable[[date], Result], sessions: Sequence[date]) -> Depth:
    """Return how far back the plan answers, by halving: of seven sessions three are asked for.

    Parameters
    ----------
    ask
        Asks for one session's bars of a ticker that traded all that time; an answer without bars means a plan that
        clips instead of refusing.
    sessions
        Youngest first.
    """
    answered, refused = 0, len(sessions)
    why_unknown = ""
    while answered < refused and not why_unknown:
        middle = (answered + refused) // 2
        result = ask(sessions[middle])
        if result.verdict in {Verdict.UNKNOWN, Verdict.NOT_YET}:
            why_unknown = result.reason
        elif result.rows:
            answered = middle + 1
        else:
            refused = middle
    reaches = sessions[answered - 1] if answered else None
    return Depth(reaches, sessions[refused] if refused < len(sessions) else None, why_unknown)


def judge_depth(depth: Depth) -> Finding:
    """Return how far back a backfill can begin."""
    reached = f"bars go back to {depth.reaches} at least" if depth.reaches else "no old session was answered"
    if depth.why_unknown:
        return unknown("history", f"{reached}; the search broke off ({depth.why_unknown})", "ask again later")
    if depth.reaches is None:
        return warning("history", f"less than a year: nothing came of {depth.stops}", "backfill only what is younger")
    if depth.stops is None:
        return ok("history", f"all of it: bars go back to {depth.reaches}")
    return ok("history", f"{reached}, and not to {depth.stops}: begin backfills between the two")


@dataclass(frozen=True)
class Rate:
    """What is known of the plan's rate limit.

    Attributes
    ----------
    requests_per_minute
        What was set.
    was_refused
        Whether the vendor answered 429 though no limit was set.
    seems_free
        Whether history and freshness are the free plan's.
    """

    requests_per_minute: int | None
    was_refused: bool
    seems_free: bool

    @property
    def in_force(self) -> int | None:
        """The requests per minute to reckon with."""
        if self.requests_per_minute is None and (self.was_refused or self.seems_free):
            return FREE_REQUESTS_PER_MINUTE
        return self.requests_per_minute


def rate(requests_per_minute: int | None, fresh: Freshness, depth: Depth, today: date, *, was_refused: bool) -> Rate:
    """Return what the answers tell of the rate limit."""
    seems_free = fresh in {Freshness.END_OF_DAY, Freshness.UNKNOWN} and looks_free(depth, today)
    return Rate(requests_per_minute, was_refused, seems_free)


def judge_rate(known: Rate, fresh: Freshness) -> Finding:
    """Return whether the rate limit that was set fits the plan."""
    advice = (
        "set Requests per minute of Connection polygon_default, or "
        f"POLYGON_REQUESTS_PER_MINUTE={FREE_REQUESTS_PER_MINUTE} beside POLYGON_API_KEY"
    )
    if known.requests_per_minute is not None:
        kept = f"{known.requests_per_minute} a minute are kept to"
        if fresh in {Freshness.DELAYED, Freshness.REAL_TIME}:
            says = f"{kept}; plans with {fresh} data have no limit"
            return warning("rate limit", says, "leave Requests per minute empty to go faster")
        return ok("rate limit", f"{kept}, shared by all that use the key")
    if known.was_refused:
        return warning("rate limit", "none is set, but the vendor refused requests for coming too fast", advice)
    if known.seems_free:
        says = f"none is set, but the plan looks like the free one, which has {FREE_REQUESTS_PER_MINUTE} a minute"
        return warning("rate limit", says, advice)
    return ok("rate limit", "none is set, and the vendor showed none")


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)
