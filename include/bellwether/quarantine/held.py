"""Valid rows that are not published: such that came too late, or in an answer that drift held back."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.lake import Lake, Manifest
from bellwether.quality.reasons import RowReason, WarningName
from bellwether.quarantine.identity import digests, joined, key_in
from bellwether.quarantine.standing import Selection, State, standing
from bellwether.quarantine.validity import as_table
from bellwether.schemas import FORMS


def late_waiting(lake: Lake, manifest: Manifest | None) -> int:
    """Return how many rows of a session wait for somebody since they came too late.

    Of a stream, about which nobody decides, those that its last compaction found.

    Raises
    ------
    LakeError
        A file of the quarantine, or the partition, is damaged.
    """
    came = manifest.warnings.get(WarningName.LATE_ROWS.value, 0) if manifest else 0
    if manifest is None or not came or manifest.dataset not in FORMS:
        return came
    rows = standing(lake, manifest.dataset, manifest.session, Selection(rule=RowReason.LATE))
    return sum(row.state in {State.OPEN, State.UNFINISHED} for row in rows)


def without_held(lake: Lake, dataset: str, session: date, rows: pa.Table) -> pa.Table:
    """Return what raw answers come to without the valid rows that are kept out of what is published.

    Parameters
    ----------
    rows
        In the dataset's schema.

    Raises
    ------
    LakeError
        A file of the quarantine, or the partition, is damaged.
    """
    held = [
        row
        for row in standing(lake, dataset, session)
        if row.state in {State.OPEN, State.DISCARDED}
        and any(reason == RowReason.LATE or reason not in RowReason for reason in row.reasons)
    ]
    if not held:
        return rows
    if not FORMS[dataset].keeps_versions:
        stays_out = {row.digest for row in held}
        return rows.filter(
            pa.array([digest not in stays_out for digest in digests(rows, dataset, session)], pa.bool_())
        )
    # A version is what it is whatever an extractor makes of its text.
    version = key_in(dataset)
    published = lake.partition(dataset, session, version)
    out = joined(as_table(dataset, held), version)
    if published is not None:
        out = out.filter(pc.invert(pc.is_in(out, value_set=joined(published.table, version))))
    return rows.filter(pc.invert(pc.is_in(joined(rows, version), value_set=out)))
