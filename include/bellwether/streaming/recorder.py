"""The recorder: connects, reconnects, has the book written, and ends with everything on disk.

Three things go on at once in one event loop: a connection whose reader only enqueues; a ticker that has what is due
written in a thread; and, at most one at a time, the telling of a heartbeat. Each may be slow without the others.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

from bellwether.config.settings import StreamingSettings
from bellwether.errors import LakeError, LeaseHeld, StreamRefused
from bellwether.lake import Lake
from bellwether.logging import get_logger, redact, register_secret
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Writer
from bellwether.streaming.book import Book
from bellwether.streaming.client import ANSWER_S, MINUTES, VALUES, Connection, Endpoint
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.inbox import Added, Inbox, Lost, stretches
from bellwether.streaming.lease import Heartbeat, Lease, StopRequest
from bellwether.streaming.protocol import ConnectionLost
from bellwether.streaming.pulse import LISTENING, STALLED

log = get_logger(__name__)

_TICK_S = 0.05  # of real time
_BEAT_S = 15.0
_DISK_AGAIN_S = 5.0
_LIVED_S = 10.0  # a connection that lived as long was no failure to connect
_COOL_DOWN_S = 30.0  # until the vendor has noticed that another connection is gone
_MOST_WAITING_BYTES = 128 * 1024 * 1024


def backoff_s(failures: int, draw: float) -> float:
    """Return how many seconds to wait after so many failures in a row; `draw`, 0 to 1, keeps clients apart."""
    return draw * min(30.0, 0.5 * 2.0 ** min(failures, 10))


class Recorder:
    """Records one dataset of one session.

    Parameters
    ----------
    lake, assignment, writer
        Where to, what, and who.
    endpoint
        Where from.
    symbols
        `SPY`, or `*` for all there are.
    settings
        Of batches and patience.
    feed
        The feed's time; the machine's by default.
    acknowledge
        Told of every heartbeat, in a thread of its own; what it counts is on disk. An error of it ends the recording.
    """

    def __init__(
        self,
        lake: Lake,
        assignment: Assignment,
        writer: Writer,
        endpoint: Endpoint,
        *,
        symbols: Sequence[str],
        settings: StreamingSettings,
        feed: FeedTime | None = None,
        acknowledge: Callable[[Heartbeat], object] = lambda _: None,
    ) -> None:
        register_secret(endpoint.key)
        self._feed = feed or FeedTime()
        self._lake = lake
        self._assignment = assignment
        self._settings = settings
        self._endpoint = endpoint
        is_with_values = assignment.dataset == "indices" and settings.index_values
        self._events = (MINUTES, VALUES) if is_with_values else (MINUTES,)
        self._symbols = symbols
        self._topics = self._topics_of(symbols)
        self._inbox = Inbox(_MOST_WAITING_BYTES)
        self._book = Book(lake, assignment, writer, self._feed, timedelta(minutes=settings.stalled_after_min))
        self._lease = Lease(lake, assignment.dataset, assignment.session, writer)
        self._acknowledge = acknowledge
        # One thread for all that blocks: in several, allocators would keep what each once needed.
        self._thread = ThreadPoolExecutor(1, "recorder")
        self._unanswered: Counter[str] = Counter()
        self._telling: asyncio.Task[object] | None = None
        self._connection: Connection | None = None
        self._stopped = asyncio.Event()
        self._trouble = ""

    @property
    def stop_request(self) -> StopRequest | None:
        """Who asked for it to end by way of the lake; None where nobody did."""
        return self._lease.stop

    @property
    def _is_over(self) -> bool:
        return self._book.is_complete or self._feed.now() >= self._assignment.until

    def stop(self) -> None:
        """Flush and end; to be called in the event loop, as a signal handler does."""
        self._stopped.set()

    def add(self, symbols: Sequence[str]) -> None:
        """Record more symbols, without a new connection; what they missed is a gap."""
        new = [symbol for symbol in dict.fromkeys(symbols) if f"{MINUTES}.{symbol}" not in self._topics]
        if not new:
            return
        self._inbox.note(Added(tuple(new)))
        topics = self._topics_of(new)
        self._topics += topics
        if self._connection is not None:
            self._connection.want(topics)

    async def run(self) -> Heartbeat:
        """Record until the assignment's end, or until `stop`.

        Returns
        -------
        Heartbeat
            The last one: `ended`, or `stopped` where something is left to record.

        Raises
        ------
        StreamRefused
            The vendor refuses the key or all topics.
        LeaseHeld
            Another recorder is, or has become, the writer.
        LakeError
            The last rows could not be written.
        """
        with self._thread:
            return await self._record()

    def _topics_of(self, symbols: Iterable[str]) -> list[str]:
        return [f"{event}.{symbol}" for symbol in symbols for event in self._events]

    async def _record(self) -> Heartbeat:
        await self._in_thread(self._lake.storage.clean)
        before = await self._in_thread(self._lease.take, self._feed.now())
        await self._in_thread(self._book.resume, before)
        await self._in_thread(self._book.ask, self._symbols)
        if self._is_over:
            return await self._end()
        streaming = asyncio.create_task(self._stream())
        try:
            await self._go_on(streaming)
        finally:
            streaming.cancel()
            if not self._is_over:
                self._inbox.note(_why(streaming, self.stop_request))
            try:
                last = await self._end()
            finally:
                await asyncio.wait({streaming})
        if not streaming.cancelled() and (error := streaming.exception()):
            raise error
        return last

    async def _go_on(self, streaming: asyncio.Task[None]) -> None:
        """Have everything written that is due, until there is a reason to end.

        Before a batch a heartbeat that is due: who was frozen, and has been replaced, must not write what came then.
        """
        batch = self._feed.deadline(self._settings.batch_s)
        beat = self._feed.deadline(_BEAT_S)
        again = self._feed.deadline(_DISK_AGAIN_S)
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            while not (stopped.done() or streaming.done() or self._is_over):
                await asyncio.wait({streaming, stopped}, timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
                is_full = self._inbox.events >= self._settings.batch_rows
                try:
                    if self._trouble and not again.is_over:
                        continue
                    if beat.is_over:
                        await self._beat()
                        beat.restart()
                    if self._inbox.notes or is_full or batch.is_over or not self._book.is_settled:
                        await self._write()
                        batch.restart()
                        self._trouble = ""
                except LakeError as error:  # what came waits in the inbox; what does not fit is a gap
                    log.error("not written", problem=str(error), waiting=len(self._inbox))
                    self._trouble = f"cannot write: {error}"
                    again.restart()
                    self._tell(self._heartbeat())
        finally:
            stopped.cancel()
        if self._is_over:
            await self._prove_the_end()

    async def _prove_the_end(self) -> None:
        """Have a listening connection say that it lives: what it did not say until now was not broadcast."""
        connection = self._connection
        if connection is None or not connection.is_listening:
            return
        connection.ask()
        answer = self._feed.deadline(ANSWER_S)
        while connection.is_asked and not answer.is_over:
            await asyncio.sleep(_TICK_S)

    async def _stream(self) -> None:
        failures = 0
        while True:
            self._connection = Connection(
                self._endpoint,
                self._topics,
                self._feed,
                self._inbox,
                idle_s=self._settings.idle_s,
                unanswered=self._unanswered,
            )
            life = self._feed.deadline(_LIVED_S)
            try:
                await self._connection.run()
            except ConnectionLost as lost:
                listened = self._connection.is_listening
                self._connection = None
                self._inbox.note(Lost(lost.cause, lost.evidence))
                failures = 0 if listened and life.is_over else failures + 1
                wait_s = backoff_s(failures, random.random())  # noqa: S311 - no secret
                if lost.cause == "max_connections":
                    wait_s += _COOL_DOWN_S
                log.warning("connection lost", cause=lost.cause, evidence=lost.evidence, again_in_s=round(wait_s, 1))
                await self._feed.sleep(wait_s)

    async def _write(self) -> None:
        """Have everything written that has come."""
        for stretch in stretches(self._inbox.waiting(), self._settings.batch_rows):
            await self._in_thread(self._book.take, stretch)
            self._inbox.done(len(stretch) if isinstance(stretch, list) else 1)
        if not self._book.is_settled:
            await self._in_thread(self._book.settle)

    def _heartbeat(self) -> Heartbeat:
        is_listening = self._connection is not None and self._connection.is_listening
        state = LISTENING if is_listening else "connecting"
        if is_listening and self._book.is_silent:
            state = f"{STALLED}: it answers, and broadcasts nothing"
        return self._book.heartbeat(self._trouble or state)

    async def _beat(self) -> None:
        heartbeat = self._heartbeat()
        await self._in_thread(self._lease.renew, self._feed.now(), heartbeat)
        if self.stop_request is not None:
            self.stop()
        self._tell(heartbeat)

    def _tell(self, heartbeat: Heartbeat) -> None:
        if self._telling is None or self._telling.done():
            if self._telling is not None:
                self._telling.result()
            self._telling = asyncio.create_task(asyncio.to_thread(self._acknowledge, heartbeat))

    async def _in_thread[**P, T](self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **kwargs))

    async def _end(self) -> Heartbeat:
        """Write what came and let the lease go; where another has taken it, leave what came to that one."""
        try:
            await self._in_thread(self._lease.renew, self._feed.now(), self._heartbeat())
        except LeaseHeld:
            await self._in_thread(self._book.hand_over)
            raise
        while len(self._inbox) or self._inbox.waiting():
            await self._write()
        is_over = self._is_over
        if is_over:
            await self._in_thread(self._book.finish)
        last = self._book.heartbeat("ended" if is_over else "stopped")
        if not await self._in_thread(self._lease.release, self._feed.now(), last):
            await self._in_thread(self._book.hand_over)
        return last


def _why(streaming: asyncio.Task[None], asked: StopRequest | None) -> Lost:
    """Return why a recording ends before its time; called while it does."""
    error = sys.exception()
    if error is None and streaming.done() and not streaming.cancelled():
        error = streaming.exception()
    if error is None:
        return Lost("stopped", f"told to stop by {asked.by}" if asked else "told to stop")
    return Lost("refused" if isinstance(error, StreamRefused) else "failed", redact(str(error)))
