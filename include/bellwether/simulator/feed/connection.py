"""One client's WebSocket: reads its messages, carries out the steps of its outbox, and notices when it is gone."""

import asyncio
import itertools
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from aiohttp import WSMsgType, web

from bellwether.logging import get_logger
from bellwether.simulator.faults import Fault
from bellwether.simulator.feed import points, session
from bellwether.simulator.feed.events import frames
from bellwether.simulator.feed.faults import struck
from bellwether.simulator.feed.outbox import Abort, Close, Hold, Mute, Outbox, Ping, Send, Step
from bellwether.simulator.feed.replay import Replay
from bellwether.simulator.feed.topics import Topic
from bellwether.simulator.requestlog import RequestLog

log = get_logger(__name__)

_CLOSE_S = 1.0  # how long the client has to answer a close, or to take what it was too slow for
_SEND_BUFFER_BYTES = 65_536  # the kernel's; small, so that a reader that stops is noticed
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 seconds

type Strike = Callable[[str, str], Fault | None]


class ConnectionView(msgspec.Struct, frozen=True):
    """What is told of a connection: cluster, `key_id`, topics that are broadcast to it, frames and events that were."""

    cluster: str
    key: str
    topics: list[str]
    frames: int
    events: int


class Connection:
    """A connected client.

    Parameters
    ----------
    request
        Its upgrade request.
    log
        Its entry in the request log.
    protocol
        What is said.
    replay
        What is broadcast.
    strike
        Given key and point, returns the fault that strikes there.
    changed
        Called when topics may have changed, were taken up, or the connection waits for the clock.
    buffer_bytes
        What may wait for a slow reader.

    Attributes
    ----------
    key
        The key it was admitted with, empty before.
    delay_ms
        How far behind the clock its plan is.
    """

    def __init__(
        self,
        request: web.Request,
        log: RequestLog,
        protocol: session.Session,
        replay: Replay,
        strike: Strike,
        changed: Callable[[], None],
        buffer_bytes: int,
    ) -> None:
        self.key = ""
        self.delay_ms = 0
        self.protocol = protocol
        self.hold: Hold | None = None
        self._request = request
        self._log = log
        self._replay = replay
        self._strike = strike
        self._changed = changed
        self._buffer_bytes = buffer_bytes
        self._socket = web.WebSocketResponse(timeout=_CLOSE_S, autoping=False, autoclose=False, compress=False)
        self._outbox = Outbox()
        self._filled, self._resumed = asyncio.Event(), asyncio.Event()
        self._resumed.set()
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._tokens = itertools.count(1)
        self._topics: frozenset[Topic] = frozenset()  # those taken up
        self._closing = False
        self._frames = self._events = 0

    def view(self) -> ConnectionView:
        """Return what is told of it."""
        topics = sorted(map(str, self._topics))
        return ConnectionView(self.protocol.cluster, self._log.key, topics, self._frames, self._events)

    def next_due_ms(self) -> int | None:
        """Return when, in ms UTC, something is to be broadcast to it; None without topics, or where nothing is sent."""
        due_ms = None if self._outbox.silent else self._replay.next_due_ms()
        return None if due_ms is None else due_ms + self.delay_ms

    @property
    def waits(self) -> bool:
        """Whether it has a use for time to go on."""
        return bool(self.protocol.topics) or self.hold is not None

    async def run(self, auth_timeout_s: float) -> web.WebSocketResponse:
        """Serve the client until it or the server ends the connection."""
        await self._socket.prepare(self._request)
        if self._request.transport is not None:
            kernel = self._request.transport.get_extra_info("socket")
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        writing = asyncio.create_task(self._write())
        impatience = asyncio.get_running_loop().call_later(auth_timeout_s, self._without_key)
        try:
            self._pass(points.CONNECTED, [session.GREETING])
            with suppress(ConnectionError):  # that the client is gone ends the reading, however it shows
                await self._read()
            if self._closing:
                self._hang_up()
            else:
                await self._socket.close()
        finally:
            impatience.cancel()
            writing.cancel()
        return self._socket

    def let_go(self) -> None:
        """Take nothing more to send, and let nobody wait for the client."""
        self._outbox.put([Mute()])
        self._release_waiters()

    def put(self, steps: Sequence[Step]) -> None:
        """Take steps after those that wait."""
        self._outbox.put(steps)
        self._filled.set()

    async def broadcast(self, now_ms: int) -> None:
        """Send what is due by `now_ms`, and take up changed topics from there on."""
        if self._outbox.silent:
            return
        texts = self._replay.take(now_ms - self.delay_ms)
        for frame in frames(texts):
            self._frames += 1
            self._pass(points.FRAME, [Send(frame)])
        self._events += len(texts)
        if self._outbox.waiting_bytes > self._buffer_bytes:
            self._cut_off()
        topics = frozenset(self.protocol.topics)
        if topics != self._topics:
            # A thread: beginning with all symbols of a market takes a while.
            await asyncio.to_thread(self._replay.want, topics)
            self._topics = topics
            self._changed()

    async def taken(self) -> None:
        """Wait until the client has read all that was sent, or never will."""
        if self._outbox.silent or self.hold is not None or self._socket.closed:
            return
        token = str(next(self._tokens)).encode()
        self._pongs[token] = asyncio.get_running_loop().create_future()
        self.put([Ping(token)])
        await self._pongs[token]

    def resume(self) -> None:
        """Go on after a hold."""
        self.hold = None
        self._resumed.set()

    def _pass(self, point: str, steps: Sequence[Step]) -> None:
        fault = self._strike(self.key, point)
        if fault is not None:
            self._log.fault = fault.kind
            log.info("simulated fault", kind=fault.kind, path=self._log.path, at=point)
            steps = struck(fault, steps)
        self.put(steps)

    async def _read(self) -> None:
        async for message in self._socket:
            if self.hold is not None and self.hold.deaf:
                await self._resumed.wait()
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                pong = self._pongs.pop(bytes(message.data), None)
                if pong is not None and not pong.done():
                    pong.set_result(None)
            elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                self._answer(message.data)

    def _answer(self, text: str | bytes) -> None:
        answer = self.protocol.receive(text)
        if answer.point:
            self._pass(answer.point, answer.steps)
        else:
            self.put(answer.steps)
        if answer.point_after:
            self._pass(answer.point_after, [])
        self._changed()

    async def _write(self) -> None:
        try:
            while not self._socket.closed:
                step = self._outbox.next()
                if step is None:
                    self._filled.clear()
                    await self._filled.wait()
                else:
                    await self._carry_out(step)
        except ConnectionError:
            self.let_go()  # the client is gone, which the reader notices, too

    async def _carry_out(self, step: Step) -> None:
        match step:
            case Send(frame):
                await self._socket.send_frame(frame, WSMsgType.TEXT)
            case Ping(token):
                await self._socket.ping(token)
            case Hold():
                self.hold = step
                self._resumed.clear()
                self._release_waiters()
                self._changed()
                await self._resumed.wait()
            case Close(code):
                # Not aiohttp's close(): it would not wait for the client's, and what the client still sends would
                # reset the connection before the code is read.
                self._closing = True
                await self._socket.send_frame(code.to_bytes(2), WSMsgType.CLOSE)
                asyncio.get_running_loop().call_later(_CLOSE_S, self._abort)
            case Abort(torn):
                self._reset(torn)
            case Mute():
                self._release_waiters()

    def _reset(self, torn: bytes) -> None:
        transport = self._request.transport
        if transport is None:
            return
        if torn:
            transport.write(torn)
        if transport.get_write_buffer_size():  # what was sent before goes before
            self._hang_up()
        else:
            self._abort()

    def _hang_up(self) -> None:
        if self._request.transport is not None:
            self._request.transport.close()

    def _abort(self) -> None:
        transport = self._request.transport
        if transport is not None:
            kernel = transport.get_extra_info("socket")
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()

    def _cut_off(self) -> None:
        self._outbox.replace(session.SLOW_CONSUMER)
        self._filled.set()
        asyncio.get_running_loop().call_later(_CLOSE_S, self._abort)

    def _without_key(self) -> None:
        if not self.protocol.authenticated:
            self.put(session.AUTH_TIMEOUT)

    def _release_waiters(self) -> None:
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_result(None)
        self._pongs.clear()
