"""What people decided about refused rows, for whoever captures, replays or verifies the session afterwards.

A released row stays in: it is taken out of the refused ones of the same values, and stands among the rows of its
subject unless a newer answer has a valid row of its key. A discarded one stays out, as a refused row does.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from bellwether.lake import Coverage, Lake, TickerCoverage
from bellwether.quality.prepare import REASON_COLUMN, schema_of
from bellwether.quarantine.decisions import DecidedRow, Log, Released, read_log
from bellwether.quarantine.identity import digests, joined, key_in
from bellwether.schemas import FORMS
from bellwether.tickers import WHOLE

_READ = frozenset({Coverage.COMPLETE, Coverage.PARTIAL, Coverage.EMPTY})


def let_pass(
    lake: Lake, dataset: str, session: date, good: pa.Table, quarantined: pa.Table
) -> tuple[pa.Table, pa.Table]:
    """Return good and refused rows with those among the good that people let pass.

    Parameters
    ----------
    good, quarantined
        As the suite split a session; the first in the dataset's schema, the second in its quarantine schema.
    """
    if not quarantined.num_rows or not (log := read_log(lake, dataset, session)).entries:
        return good, quarantined
    released = {row.digest for row in log.released.rows}
    is_released = pa.array([digest in released for digest in digests(quarantined, dataset, session)], pa.bool_())
    passing = quarantined.filter(is_released)
    if not passing.num_rows:
        return good, quarantined
    stays = pc.invert(pc.is_in(joined(good, key_in(dataset)), value_set=joined(passing, key_in(dataset))))
    rows = passing.drop_columns([REASON_COLUMN]).cast(schema_of(dataset))
    return pa.concat_tables([good.filter(stays), rows]), quarantined.filter(pc.invert(is_released))


def with_released(
    log: Log, rows: pa.Table, coverage: Mapping[str, TickerCoverage]
) -> tuple[pa.Table, dict[str, TickerCoverage]]:
    """Return the rows of some subjects with what people let pass, and what is known of the subjects then.

    Parameters
    ----------
    rows
        All of these subjects, in the dataset's schema, in any order.
    coverage
        Of these subjects, by whom; a row released of another is passed over.
    """
    dataset, found = log.dataset, dict(coverage)
    due = _due(log.released, coverage)
    if not due.rows:
        return rows, found
    others, rows = _split(rows, dataset, {_subject(row) for row in due.rows})
    has = {key: place for place, key in enumerate(joined(rows, key_in(dataset)).to_pylist())}
    known = digests(rows, dataset, log.session)
    gone: set[int] = set()
    coming: list[int] = []
    for number, (row, key) in enumerate(zip(due.rows, joined(due.table, key_in(dataset)).to_pylist(), strict=True)):
        place, subject = has.get(key), _subject(row)
        if place is not None and (known[place] == row.digest or not _speaks_for(row, coverage[subject])):
            continue
        gone.update([] if place is None else [place])
        coming.append(number)
        found[subject] = _after_release(found[subject], row, is_added=place is None)
    stays = pa.array([place not in gone for place in range(rows.num_rows)], pa.bool_())
    added = due.table.take(pa.array(coming, pa.int64())).drop_columns([REASON_COLUMN])
    schema = schema_of(dataset)
    return pa.concat_tables([each.cast(schema) for each in (others, rows.filter(stays), added)]), found


def added_beside(lake: Lake, dataset: str, session: date, coverage: Mapping[str, TickerCoverage]) -> Counter[str]:
    """Return of how many rows of each subject another answer is the proof than the one that is published."""
    log = read_log(lake, dataset, session)
    due = _due(log.released, coverage)
    return Counter(_subject(row) for row in due.rows if coverage[_subject(row)].fetched_utc not in row.seen_utc)


def _due(released: Released, coverage: Mapping[str, TickerCoverage]) -> Released:
    """Return those of subjects that are told of and whose answer was read, or held back with the row in it."""
    is_due = [_is_due(row, coverage.get(_subject(row))) for row in released.rows]
    rows = tuple(row for row, due in zip(released.rows, is_due, strict=True) if due)
    return Released(released.table.filter(pa.array(is_due, pa.bool_())), rows)


def _is_due(row: DecidedRow, known: TickerCoverage | None) -> bool:
    if known is None:
        return False
    is_of_it = known.state is Coverage.QUARANTINED and known.fetched_utc in row.seen_utc
    return known.state in _READ or is_of_it


def _split(table: pa.Table, dataset: str, subjects: set[str]) -> tuple[pa.Table, pa.Table]:
    """Return the rows of all other subjects, and those of these."""
    subject = FORMS[dataset].subject
    if subject is None:
        return table.slice(0, 0), table
    is_of_these = pc.is_in(table[subject], value_set=pa.array(sorted(subjects), pa.string()))
    return table.filter(pc.invert(is_of_these)), table.filter(is_of_these)


def _subject(row: DecidedRow) -> str:
    return row.subject if row.subject is not None else WHOLE


def _speaks_for(row: DecidedRow, known: TickerCoverage) -> bool:
    """Return whether a row was let pass out of the answer that is published, or out of a newer one."""
    return row.origin.fetched_utc is None or known.fetched_utc is None or row.origin.fetched_utc >= known.fetched_utc


def _after_release(known: TickerCoverage, row: DecidedRow, *, is_added: bool) -> TickerCoverage:
    is_counted = known.fetched_utc in row.seen_utc and known.quarantined_rows > 0
    left = known.quarantined_rows - is_counted
    return structs.replace(
        known,
        state=Coverage.PARTIAL if left else Coverage.COMPLETE,
        rows=known.rows + is_added,
        quarantined_rows=left,
        reason=f"{left} rows in quarantine" if left else "",
    )
