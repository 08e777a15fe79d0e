"""A session's values against those of the trailing sessions: how many are null, in which unit, how large.

Medians are compared subject by subject, so that another universe is no drift, and against what truly moves with them,
so that a busy day is none. Pure: tables and summaries in, findings out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import log10
from statistics import median
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.config.contracts import Contract, FieldContract
from bellwether.drift.change import Change, Kind
from bellwether.tickers import WHOLE

TRAILING: Final = 20
"""Sessions that a session is compared with."""

_LEAST_SESSIONS = 3
_LEAST_ROWS = 20
_LEAST_VALUES = 3
_SPREADS = 3.0
"""How many times further than the trailing sessions ever were from their middle a session has to be."""

_HALF = 0.5
_MOST_DECADES = 15
"""Units are not further apart than that."""

_SUBJECTS: Final = {
    **dict.fromkeys(("equities", "indices", "options"), "ticker"),
    **dict.fromkeys(("contracts", "options_snapshot"), "underlying"),
    "rates": "tenor_months",
}
"""By which column values are compared with their like; elsewhere all rows of a session together."""


class Summary(msgspec.Struct, frozen=True):
    """What is kept of a published session, to compare later ones with.

    Attributes
    ----------
    revision
        Of the partition it was made from.
    rows
        By subject.
    nulls
        Rows without a value, by column and subject; a subject that has all is not there.
    medians
        Of all values but 0, without their sign; by column and subject.
    """

    revision: str
    rows: dict[str, int]
    nulls: dict[str, dict[str, int]]
    medians: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Finding:
    """A change, with what shows it."""

    change: Change
    evidence: str


def summarise(dataset: str, table: pa.Table, columns: Sequence[str], revision: str) -> Summary:
    """Return the summary of some columns of a session's rows."""
    by_subject = pa.table({"subject": _subjects(dataset, table)})
    rows = _by_subject(by_subject.group_by("subject", use_threads=False).aggregate([([], "count_all")]), "count_all")
    nulls: dict[str, dict[str, int]] = {}
    medians: dict[str, dict[str, float]] = {}
    for name in columns:
        columned = by_subject.append_column("size", _sizes_of(table[name])).append_column("value", table[name])
        found = columned.group_by("subject", use_threads=False).aggregate(
            [
                ("size", "approximate_median"),
                ("size", "count"),
                ("value", "count", pc.CountOptions(mode="only_null")),
            ]
        )
        medians[name] = _by_subject(
            found.filter(pc.greater_equal(found["size_count"], _LEAST_VALUES)), "size_approximate_median"
        )
        nulls[name] = _by_subject(found.filter(pc.greater(found["value_count"], 0)), "value_count")
    return Summary(revision, rows, nulls, medians)


def _sizes_of(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values without their sign; null for 0, and for what has no size."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    elif not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        return pa.chunked_array([pa.nulls(len(values), pa.float64())])
    sizes = pc.abs(values.cast(pa.float64(), safe=False))
    is_size = pc.and_(pc.greater(sizes, 0.0), pc.is_finite(sizes))
    return pc.if_else(is_size, sizes, pa.scalar(None, pa.float64()))


def _by_subject(table: pa.Table, column: str) -> dict[str, Any]:
    return dict(zip(table["subject"].to_pylist(), table[column].to_pylist(), strict=True))


def compared_columns(contract: Contract) -> list[str]:
    """Return the columns whose values are compared."""
    return list(dict.fromkeys(field.column for field in contract.fields.values() if field.column is not None))


def findings(
    dataset: str,
    contract: Contract,
    today: Summary,
    trailing: Mapping[date, Summary],
    left_out: frozenset[str] = frozenset(),
) -> list[Finding]:
    """Return how a session's values differ from those of the trailing sessions.

    Parameters
    ----------
    dataset, contract
        Whose values, and their tolerances.
    today
        The session's summary.
    trailing
        Those of the sessions before it.
    left_out
        Subjects that say nothing: a split changed their prices. Those that look like it are left out, too.
    """
    found = []
    left_out |= _as_after_a_split(contract, today, list(trailing.values()))
    judged: set[str] = set()
    for name, field in contract.fields.items():
        if field.column in judged:
            continue  # another field becomes the same column, and shares its unit
        if field.column is not None:
            judged.add(field.column)
        since = field.compared_since or date.min
        before = [summary for session, summary in trailing.items() if session >= since]
        if field.column is None or len(before) < _LEAST_SESSIONS or sum(today.rows.values()) < _LEAST_ROWS:
            continue
        other = contract.fields[field.moves_with].column if field.moves_with else None
        compared = [
            _nulls(dataset, name, field, today, before),
            _sizes(dataset, name, field, other, today, before, left_out),
        ]
        found += [finding for finding in compared if finding is not None]
    return found


def _as_after_a_split(contract: Contract, today: Summary, before: Sequence[Summary]) -> frozenset[str]:
    """Return the subjects whose volume rose as their price fell, or the other way: no change of one unit does that."""
    price, volume = "close", "volume"
    if not {price, volume} <= {*compared_columns(contract)}:
        return frozenset()
    found = set()
    for subject in today.medians.get(price, {}).keys() & today.medians.get(volume, {}).keys():
        moves = [_distance(subject, column, None, today, before) for column in (price, volume)]
        sizes = [move[0] for move in moves if move is not None and round(move[0])]
        if len(sizes) == 2 and abs(sum(sizes)) <= _HALF:
            found.add(subject)
    return frozenset(found)


def _nulls(dataset: str, name: str, field: FieldContract, today: Summary, before: Sequence[Summary]) -> Finding | None:
    column = field.column or name
    # Of the same subjects: one that never has the value, fetched again alone, is no jump.
    subjects = today.rows.keys() & {subject for summary in before for subject in summary.rows}
    now, *then = (_null_share(summary, column, subjects) for summary in (today, *before))
    usual = median(then)
    if now <= max(usual + field.tolerance.null_share, field.tolerance.nulls):
        return None
    evidence = f"a share of {now:.2f} of the rows has no {column}; usual is one of {usual:.2f}"
    return Finding(Change(dataset, name, Kind.NULLS, f"{now:.2f}"), evidence)


def _null_share(summary: Summary, column: str, subjects: Collection[str]) -> float:
    rows = sum(summary.rows.get(subject, 0) for subject in subjects)
    nulls = sum(summary.nulls.get(column, {}).get(subject, 0) for subject in subjects)
    return nulls / rows if rows else 0.0


def _sizes(
    dataset: str,
    name: str,
    field: FieldContract,
    other: str | None,
    today: Summary,
    before: Sequence[Summary],
    left_out: frozenset[str],
) -> Finding | None:
    column = field.column or name
    moves = [
        _move(subject, column, other, today, before) for subject in today.medians.get(column, {}).keys() - left_out
    ]
    known = [move for move in moves if move is not None]
    if not known:
        return None
    tolerance = field.tolerance
    decades = [
        round(size) if far and abs(size - round(size)) <= tolerance.unit_decades and abs(size) < _MOST_DECADES else 0
        for size, far in known
    ]
    commonest = max(sorted(set(decades)), key=decades.count)
    typical = median(size for size, _ in known)
    if commonest and decades.count(commonest) * 2 >= len(decades):
        evidence = (
            f"{column} of {decades.count(commonest)} of {len(decades)} subjects is 10^{commonest} times the usual"
        )
        return Finding(Change(dataset, name, Kind.RESCALED, f"{10.0**-commonest:g}"), evidence)
    if abs(typical) > tolerance.shift_decades and sum(far for _, far in known) * 2 >= len(known):
        times = f"{10.0 ** max(-_MOST_DECADES, min(typical, _MOST_DECADES)):.3g}"
        evidence = f"the median of {column} of {len(known)} subjects is {times} times the usual"
        return Finding(Change(dataset, name, Kind.MOVED, times), evidence)
    return None


def _move(
    subject: str, column: str, other: str | None, today: Summary, before: Sequence[Summary]
) -> tuple[float, bool] | None:
    """Return by how many decades a subject's median moved, and whether further than it ever was from its middle.

    Where another column is known to move with it, the ratio of both must have moved as much, give or take a half; else
    it is the other one that moved, or the day that was busy. What is nearer to whole decades speaks for both.
    """
    alone = _distance(subject, column, None, today, before)
    ratio = alone if other is None else _distance(subject, column, other, today, before)
    if alone is None or ratio is None:
        return alone
    if abs(alone[0] - ratio[0]) > _HALF:
        return 0.0, False
    return min(alone, ratio, key=lambda move: abs(move[0] - round(move[0])))


def _distance(
    subject: str, column: str, other: str | None, today: Summary, before: Sequence[Summary]
) -> tuple[float, bool] | None:
    now, then = _decades(today, subject, column, other), [_decades(each, subject, column, other) for each in before]
    usual = [size for size in then if size is not None]
    if now is None or len(usual) < _LEAST_SESSIONS:
        return None
    middle = median(usual)
    spread = max(abs(size - middle) for size in usual)
    return now - middle, abs(now - middle) > _SPREADS * spread


def _decades(summary: Summary, subject: str, column: str, other: str | None) -> float | None:
    size = summary.medians.get(column, {}).get(subject)
    by = 1.0 if other is None else summary.medians.get(other, {}).get(subject)
    return None if size is None or by is None else log10(size) - log10(by)


def _subjects(dataset: str, table: pa.Table) -> pa.Array:
    """Return of each row whose values are alike from session to session; contracts come and go, underlyings stay."""
    column = _SUBJECTS.get(dataset)
    if column is None:
        return pa.repeat(WHOLE, len(table))
    if dataset == "options":
        return pc.replace_substring_regex(table[column], r"^O:(.+)\d{6}[CP]\d{8}$", r"\1")
    return table[column].cast(pa.string())


def subject_columns(dataset: str) -> tuple[str, ...]:
    """Return the column that tells subjects apart; none where all rows are of one."""
    return (_SUBJECTS[dataset],) if dataset in _SUBJECTS else ()
