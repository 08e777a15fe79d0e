"""The log of what people decided about refused rows: a file for each decision, numbered by dataset and session.

A file is created by compare-and-swap under the next number, after all before it were read: of two people who decide
about one row at once the second finds the first one's decision. Nothing in the log is ever changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.errors import LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import METADATA_KEY, encode
from bellwether.quality.prepare import quarantine_schema
from bellwether.quarantine.identity import joined, key_in
from bellwether.quarantine.kept import Origin


class Action(StrEnum):
    """What was decided: the rows are published, or stay out for good."""

    RELEASED = "released"
    DISCARDED = "discarded"


class DecidedRow(msgspec.Struct, frozen=True):
    """A row that was decided about.

    Attributes
    ----------
    digest
        Of its values: `bellwether.quarantine.identity`.
    key
        In words.
    subject
        Whose it is; None where it does not say.
    origin
        The newest answer it came in.
    seen_utc
        When each answer was asked for that it came in.
    """

    digest: str
    key: str
    subject: str | None
    origin: Origin
    seen_utc: tuple[datetime, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    """Who decided what, when, why, and about which rows; their values stand in the file's rows, in this order."""

    action: Action
    by: str
    at_utc: datetime
    why: str
    rows: tuple[DecidedRow, ...]


@dataclass(frozen=True, eq=False)
class Entry:
    """One decision of the log.

    Attributes
    ----------
    table
        The rows with their values, in the dataset's quarantine schema.
    """

    dataset: str
    session: date
    number: int
    decision: Decision
    table: pa.Table

    @property
    def name(self) -> str:
        """By which people know it: `equities.2025-07-01.0001`."""
        return f"{self.dataset}.{self.session.isoformat()}.{self.number:04d}"

    def __str__(self) -> str:
        made = self.decision
        return f"{made.action.value} by {made.by} at {made.at_utc:%Y-%m-%d %H:%M} UTC: {made.why}"


@dataclass(frozen=True, eq=False)
class Log:
    """All decisions about a session's refused rows, in their order."""

    dataset: str
    session: date
    entries: tuple[Entry, ...]

    @cached_property
    def in_force(self) -> Mapping[str, Entry]:
        """The last decision about each row, by its digest."""
        return {row.digest: entry for entry in self.entries for row in entry.decision.rows}

    @cached_property
    def rows(self) -> Mapping[str, DecidedRow]:
        """Each row as it was decided about last, by its digest."""
        return {row.digest: row for entry in self.entries for row in entry.decision.rows}

    @cached_property
    def seen_utc(self) -> Mapping[str, datetime]:
        """When the newest answer was asked for that people saw who decided about rows of a key, by the key in words."""
        found: dict[str, datetime] = {}
        for row in (row for entry in self.entries for row in entry.decision.rows):
            if row.origin.fetched_utc is not None:
                found[row.key] = max(row.origin.fetched_utc, found.get(row.key, row.origin.fetched_utc))
        return found

    @cached_property
    def released(self) -> "Released":
        """The rows that people let pass: of one key the one released last."""
        found: dict[str, tuple[Entry, int]] = {}
        for entry in self.entries:
            for place, key in enumerate(joined(entry.table, key_in(self.dataset)).to_pylist()):
                if self.in_force[entry.decision.rows[place].digest] is not entry:
                    continue
                if entry.decision.action is Action.RELEASED:
                    found[key] = (entry, place)
        chosen = list(found.values())
        tables = [entry.table.slice(place, 1) for entry, place in chosen]
        schema = quarantine_schema(self.dataset)
        return Released(
            pa.concat_tables([schema.empty_table(), *tables]).combine_chunks(),
            tuple(entry.decision.rows[place] for entry, place in chosen),
            tuple(entry.number for entry, _ in chosen),
        )


@dataclass(frozen=True)
class Released:
    """Rows that people let pass, one of each key.

    Attributes
    ----------
    table
        With their values, in the quarantine schema.
    rows
        In the order of the table.
    numbers
        Of the decisions, in the same order.
    """

    table: pa.Table
    rows: tuple[DecidedRow, ...]
    numbers: tuple[int, ...]


def read_log(lake: Lake, dataset: str, session: date) -> Log:
    """Return what was decided about a session's refused rows.

    Raises
    ------
    LakeError
        A decision is damaged; the message names it.
    """
    keys = sorted(entry.key for entry in lake.storage.list(paths.decisions(dataset, session)))
    entries = []
    for key in keys:
        try:
            table = lake.read_parquet(key)
            if table is None:
                continue
            decision = msgspec.json.decode((table.schema.metadata or {}).get(METADATA_KEY, b""), type=Decision)
            rows = table.replace_schema_metadata(None).cast(quarantine_schema(dataset))
            entries.append(Entry(dataset, session, int(key.stem), decision, rows))
        except (pa.ArrowException, OSError, ValueError, msgspec.MsgspecError) as error:
            msg = f"{lake.storage.url(key)} is damaged ({error}); restore it: it says what somebody decided"
            raise LakeError(msg) from error
    return Log(dataset, session, tuple(entries))


def append(lake: Lake, log: Log, decision: Decision, table: pa.Table) -> Entry | None:
    """Write a decision down behind those of the log; None where somebody wrote another one meanwhile.

    Parameters
    ----------
    table
        The rows with their values, in the order of `decision.rows`.
    """
    number = log.entries[-1].number + 1 if log.entries else 1
    rows = table.cast(quarantine_schema(log.dataset)).combine_chunks()
    sink = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata({METADATA_KEY: encode(decision)}), sink, compression="zstd")
    key = paths.decision(log.dataset, log.session, number)
    if not lake.storage.swap(key, sink.getvalue().to_pybytes(), expected=None):
        return None
    return Entry(log.dataset, log.session, number, decision, rows)
