"""The simulator's HTTP face: keys, plans, request log; and running it, in a thread of this process.

What is answered is decided elsewhere (`routes` and the endpoints, `plans`, `faults`), how it travels in
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

from aiohttp import web

from bellwether.clock import Clock, SystemClock
from bellwether.errors import ConfigError
from bellwether.logging import get_logger
from bellwether.simulator.answers import REFUSALS, Refused
from bellwether.simulator.control import Control, SteeredClock
from bellwether.simulator.cursors import FOREIGN_HOST
from bellwether.simulator.delivery import Answer, answer_instead, deliver
from bellwether.simulator.faults import Fault, FaultPlan
from bellwether.simulator.pagefaults import spoil
from bellwether.simulator.plans import OPEN, Plan, RateLimiter
from bellwether.simulator.records import Market
from bellwether.simulator.requestlog import RequestLog, Requests, key_id
from bellwether.simulator.routes import Asked, Endpoint, routes, subject

log = get_logger(__name__)

HOST = "127.0.0.1"
_KEPT_REQUESTS = 100_000
_GRACE_S = 0.2  # how long answers under way may take once the simulator is told to stop

type _Started = Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]]


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
    port
        Port on loopback; 0 takes a free one.
    """

    market: Market
    clock: Clock = field(default_factory=SystemClock)
    faults: FaultPlan = field(default_factory=FaultPlan)
    keys: frozenset[str] = frozenset()
    plan: Plan = OPEN
    plans: Mapping[str, Plan] = field(default_factory=dict)
    port: int = 0


@dataclass(frozen=True)
class RunningSimulator:
    """A simulator that serves.

    Attributes
    ----------
    url
        Base URL of REST, without a trailing slash.
    port
        Its port.
    requests
        All requests in order of arrival; of very many, the last.
    faults
        The fault switches, to be changed at will.
    """

    url: str
    port: int
    requests: Requests
    faults: FaultPlan


class _Server:
    """Answers requests, in one event loop."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.requests = Requests()
        self._config = config
        self._clock = SteeredClock(config.clock)
        self._limiter = RateLimiter()
        self._request_numbers = itertools.count(1)

    async def serve(self, started: _Started) -> None:
        """Serve until the event given through `started` is set; a failure to start is given there too."""
        app = web.Application()
        Control(self.requests, self._config.faults, self._clock).register(app.router)
        for path, endpoint in routes(self._config.market, self._clock).items():
            app.router.add_get(path, partial(self._handle, endpoint))
        # Cancellation lets a hanging answer end with the client's patience instead of piling up.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._config.port).start()
        except (OSError, OverflowError) as error:  # taken or forbidden; above 65535
            started.set_exception(error)
        else:
            stop = asyncio.Event()
            started.set_result((runner.addresses[0][1], asyncio.get_running_loop(), stop))
            await stop.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        entry, key = self._enter(request)
        fault = self._config.faults.strike(entry.path, entry.ticker, entry.session, key)
        if fault is not None:
            entry.fault = fault.kind
            log.info("simulated fault", kind=fault.kind, path=entry.path)
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()  # until the client leaves or the simulator stops
        request_id = f"{next(self._request_numbers):032x}"
        try:
            answer = self._answer(endpoint, request, request_id, key, fault)
        except Refused as refused:
            refusal = REFUSALS[refused.kind]
            answer = Answer(refusal.body(request_id, refused.words), refusal.http_status)
        entry.status = answer.status
        return await deliver(request, answer, fault)

    def _enter(self, request: web.Request) -> tuple[RequestLog, str]:
        query = dict(request.query)
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        key = query.pop("apiKey", "") or (bearer.strip() if scheme == "Bearer" else "")
        ticker, session = subject(request.match_info, query)
        entry = RequestLog(request.path, query, ticker, session, key_id(key), time.monotonic())
        if len(self.requests) >= _KEPT_REQUESTS:  # a demo may stay up for days
            del self.requests[: _KEPT_REQUESTS // 2]
        self.requests.append(entry)
        return entry, key

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
            body = spoil(fault.kind, body, FOREIGN_HOST + str(url))
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
    started: _Started = Future()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(started)), name="simulator", daemon=True)
    thread.start()
    try:
        port, loop, stop = started.result()
    except (OSError, OverflowError) as error:
        thread.join()
        msg = f"the simulator cannot listen on {HOST}:{config.port}: {error}; choose another port or 0"
        raise ConfigError(msg) from error
    try:
        yield RunningSimulator(f"http://{HOST}:{port}", port, server.requests, config.faults)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
