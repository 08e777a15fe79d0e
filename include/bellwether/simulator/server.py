"""The simulator's face, REST and streams on one port: keys, plans, request log; and running it, in a thread.

What is answered is decided elsewhere (`routes` and the endpoints, `feed`, `plans`, `faults`), how it travels in
`delivery`. The address is always loopback: nothing outside the machine may take this for a vendor.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from aiohttp import web

from bellwether.clock import Clock, SystemClock
from bellwether.errors import ConfigError
from bellwether.logging import get_logger
from bellwether.simulator.answers import REFUSALS, Refused
from bellwether.simulator.control import Control
from bellwether.simulator.cursors import FOREIGN_HOST
from bellwether.simulator.delivery import Answer, answer_instead, deliver
from bellwether.simulator.driftfaults import drift
from bellwether.simulator.faults import Fault, FaultPlan, Happening
from bellwether.simulator.feed.feed import Feed, FeedConfig, FeedDriver
from bellwether.simulator.feed.topics import CLUSTERS
from bellwether.simulator.pagefaults import spoil
from bellwether.simulator.plans import OPEN, Plan, RateLimiter
from bellwether.simulator.records import Market
from bellwether.simulator.requestlog import RequestLog, Requests, key_id
from bellwether.simulator.routes import Asked, Endpoint, routes, subject
from bellwether.simulator.steering import SteeredClock

log = get_logger(__name__)

HOST = "127.0.0.1"
_KEPT_REQUESTS = 100_000
_GRACE_S = 0.2  # how long answers under way may take once the simulator is told to stop


class _Up(NamedTuple):
    """What a server that listens hands to the thread that started it."""

    port: int
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    feed: Feed


@dataclass(frozen=True)
class SimulatorConfig:
    """What to serve and how.

    Attributes
    ----------
    market
        A GeneratedMarket or an ArchiveMarket.
    clock
        What "now" is; plans and all that has not happened yet go by it.
    faults
        The fault switches to begin with.
    keys
        API keys accepted beside those of `plans`; with neither, any key but an empty one is.
    plan
        The plan of keys that have none of their own; unless given, all classes, no rate limit, end-of-day data.
    plans
        Plans by key.
    feed
        How streams behave.
    port
        Port on loopback; 0 takes a free one.
    """

    market: Market
    clock: Clock = field(default_factory=SystemClock)
    faults: FaultPlan = field(default_factory=FaultPlan)
    keys: frozenset[str] = frozenset()
    plan: Plan = OPEN
    plans: Mapping[str, Plan] = field(default_factory=dict)
    feed: FeedConfig = field(default_factory=FeedConfig)
    port: int = 0


@dataclass(frozen=True)
class RunningSimulator:
    """A simulator that serves.

    Attributes
    ----------
    url
        Base URL of REST, without a trailing slash.
    port
        Its port; streams are at `ws://127.0.0.1:PORT/stocks`, `/options`, `/indices`.
    requests
        All requests in order of arrival, upgrades to WebSocket among them; of very many, the last.
    faults
        The fault switches, to be changed at will.
    feed
        Drives clock and streams.
    """

    url: str
    port: int
    requests: Requests
    faults: FaultPlan
    feed: FeedDriver


class _Server:
    """Answers requests, in one event loop."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.requests = Requests()
        self._config = config
        self._clock = SteeredClock(config.clock)
        self._limiter = RateLimiter()
        self._request_numbers = itertools.count(1)

    async def serve(self, started: Future[_Up]) -> None:
        """Serve until the event given through `started` is set; a failure to start is given there too."""
        config, app = self._config, web.Application()
        feed = Feed(config.market, self._clock, config.faults, config.feed, self._plan)
        Control(self.requests, config.faults, self._clock, feed).register(app.router)
        for cluster in CLUSTERS:
            app.router.add_get(f"/{cluster}", partial(self._stream, feed, cluster))
        for path, endpoint in routes(config.market, self._clock).items():
            app.router.add_get(path, partial(self._handle, endpoint))
        # Cancellation lets a hanging answer end with the client's patience instead of piling up.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, config.port).start()
        except (OSError, OverflowError) as error:  # taken or forbidden; above 65535
            started.set_exception(error)
        else:
            up = _Up(runner.addresses[0][1], asyncio.get_running_loop(), asyncio.Event(), feed)
            broadcasting = asyncio.create_task(feed.run())
            started.set_result(up)
            await up.stop.wait()
            broadcasting.cancel()
            feed.close()
        finally:
            await runner.cleanup()

    async def _handle(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        entry, key, fault = await self._enter(request)
        request_id = f"{next(self._request_numbers):032x}"
        try:
            answer = self._answer(endpoint, request, request_id, key, fault)
        except Refused as refused:
            refusal = REFUSALS[refused.kind]
            answer = Answer(refusal.body(request_id, refused.words), refusal.http_status)
        entry.status = answer.status
        return await deliver(request, answer, fault)

    async def _stream(self, feed: Feed, cluster: str, request: web.Request) -> web.StreamResponse:
        entry, _, fault = await self._enter(request)
        refused = None if fault is None else answer_instead(fault, "")
        if not web.WebSocketResponse().can_prepare(request):
            refused = Answer(b"", 400)
        if refused is None and (fault is None or fault.kind != "reset"):
            entry.status = 101
            return await feed.serve(cluster, request, entry)
        answer = refused or Answer(b"")  # of which a reset sends nothing
        entry.status = answer.status
        return await deliver(request, answer, fault)

    async def _enter(self, request: web.Request) -> tuple[RequestLog, str, Fault | None]:
        """Return the log's new entry, the key and the fault that strikes; of a request left hanging, never."""
        query = dict(request.query)
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        key = query.pop("apiKey", "") or (bearer.strip() if scheme == "Bearer" else "")
        ticker, session = subject(request.match_info, query)
        entry = RequestLog(request.path, query, ticker, session, key_id(key), time.monotonic())
        if len(self.requests) >= _KEPT_REQUESTS:  # a demo may stay up for days
            del self.requests[: _KEPT_REQUESTS // 2]
        self.requests.append(entry)
        happening = Happening(entry.path, ticker, session, key, self._clock.now())
        fault = self._config.faults.strike(happening)
        if fault is not None:
            entry.fault = fault.kind
            log.info("simulated fault", kind=fault.kind, path=entry.path)
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()  # until the client leaves or the simulator stops
        return entry, key, fault

    def _answer(
        self, endpoint: Endpoint, request: web.Request, request_id: str, key: str, fault: Fault | None
    ) -> Answer:
        instead = None if fault is None else answer_instead(fault, request_id)
        if instead is not None:
            return instead
        plan = self._plan(key)
        self._limiter.admit(key, plan)
        url = request.rel_url.without_query_params("apiKey")
        body = endpoint(Asked(request.path, request.match_info, dict(url.query), request_id, plan))
        if fault is not None:
            body = drift(fault, spoil(fault.kind, body, FOREIGN_HOST + str(url)))
        return Answer(body)

    def _plan(self, key: str) -> Plan:
        if not key:
            raise Refused("unauthorized", "API Key was not provided")
        config = self._config
        if key in config.plans:
            return config.plans[key]
        if key not in config.keys and (config.keys or config.plans):
            raise Refused("unauthorized")
        return config.plan


@contextmanager
def running(config: SimulatorConfig) -> Iterator[RunningSimulator]:
    """Serve in a thread of this process while the context lasts.

    Raises
    ------
    ConfigError
        The port cannot be listened on.
    """
    server = _Server(config)
    started: Future[_Up] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(started)), name="simulator", daemon=True)
    thread.start()
    try:
        up = started.result()
    except (OSError, OverflowError) as error:
        thread.join()
        msg = f"the simulator cannot listen on {HOST}:{config.port}: {error}; choose another port or 0"
        raise ConfigError(msg) from error
    try:
        driver = FeedDriver(up.feed, up.loop)
        yield RunningSimulator(f"http://{HOST}:{up.port}", up.port, server.requests, config.faults, driver)
    finally:
        up.loop.call_soon_threadsafe(up.stop.set)
        thread.join()
