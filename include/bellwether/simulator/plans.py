"""What a key may see: plans, entitlements, delay, history and rate, all but the rate by the simulated clock.

Sources: POLYGON.md section 3. This room knows no HTTP; a refusal is raised in the vendor's kinds.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from datetime import time as time_of_day

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.simulator.answers import Refused

CLASSES = frozenset({"stocks", "options", "indices"})
"""The asset classes that are bought one by one. Reference data, news and market status come with every plan."""

_PREFIXES = {"O:": "options", "I:": "indices"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One plan.

    Attributes
    ----------
    requests_per_window
        Requests answered in any `window_s` seconds of real time; None for no limit.
    window_s
        The limit's window; the vendor's is a minute.
    delay
        How far behind the clock bars and snapshots are; None for end-of-day data only.
    history_years
        How far back bars go; None for all.
    clips_history
        Whether a range that begins too early silently loses its beginning instead of being refused; users report both.
    classes
        Asset classes whose prices the plan has.
    connections
        WebSocket connections per asset class at a time, None for any number; none on end-of-day plans.
    snapshot
        Parts of an options snapshot beside day bar and Greeks: of `quote` and `trade`; None for no snapshots.
    """

    requests_per_window: int | None = None
    window_s: float = 60.0
    delay: timedelta | None = None
    history_years: int | None = None
    clips_history: bool = False
    classes: frozenset[str] = CLASSES
    connections: int | None = 1
    snapshot: frozenset[str] | None = frozenset({"quote", "trade"})

    @property
    def status(self) -> str:
        """The `status` of the plan's answers."""
        return "DELAYED" if self.delay else "OK"

    def check_class(self, ticker: str) -> None:
        """Raise Refused `not_entitled` where the plan lacks the ticker's asset class."""
        if _PREFIXES.get(ticker[:2], "stocks") not in self.classes:
            raise Refused("not_entitled")

    def horizon(self, now: datetime) -> datetime:
        """Return the moment up to which the plan shows prices."""
        return now - (self.delay or timedelta(0))

    def check_end(self, day: date, now: datetime) -> None:
        """Raise Refused `before_end_of_day` where an end-of-day plan asks for a day that is not over."""
        if self.delay is None and end_of_day(day) > now:
            raise Refused("before_end_of_day")

    def first_day(self, day: date, now: datetime) -> date:
        """Return the first day served of a range from `day` on; raise Refused `outside_timeframe` if too early."""
        if self.history_years is None:
            return day
        oldest = now.astimezone(NEW_YORK).date() - timedelta(days=365 * self.history_years)
        if day < oldest and not self.clips_history:
            raise Refused("outside_timeframe")
        return max(day, oldest)


OPEN = Plan()
"""Every class, no limit, end-of-day data."""

_FREE = Plan(requests_per_window=5, history_years=2, snapshot=None)

PLANS = {
    "open": OPEN,
    "free": _FREE,
    "free-clipped": replace(_FREE, clips_history=True),
    "delayed": Plan(delay=timedelta(minutes=15), snapshot=frozenset()),
    "realtime": Plan(delay=timedelta(0)),
}


def end_of_day(day: date) -> datetime:
    """Return when a day's data is complete: after extended hours, or at midnight where there is no session."""
    calendar = get_calendar()
    if calendar.is_session(day):
        return calendar.hours(day).post_close
    return datetime.combine(day + timedelta(days=1), time_of_day(), NEW_YORK)  # an archive may hold any day


class RateLimiter:
    """A sliding window per key, in real time: what the vendor counts are answered requests, not refused ones.

    Parameters
    ----------
    seconds
        Reads a clock that never goes back.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._answered: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def admit(self, key: str, plan: Plan) -> None:
        """Count a request of `key`; raise Refused `rate_limited` where it is one too many."""
        if plan.requests_per_window is None:
            return
        now_s = self._seconds()
        with self._lock:
            answered = self._answered.setdefault(key, deque())
            while answered and now_s - answered[0] >= plan.window_s:
                answered.popleft()
            if len(answered) >= plan.requests_per_window:
                raise Refused("rate_limited")
            answered.append(now_s)
