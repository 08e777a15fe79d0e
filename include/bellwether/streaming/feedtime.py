"""The feed's own time: what its stamps mean by "now", and how long a wait in it takes on this machine.

A replay at 120x breaks off, falls silent and recovers 120 times faster, so everything that waits for the feed waits in
its time. The machine's time is asked for two things alone: a deadline leaves this machine a moment to answer however
fast the feed runs, and it ends at last where the feed's clock stands still.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from bellwether.clock import Clock, SystemClock
from bellwether.errors import ConfigError

DELAY = timedelta(minutes=15)
"""How far the vendor's delayed feeds are behind (https://massive.com/docs/websocket/stocks/overview)."""

FEEDS = ("realtime", "delayed")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_delayed(feed: object, where: str) -> bool:
    """Return whether streams are 15 minutes behind, as a Connection has it.

    Parameters
    ----------
    feed
        One of `FEEDS`; empty is the first.
    where
        Names the place it comes from in an error.

    Raises
    ------
    ConfigError
        It is none of them.
    """
    if feed and feed not in FEEDS:
        msg = f"{where} is {feed!r}, not {' or '.join(FEEDS)}"
        raise ConfigError(msg)
    return feed == "delayed"


def to_ms(moment: datetime) -> int:
    """Return an aware moment in whole ms UTC."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_ms(moment_ms: int) -> datetime:
    """Return ms UTC as an aware moment."""
    return _EPOCH + timedelta(milliseconds=moment_ms)


class FeedTime:
    """The time of one feed.

    Parameters
    ----------
    clock
        What "now" is at the feed: the machine's clock, or that of a simulator.
    speed
        Seconds of the feed per second of this machine. Of a clock that is driven: as fast as waits shall be over.
    grace_s
        Seconds of this machine that no deadline undercuts.
    behind
        How far the feed is behind what the vendor knows.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        speed: float = 1.0,
        grace_s: float = 0.5,
        behind: timedelta = timedelta(0),
    ) -> None:
        self._clock = clock or SystemClock()
        self._speed = speed
        self._grace_s = grace_s
        self.behind = behind

    def delayed(self) -> "FeedTime":
        """Return the time of a feed that tells everything 15 minutes later."""
        return FeedTime(_Behind(self._clock), speed=self._speed, grace_s=self._grace_s, behind=DELAY)

    def now(self) -> datetime:
        """Return the feed's now, aware, in UTC."""
        return self._clock.now()

    def now_ms(self) -> int:
        """Return the feed's now in ms UTC."""
        return to_ms(self._clock.now())

    def real_s(self, seconds: float) -> float:
        """Return how many seconds of this machine a wait of so many of the feed takes."""
        return seconds / self._speed

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of the feed."""
        await asyncio.sleep(self.real_s(seconds))

    def deadline(self, seconds: float) -> "Deadline":
        """Return a deadline so many seconds of the feed from now."""
        return Deadline(self, seconds, min(seconds, self._grace_s))


class _Behind:
    """A clock that is behind another."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now() - DELAY


class Deadline:
    """A moment of the feed after which something has taken too long; get it from `FeedTime.deadline`."""

    def __init__(self, feed: FeedTime, seconds: float, grace_s: float) -> None:
        self._feed = feed
        self._seconds = seconds
        self._grace_s = grace_s
        self.restart()

    def restart(self) -> None:
        """Begin again now."""
        self._since_ms = self._feed.now_ms()
        self._since_s = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        real_s = time.monotonic() - self._since_s
        feed_s = (self._feed.now_ms() - self._since_ms) / 1000
        return real_s >= self._seconds or (feed_s >= self._seconds and real_s >= self._grace_s)
