"""The invariants, each counted: what stands in the lake against what must stand there.

Every function returns how often each invariant was broken; nothing it finds is repaired. The names are those of the
table the soak prints.
"""

import fcntl
import json
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa

from bellwether.lake import Lake, paths
from bellwether.lake.manifest import Manifest
from bellwether.lake.revisions import revision_of
from tests.soak.scene import DATASET

VIOLATIONS = (
    "rows lost",
    "rows doubled",
    "rows never sent",
    "half partitions",
    "batches torn",
    "gaps unsound",
    "gaps left open",
    "minutes unlike REST's",
    "indexes stale",
    "files beside a partition",
    "revisions not kept",
    "orphans left",
    "locks leaked",
    "triggers lost",
    "triggers doubled",
    "reads failed",
    "reads torn",
    "steps failed",
)

type Found = Counter[str]


def partition(lake: Lake, session: date, possible: Sequence[pa.Table | None]) -> Found:
    """Compare a partition with what it may hold; None among that allows that there is no partition."""
    try:
        published = lake.partition(DATASET, session)
    except Exception:  # noqa: BLE001 - whatever keeps it from being read
        return Counter({"half partitions": 1})
    if published is None:
        lost = 0 if None in possible else min(table.num_rows for table in possible if table is not None)
        return Counter({"rows lost": lost})
    table, manifest = published.table, published.manifest
    tables = [expected for expected in possible if expected is not None]
    found = min((_rows(table, expected) for expected in tables), key=lambda count: count.total())
    folder = Path(lake.root, paths.partition(DATASET, session)).parent
    found["files beside a partition"] = len(list(folder.iterdir())) - 1
    found["half partitions"] = int(not _is_whole(table, manifest))
    return found


def _rows(table: pa.Table, expected: pa.Table) -> Found:
    if revision_of(table) == revision_of(expected):
        return Counter()
    rows, wanted = Counter(_tuples(table)), Counter(_tuples(expected))
    keys = Counter(row[:2] for row in rows.elements())
    return Counter(
        {
            "rows lost": (wanted - rows).total(),
            "rows doubled": sum(count - 1 for count in keys.values()),
            "rows never sent": sum(row not in wanted for row in rows),
        }
    )


def _tuples(table: pa.Table) -> Iterable[tuple[object, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _is_whole(table: pa.Table, manifest: Manifest) -> bool:
    return (
        manifest.revision == revision_of(table)
        and manifest.rows == table.num_rows
        and manifest.rows == sum(known.rows for known in manifest.coverage.values())
    )


def index(lake: Lake, session: date) -> Found:
    """Compare the index in `state/` with the partition."""
    manifest, stored = lake.manifest(DATASET, session), lake.storage.read(paths.manifest(DATASET, session))
    indexed = json.loads(stored.content)["publication_id"] if stored else None
    return Counter({"indexes stale": int(manifest is not None and indexed != manifest.publication_id)})


def locks(lake: Lake) -> Found:
    """Try all locks at a moment when nobody is at work."""
    leaked = 0
    for path in Path(lake.root).rglob("*.lock"):
        with path.open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                leaked += 1
    return Counter({"locks leaked": leaked})


def orphans(lake: Lake, stages: Container[str]) -> Found:
    """Count what dead processes left, at a moment when none is at work.

    Parameters
    ----------
    stages
        The stages that may be there: of runs that can still be cleared.
    """
    root = Path(lake.root)
    left = set(root.rglob(".*")) | set((root / paths.INCOMING).glob("*"))
    left |= {path for path in root.glob(f"stage/{DATASET}/*/*") if path.name not in stages}
    return Counter({"orphans left": len(left)})


def kept(lake: Lake, session: date, replaced: int) -> Found:
    """Count the replaced publications of a session that are not in `revisions/`."""
    there = len(list(lake.storage.list(paths.revisions(DATASET, session))))
    return Counter({"revisions not kept": max(0, replaced - there)})


def triggers(ended_with: Sequence[str], consumed: Sequence[str]) -> Found:
    """Compare the revisions that consolidation acted upon with those the runs of one session ended with, in order."""
    wanted = [revision for before, revision in zip(["", *ended_with], ended_with, strict=False) if revision != before]
    lost, doubled = Counter(wanted) - Counter(consumed), Counter(consumed) - Counter(wanted)
    if not lost and not doubled and list(consumed) != wanted:
        return Counter({"triggers lost": 1})  # acted upon too late, after another
    return Counter({"triggers lost": lost.total(), "triggers doubled": doubled.total()})
