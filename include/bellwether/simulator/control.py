"""The simulator's control: inspect and steer one that runs in another process, under `/_simulator`.

GET and DELETE `requests`; GET, POST and DELETE `faults`; POST `chance`; GET and POST `clock`, POST `clock/advance`;
GET `connections`. It answers on loopback
to loopback only. None of it is logged as a request, and no key is ever shown.
"""

from datetime import date, datetime
from typing import Literal

import msgspec
from aiohttp import hdrs, web

from bellwether.clock import SimulatedClock
from bellwether.simulator.faults import Chance, Fault, FaultPlan
from bellwether.simulator.feed.feed import Feed
from bellwether.simulator.requestlog import Requests, key_id
from bellwether.simulator.steering import SteeredClock

PREFIX = "/_simulator"
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost"})


class _ClockSetting(msgspec.Struct, forbid_unknown_fields=True):
    now_utc: datetime
    speed: float | Literal["max"] = 0.0


class _Moment(msgspec.Struct, forbid_unknown_fields=True):
    until_utc: datetime


class Control:
    """Handlers of the control's paths.

    Parameters
    ----------
    requests
        The log.
    faults
        The fault switches.
    clock
        What "now" is.
    feed
        The streams.
    """

    def __init__(self, requests: Requests, faults: FaultPlan, clock: SteeredClock, feed: Feed) -> None:
        self._requests = requests
        self._faults = faults
        self._clock = clock
        self._feed = feed

    def register(self, router: web.UrlDispatcher) -> None:
        """Add the control's routes."""
        router.add_get(f"{PREFIX}/requests", self._get_requests)
        router.add_delete(f"{PREFIX}/requests", self._clear_requests)
        router.add_get(f"{PREFIX}/faults", self._get_faults)
        router.add_post(f"{PREFIX}/faults", self._add_faults)
        router.add_delete(f"{PREFIX}/faults", self._clear_faults)
        router.add_post(f"{PREFIX}/chance", self._take_chance)
        router.add_get(f"{PREFIX}/clock", self._get_clock)
        router.add_post(f"{PREFIX}/clock", self._set_clock)
        router.add_post(f"{PREFIX}/clock/advance", self._advance)
        router.add_get(f"{PREFIX}/connections", self._get_connections)

    async def _get_requests(self, request: web.Request) -> web.Response:
        _check_local(request)
        asked = request.query
        try:
            session = date.fromisoformat(asked["session"]) if "session" in asked else None
            status = int(asked["status"]) if "status" in asked else None
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        chosen = self._requests.where(
            path=asked.get("path"), ticker=asked.get("ticker"), session=session, key=asked.get("key"), status=status
        )
        return _json(chosen)

    async def _clear_requests(self, request: web.Request) -> web.Response:
        _check_local(request)
        self._requests.clear()
        return _json([])

    async def _get_faults(self, request: web.Request) -> web.Response:
        _check_local(request)
        return self._shown_faults()

    async def _add_faults(self, request: web.Request) -> web.Response:
        for fault in await _body(request, list[Fault]):
            self._faults.add(fault)
        return self._shown_faults()

    async def _clear_faults(self, request: web.Request) -> web.Response:
        _check_local(request)
        self._faults.clear()
        return self._shown_faults()

    async def _take_chance(self, request: web.Request) -> web.Response:
        chance = await _body(request, Chance)
        self._faults.take(chance)
        return _json(chance)

    async def _get_clock(self, request: web.Request) -> web.Response:
        _check_local(request)
        return _json({"now_utc": self._clock.now(), "speed": self._clock.speed})

    async def _set_clock(self, request: web.Request) -> web.Response:
        setting = await _body(request, _ClockSetting)
        try:
            self._feed.follow(SimulatedClock(setting.now_utc, 0.0 if setting.speed == "max" else setting.speed))
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        if setting.speed == "max":
            self._feed.run_with_readers()
        return _json({"now_utc": self._clock.now()})

    async def _advance(self, request: web.Request) -> web.Response:
        until = (await _body(request, _Moment)).until_utc
        if until.tzinfo is None:
            raise web.HTTPBadRequest(text=f"until_utc needs an offset, such as Z, got {until}")
        await self._feed.advance(until)
        return _json({"now_utc": self._clock.now()})

    async def _get_connections(self, request: web.Request) -> web.Response:
        _check_local(request)
        return _json(self._feed.connections())

    def _shown_faults(self) -> web.Response:
        faults = self._faults.faults
        shown = [msgspec.structs.replace(fault, key=key_id(fault.key)) if fault.key else fault for fault in faults]
        return _json(shown)


def _check_local(request: web.Request) -> None:
    # A page in a browser can reach loopback through a name of its own, but cannot forge the Host it sends.
    if request.headers.get(hdrs.HOST, "").rpartition(":")[0] not in _LOCAL_NAMES:
        raise web.HTTPForbidden(text="the control answers to 127.0.0.1 and localhost only")


async def _body[T](request: web.Request, cls: type[T]) -> T:
    _check_local(request)
    if request.content_type != "application/json":  # what a form in a browser cannot send unasked
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    try:
        return msgspec.json.decode(await request.read(), type=cls)
    except msgspec.MsgspecError as error:
        raise web.HTTPBadRequest(text=str(error)) from error


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
