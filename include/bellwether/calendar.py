"""The one room that knows the exchange's calendar: sessions, hours, half days, ad hoc closures.

Every other module asks here instead of computing weekdays or writing `16:00`. Sessions are those of
XNYS (exchange_calendars); extended hours are 04:00-20:00 New York on every session, half days too,
since the vendor's bars carry pre- and post-market trades.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import cast
from zoneinfo import ZoneInfo

import exchange_calendars
import pandas as pd

from bellwether.errors import NotASession

EXCHANGE = "XNYS"
NEW_YORK = ZoneInfo("America/New_York")
_FIRST_DAY = "2000-01-01"
_PRE_OPEN = time(4, 0)
_OPEN = time(9, 30)
_CLOSE = time(16, 0)
_POST_CLOSE = time(20, 0)
_REGULAR_SESSION = timedelta(hours=6, minutes=30)
_SESSION_KEY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class SessionHours:
    """The bounds of one session, aware UTC datetimes; each interval includes its start and not its end.

    Attributes
    ----------
    session
        The exchange date.
    pre_open, open, close, post_close
        Start of extended trading, the opening, the close (13:00 New York on half days), end of
        extended trading.
    """

    session: date
    pre_open: datetime
    open: datetime
    close: datetime
    post_close: datetime

    @property
    def is_half_day(self) -> bool:
        """Whether the exchange closes early."""
        return self.close - self.open < _REGULAR_SESSION

    def expected_minutes(self, *, extended: bool = False) -> int:
        """Return how many one-minute bars fit: 390, 210 on half days, 960 with extended hours."""
        start, end = (self.pre_open, self.post_close) if extended else (self.open, self.close)
        return int((end - start) / timedelta(minutes=1))


class SessionCalendar:
    """Sessions and hours of the exchange from 2000 until about a year from now."""

    def __init__(self) -> None:
        self._calendar = exchange_calendars.get_calendar(EXCHANGE, start=_FIRST_DAY)
        self._sessions: list[date] = [stamp.date() for stamp in self._calendar.sessions]
        self._index = pd.Index(self._sessions)

    @property
    def first(self) -> date:
        """The first session known."""
        return self._sessions[0]

    @property
    def last(self) -> date:
        """The last session known."""
        return self._sessions[-1]

    def is_session(self, day: date) -> bool:
        """Return whether the exchange trades on `day`."""
        return self.sessions(day, day) == [day]

    def sessions(self, start: date, end: date) -> list[date]:
        """Return the sessions from `start` to `end`, both included, ascending."""
        low = self._index.searchsorted(cast("object", start), side="left")
        high = self._index.searchsorted(cast("object", end), side="right")
        return self._sessions[low:high]

    def previous(self, day: date) -> date:
        """Return the last session before `day`.

        Raises
        ------
        NotASession
            There is none in the calendar.
        """
        earlier = self.sessions(self.first, day - timedelta(days=1))
        if not earlier:
            msg = f"no session of {EXCHANGE} before {day} is known (the first is {self.first})"
            raise NotASession(msg)
        return earlier[-1]

    def next(self, day: date) -> date:
        """Return the first session after `day`.

        Raises
        ------
        NotASession
            There is none in the calendar.
        """
        later = self.sessions(day + timedelta(days=1), self.last)
        if not later:
            msg = f"no session of {EXCHANGE} after {day} is known (the last is {self.last})"
            raise NotASession(msg)
        return later[0]

    def on_or_before(self, day: date) -> date:
        """Return the last session not after `day`; beyond those known, by the exchange's regular holidays.

        Options expire years ahead of the sessions known, and their chains are read today.
        """
        return cast("date", self._calendar.day.rollback(pd.Timestamp(day)).date())

    def parse(self, key: str) -> date:
        """Return the session a key `YYYY-MM-DD` names.

        Raises
        ------
        NotASession
            The key is no date or the date no session; the message says what is allowed.
        """
        try:
            day = date.fromisoformat(key) if _SESSION_KEY.fullmatch(key) else None
        except ValueError:
            day = None
        if day is None:
            msg = f"{key!r} is not a session: give an {EXCHANGE} trading day as YYYY-MM-DD"
            raise NotASession(msg)
        if not self.first <= day <= self.last:
            msg = f"{key} lies outside the known {EXCHANGE} sessions, {self.first} to {self.last}"
            raise NotASession(msg)
        if not self.is_session(day):
            msg = f"{key} is not a trading session of {EXCHANGE}; nearest: {self.previous(day)}, {self.next(day)}"
            raise NotASession(msg)
        return day

    def hours(self, session: date) -> SessionHours:
        """Return the bounds of `session`.

        Raises
        ------
        NotASession
            `session` is not a trading session.
        """
        self.parse(session.isoformat())
        stamp = pd.Timestamp(session)
        return SessionHours(
            session=session,
            pre_open=datetime.combine(session, _PRE_OPEN, NEW_YORK).astimezone(UTC),
            open=self._calendar.session_open(stamp).to_pydatetime().astimezone(UTC),
            close=self._calendar.session_close(stamp).to_pydatetime().astimezone(UTC),
            post_close=datetime.combine(session, _POST_CLOSE, NEW_YORK).astimezone(UTC),
        )

    def last_due(self, now: datetime, due: Callable[[SessionHours], datetime]) -> date:
        """Return the last session that is due at `now`, `due` saying when that is."""
        day = now.astimezone(NEW_YORK).date()
        if self.is_session(day) and due(self.hours(day)) <= now:
            return day
        candidate = self.previous(day)
        while due(self.hours(candidate)) > now:
            candidate = self.previous(candidate)
        return candidate


def midnight(day: date) -> datetime:
    """Return the instant, aware UTC, at which `day` begins in New York."""
    return datetime.combine(day, time(), NEW_YORK).astimezone(UTC)


def usual_open(day: date) -> datetime:
    """Return the instant, aware UTC, at which a session opens: 09:30 in New York, on any day."""
    return datetime.combine(day, _OPEN, NEW_YORK).astimezone(UTC)


def usual_close(day: date) -> datetime:
    """Return the instant, aware UTC, at which a full session closes: 16:00 in New York, on any day."""
    return datetime.combine(day, _CLOSE, NEW_YORK).astimezone(UTC)


@cache
def get_calendar() -> SessionCalendar:
    """Return this process's calendar; building it costs about a second, once."""
    return SessionCalendar()
