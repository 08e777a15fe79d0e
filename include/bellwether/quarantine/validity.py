"""Whether a refused row could be published now: judged again, by today's rules of its dataset.

What was decided about is set aside: that a row came late, and, of rows that contradict each other, that one of them is
chosen. Nothing else is: nobody can release a bar whose high is below its low.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.drift.change import Kind
from bellwether.drift.ledger import Known, known_changes
from bellwether.errors import Drifted
from bellwether.lake import Coverage, Lake, Manifest
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import column_of, schema_of, staged_schema
from bellwether.quality.reasons import RowReason
from bellwether.quarantine.identity import digests
from bellwether.quarantine.standing import Row
from bellwether.schemas import FORMS

_HELD: Final = f"{Drifted.__name__}: "
_TELLING: Final = frozenset({Coverage.COMPLETE, Coverage.PARTIAL, Coverage.EMPTY, Coverage.QUARANTINED})


def why_invalid(lake: Lake, dataset: str, session: date, rows: Sequence[Row]) -> dict[str, str]:
    """Return of rows of one session that cannot be published together why they cannot, by digest.

    Raises
    ------
    LakeError
        The partition, or a record of drift, is damaged.
    """
    manifest = lake.manifest(dataset, session)
    if manifest is None:
        why = f"nothing of {dataset} {session} is published that it could be added to; fetch the session first"
        return dict.fromkeys((row.digest for row in rows), why)
    broken = _broken(dataset, session, rows)
    held = {row.digest for row in rows if any(each.startswith(_HELD) for each in row.reasons)}
    changes = known_changes(lake, [session]) if held else []
    found: dict[str, str] = {}
    for row in rows:
        why = broken.get(row.digest) or _why_a_stranger(row, manifest)
        if not why and row.digest in held:
            why = _why_drifted(row, changes)
        if why:
            found[row.digest] = why
    return found


def as_table(dataset: str, rows: Sequence[Row]) -> pa.Table:
    """Return rows in the staged schema of their dataset."""
    names = schema_of(dataset).names
    files: dict[int, list[int]] = {}
    for position, row in enumerate(rows):
        files.setdefault(id(row.rows), []).append(position)
    tables = [
        rows[positions[0]].rows.select(names).take(pa.array([rows[position].place for position in positions]))
        for positions in files.values()
    ]
    found = pa.concat_tables([staged_schema(dataset).empty_table(), *tables])
    stands_at = {position: place for place, position in enumerate(p for each in files.values() for p in each)}
    return found.take(pa.array([stands_at[position] for position in range(len(rows))], pa.int64())).combine_chunks()


def _broken(dataset: str, session: date, rows: Sequence[Row]) -> dict[str, str]:
    """Return the rules that rows break, by digest."""
    table = as_table(dataset, rows)
    if FORMS[dataset].keeps_versions:  # each is another version, whatever number it had in its answer
        place = table.schema.get_field_index("version")
        numbers = pa.array(range(1, len(table) + 1), table.schema.field(place).type)
        table = table.set_column(place, table.schema.field(place), numbers)
    report = check_batch(table, get_calendar().hours(session), dataset)
    judged = digests(report.table, dataset, session)
    found = {
        digest: f"still invalid: {reason}"
        for digest, reason in zip(judged, report.reasons.to_pylist(), strict=True)
        if reason is not None
    }
    conflict = f"still invalid: {RowReason.CONFLICTING_ROWS}"
    for field in schema_of(dataset):
        if field.nullable:
            continue
        lacking = pc.filter(pa.array(judged), column_of(report.table, field.name).is_null()).to_pylist()
        found = dict.fromkeys(lacking, f"still invalid: null {field.name}") | found
    return {
        digest: f"{why} (they are of one key: release one of them)" if why == conflict else why
        for digest, why in found.items()
    }


def _why_a_stranger(row: Row, manifest: Manifest) -> str:
    if row.subject is None:
        return "still invalid: it does not say whose it is"
    known = manifest.coverage.get(row.subject)
    if known is None or known.state not in _TELLING:
        state = "nothing" if known is None else known.state.value
        return f"{row.subject} is {state} on {row.session}: its other rows come first; fetch it again"
    return ""


def _why_drifted(row: Row, changes: Sequence[Known]) -> str:
    """Return why a row that was held back by drift is still held back; empty where people let it pass as it is."""
    concerned = [
        known
        for known in changes
        if known.change.dataset == row.dataset
        and any(str(seen.change) in reason for seen in known.sightings for reason in row.reasons)
    ]
    for known in concerned:
        if known.state != "approved":
            return f"held back by {known.change_id}, which is {known.state}: decide about that with `bellwether drift`"
        takes_as_it_is = known.decision is not None and known.decision.as_it_is
        if not takes_as_it_is and known.change.kind is not Kind.NULLS:
            return (
                f"{known.change_id} was approved, and its rows are read anew by that: "
                f"`bellwether replay-raw {row.dataset} --start {row.session} --end {row.session}`"
            )
    return "" if concerned else "held back by drift of which nothing is known any more; fetch the session again"
