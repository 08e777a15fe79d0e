"""What people decided about refused rows, for whoever captures, replays or verifies the session afterwards.

A released row stays in: it is taken out of the refused ones of the same values, and stands among the rows of its
subject until a newer answer has a valid row of its key. A discarded one stays out, as a refused row does. Which
released rows are in, and which decisions were taken into account, the manifest says: not clocks.
"""

from collections.abc import Mapping
from itertools import compress

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from bellwether.lake import Coverage, TickerCoverage
from bellwether.lake.manifest import Releases
from bellwether.quality.prepare import REASON_COLUMN, schema_of
from bellwether.quarantine.decisions import DecidedRow, Log, Released
from bellwether.quarantine.identity import digests, joined, key_in
from bellwether.schemas import FORMS
from bellwether.tickers import WHOLE

_READ = frozenset({Coverage.COMPLETE, Coverage.PARTIAL, Coverage.EMPTY})


def let_pass(
    log: Log, good: pa.Table, quarantined: pa.Table, before: Mapping[str, TickerCoverage]
) -> tuple[pa.Table, pa.Table]:
    """Return good and refused rows with those among the good that people let pass.

    Parameters
    ----------
    good, quarantined
        As the suite split a session; the first in the dataset's schema, the second in its quarantine schema.
    before
        What is in force.
    """
    if not quarantined.num_rows or not log.entries:
        return good, quarantined
    dataset = log.dataset
    numbered = zip(log.released.rows, log.released.numbers, strict=True)
    released = {row.digest for row, number in numbered if _is_in(row, number, dataset, before.get(_subject(row)))}
    is_released = pa.array([digest in released for digest in digests(quarantined, dataset, log.session)], pa.bool_())
    passing = quarantined.filter(is_released)
    if not passing.num_rows:
        return good, quarantined
    stays = pc.invert(pc.is_in(joined(good, key_in(dataset)), value_set=joined(passing, key_in(dataset))))
    rows = passing.drop_columns([REASON_COLUMN]).cast(schema_of(dataset))
    return pa.concat_tables([good.filter(stays), rows]), quarantined.filter(pc.invert(is_released))


def with_released(
    log: Log, rows: pa.Table, coverage: Mapping[str, TickerCoverage], before: Mapping[str, TickerCoverage]
) -> tuple[pa.Table, dict[str, TickerCoverage]]:
    """Return the rows of some subjects with what people let pass, and what is known of the subjects then.

    A released row comes in once, by the first publication after its decision, and stays as long as it is published:
    what a newer answer replaced does not come back when a later one lacks it.

    Parameters
    ----------
    rows
        All of these subjects, in the dataset's schema, in any order.
    coverage
        Of these subjects, by whom; a row released of another is passed over.
    before
        What is in force, whose `released` says which rows are in.
    """
    dataset, found = log.dataset, dict(coverage)
    keeps_versions = FORMS[dataset].keeps_versions
    if not log.entries:
        return rows, found
    due = _due(log.released, coverage)
    others, rows = _split(rows, dataset, {_subject(row) for row in due.rows})
    has = {key: place for place, key in enumerate(joined(rows, key_in(dataset)).to_pylist())}
    digest_at = digests(rows, dataset, log.session)
    gone: set[int] = set()
    coming: list[int] = []
    became = {subject: _Became(before.get(subject)) for subject in coverage}
    keys = joined(due.table, key_in(dataset)).to_pylist()
    for number, (row, key, entry) in enumerate(zip(due.rows, keys, due.numbers, strict=True)):
        place, subject = has.get(key), _subject(row)
        known, was = found[subject], before.get(subject)
        stands = place is not None and digest_at[place] == row.digest
        is_same = was is not None and was.fetched_utc == known.fetched_utc
        is_beside = stands and is_same and row.digest in _beside(was)
        if stands and keeps_versions:
            coming.append(number)  # whoever merges versions takes it from when it was first seen
        speaks = place is None or _speaks_for(row, known)
        if not stands and speaks and _is_in(row, entry, dataset, was):
            replaced = "" if place is None else digest_at[place]
            gone.update([] if place is None else [place])
            coming.append(number)
            stands, is_beside = True, not _came_in(row, known)
            # Of two rows of an answer that contradict each other the one that was let pass is a refused one again.
            is_refused = replaced in _within(was) and (not is_beside or _came_in(log.rows.get(replaced), known))
            is_added = place is None
            found[subject] = _after_release(known, is_counted=not is_beside, is_refused=is_refused, is_added=is_added)
        # Of versions all answers together are the proof.
        became[subject].note(row.digest, entry, stands=stands, is_beside=is_beside and not keeps_versions)
    stays = pa.array([place not in gone for place in range(rows.num_rows)], pa.bool_())
    added = due.table.take(pa.array(coming, pa.int64())).drop_columns([REASON_COLUMN])
    tables = [each.cast(schema_of(dataset)) for each in (others, rows.filter(stays), added)]
    told = {subject: structs.replace(known, released=became[subject].told) for subject, known in found.items()}
    return pa.concat_tables(tables), told


class _Became:
    """What became of the rows that were released of a subject."""

    def __init__(self, before: TickerCoverage | None) -> None:
        self._regarded = before.released.regarded if before is not None and before.released is not None else 0
        self._rows: list[str] = []
        self._beside: list[str] = []

    def note(self, digest: str, entry: int, *, stands: bool, is_beside: bool) -> None:
        """Take a row into account, by the number of its decision."""
        self._regarded = max(self._regarded, entry)
        self._rows += [digest] * stands
        self._beside += [digest] * is_beside

    @property
    def told(self) -> Releases | None:
        """For the manifest."""
        if not self._regarded:
            return None
        return Releases(self._regarded, frozenset(self._rows), frozenset(self._beside))


def _is_in(row: DecidedRow, entry: int, dataset: str, before: TickerCoverage | None) -> bool:
    """Return whether a released row is published now, or is to be since it was decided about."""
    if before is not None and before.released is not None and entry <= before.released.regarded:
        return row.digest in before.released.rows
    # A newer answer may have come between the last look at what is published and the decision.
    if before is None or FORMS[dataset].keeps_versions:
        return True
    is_told = before.state.is_proven or before.state is Coverage.QUARANTINED
    return not is_told or _speaks_for(row, before)


def _due(released: Released, coverage: Mapping[str, TickerCoverage]) -> Released:
    """Return those of subjects that are told of and whose answer was read, or held back with the row in it."""
    is_due = [_is_due(row, coverage.get(_subject(row))) for row in released.rows]
    rows = tuple(compress(released.rows, is_due))
    return Released(
        released.table.filter(pa.array(is_due, pa.bool_())), rows, tuple(compress(released.numbers, is_due))
    )


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


def _beside(known: TickerCoverage | None) -> frozenset[str]:
    """Return the released rows of a subject that another answer is the proof of than the published one."""
    return known.released.beside if known is not None and known.released is not None else frozenset()


def _within(known: TickerCoverage | None) -> frozenset[str]:
    """Return the released rows of a subject that the published answer has, too."""
    if known is None or known.released is None:
        return frozenset()
    return known.released.rows - known.released.beside


def _came_in(row: DecidedRow | None, known: TickerCoverage) -> bool:
    """Return whether a row is one of those that were refused of the answer that is published."""
    return row is not None and known.fetched_utc in row.seen_utc


def _after_release(known: TickerCoverage, *, is_counted: bool, is_refused: bool, is_added: bool) -> TickerCoverage:
    """Return what is known of a subject once a released row is in.

    Parameters
    ----------
    is_counted
        It is one of the refused rows of the answer that is published.
    is_refused
        The row in whose place it is becomes one of them.
    is_added
        There was none.
    """
    left = known.quarantined_rows - (known.quarantined_rows > 0 and is_counted) + is_refused
    return structs.replace(
        known,
        state=Coverage.PARTIAL if left else Coverage.COMPLETE,
        rows=known.rows + is_added,
        quarantined_rows=left,
        reason=f"{left} rows in quarantine" if left else "",
    )
