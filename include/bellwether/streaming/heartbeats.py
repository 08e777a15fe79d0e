"""Heartbeats that were told of: kept as they are told, one small file each.

A file is written once, so a recorder that dies leaves all it told. Whoever compacts a dataset of a session publishes
the heartbeats of all of them anew (`bookkeeping`).
"""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import msgspec
import pyarrow as pa

from bellwether.errors import LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode
from bellwether.logging import get_logger
from bellwether.operational_schemas import HEARTBEATS
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Writer
from bellwether.streaming.lease import Heartbeat
from bellwether.streaming.pulse import HANGING, Pulse

log = get_logger(__name__)


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
        if not heartbeat.state.startswith(HANGING):
            self._keep(heartbeat)
        self._on_due(heartbeat)

    def _keep(self, heartbeat: Heartbeat) -> None:
        try:
            keep(self._lake, self._assignment.dataset, self._assignment.session, self._writer, heartbeat)
        except LakeError as error:
            log.error("the heartbeat was not kept", problem=str(error))


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


def kept_of(lake: Lake, session: date) -> list[PurePosixPath]:
    """Return where the heartbeats stand that were kept of a session, of all its datasets; sorted, and never changed.

    Raises
    ------
    LakeError
        The lake cannot be read.
    """
    return sorted(entry.key for entry in lake.storage.list(paths.heartbeats(session)))


def as_table(lake: Lake, keys: Sequence[PurePosixPath]) -> pa.Table:
    """Return kept heartbeats as rows of schema `HEARTBEATS`, in their order."""
    return pa.Table.from_pylist([_row(lake, key) for key in keys], schema=HEARTBEATS)


def _row(lake: Lake, key: PurePosixPath) -> dict[str, Any]:
    stored = lake.storage.read(key)
    if stored is None:
        msg = f"{lake.storage.url(key)} is gone while it is read: somebody deletes heartbeats"
        raise LakeError(msg)
    kept = msgspec.json.decode(stored.content, type=_Kept)
    return {"dataset": kept.dataset, "writer": kept.writer} | msgspec.structs.asdict(kept.heartbeat)
