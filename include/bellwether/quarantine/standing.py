"""How the refused rows of a session stand: which wait for somebody, which do not any more, and why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.errors import QuarantineError
from bellwether.lake import Coverage, Lake, Manifest, TickerCoverage
from bellwether.quality.prepare import REASON_COLUMN
from bellwether.quality.reasons import RowReason
from bellwether.quarantine.decisions import Action, Entry, Log, read_log
from bellwether.quarantine.identity import digests, keys_in_words, parse_row_id, row_id
from bellwether.quarantine.kept import KeptFile, Origin, kept_sessions, read_kept, subjects_of
from bellwether.schemas import FORMS

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class State(StrEnum):
    """How a refused row stands.

    `open`: it waits for somebody. `settled`: nobody has to decide, since a newer answer took the place of the one it
    came in, or is published with it. `unfinished`: it was released and is not published yet; releasing it again
    finishes that. `replaced`: it was released, and then another row of its key.
    """

    OPEN = "open"
    RELEASED = "released"
    UNFINISHED = "unfinished"
    REPLACED = "replaced"
    DISCARDED = "discarded"
    SETTLED = "settled"


@dataclass(frozen=True, eq=False)
class Row:
    """A refused row.

    Attributes
    ----------
    row_id
        By which people name it; the same in every listing.
    subject
        Whose it is; None where it does not say.
    key
        In words.
    reasons
        The rules it broke, or why it was held back.
    origin
        The newest answer it came in.
    seen_utc
        When each answer was asked for that it came in, ascending.
    decision
        The decision in force about it.
    ticker
        The ticker in it, where its dataset has them.
    rows, place
        Where its values stand.
    """

    row_id: str
    digest: str
    dataset: str
    session: date
    subject: str | None
    key: str
    reasons: tuple[str, ...]
    state: State
    origin: Origin
    seen_utc: tuple[datetime, ...]
    quarantined_utc: datetime
    decision: Entry | None
    ticker: str | None
    rows: pa.Table
    place: int

    @property
    def values(self) -> dict[str, Any]:
        """Its values, by column."""
        found: dict[str, Any] = self.rows.slice(self.place, 1).to_pylist()[0]
        found.pop(REASON_COLUMN)
        return found


@dataclass(frozen=True)
class Selection:
    """Which refused rows are meant.

    Attributes
    ----------
    datasets
        Of these; none: of all.
    start, end
        Of the sessions from one day to another.
    tickers
        Of these subjects.
    rule
        That broke this rule, or whose reason begins so.
    rows
        These, by their ids; then nothing else need be said.
    """

    datasets: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None
    tickers: tuple[str, ...] = ()
    rule: str = ""
    rows: tuple[str, ...] = ()

    def has(self, row: Row) -> bool:
        """Return whether a row of a session looked at is meant."""
        if self.rows and row.row_id not in self.rows:
            return False
        if self.tickers and row.subject not in self.tickers and row.ticker not in self.tickers:
            return False
        return not self.rule or any(each == self.rule or each.startswith(f"{self.rule}:") for each in row.reasons)


def find(lake: Lake, selection: Selection) -> list[Row]:
    """Return the rows that are meant, by dataset, session, and key.

    Raises
    ------
    QuarantineError
        An id names no row.
    LakeError
        A file of the quarantine, or a partition, is damaged.
    """
    found = [
        row for dataset, session in _looked_at(lake, selection) for row in standing(lake, dataset, session, selection)
    ]
    if lost := sorted(set(selection.rows) - {row.row_id for row in found}):
        msg = f"no such row in quarantine: {', '.join(lost)}; `bellwether quarantine list` shows those there are"
        raise QuarantineError(msg)
    return found


def _looked_at(lake: Lake, selection: Selection) -> list[tuple[str, date]]:
    if selection.rows:
        named = {text: parse_row_id(text) for text in selection.rows}
        if wrong := sorted(text for text, parsed in named.items() if parsed is None):
            msg = f"not the id of a row: {', '.join(wrong)}; one is like equities.2025-07-01.9f3c21aa07be"
            raise QuarantineError(msg)
        return sorted({parsed for parsed in named.values() if parsed})
    return [
        (dataset, session)
        for dataset in selection.datasets or sorted(FORMS)
        for session in kept_sessions(lake, dataset)
        if (selection.start or session) <= session <= (selection.end or session)
    ]


def standing(lake: Lake, dataset: str, session: date, selection: Selection = Selection()) -> list[Row]:
    """Return the refused rows of a session that are meant, in the order of their keys; each once, whoever refused it.

    Raises
    ------
    LakeError
        A file of the quarantine, or the partition, is damaged.
    """
    kept = [row for row in _once_each(read_kept(lake, dataset, session), dataset, session) if selection.has(row)]
    if not kept:
        return []
    log, manifest = read_log(lake, dataset, session), lake.manifest(dataset, session)
    published = _published_among(lake, dataset, session, [row.subject for row in kept])
    rows = [_judged(row, log, manifest, published=published) for row in kept]
    return sorted(rows, key=lambda row: (row.key, row.row_id))


def _once_each(files: Sequence[KeptFile], dataset: str, session: date) -> list[Row]:
    """Return each row as the newest file has it, and a version as it was first seen; not judged yet."""
    found: dict[str, Row] = {}
    keeps_versions = FORMS[dataset].keeps_versions
    for file in files:
        table = file.table
        has_ticker = "ticker" in table.column_names
        tickers: list[str | None] = table["ticker"].to_pylist() if has_ticker else [None] * table.num_rows
        described = zip(
            digests(table, dataset, session),
            subjects_of(table, dataset),
            keys_in_words(table, dataset),
            table[REASON_COLUMN].to_pylist(),
            tickers,
            strict=True,
        )
        for place, (digest, subject, key, reason, ticker) in enumerate(described):
            origin, before, rows, at = file.origin(subject), found.get(digest), table, place
            if before is not None and keeps_versions and _first_seen(before.rows, before.place) < _first_seen(rows, at):
                rows, at = before.rows, before.place
            seen_utc = {origin.fetched_utc, *(before.seen_utc if before else ())}
            if before is not None and _is_newer(before.origin, origin):
                origin = before.origin
            found[digest] = Row(
                row_id=row_id(dataset, session, digest),
                digest=digest,
                dataset=dataset,
                session=session,
                subject=subject,
                key=key,
                reasons=_split(reason),
                state=State.OPEN,
                origin=origin,
                seen_utc=tuple(sorted(each for each in seen_utc if each is not None)),
                quarantined_utc=file.record.quarantined_utc,
                decision=None,
                ticker=ticker,
                rows=rows,
                place=at,
            )
    return list(found.values())


def _first_seen(rows: pa.Table, place: int) -> datetime:
    first_seen_utc: datetime = rows["first_seen_utc"][place].as_py()
    return first_seen_utc


def _is_newer(one: Origin, other: Origin) -> bool:
    return one.fetched_utc is not None and (other.fetched_utc is None or one.fetched_utc > other.fetched_utc)


def _split(reason: str) -> tuple[str, ...]:
    """Return the reasons of a row; what holds back whole answers is a sentence, and one reason."""
    words = tuple(reason.split(", "))
    return words if all(word in RowReason for word in words) else (reason,)


def _published_among(lake: Lake, dataset: str, session: date, subjects: Collection[str | None]) -> frozenset[str]:
    """Return the digests of the published rows of some subjects."""
    current = lake.partition(dataset, session)
    if current is None:
        return frozenset()
    table, subject = current.table, FORMS[dataset].subject
    if subject is not None:
        named = pa.array(sorted({each for each in subjects if each is not None}), pa.string())
        table = table.filter(pc.is_in(table[subject], value_set=named))
    return frozenset(digests(table, dataset, session))


def _judged(row: Row, log: Log, manifest: Manifest | None, *, published: Collection[str]) -> Row:
    entry = log.in_force.get(row.digest)
    stands = row.digest in published
    is_over = stands or (manifest is not None and _is_overtaken(row, manifest))
    return replace(row, state=_state(row, entry, log, manifest, stands=stands, is_over=is_over), decision=entry)


def _state(row: Row, entry: Entry | None, log: Log, manifest: Manifest | None, *, stands: bool, is_over: bool) -> State:
    was_released = entry is not None and entry.decision.action is Action.RELEASED
    if was_released and stands:
        return State.RELEASED
    if is_over:
        return State.SETTLED
    if entry is None:
        return State.OPEN
    if not was_released:
        return State.DISCARDED
    if entry.number > _regarded(row, manifest):
        return State.UNFINISHED
    # What came again since, the people have not seen who let another row of its key pass.
    fetched_utc, seen_utc = row.origin.fetched_utc, log.seen_utc.get(row.key)
    has_come_again = fetched_utc is not None and seen_utc is not None and fetched_utc > seen_utc
    return State.OPEN if has_come_again else State.REPLACED


def _regarded(row: Row, manifest: Manifest | None) -> int:
    """Return the number of the last release of rows of its subject that what is published takes into account."""
    known = manifest.coverage.get(row.subject) if manifest and row.subject is not None else None
    return known.released.regarded if known and known.released else 0


def _is_overtaken(row: Row, manifest: Manifest) -> bool:
    """Return whether what is known of its subject comes of a newer answer, or of all rows of the same one."""
    is_late = RowReason.LATE in row.reasons
    if is_late and FORMS[row.dataset].keeps_versions:
        return False  # no version takes another's place
    known = manifest.coverage.get(row.subject) if row.subject is not None else _oldest(manifest)
    fetched_utc = row.origin.fetched_utc
    if known is None or known.fetched_utc is None or fetched_utc is None:
        return False
    if not known.state.is_proven and known.state is not Coverage.QUARANTINED:
        return False
    # What is published beside a late row is proven by the answer it came in, too.
    is_whole = known.state.is_proven and known.quarantined_rows == 0 and not is_late
    return known.fetched_utc > fetched_utc or (known.fetched_utc == fetched_utc and is_whole)


def _oldest(manifest: Manifest) -> TickerCoverage | None:
    """Return what is known of the subject that was asked for first: a row that names nobody may have been anybody's."""
    known = [each for each in manifest.coverage.values() if each.fetched_utc is not None]
    return min(known, key=lambda each: each.fetched_utc or _NEVER, default=None)
