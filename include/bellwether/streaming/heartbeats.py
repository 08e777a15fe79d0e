"""Heartbeats that were told of: kept as they are told, one small file each, and published as a dataset of the session.

A file is written once, so a recorder that dies leaves all it told. Whoever compacts a dataset publishes the heartbeats
of all of them anew.
"""

import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import PurePosixPath

import msgspec
import pyarrow as pa

from bellwether.config import Config
from bellwether.errors import InputsChanged, LakeError
from bellwether.lake import Coverage, Lake, TickerCoverage, paths
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import encode
from bellwether.lake.publish import MOST_ROUNDS, Publication
from bellwether.logging import get_logger
from bellwether.schemas import HEARTBEATS, OPERATIONAL
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Writer
from bellwether.streaming.lease import Heartbeat
from bellwether.streaming.pulse import Pulse
from bellwether.tickers import WHOLE

log = get_logger(__name__)

DATASET = "heartbeats"


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    dataset: str
    writer: str
    heartbeat: Heartbeat


class Teller:
    """Hears every heartbeat of a recording, keeps those that are due, and tells of them and of a stall.

    To be called where nobody waits for it. What cannot be kept is told of all the same, and ends no recording.

    Parameters
    ----------
    lake, assignment, writer
        Where to, of what, and whose.
    pulse
        Says what is due.
    on_due, on_stall
        Called with the heartbeat.
    """

    def __init__(
        self,
        lake: Lake,
        assignment: Assignment,
        writer: Writer,
        pulse: Pulse,
        *,
        on_due: Callable[[Heartbeat], None] = lambda _: None,
        on_stall: Callable[[Heartbeat], None] = lambda _: None,
    ) -> None:
        self._lake = lake
        self._assignment = assignment
        self._writer = writer
        self._pulse = pulse
        self._on_due = on_due
        self._on_stall = on_stall

    def __call__(self, heartbeat: Heartbeat) -> None:
        """Take the next one."""
        told = self._pulse.take(heartbeat)
        if told.is_due:
            self.tell(heartbeat)
        if told.has_stalled:
            self._on_stall(heartbeat)

    def tell(self, heartbeat: Heartbeat) -> None:
        """Keep one and tell of it, whenever the one before was."""
        try:
            keep(self._lake, self._assignment.dataset, self._assignment.session, self._writer, heartbeat)
        except LakeError as error:
            log.error("the heartbeat was not kept", problem=str(error))
        self._on_due(heartbeat)


def keep(lake: Lake, dataset: str, session: date, writer: Writer, heartbeat: Heartbeat) -> None:
    """Write a heartbeat down; it is on disk when this returns.

    Raises
    ------
    LakeError
        It could not be written.
    """
    name = f"{heartbeat.at_utc:%Y%m%dT%H%M%S%f}~{writer.name}.json"
    kept = _Kept(dataset=dataset, writer=writer.name, heartbeat=heartbeat)
    lake.storage.write(paths.heartbeats(session) / dataset / name, encode(kept))


def publish_heartbeats(lake: Lake, config: Config, session: date, *, run_id: str) -> Publication | None:
    """Publish what was kept of a session, of all its datasets; None where nothing was.

    Of two that publish at once, one has seen all files that there are when it is done.

    Raises
    ------
    LakeError
        The storage refused.
    """
    for _ in range(MOST_ROUNDS):
        keys = _keys(lake, session)
        if not keys:
            return None
        table = _table(lake, keys)
        submission = GoldSubmission(
            dataset=DATASET,
            session=session,
            table=table,
            coverage={WHOLE: TickerCoverage(Coverage.COMPLETE, rows=len(table))},
            inputs=_inputs(keys),
            warnings={},
            stage_id="",
            run_id=run_id,
            config_hash=config.hash,
            timings_s={},
        )
        layout = FileLayout(config.sinks.heartbeats, config.settings.lake.compression)
        try:
            return publish_gold(lake, submission, layout, lambda: _inputs(_keys(lake, session)))
        except InputsChanged:  # another was kept meanwhile
            continue
    msg = f"{DATASET} {session}: others came in between {MOST_ROUNDS} times; try again"
    raise LakeError(msg)


def _keys(lake: Lake, session: date) -> list[PurePosixPath]:
    return sorted(entry.key for entry in lake.storage.list(paths.heartbeats(session)))


def _inputs(keys: list[PurePosixPath]) -> dict[str, str]:
    return {DATASET: hashlib.sha256("\n".join(map(str, keys)).encode()).hexdigest()}


def _table(lake: Lake, keys: list[PurePosixPath]) -> pa.Table:
    rows = []
    for key in keys:
        stored = lake.storage.read(key)
        if stored is None:
            msg = f"{lake.storage.url(key)} is gone while it is read: somebody deletes heartbeats"
            raise LakeError(msg)
        kept = msgspec.json.decode(stored.content, type=_Kept)
        rows.append({"dataset": kept.dataset, "writer": kept.writer} | msgspec.structs.asdict(kept.heartbeat))
    order = [(name, "ascending") for name in OPERATIONAL[DATASET].key]
    return pa.Table.from_pylist(rows, schema=HEARTBEATS).sort_by(order).combine_chunks()
