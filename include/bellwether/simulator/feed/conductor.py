"""Whose turn it is: moves the clock where it is to be as fast as readers take, and sends out what is due.

All connections hang on the one clock. It runs by itself, or it goes from event to event, each time waiting until every
client has taken what it was sent: to the next tenth of a second with an event, at most a minute at a time, so that
REST and whoever else watches it can follow.
"""

import asyncio
from dataclasses import dataclass, field

from bellwether.logging import get_logger
from bellwether.simulator.feed.broadcasts import MINUTE_MS
from bellwether.simulator.feed.connection import Connection
from bellwether.simulator.feed.outbox import Close
from bellwether.simulator.steering import SteeredClock

log = get_logger(__name__)

_SLOT_MS = 100


@dataclass(frozen=True)
class Goal:
    """A moment, ms UTC, to be reached from event to event; `needs_reader`: only while somebody listens."""

    until_ms: int
    needs_reader: bool
    reached: asyncio.Event = field(default_factory=asyncio.Event)


class Conductor:
    """The connections of one clock.

    Parameters
    ----------
    clock
        What "now" is.
    """

    def __init__(self, clock: SteeredClock) -> None:
        self.connections: list[Connection] = []
        self._clock = clock
        self._goal: Goal | None = None
        self._woken = asyncio.Event()
        self._holds: dict[Connection, int] = {}

    def wake(self) -> None:
        """Look again what is to be done: clock, connections or topics have changed."""
        self._woken.set()

    def head_for(self, goal: Goal | None) -> None:
        """Go from event to event until `goal`; None lets the clock run as it does."""
        if self._goal is not None:
            self._goal.reached.set()
        self._goal = goal
        self.wake()

    async def run(self) -> None:
        """Send out what is due, for ever."""
        while True:
            self._woken.clear()
            now_ms = self._clock.now_ms()
            self._release(now_ms)
            for connection in list(self.connections):
                await self._broadcast(connection, now_ms)
            goal = self._goal
            if goal is None or (goal.needs_reader and not any(each.waits for each in self.connections)):
                await self._sleep()
                continue
            await asyncio.gather(*(connection.taken() for connection in self.connections))
            if self._goal is not goal:
                continue
            self._release(now_ms)
            if now_ms >= goal.until_ms:
                self.head_for(None)
            else:
                minute_ms = (now_ms // MINUTE_MS + 1) * MINUTE_MS
                slot_ms = -(-min([minute_ms, *self._dues_ms()]) // _SLOT_MS) * _SLOT_MS
                self._clock.stand_at(min(goal.until_ms, slot_ms))

    async def _broadcast(self, connection: Connection, now_ms: int) -> None:
        try:
            await connection.broadcast(now_ms)
        except Exception:
            log.exception("a simulated stream failed", cluster=connection.protocol.cluster)
            connection.put([Close(1011)])

    async def _sleep(self) -> None:
        seconds = min((self._clock.seconds_until(due_ms) for due_ms in self._dues_ms()), default=None)
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _dues_ms(self) -> list[int]:
        dues_ms = (connection.next_due_ms() for connection in self.connections)
        return [*self._holds.values(), *(due_ms for due_ms in dues_ms if due_ms is not None)]

    def _release(self, now_ms: int) -> None:
        """Begin the holds that are new, and end those that are over."""
        for connection in self.connections:
            if connection.hold is not None and connection not in self._holds:
                self._holds[connection] = now_ms + int(connection.hold.pause_s * 1000)
        for connection, until_ms in list(self._holds.items()):
            if until_ms <= now_ms or connection not in self.connections:
                del self._holds[connection]
                connection.resume()
