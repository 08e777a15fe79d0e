"""What is at work on a lake now: streams, by their leases, and backfills of the command line, which register here.

Whether one lives is told by the machines' time, which all of them share, whatever time their feeds have. What has not
been heard of for a day is nobody's any more. Airflow's own runs are in its UI.
"""

import getpass
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import PurePosixPath
from secrets import token_hex
from types import TracebackType
from typing import Literal, Self

import msgspec

from bellwether.config.settings import StreamingSettings
from bellwether.errors import LakeError, LeaseHeld, Stopped
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode
from bellwether.logging import get_logger
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.lease import EXPIRES_AFTER, LeaseRecord, StopRequest, ask_to_stop, read_lease
from bellwether.streaming.pulse import is_stalled

log = get_logger(__name__)

_KNOWN_FOR = timedelta(days=1)
_BEAT_S = 15.0
_READER = "reader"


class BackfillRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill as it stands in the lake; times are the machine's."""

    id: str
    pid: int
    host: str
    dataset: str
    what: str
    state: str
    started_utc: datetime
    stamped_utc: datetime
    stop: StopRequest | None = None


@dataclass(frozen=True)
class Worker:
    """A process at work.

    Attributes
    ----------
    id
        What `stop` takes.
    dataset, session
        What it captures; the session of a backfill is in its state.
    writer
        The process.
    state
        What it says of itself.
    heartbeat_utc, age_s
        When it was last heard of, by the machine's time.
    is_dead
        Whether that is too long ago.
    is_stalled
        Whether it lives and has heard nothing for as long as is told of to people.
    open_gaps
        Gaps of a stream that last: nobody listens.
    stop_by
        Who asked it to end; empty where nobody did.
    """

    id: str
    kind: Literal["stream", "backfill"]
    dataset: str
    session: date | None
    writer: str
    state: str
    heartbeat_utc: datetime
    age_s: float
    is_dead: bool
    is_stalled: bool = False
    open_gaps: int = 0
    stop_by: str = ""

    @property
    def condition(self) -> str:
        """In a word: `dead`, `stalled`, `stopping`, or `alive`."""
        words = {"dead": self.is_dead, "stalled": self.is_stalled, "stopping": bool(self.stop_by)}
        return next((word for word, holds in words.items() if holds), "alive")


def workers(lake: Lake, settings: StreamingSettings) -> list[Worker]:
    """Return what is at work, streams first; what died is among it for a day.

    Raises
    ------
    LakeError
        The lake cannot be read.
    """
    now = lake.clock.now()
    return [*_streams(lake, settings, now), *(_backfill(record, now) for record in _records(lake, now))]


def stop(lake: Lake, worker: Worker, by: str) -> None:
    """Ask a worker to end: a stream sees so within 15 seconds of its feed, a backfill after its batch."""
    if worker.session is not None:
        ask_to_stop(lake, worker.dataset, worker.session, by)
        return
    key = paths.worker(worker.id)
    while (stored := lake.storage.read(key)) is not None:
        asked = _decoded(stored.content, stop=StopRequest(by=by, asked_utc=lake.clock.now()))
        if lake.storage.swap(key, encode(asked), expected=stored.version):
            return


def has_ended(lake: Lake, worker: Worker) -> bool:
    """Return whether a worker has ended.

    Raises
    ------
    LeaseHeld
        It died, and another does its work, to whom nobody spoke yet.
    """
    if worker.session is None:
        return lake.storage.read(paths.worker(worker.id)) is None
    lease = read_lease(lake, worker.dataset, worker.session)
    if lease is not None and not lease.is_released and lease.writer != worker.writer:
        msg = f"{worker.writer} is gone, and {lease.writer} goes on instead: ask again"
        raise LeaseHeld(msg)
    return lease is None or lease.is_released


def whoever_asks() -> str:
    """Return who runs this process, and where."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = f"user {os.getuid()}"
    return f"{user} on {socket.gethostname()}"


@dataclass
class Registration:
    """A backfill of this process, known to the lake while the context lasts.

    Attributes
    ----------
    lake
        Whose.
    dataset, what
        What it captures, in short and in words.
    state
        What it is about; told with the next heartbeat.
    stop
        Who asked for it to end.
    """

    lake: Lake
    dataset: str
    what: str
    state: str = "begins"
    id: str = field(default_factory=lambda: f"backfill-{token_hex(3)}")
    stop: StopRequest | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        """Register, and from now on say that it lives."""
        now = self.lake.clock.now()
        self._sweep(now)
        record = BackfillRecord(
            id=self.id,
            pid=os.getpid(),
            host=socket.gethostname(),
            dataset=self.dataset,
            what=self.what,
            state=self.state,
            started_utc=now,
            stamped_utc=now,
        )
        self.lake.storage.write(paths.worker(self.id), encode(record))
        self._thread = threading.Thread(target=self._beat, args=(record,), name="heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have it forgotten: what is not there has ended."""
        self._ended.set()
        self._thread.join()
        self.lake.storage.delete(paths.worker(self.id))

    def go_on(self) -> None:
        """Return unless somebody asks for it to end; to be called where it can.

        Raises
        ------
        Stopped
            Somebody does.
        """
        stored = self.lake.storage.read(paths.worker(self.id))
        if stored is not None:
            self.stop = _decoded(stored.content).stop
        if self.stop is not None:
            msg = f"told to stop by {self.stop.by}"
            raise Stopped(msg)

    def _beat(self, record: BackfillRecord) -> None:
        key = paths.worker(self.id)
        while not self._ended.wait(_BEAT_S):
            try:
                stored = self.lake.storage.read(key)
                asked = _decoded(stored.content).stop if stored else self.stop
                now = self.lake.clock.now()
                record = msgspec.structs.replace(record, state=self.state, stamped_utc=now, stop=asked)
                self.lake.storage.swap(key, encode(record), expected=stored.version if stored else None)
            except LakeError as error:  # the backfill meets it too, and says what it means
                log.warning("the heartbeat was not written", problem=str(error))

    def _sweep(self, now: datetime) -> None:
        """Delete what backfills left that died long ago."""
        known = {paths.worker(record.id) for record in _records(self.lake, now)}
        for entry in list(self.lake.storage.list(paths.workers())):
            if entry.key not in known:
                self.lake.storage.delete(entry.key)


def _streams(lake: Lake, settings: StreamingSettings, now: datetime) -> Iterator[Worker]:
    for key in _recent(lake, paths.leases(), now):
        dataset, session = key.parent.name, date.fromisoformat(key.stem)
        lease = read_lease(lake, dataset, session)
        if lease is not None and not lease.is_released:
            yield _stream(lake, settings, dataset, session, lease, now)


def _stream(
    lake: Lake, settings: StreamingSettings, dataset: str, session: date, lease: LeaseRecord, now: datetime
) -> Worker:
    age_s = (now - lease.stamped_utc).total_seconds()
    is_dead = age_s >= lease.expires_after_s
    return Worker(
        id=f"{dataset}-{session}",
        kind="stream",
        dataset=dataset,
        session=session,
        writer=lease.writer,
        state=lease.heartbeat.state if lease.heartbeat else "begins",
        heartbeat_utc=lease.stamped_utc,
        age_s=round(age_s, 1),
        is_dead=is_dead,
        is_stalled=not is_dead and lease.heartbeat is not None and is_stalled(lease.heartbeat, settings),
        open_gaps=sum(gap.lasts for gap in GapLog(lake, dataset, session, _READER).read()),
        stop_by=lease.stop.by if lease.stop else "",
    )


def _backfill(record: BackfillRecord, now: datetime) -> Worker:
    age_s = (now - record.stamped_utc).total_seconds()
    return Worker(
        id=record.id,
        kind="backfill",
        dataset=record.dataset,
        session=None,
        writer=f"{record.host} pid {record.pid}",
        state=f"{record.what}: {record.state}",
        heartbeat_utc=record.stamped_utc,
        age_s=round(age_s, 1),
        is_dead=age_s >= EXPIRES_AFTER.total_seconds(),
        stop_by=record.stop.by if record.stop else "",
    )


def _records(lake: Lake, now: datetime) -> list[BackfillRecord]:
    found = [lake.storage.read(key) for key in _recent(lake, paths.workers(), now)]
    return [_decoded(stored.content) for stored in found if stored is not None]


def _recent(lake: Lake, folder: PurePosixPath, now: datetime) -> list[PurePosixPath]:
    return sorted(entry.key for entry in lake.storage.list(folder) if now - entry.modified_utc < _KNOWN_FOR)


def _decoded(content: bytes, **changes: StopRequest) -> BackfillRecord:
    return msgspec.structs.replace(msgspec.json.decode(content, type=BackfillRecord), **changes)
