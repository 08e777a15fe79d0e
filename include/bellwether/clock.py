"""The one place that reads the time.

Everything that asks "what is now?" takes a `Clock`, so that a replayed session, a test and the
real day run the same code.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Anything that can tell the current time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)


class SimulatedClock:
    """A clock that starts at a chosen instant and runs at a chosen speed.

    Parameters
    ----------
    start_utc
        The simulated instant at construction; aware.
    speed
        Simulated seconds per real second; 0 stands still.

    Attributes
    ----------
    speed
        As given.
    """

    def __init__(self, start_utc: datetime, speed: float = 1.0) -> None:
        if start_utc.tzinfo is None:
            msg = f"start_utc must be aware, got {start_utc.isoformat()}"
            raise ValueError(msg)
        self.speed = speed
        self._start_utc = start_utc.astimezone(UTC)
        self._origin_s = time.monotonic()

    def now(self) -> datetime:
        """Return the simulated time, aware, in UTC."""
        return self._start_utc + timedelta(seconds=(time.monotonic() - self._origin_s) * self.speed)
