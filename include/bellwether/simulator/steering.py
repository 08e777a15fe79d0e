"""The simulator's one clock, for REST and streams alike; it can be set while it is read."""

import math
from datetime import UTC, datetime, timedelta

from bellwether.clock import Clock, SimulatedClock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SteeredClock:
    """A clock that can be set to another while it is read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return self._clock.now()

    @property
    def speed(self) -> float:
        """Simulated seconds per real second; 0 while it stands or is driven."""
        return self._clock.speed if isinstance(self._clock, SimulatedClock) else 1.0

    def now_ms(self) -> int:
        """Return the current time in whole ms UTC."""
        return (self.now() - _EPOCH) // timedelta(milliseconds=1)

    def follow(self, clock: Clock) -> None:
        """Tell another clock's time from now on."""
        self._clock = clock

    def stand_at(self, moment_ms: int) -> None:
        """Stand still at a moment, ms UTC, from now on."""
        self.follow(SimulatedClock(_EPOCH + timedelta(milliseconds=moment_ms), speed=0))

    def seconds_until(self, moment_ms: int) -> float:
        """Return how many real seconds a moment, ms UTC, is away; infinitely many where the clock stands still."""
        left_s = (moment_ms - self.now_ms()) / 1000
        if left_s <= 0:
            return 0.0
        return left_s / self.speed if self.speed else math.inf
