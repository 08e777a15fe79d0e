"""The history of a session: the chain from the publication in force back to the first, and its deliberate end.

Each manifest names the kept file that it replaced. What is not reached by these names is no part of the history: a
second copy, or what was in force before the partition was lost and published anew. Nothing here asks the order of
clocks: where two publications bear one instant, or a clock went back, the one later in the chain holds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath

import msgspec

from bellwether.errors import LakeError
from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.lake.manifest import Manifest, encode
from bellwether.lake.partition import PartitionFile
from bellwether.lake.storage import Entry


class PruneRecord(msgspec.Struct, frozen=True):
    """When revisions of a session were last deleted or not kept, and up to which instant its history then went back."""

    pruned_utc: datetime
    horizon_utc: datetime


@dataclass(frozen=True)
class Prunable:
    """Revisions of one session that no read as of the horizon or later needs.

    Attributes
    ----------
    entries
        The files, in the order in which they are to be deleted: whatever is left is reached from the one in force.
    apart
        Kept files of publications that the history does not reach. Whatever is kept was once in force, so they may be
        all that is left of a history that was lost: they are never deleted here.
    """

    dataset: str
    session: date
    horizon_utc: datetime
    entries: tuple[Entry, ...]
    apart: tuple[Entry, ...]

    @property
    def size_bytes(self) -> int:
        """The room they take."""
        return sum(entry.size_bytes for entry in self.entries)


def read_as_of[T](
    lake: Lake, dataset: str, session: date, as_of: datetime, see: Callable[[PartitionFile], T]
) -> T | None:
    """Return what `see` reads from the publication of a published session that was in force at an instant.

    Returns
    -------
    What `see` returns, or None
        None where nothing was published by then.

    Raises
    ------
    LakeError
        That publication, or one on the way to it, is kept no longer, or the partition is gone.
    """
    key, later = paths.partition(dataset, session), None

    def look(file: PartitionFile) -> tuple[Manifest, T | None, bool]:
        in_force = file.manifest.published_utc <= as_of
        return file.manifest, see(file) if in_force else None, in_force

    while True:
        found = lake.look(key, look)
        if found is None:
            if later is None:
                msg = f"{dataset} {session} was listed a moment ago and is gone: was it withdrawn? Read again"
                raise LakeError(msg)
            raise LakeError(_why_gone(lake, later, as_of))
        manifest, seen, in_force = found
        if in_force:
            return seen
        if manifest.replaces is None:
            _refuse_cut_chain(lake, manifest, as_of)
            return None
        key, later = paths.revisions(dataset, session) / manifest.replaces, manifest


def _refuse_cut_chain(lake: Lake, first: Manifest, as_of: datetime) -> None:
    """Refuse to say "nothing was published by then" of a session that was lost since, and published again."""
    kept = (entry.key.name for entry in lake.storage.list(paths.revisions(first.dataset, first.session)))
    if any(name < f"{as_of:%Y%m%dT%H%M%S%f}" for name in kept):
        msg = (
            f"{first.dataset} {first.session} as of {as_of}: revisions of that time are kept, but the partition was "
            f"lost and published anew at {first.published_utc}, so that which of them was in force cannot be told; "
            "read them from revisions/"
        )
        raise LakeError(msg)


def publications(lake: Lake, dataset: str, session: date) -> Iterator[tuple[PurePosixPath, Manifest]]:
    """Yield the publications of a session, the one in force first, as far back as they are kept."""
    key: PurePosixPath | None = paths.partition(dataset, session)
    while key is not None:
        manifest = lake.look(key, lambda file: file.manifest)
        if manifest is None:
            return
        yield key, manifest
        key = paths.revisions(dataset, session) / manifest.replaces if manifest.replaces else None


def prunable(lake: Lake, dataset: str, session: date, horizon_utc: datetime) -> Prunable:
    """Return the kept revisions of a session that no read as of the horizon or later needs.

    Parameters
    ----------
    horizon_utc
        What was in force then stays, and so does all that came later.
    """
    # Listed first: what is kept and named meanwhile is in the chain read after it, or was not listed.
    folder = paths.revisions(dataset, session)
    listed = {entry.key: entry for entry in lake.storage.list(folder) if entry.key.suffix == ".parquet"}
    chain = list(publications(lake, dataset, session)) if listed else []
    needed = next((i for i, (_, manifest) in enumerate(chain) if manifest.published_utc <= horizon_utc), len(chain))
    replaced = chain[needed + 1 :]
    by_id = {key: _publication_id(lake, key) for key in sorted(listed.keys() - {key for key, _ in chain})}
    gone = {manifest.publication_id for _, manifest in replaced}
    known = {manifest.publication_id for _, manifest in chain} | {None}
    copies = [key for key, publication_id in by_id.items() if publication_id in gone]
    oldest_first = [key for key, _ in reversed(replaced) if key in listed]
    return Prunable(
        dataset,
        session,
        horizon_utc,
        entries=tuple(listed[key] for key in [*copies, *oldest_first]),
        apart=tuple(listed[key] for key, publication_id in by_id.items() if publication_id not in known),
    )


def prune(lake: Lake, what: Prunable) -> None:
    """Delete revisions, and record since when they are gone."""
    if what.entries:
        shorten(lake, what.dataset, what.session, what.horizon_utc)
    for entry in what.entries:
        lake.storage.delete(entry.key)


def shorten(lake: Lake, dataset: str, session: date, horizon_utc: datetime) -> None:
    """Record, before it is so, that the history of a session goes back to an instant and no further."""
    record = _prune_record(lake, dataset, session)
    if record is not None:
        horizon_utc = max(horizon_utc, record.horizon_utc)
    content = encode(PruneRecord(lake.clock.now(), horizon_utc))
    lake.storage.write(paths.pruned(dataset, session), content)


def _prune_record(lake: Lake, dataset: str, session: date) -> PruneRecord | None:
    stored = lake.storage.read(paths.pruned(dataset, session))
    return msgspec.json.decode(stored.content, type=PruneRecord) if stored else None


def _publication_id(lake: Lake, key: PurePosixPath) -> str | None:
    return lake.look(key, lambda file: file.manifest.publication_id)


def _why_gone(lake: Lake, later: Manifest, as_of: datetime) -> str:
    record = _prune_record(lake, later.dataset, later.session)
    what = (
        f"{later.dataset} {later.session}: revision {later.replaces}, in force until {_text(later.published_utc)} and "
        f"needed for what was known at {_text(as_of)},"
    )
    if record is not None and later.published_utc <= record.horizon_utc:
        return (
            f"{what} was pruned on {_text(record.pruned_utc)}; reads as of {_text(record.horizon_utc)} and later work"
        )
    return f"{what} is missing, and no pruning deleted it: put it back into revisions/ from a backup"


def _text(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
