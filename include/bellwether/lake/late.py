"""Late rows in quarantine: beside the partition they did not revise, until somebody releases or discards them.

Each answer's have a file of their own, named after the stage the answer came in. Files are only ever added to here, so
that writing one again, by whoever publishes or replays the answer once more, changes nothing.
"""

from collections.abc import Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.quality.prepare import quarantine_schema

_IS_FRESH = "is_fresh"


def keep_late(lake: Lake, dataset: str, session: date, rows_by_stage: Mapping[str, pa.Table]) -> int:
    """Put late rows into quarantine, those aside that wait there already; return how many of the session wait then.

    Parameters
    ----------
    rows_by_stage
        By the stage their answer came in, with the quarantine's schema.

    Raises
    ------
    LakeError
        The storage refused.
    """
    kept = _by_stage(lake, dataset, session)
    for stage_id, rows in rows_by_stage.items():
        known = pa.concat_tables([rows.slice(0, 0), *kept.values()])
        fresh = _without(rows, known)
        if fresh.num_rows:
            before = kept.get(stage_id, rows.slice(0, 0))
            kept[stage_id] = pa.concat_tables([before, fresh]).combine_chunks()
            lake.write_parquet(paths.late(dataset, session, stage_id), kept[stage_id])
    return sum(table.num_rows for table in kept.values())


def waiting(lake: Lake, dataset: str, session: date) -> pa.Table:
    """Return all late rows of a session that wait in quarantine, with the quarantine's schema."""
    return pa.concat_tables([quarantine_schema(dataset).empty_table(), *_by_stage(lake, dataset, session).values()])


def _by_stage(lake: Lake, dataset: str, session: date) -> dict[str, pa.Table]:
    """Return the late rows that wait, by stage."""
    ending = paths.late(dataset, session, "").name
    found = {}
    for entry in lake.storage.list(paths.late(dataset, session, "").parent):
        if entry.key.name.endswith(ending):
            table = lake.read_parquet(entry.key)
            if table is not None:
                found[entry.key.name.removesuffix(ending)] = table.replace_schema_metadata(None)
    return found


def _without(rows: pa.Table, known: pa.Table) -> pa.Table:
    """Return the rows that are not among the known ones, all columns compared, nulls equal, in their order."""
    marked = [table.append_column(_IS_FRESH, pa.repeat(fresh, len(table))) for table, fresh in ((known, 0), (rows, 1))]
    distinct = pa.concat_tables(marked).group_by(rows.column_names, use_threads=False).aggregate([(_IS_FRESH, "min")])
    fresh = distinct.filter(pc.equal(distinct[f"{_IS_FRESH}_min"], 1))
    return fresh.select(rows.column_names).cast(rows.schema)
