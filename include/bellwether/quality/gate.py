"""The Arrow gate: judges a batch of rows in well under a millisecond per ticker-day, before it is staged.

It must not import pandas or Great Expectations: it runs in every fetch task. Its verdicts on rows equal
those of the dataset's suite, `suites/*.json`, which judges the whole session later.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.quality.prepare import any_of, column_of, neighbours, normalise, schema_errors, spell_reasons
from bellwether.quality.reasons import RowReason, WarningName
from bellwether.quality.rules import RULES
from bellwether.schemas import FORMS

if TYPE_CHECKING:
    from bellwether.calendar import SessionHours


@dataclass(frozen=True)
class GateReport:
    """What the gate found in one batch.

    Attributes
    ----------
    errors
        Table errors, in words: the columns are not the schema's. Nothing else was checked then, and the
        batch must not be staged.
    warnings
        Count per warning of the dataset, over the good rows. Sums over the batches of a
        session (each ticker in one batch) are the session's counts.
    duplicates_dropped
        Identical rows left out of `table`.
    table
        All other rows, good and bad, sorted by key, in the staged schema (all columns nullable).
    reasons
        One entry per row of `table`: why it is bad, several joined by ", "; null for a good row.
    """

    errors: list[str]
    warnings: dict[str, int]
    duplicates_dropped: int
    table: pa.Table
    reasons: pa.Array

    @property
    def bad_rows(self) -> int:
        """How many rows of `table` are bad."""
        return int(len(self.reasons) - self.reasons.null_count)


def check_batch(table: pa.Table, session_hours: "SessionHours", dataset: str) -> GateReport:
    """Judge the rows of one batch.

    Parameters
    ----------
    table
        Rows of one or many subjects of one session, any order.
    session_hours
        Bounds of the session.
    dataset
        Name of the dataset; its schema and its rules are demanded.

    Raises
    ------
    ConfigError
        There is no such dataset.
    """
    errors = schema_errors(table, dataset)
    if errors:
        return GateReport(errors, {}, 0, table, pa.nulls(len(table), pa.string()))
    rules = RULES[dataset]
    table, dropped = normalise(table, dataset)
    columns = {name: column_of(table, name) for name in table.column_names}
    key = [columns[name] for name in FORMS[dataset].key]
    broken: dict[str, pa.Array] = {
        **rules.broken(columns, session_hours),
        RowReason.NULL_KEY: any_of(*(column.is_null() for column in key)),
        RowReason.CONFLICTING_ROWS: _repeats_a_key(key),
    }
    reasons = spell_reasons(broken, len(table))
    good = table.filter(reasons.is_null()) if reasons.null_count < len(table) else table
    found = rules.warnings({name: column_of(good, name) for name in good.column_names}, session_hours)
    warnings = {str(name): pc.sum(mask).as_py() or 0 for name, mask in found.items()}
    warnings |= rules.counts(table, good, session_hours)
    return GateReport([], warnings | {WarningName.DUPLICATES_DROPPED.value: dropped}, dropped, table, reasons)


def _repeats_a_key(key: "list[pa.Array]") -> pa.Array:
    """Return which rows share their key with a neighbour; the table is sorted, and two nulls are the same key."""
    same = _equals_next(key[0])
    for column in key[1:]:
        same = pc.and_(same, _equals_next(column))
    no_row = pa.array([False] if len(key[0]) else [], pa.bool_())
    return pc.or_(pa.concat_arrays([no_row, same]), pa.concat_arrays([same, no_row]))


def _equals_next(values: pa.Array) -> pa.Array:
    here, following = neighbours(values)
    return any_of(pc.equal(here, following), pc.and_(here.is_null(), following.is_null()))
