"""What is to be done on one connection, in order: frames to send, and the ways in which it ends or falls silent.

Pure: it takes steps and gives them back; `connection` carries them out.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Send:
    """Send a text frame."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class SendLater:
    """Send a text frame after the next one."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a ping; its pong tells that the client has taken everything before."""

    token: bytes


@dataclass(frozen=True, slots=True)
class Hold:
    """Do nothing until so many seconds of simulated time have passed; `deaf`: nor read, nor answer pings."""

    pause_s: float
    deaf: bool


@dataclass(frozen=True, slots=True)
class Close:
    """Close with a code."""

    code: int


@dataclass(frozen=True, slots=True)
class Abort:
    """Reset the connection, `torn` bytes of an unfinished frame having been sent."""

    torn: bytes = b""


@dataclass(frozen=True, slots=True)
class Mute:
    """Send nothing more, ever; the connection stays, and answers pings."""


type Step = Send | SendLater | Ping | Hold | Close | Abort | Mute


class Outbox:
    """Steps in order. After one that ends or mutes the connection, no more are taken."""

    def __init__(self) -> None:
        self.waiting_bytes = 0
        self.silent = False
        self._steps: deque[Step] = deque()
        self._later: list[Send] = []

    def put(self, steps: Iterable[Step]) -> None:
        """Add steps at the end."""
        for step in steps:
            if self.silent:
                return
            if isinstance(step, SendLater):
                self._later.append(Send(step.frame))
                continue
            self._add(step)
            if isinstance(step, Send):
                for late in self._later:
                    self._add(late)
                self._later.clear()
            self.silent = isinstance(step, Close | Abort | Mute)

    def replace(self, steps: Iterable[Step]) -> None:
        """Drop everything, and add steps."""
        self._steps.clear()
        self.waiting_bytes = 0
        self.put(steps)

    def next(self) -> Step | None:
        """Return and forget the next step; None where nothing is to be done."""
        if not self._steps:
            return None
        step = self._steps.popleft()
        if isinstance(step, Send):
            self.waiting_bytes -= len(step.frame)
        return step

    def _add(self, step: Step) -> None:
        self._steps.append(step)
        if isinstance(step, Send):
            self.waiting_bytes += len(step.frame)
