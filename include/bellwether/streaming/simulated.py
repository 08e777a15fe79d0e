"""The time of a simulator in another process: its virtual clock, by which everything that waits for its streams waits.

The vendor needs none of this: its time is the machine's.
"""

import time
from datetime import datetime, timedelta

import msgspec
import urllib3

from bellwether.clock import SimulatedClock
from bellwether.errors import StreamError
from bellwether.streaming.feedtime import FeedTime

_ASK_EVERY_S = 0.02
_DRIVEN_SPEED = 1000.0
"""How fast waits pass while the clock goes by readers: a reconnect must not wait for a clock that waits for it."""


class _ClockAnswer(msgspec.Struct):
    now_utc: datetime
    speed: float


class _AskedClock:
    """A clock that is asked, since it goes as it likes."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._asked_s = 0.0
        self._now = ask_clock(url).now_utc

    def now(self) -> datetime:
        """Return what it said last, at most some milliseconds ago."""
        if time.monotonic() - self._asked_s > _ASK_EVERY_S:
            self._asked_s = time.monotonic()
            self._now = ask_clock(self._url).now_utc
        return self._now


def ask_clock(url: str) -> _ClockAnswer:
    """Return a simulator's now and its speed, 0 where it stands or goes by its readers.

    Parameters
    ----------
    url
        Its REST address.

    Raises
    ------
    StreamError
        Nobody answers there, or no simulator does.
    """
    try:
        answer = urllib3.request("GET", f"{url}/_simulator/clock", timeout=5.0, retries=False)
        return msgspec.json.decode(answer.data, type=_ClockAnswer)
    except (urllib3.exceptions.HTTPError, msgspec.MsgspecError) as error:
        msg = f"{url} does not tell its time as a simulator does: {error}"
        raise StreamError(msg) from error


def simulated_time(url: str) -> FeedTime:
    """Return the time of the simulator at a REST address, whose speed is to stay as it is.

    Raises
    ------
    StreamError
        There is no simulator.
    """
    asked_s = time.monotonic()
    clock = ask_clock(url)
    if clock.speed > 0:
        # The answer has grown older on its way, by no more than this: a clock behind its feed would end gaps too early.
        way = timedelta(seconds=(time.monotonic() - asked_s) * clock.speed)
        return FeedTime(SimulatedClock(clock.now_utc + way, clock.speed), speed=clock.speed)
    return FeedTime(_AskedClock(url), speed=_DRIVEN_SPEED)
