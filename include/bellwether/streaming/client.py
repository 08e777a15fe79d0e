"""One connection to the feed, from the upgrade to its end: says what has to be said, and only enqueues what comes."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from bellwether.errors import StreamRefused
from bellwether.logging import get_logger, redact
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.inbox import Alive, Frame, Inbox, Listening, Refused
from bellwether.streaming.protocol import ConnectionLost, Dialogue, Status, statuses
from bellwether.streaming.watchdog import Verdict, Watchdog
from bellwether.universe.spec import shown

log = get_logger(__name__)

CLUSTERS = {"equities": "stocks", "options": "options", "indices": "indices"}
"""The vendor's name of what each dataset is streamed from."""

MINUTES, VALUES = "AM", "V"
"""What is broadcast of a symbol: its minutes, and of an index its values as well."""

_MOST_FRAME_BYTES = 64 * 1024 * 1024
_FRAMES_BUFFERED = 256  # until the reader has its turn; then the network waits
_CLOSE_S = 1.0  # of real time for a farewell: a stop has four seconds in all
ANSWER_S = 15.0
"""Of the feed's time, for whatever a connection must answer."""
_LOOK_S = 0.05
_TWICE = 2
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def stream_url(rest_url: str, dataset: str, *, delayed: bool = False) -> str:
    """Return where a dataset is streamed from, at once or 15 minutes later, beside the vendor's REST address.

    A simulator has one address for all: its plans decide.
    """
    parts = urlsplit(rest_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    feed = "delayed" if delayed else "socket"
    netloc = f"{feed}.{parts.netloc.removeprefix('api.')}" if parts.netloc.startswith("api.") else parts.netloc
    return f"{scheme}://{netloc}/{CLUSTERS[dataset]}"


@dataclass(frozen=True)
class Endpoint:
    """Where to connect (`stream_url`), and with which key."""

    url: str
    key: str = field(repr=False)


class Connection:
    """One connection; `run` is its life.

    Parameters
    ----------
    endpoint
        Where.
    topics
        What to subscribe to.
    feed
        The time it waits by.
    inbox
        Where frames and notes go.
    idle_s
        For how many seconds of the feed it may say nothing before it is asked whether it lives.
    unanswered
        On how many connections the vendor gave no word on a topic while it acknowledged others; a connection that waits
        in vain counts on. What is ignored twice is asked for, and not waited for.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        topics: Sequence[str],
        feed: FeedTime,
        inbox: Inbox,
        *,
        idle_s: float,
        unanswered: Counter[str],
    ) -> None:
        self._endpoint = endpoint
        self._idle_s = idle_s
        self._feed = feed
        self._inbox = inbox
        self._unanswered = unanswered
        self._dialogue = Dialogue(endpoint.key, topics, [topic for topic in topics if unanswered[topic] >= _TWICE])
        self._to_say: asyncio.Queue[bytes] = asyncio.Queue()
        self._watchdog = Watchdog(feed, idle_s=idle_s, answer_s=ANSWER_S)
        self._socket: ClientConnection | None = None
        self._verdict: ConnectionLost | None = None
        self._asked_ms = 0
        self.is_listening = False

    async def run(self) -> None:
        """Stream until the connection ends.

        Raises
        ------
        ConnectionLost
            Another connection may do better.
        StreamRefused
            None will.
        """
        url = self._endpoint.url
        try:
            async with connect(
                url,
                proxy=None if urlsplit(url).hostname in _LOOPBACK else True,
                compression=None,
                max_size=_MOST_FRAME_BYTES,
                max_queue=_FRAMES_BUFFERED,
                close_timeout=_CLOSE_S,
            ) as socket:
                self._socket = socket
                watching = asyncio.create_task(self._watch(socket))
                saying = asyncio.create_task(self._say(socket))
                try:
                    await self._read(socket)
                finally:
                    watching.cancel()
                    saying.cancel()
                    await socket.close()  # left alone, it would report an internal error of ours
        except ConnectionClosed as error:
            raise self._verdict or _closed(error) from error
        except (OSError, TimeoutError, WebSocketException) as error:
            cause = "unreachable"
            raise ConnectionLost(cause, f"{type(error).__name__}: {error}") from error

    @property
    def is_asked(self) -> bool:
        """Whether `ask` waits for its answer."""
        return self._dialogue.is_probing

    def ask(self) -> None:
        """Ask a listening connection for what it must answer; the answer proves that nothing before it is missing."""
        self._asked_ms = self._feed.now_ms()
        self._to_say.put_nowait(self._dialogue.probe())

    def want(self, topics: Sequence[str]) -> None:
        """Subscribe to more."""
        self.is_listening = False
        for message in self._dialogue.want(topics):
            self._to_say.put_nowait(message)

    async def _read(self, socket: ClientConnection) -> None:
        put, now_ms, heard = self._inbox.put, self._feed.now_ms, self._watchdog.heard
        while True:
            content = await socket.recv(decode=False)
            heard()
            said = statuses(content)
            if said:
                self._hear(said)
            if not said or len(said) < content.count(b'"ev"'):
                put(Frame(content, now_ms()))

    async def _say(self, socket: ClientConnection) -> None:
        """Send what there is to say, apart from reading: two who each wait until they are read would wait for ever."""
        # What came before the end is still to be read, and may say why: the reader notices the end after it.
        with suppress(ConnectionClosed):
            while True:
                await socket.send(await self._to_say.get(), text=True)

    def _hear(self, said: list[Status]) -> None:
        dialogue = self._dialogue
        was_probing, were_refused = dialogue.is_probing, set(dialogue.refused)
        for message in chain.from_iterable(map(dialogue.hear, said)):
            self._to_say.put_nowait(message)
        if was_probing and not dialogue.is_probing:
            self._inbox.note(Alive(self._asked_ms))
        for topic in sorted(dialogue.refused.keys() - were_refused):
            self._note_refused([topic], dialogue.refused[topic])
        if len(dialogue.refused) == len(dialogue.topics):
            words = next(iter(dialogue.refused.values()), "no topics")
            msg = f"the vendor serves nothing of what was asked for: {words}"
            raise StreamRefused(redact(msg))
        if dialogue.is_listening and not self.is_listening:
            self.is_listening = True
            self._inbox.note(Listening(self._feed.now_ms()))

    def _note_refused(self, topics: Sequence[str], words: str) -> None:
        parts = [topic.partition(".") for topic in topics]
        symbols = tuple(symbol for event, _, symbol in parts if event == MINUTES)
        if symbols:
            self._inbox.note(Refused(symbols, words))
        if len(symbols) < len(topics):  # what its minutes tell, too
            log.warning("not served", topics=shown(topics), words=redact(words))

    def _waited_in_vain(self) -> ConnectionLost:
        """Return why a connection ends that does not answer; what is ignored beside others again is given up."""
        dialogue = self._dialogue
        missing = sorted(dialogue.missing)
        if len(missing) < len(dialogue.topics) - len(dialogue.refused):
            self._unanswered.update(missing)
            given_up = [topic for topic in missing if self._unanswered[topic] >= _TWICE]
            self._note_refused(given_up, f"no word on it within {ANSWER_S:g} s, on two connections")
        what = f"{len(missing)} topics not acknowledged, {missing[0]} first" if missing else "no answer"
        words = f"; it said {dialogue.complaint!r}" if dialogue.complaint else ""
        return ConnectionLost("unanswered", f"{what} within {ANSWER_S:g} s{words}")

    async def _watch(self, socket: ClientConnection) -> None:
        """End the connection when it does not answer."""
        answering = self._feed.deadline(ANSWER_S)
        missing = len(self._dialogue.missing)
        while self._verdict is None:
            await asyncio.sleep(_LOOK_S)
            if not self.is_listening:
                if missing != (missing := len(self._dialogue.missing)):  # thousands take their time
                    answering.restart()
                elif answering.is_over:
                    self._verdict = self._waited_in_vain()
                continue
            answering.restart()
            match self._watchdog.verdict():
                case Verdict.ASK:
                    self.ask()
                case Verdict.DEAD:
                    evidence = f"silent for {self._idle_s:g} s, and no answer for {ANSWER_S:g} s"
                    self._verdict = ConnectionLost("mute", evidence)
        socket.transport.abort()


def _closed(error: ConnectionClosed) -> ConnectionLost:
    if error.rcvd is None and error.sent is None:
        return ConnectionLost("dropped", f"the connection broke off: {error.__cause__ or error}")
    return ConnectionLost("closed", str(error))
