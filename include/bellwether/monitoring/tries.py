"""What a task tells of itself while it runs and when it ends: one small file for each try.

A thread of its own writes it, again every minute and at the end, so the task never waits for it and a lake that fails
or hangs fails no task. A try that was killed leaves its last word. One that is deferred and resumed goes on in the same
file, so nothing is counted twice. Times are the machine's, whatever time the feeds have.
"""

import hashlib
import resource
import threading
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Final

import msgspec

from bellwether.errors import LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode
from bellwether.logging import get_logger, tame
from bellwether.meter import MOST_TIMES, Meter, uncounted
from bellwether.monitoring.alerts import describe
from bellwether.producers import DATASETS_OF

log = get_logger(__name__)

RUNNING: Final = "running"
DEFERRED: Final = "deferred"
"""States of a try that goes on; all others are its end, in Airflow's words."""

BEAT_S: Final = 60.0
"""A task that runs says so this often."""

_LONGEST_FAREWELL_S = 10.0
_REPORT = "report"
_BUSY = 0.01
"""A task that used this share of a core has got on, whatever it did."""


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of one class; of `times_utc` there are 500 at most, `example` is tame."""

    count: int
    times_utc: tuple[datetime, ...]
    last_utc: datetime
    example: str


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which try of which task, and what it is about; `map_index` is -1 where nothing is mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    dataset: str
    session: date

    @property
    def key(self) -> PurePosixPath:
        """Where it tells of itself."""
        # Two run ids may look alike without what no file name may hold.
        digest = hashlib.blake2b(self.run_id.encode(), digest_size=4).hexdigest()
        run = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in self.run_id)[:80]
        name = f"{self.dag_id}~{run}-{digest}~{self.task_id}.{self.map_index}.{self.try_number}.json"
        return paths.performance(self.session) / name


class TryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one try; `bellwether.dictionary` says what the columns of the same name say.

    Attributes
    ----------
    started_utc, heard_utc, moved_utc
        When it began, was last heard of, and had last done anything by then.
    errors
        By class.
    """

    identity: Identity
    state: str
    started_utc: datetime
    heard_utc: datetime
    moved_utc: datetime
    ended_utc: datetime | None = None
    turns: int = 1
    duration_s: float = 0.0
    deferred_s: float = 0.0
    cpu_s: float = 0.0
    vendor_s: float = 0.0
    read_s: float = 0.0
    write_s: float = 0.0
    limit_wait_s: float = 0.0
    limit_waits: int = 0
    api_calls: int = 0
    rows: int = 0
    bytes_received: int = 0
    bytes_written: int = 0
    peak_memory_mb: float = 0.0
    doing: str = ""
    error: str = ""
    errors: dict[str, ErrorRecord] = msgspec.field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether the try has ended."""
        return self.state not in (RUNNING, DEFERRED)


_SUMMED = (
    *("duration_s", "cpu_s", "vendor_s", "read_s", "write_s", "limit_wait_s", "limit_waits", "api_calls", "rows"),
    *("bytes_received", "bytes_written"),
)


def dataset_of(dag_id: str, task_id: str) -> str:
    """Return what a task is about: a dataset, `minutes` for gold, or the DAG itself where it is about none."""
    group, _, step = task_id.rpartition(".")
    if dag_id in DATASETS_OF:
        return group or DATASETS_OF[dag_id][0]
    if dag_id == "session_consolidate":
        return "chain" if step == "build_chain" else "minutes"
    if dag_id == "session_stream":
        return "minutes" if group == "gold" else f"{group}_live"
    return f"{task_id}_live" if dag_id == "gap_repair" else dag_id


class Recording:
    """One turn of a try: from its start to its end or deferral.

    Parameters
    ----------
    identity
        Whose.
    meter
        Counts what it does since it began.
    now
        Tells the time.
    """

    def __init__(self, identity: Identity, meter: Meter, now: Callable[[], datetime]) -> None:
        self.identity = identity
        self._meter = meter
        self._now = now
        self._moved_utc = meter.started_utc
        self._seen: tuple[int, ...] = ()
        self._seen_cpu_s = meter.started_cpu_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._last = self.so_far()

    def tell(self, lake: Lake, beat_s: float = BEAT_S) -> None:
        """Tell the lake from now on, every so many seconds and at the end."""
        self._thread = threading.Thread(target=self._run, args=(lake, beat_s), name="performance", daemon=True)
        self._thread.start()

    def note_failure(self, error: BaseException) -> None:
        """Count what the try failed of, unless it was counted as it came."""
        name = type(error).__name__
        is_summary = self.identity.task_id.rpartition(".")[2] == _REPORT  # it fails because others did
        if name not in self._meter.errors and not is_summary:
            # Of a stranger's error the class alone: who knows what its words hold.
            self._meter.note(name, describe(error).removeprefix(f"{name}: "))

    def end(self, state: str, error: str = "") -> TryRecord:
        """Note how the turn ended, have it written, and return it; waits ten seconds for a lake at most."""
        now = self._now()
        ended_utc = None if state == DEFERRED else now
        self._last = msgspec.structs.replace(
            self.so_far(), state=state, error=error, ended_utc=ended_utc, moved_utc=now, doing=""
        )
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_LONGEST_FAREWELL_S)
        return self._last

    def so_far(self) -> TryRecord:
        """Return what the turn has come to, as one that runs."""
        meter, doing = self._meter, self._meter.doing
        return TryRecord(
            identity=self.identity,
            state=RUNNING,
            started_utc=meter.started_utc,
            heard_utc=self._now(),
            moved_utc=self._moved_utc,
            duration_s=round(time.monotonic() - meter.started_s, 3),
            cpu_s=round(time.process_time() - meter.started_cpu_s, 3),
            vendor_s=round(meter.vendor_s, 3),
            read_s=round(meter.read_s, 3),
            write_s=round(meter.write_s, 3),
            limit_wait_s=round(meter.limit_wait_s, 3),
            limit_waits=meter.limit_waits,
            api_calls=meter.api_calls,
            rows=meter.rows,
            bytes_received=meter.bytes_received,
            bytes_written=meter.bytes_written,
            peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            doing=f"{doing[0].removesuffix('_s')} for {time.monotonic() - doing[1]:.0f} s" if doing else "",
            errors={
                name: ErrorRecord(
                    count=met.count, times_utc=tuple(met.times_utc), last_utc=met.last_utc, example=tame(met.words)
                )
                for name, met in list(meter.errors.items())
            },
        )

    def _run(self, lake: Lake, beat_s: float) -> None:
        with uncounted():
            earlier: TryRecord | None = None
            try:
                earlier = read_try(lake, self.identity.key)
            except LakeError as error:
                log.warning("what the task told before cannot be read", problem=tame(str(error)))
            while not self._ended.is_set():
                self._note_progress(beat_s)
                self._write(lake, together(earlier, self.so_far()))
                self._ended.wait(beat_s)
            self._write(lake, together(earlier, self._last))

    def _write(self, lake: Lake, record: TryRecord) -> None:
        try:
            lake.storage.write(self.identity.key, encode(record))
        except Exception as error:  # noqa: BLE001 - what measures must not break what is measured
            log.warning("the task's performance was not kept", problem=tame(str(error)))

    def _note_progress(self, beat_s: float) -> None:
        meter, cpu_s = self._meter, time.process_time()
        seen = (meter.api_calls, meter.limit_waits, meter.rows, meter.bytes_received, meter.bytes_written)
        if seen != self._seen or cpu_s - self._seen_cpu_s >= _BUSY * beat_s:
            self._moved_utc = self._now()
        self._seen, self._seen_cpu_s = seen, cpu_s


def together(earlier: TryRecord | None, turn: TryRecord) -> TryRecord:
    """Return a try with another turn of it."""
    if earlier is None:
        return turn
    sums = {name: round(getattr(earlier, name) + getattr(turn, name), 3) for name in _SUMMED}
    waited_s = max(0.0, (turn.started_utc - earlier.heard_utc).total_seconds())
    return msgspec.structs.replace(
        turn,
        **sums,
        started_utc=earlier.started_utc,
        turns=earlier.turns + turn.turns,
        deferred_s=round(earlier.deferred_s + waited_s, 3),
        peak_memory_mb=max(earlier.peak_memory_mb, turn.peak_memory_mb),
        errors=earlier.errors | {name: _added(earlier.errors.get(name), met) for name, met in turn.errors.items()},
    )


def _added(earlier: ErrorRecord | None, later: ErrorRecord) -> ErrorRecord:
    if earlier is None:
        return later
    return ErrorRecord(
        count=earlier.count + later.count,
        times_utc=(earlier.times_utc + later.times_utc)[:MOST_TIMES],
        last_utc=later.last_utc,
        example=earlier.example,
    )


def read_try(lake: Lake, key: PurePosixPath) -> TryRecord | None:
    """Return what a try told of itself; None where there is nothing that can be read.

    Raises
    ------
    LakeError
        The lake cannot be read.
    """
    stored = lake.storage.read(key)
    try:
        return None if stored is None else msgspec.json.decode(stored.content, type=TryRecord)
    except msgspec.MsgspecError:  # of another version, or damaged: one file of many
        log.warning("what a task told of itself cannot be read and is passed over", file=lake.storage.url(key))
        return None
