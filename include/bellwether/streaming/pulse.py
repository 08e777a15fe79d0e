"""What of a recorder's heartbeats is worth telling: one now and then, and that nothing has been heard for long.

Measured in the feed's time, so that a rehearsal at 60x tells 60 times as often. How often, and what long is, stand in
`settings.yaml`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bellwether.config.settings import StreamingSettings
from bellwether.streaming.lease import Heartbeat

LISTENING, WAITING = "listening", "waiting"
"""States in which nothing is the matter: of what is broadcast, and of what is polled."""

FAILING, STALLED = "failing", "stalled"
"""How a state begins that gets nothing, of polling no answer: not for long, or for as long as is told of to people."""


@dataclass(frozen=True)
class Told:
    """What a heartbeat means.

    Attributes
    ----------
    is_due
        It is time to tell of one.
    has_stalled
        With this one the recorder has not listened, or not written, for `stalled_after_min` of the session; said once,
        until it does again.
    """

    is_due: bool
    has_stalled: bool


class Pulse:
    """The heartbeats of one recording.

    Parameters
    ----------
    start
        The session's: before it, nothing can be missed.
    settings
        How often to tell, and after how long something has stalled.
    """

    def __init__(self, start: datetime, settings: StreamingSettings) -> None:
        self._well_utc = start
        self._every = timedelta(minutes=settings.heartbeat_every_min)
        self._stalled_after = timedelta(minutes=settings.stalled_after_min)
        self._told_utc: datetime | None = None
        self._is_stalled = False

    def take(self, heartbeat: Heartbeat) -> Told:
        """Return what the next heartbeat means."""
        now = heartbeat.at_utc
        if heartbeat.state == LISTENING:
            self._well_utc, self._is_stalled = max(now, self._well_utc), False
        is_stalled = heartbeat.state.startswith(STALLED) or now - self._well_utc >= self._stalled_after
        has_stalled = is_stalled and not self._is_stalled
        self._is_stalled |= has_stalled
        is_due = self._told_utc is None or now - self._told_utc >= self._every
        if is_due:
            self._told_utc = now
        return Told(is_due, has_stalled)


def is_stalled(last: Heartbeat, settings: StreamingSettings) -> bool:
    """Return whether a recording that lives has stalled, by its last heartbeat alone."""
    if last.state.startswith(STALLED):
        return True
    is_well = last.state in (LISTENING, WAITING) or last.state.startswith(FAILING)
    return not is_well and last.at_utc - last.covered_utc >= timedelta(minutes=settings.stalled_after_min)
