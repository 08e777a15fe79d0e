"""The clusters as one piece of the simulator: lets clients in by their keys, and is driven from outside.

`Feed` lives in the server's event loop; `FeedDriver` is its handle for other threads.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from aiohttp import web

from bellwether.calendar import NEW_YORK
from bellwether.clock import Clock
from bellwether.simulator.answers import Refused
from bellwether.simulator.days import midnight_ms
from bellwether.simulator.faults import Fault, FaultPlan, Happening
from bellwether.simulator.feed.conductor import Conductor, Goal
from bellwether.simulator.feed.connection import Connection, ConnectionView
from bellwether.simulator.feed.replay import Replay, Script
from bellwether.simulator.feed.session import GOING_AWAY, Admission, Session
from bellwether.simulator.plans import Plan
from bellwether.simulator.records import Market
from bellwether.simulator.requestlog import RequestLog, key_id
from bellwether.simulator.steering import SteeredClock

_DRIVEN_S = 60.0  # real time a driver waits for readers before it gives up


@dataclass(frozen=True, kw_only=True)
class FeedConfig:
    """How streams behave.

    Attributes
    ----------
    script
        What the draws of broadcasts go by.
    paced_by_readers
        Whether the clock, rather than running by itself, goes from event to event as fast as clients read, while any
        is subscribed, until New York's midnight after the last day served.
    auth_timeout_s
        Real seconds a client has to send its key.
    buffer_bytes
        What may wait for a slow reader before it is cut off.
    """

    script: Script = field(default_factory=Script)
    paced_by_readers: bool = False
    auth_timeout_s: float = 10.0
    buffer_bytes: int = 8 * 1024 * 1024


class Feed:
    """The streams of one market under one clock.

    Parameters
    ----------
    market, clock, faults, config
        As of the simulator.
    plan_of
        Returns the plan of a key; Refused where there is none.
    """

    def __init__(
        self,
        market: Market,
        clock: SteeredClock,
        faults: FaultPlan,
        config: FeedConfig,
        plan_of: Callable[[str], Plan],
    ) -> None:
        self._market = market
        self._clock = clock
        self._faults = faults
        self._config = config
        self._plan_of = plan_of
        self._conductor = Conductor(clock)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Broadcast, for ever."""
        if self._config.paced_by_readers:
            self.run_with_readers()
        await self._conductor.run()

    async def serve(self, cluster: str, request: web.Request, log: RequestLog) -> web.StreamResponse:
        """Serve a client from its upgrade request until its connection ends."""
        connections = self._conductor.connections

        def admit(key: str) -> Admission:
            log.key = key_id(key)
            try:
                plan = self._plan_of(key)
            except Refused:
                return Admission.REFUSED
            if plan.delay is None or cluster not in plan.classes:
                return Admission.REFUSED
            held = sum(each.key == key and each.protocol.cluster == cluster for each in connections)
            if plan.connections is not None and held >= plan.connections:
                return Admission.ONE_TOO_MANY
            connection.key, connection.delay_ms = key, plan.delay // timedelta(milliseconds=1)
            return Admission.ADMITTED

        connection = Connection(
            request,
            log,
            Session(cluster, admit),
            Replay(self._market, cluster, self._config.script),
            lambda key, point: self._strike(cluster, key, point),
            self._on_change,
            self._config.buffer_bytes,
        )
        connections.append(connection)
        try:
            return await connection.run(self._config.auth_timeout_s)
        finally:
            connection.let_go()
            connections.remove(connection)
            self._on_change()

    def now(self) -> datetime:
        """Return the streams' time, aware, in UTC."""
        return self._clock.now()

    def close(self) -> None:
        """Tell all clients that the server goes away."""
        for connection in self._conductor.connections:
            connection.put(GOING_AWAY)

    def connections(self) -> list[ConnectionView]:
        """Return the connections, in the order in which they were made."""
        return [connection.view() for connection in self._conductor.connections]

    async def wait_until(self, met: Callable[[list[ConnectionView]], bool]) -> None:
        """Wait until the connections are as asked."""
        while not met(self.connections()):
            await self._changed.wait()

    def follow(self, clock: Clock) -> None:
        """Let another clock run; what it passes of a session is broadcast."""
        self._clock.follow(clock)
        self._conductor.head_for(None)

    def run_with_readers(self) -> None:
        """Go as fast as clients read from now on."""
        served = self._market.days(date.min, date.max)
        last = served[-1] if served else self._clock.now().astimezone(NEW_YORK).date()
        self._conductor.head_for(Goal(midnight_ms(last + timedelta(days=1)), needs_reader=True))

    async def advance(self, until: datetime) -> None:
        """Let the clock go from event to event up to a moment, and stand there; all is broadcast, and read."""
        goal = Goal(int(until.timestamp() * 1000), needs_reader=False)
        self._conductor.head_for(goal)
        await goal.reached.wait()

    def _on_change(self) -> None:
        self._conductor.wake()
        self._changed.set()  # whoever waits now looks again
        self._changed.clear()

    def _strike(self, cluster: str, key: str, point: str) -> Fault | None:
        now = self._clock.now()
        day = now.astimezone(NEW_YORK).date()
        return self._faults.strike(Happening(f"/{cluster}", session=day, key=key, now_utc=now, at=point))


class FeedDriver:
    """Drives the streams of a running simulator from another thread; in a coroutine, by `asyncio.to_thread`.

    Every call raises TimeoutError when it has waited a minute of real time.
    """

    def __init__(self, feed: Feed, loop: asyncio.AbstractEventLoop) -> None:
        self._feed = feed
        self._loop = loop

    def advance(self, until: datetime) -> None:
        """Let the clock go on to a moment, and stand there; return when clients have read what was broadcast."""
        self._wait(self._feed.advance(until))

    def follow(self, clock: Clock) -> None:
        """Let another clock run; what it passes is broadcast, and clients too slow for that are cut off."""
        self._loop.call_soon_threadsafe(self._feed.follow, clock)

    def now(self) -> datetime:
        """Return the streams' time: a `Clock` for who records them in the same process."""
        return self._feed.now()

    def connections(self) -> list[ConnectionView]:
        """Return the connections, in the order in which they were made."""
        return self._wait(self._views())

    def wait_until(self, met: Callable[[list[ConnectionView]], bool]) -> None:
        """Return when the connections are as asked."""
        self._wait(self._feed.wait_until(met))

    def wait_subscribed(self, *topics: str) -> None:
        """Return when every topic is subscribed to on some connection."""
        self.wait_until(lambda views: set(topics) <= {topic for view in views for topic in view.topics})

    async def _views(self) -> list[ConnectionView]:
        return self._feed.connections()

    def _wait[T](self, work: Coroutine[object, object, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(_DRIVEN_S)
        finally:
            future.cancel()
