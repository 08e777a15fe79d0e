"""What of a recorder's heartbeats is worth telling: one now and then, and that nothing has been heard for long.

Measured in the feed's time, so that a rehearsal at 60x tells 60 times as often.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bellwether.streaming.lease import Heartbeat

_TELL_EVERY = timedelta(minutes=5)
STALLED_AFTER_MIN = 15
_STALLED_AFTER = timedelta(minutes=STALLED_AFTER_MIN)


@dataclass(frozen=True)
class Told:
    """What a heartbeat means.

    Attributes
    ----------
    is_due
        It is time to tell of one.
    has_stalled
        With this one the recorder has not listened, or not written, for 15 minutes of the session; said once, until it
        does again.
    """

    is_due: bool
    has_stalled: bool


class Pulse:
    """The heartbeats of one recording.

    Parameters
    ----------
    start
        The session's: before it, nothing can be missed.
    """

    def __init__(self, start: datetime) -> None:
        self._well_utc = start
        self._told_utc: datetime | None = None
        self._is_stalled = False

    def take(self, heartbeat: Heartbeat) -> Told:
        """Return what the next heartbeat means."""
        now = heartbeat.at_utc
        if heartbeat.state == "listening":
            self._well_utc, self._is_stalled = max(now, self._well_utc), False
        has_stalled = not self._is_stalled and now - self._well_utc >= _STALLED_AFTER
        self._is_stalled |= has_stalled
        is_due = self._told_utc is None or now - self._told_utc >= _TELL_EVERY
        if is_due:
            self._told_utc = now
        return Told(is_due, has_stalled)
