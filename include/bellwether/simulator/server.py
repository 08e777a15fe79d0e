"""The simulator's HTTP face: routes, keys, request log; and running it, in a thread of this process.

What a page holds is decided elsewhere (`aggs`, `status`, `answers`, `faults`), how it travels in
`delivery`. The address is always loopback: nothing outside the machine may take this for a vendor.
"""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial

import msgspec
from aiohttp import web

from bellwether.clock import Clock, SystemClock
from bellwether.errors import ConfigError
from bellwether.logging import get_logger
from bellwether.simulator.aggs import FOREIGN_HOST, AggsEndpoint, first_day, parse_query
from bellwether.simulator.answers import REFUSALS, Refused
from bellwether.simulator.bars import Market
from bellwether.simulator.delivery import Answer, answer_instead, deliver
from bellwether.simulator.faults import Fault, FaultPlan, spoil
from bellwether.simulator.status import market_status

log = get_logger(__name__)

HOST = "127.0.0.1"
_KEPT_REQUESTS = 100_000
_GRACE_S = 0.2  # how long answers under way may take once the simulator is told to stop

type _Endpoint = Callable[[web.Request, str], bytes]
type _Started = Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]]


@dataclass(frozen=True)
class SimulatorConfig:
    """What to serve and how.

    Attributes
    ----------
    market
        A GeneratedMarket or an ArchiveMarket.
    clock
        What "now" is; days not over by then are refused as "before end of day".
    faults
        The fault switches to begin with.
    keys
        API keys accepted; empty accepts any key but an empty one.
    port
        Port on loopback; 0 takes a free one.
    """

    market: Market
    clock: Clock = field(default_factory=SystemClock)
    faults: FaultPlan = field(default_factory=FaultPlan)
    keys: frozenset[str] = frozenset()
    port: int = 0


@dataclass(slots=True)
class RequestLog:
    """One request as it arrived.

    Attributes
    ----------
    path, query
        As asked for, the key left out.
    ticker, session
        What the path names: the ticker, and the New York date the window begins on.
    fault
        The kind of fault it suffered.
    status
        HTTP status of the answer; None before one begins, and for a request left hanging.
    """

    path: str
    query: dict[str, str]
    ticker: str | None
    session: date | None
    fault: str | None = None
    status: int | None = None


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
    requests: list[RequestLog]
    faults: FaultPlan


class _Server:
    """Answers requests, in one event loop."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.requests: list[RequestLog] = []
        self._config = config
        self._aggs = AggsEndpoint(config.market, config.clock)
        self._request_numbers = itertools.count(1)

    async def serve(self, started: _Started) -> None:
        """Serve until the event given through `started` is set; a failure to start is given there too."""
        app = web.Application()
        for path, endpoint in (
            ("/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}", self._get_aggs),
            ("/v1/marketstatus/now", self._get_status),
            ("/{anything:.*}", self._get_nothing),
        ):
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

    def _get_aggs(self, request: web.Request, request_id: str) -> bytes:
        return self._aggs.page(parse_query(request.match_info, request.query), request_id)

    def _get_status(self, _request: web.Request, _request_id: str) -> bytes:
        return msgspec.json.encode(market_status(self._config.clock.now()))

    def _get_nothing(self, request: web.Request, _request_id: str) -> bytes:
        raise Refused("not_found", f"The simulator does not serve {request.path}")

    async def _handle(self, endpoint: _Endpoint, request: web.Request) -> web.StreamResponse:
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
        path = request.match_info
        entry = RequestLog(request.path, query, path.get("ticker"), first_day(path.get("from", "")))
        if len(self.requests) >= _KEPT_REQUESTS:  # a demo may stay up for days
            del self.requests[: _KEPT_REQUESTS // 2]
        self.requests.append(entry)
        return entry, key

    def _answer(
        self, endpoint: _Endpoint, request: web.Request, request_id: str, key: str, fault: Fault | None
    ) -> Answer:
        instead = None if fault is None else answer_instead(fault, request_id)
        if instead is not None:
            return instead
        if not key:
            raise Refused("unauthorized", "API Key was not provided")
        if self._config.keys and key not in self._config.keys:
            raise Refused("unauthorized")
        body = endpoint(request, request_id)
        if fault is not None:
            body = spoil(fault.kind, body, FOREIGN_HOST + str(request.rel_url.without_query_params("apiKey")))
        return Answer(body)


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
