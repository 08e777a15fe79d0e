"""The files of refused rows: one for each run of a session that had any, and what it knew of them.

Rows that came too late stand in files of their own, each named by what it holds and never replaced: a row stays as old
as the answer it came in, and a row that comes again stands in the newer answer's file, too.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.errors import LakeError
from bellwether.lake import Lake, TickerCoverage, paths
from bellwether.lake.manifest import METADATA_KEY, encode
from bellwether.lake.revisions import revision_of
from bellwether.lake.storage import Entry
from bellwether.quality.prepare import quarantine_schema
from bellwether.quarantine.identity import values_in
from bellwether.schemas import FORMS
from bellwether.tickers import WHOLE

_NAME_DIGITS: Final = 16


class Origin(msgspec.Struct, frozen=True):
    """The answer that a refused row came in.

    Attributes
    ----------
    stage_id
        The run that asked, hence the folder of the raw response.
    fetched_utc
        When it was asked; None where nobody wrote it down.
    """

    stage_id: str
    fetched_utc: datetime | None = None


class KeptRecord(msgspec.Struct, frozen=True):
    """What a run knew of the rows it was refused.

    Attributes
    ----------
    quarantined_utc
        When they were.
    answers
        By subject.
    """

    quarantined_utc: datetime
    answers: dict[str, Origin]


@dataclass(frozen=True)
class KeptFile:
    """One file, read.

    Attributes
    ----------
    table
        Rows in the dataset's quarantine schema.
    record
        As the run left it; of a file without one, what its name and its age tell.
    """

    table: pa.Table
    record: KeptRecord
    stage_id: str

    def origin(self, subject: str | None) -> Origin:
        """Return the answer a row of a subject came in; of a row without one, the newest of the file."""
        known = self.record.answers.get(subject) if subject is not None else None
        if known is not None:
            return known
        newest = max((each.fetched_utc for each in self.record.answers.values() if each.fetched_utc), default=None)
        return Origin(self.stage_id, newest or self.record.quarantined_utc)


def keep(
    lake: Lake, dataset: str, session: date, stage_id: str, table: pa.Table, coverage: Mapping[str, TickerCoverage]
) -> PurePosixPath:
    """Write down the rows a run was refused; return where.

    A run that is cleared and asks again writes another file: what it was refused before may be published still.

    Parameters
    ----------
    coverage
        What the run's answers proved.
    """
    subjects = set(subjects_of(table, dataset))
    concerned = coverage if None in subjects else coverage.keys() & subjects
    answers = {each: Origin(coverage[each].stage_id, coverage[each].fetched_utc) for each in sorted(concerned)}
    record = KeptRecord(lake.clock.now(), answers)
    key = paths.quarantine(dataset, session, f"{stage_id}~{_told(msgspec.json.encode(answers))}")
    lake.write_parquet(key, table.replace_schema_metadata({METADATA_KEY: encode(record)}))
    return key


def keep_late(lake: Lake, dataset: str, session: date, table: pa.Table, coverage: Mapping[str, TickerCoverage]) -> int:
    """Write down rows of answers that came too late; return how many different ones the session has in all.

    Doing it again, by whoever publishes or replays the answers once more, changes nothing.

    Parameters
    ----------
    table
        With the quarantine's schema.
    coverage
        Of those whose answers came too late, what they proved.

    Raises
    ------
    LakeError
        The storage refused, or a file that stands there is damaged.
    """
    subject = FORMS[dataset].subject
    stages: dict[str, dict[str, Origin]] = {}
    for each, known in sorted(coverage.items()):
        stages.setdefault(known.stage_id, {})[each] = Origin(known.stage_id, known.fetched_utc)
    stand = _late_tables(lake, dataset, session)
    for stage_id, answers in stages.items():
        rows = table
        if subject is not None:
            rows = table.filter(pc.is_in(table[subject], value_set=pa.array(answers.keys(), pa.string())))
        told = _told(msgspec.json.encode(answers) + revision_of(rows).encode())
        key = paths.late(dataset, session, f"{stage_id}~{told}")
        if rows.num_rows and key not in stand:
            record = KeptRecord(lake.clock.now(), answers)
            lake.write_parquet(key, rows.replace_schema_metadata({METADATA_KEY: encode(record)}))
    if not stand:
        return len(table)
    every = pa.concat_tables([table, *stand.values()])
    return len(every.group_by(list(values_in(dataset)), use_threads=False).aggregate([]))


def late_rows(lake: Lake, dataset: str, session: date) -> pa.Table:
    """Return all rows of a session that ever came too late, with the quarantine's schema; each as often as it came.

    Raises
    ------
    LakeError
        A file is damaged; the message names it.
    """
    return pa.concat_tables([quarantine_schema(dataset).empty_table(), *_late_tables(lake, dataset, session).values()])


def forget(lake: Lake, dataset: str, session: date, stage_id: str) -> None:
    """Delete what a run wrote down of refused rows, which stand elsewhere, too."""
    for entry in _files(lake, dataset, session):
        if _stage_of(entry) == stage_id:
            lake.storage.delete(entry.key)


def kept_sessions(lake: Lake, dataset: str) -> list[date]:
    """Return the sessions of which rows of a dataset were ever refused, ascending."""
    found = {name.removeprefix("session=") for name in _folders(lake, paths.quarantines(dataset))}
    return sorted(date.fromisoformat(name) for name in found)


def read_kept(lake: Lake, dataset: str, session: date) -> list[KeptFile]:
    """Return the files of a session, the oldest first.

    Raises
    ------
    LakeError
        One is damaged; the message names it.
    """
    files = [_read(lake, dataset, entry) for entry in _files(lake, dataset, session)]
    return sorted(filter(None, files), key=lambda each: (each.record.quarantined_utc, each.stage_id))


def subjects_of(table: pa.Table, dataset: str) -> list[str | None]:
    """Return whose each row is."""
    subject = FORMS[dataset].subject
    if subject is None:
        return [WHOLE] * table.num_rows
    found: list[str | None] = table[subject].to_pylist()
    return found


def _files(lake: Lake, dataset: str, session: date) -> Iterator[Entry]:
    folder = paths.quarantines(dataset) / paths.session_folder(session)
    return (entry for entry in lake.storage.list(folder) if entry.key.suffix == ".parquet")


def _late_tables(lake: Lake, dataset: str, session: date) -> dict[PurePosixPath, pa.Table]:
    ending = paths.late(dataset, session, "").name
    files = {
        entry.key: _read(lake, dataset, entry)
        for entry in _files(lake, dataset, session)
        if entry.key.name.endswith(ending)
    }
    return {key: file.table for key, file in files.items() if file is not None}


def _read(lake: Lake, dataset: str, entry: Entry) -> KeptFile | None:
    """Return a file, read; None where it was deleted meanwhile: the same rows stand in another."""
    try:
        table = lake.read_parquet(entry.key)
        if table is None:
            return None
        written = (table.schema.metadata or {}).get(METADATA_KEY)
        record = msgspec.json.decode(written, type=KeptRecord) if written else KeptRecord(entry.modified_utc, {})
        rows = table.replace_schema_metadata(None).cast(quarantine_schema(dataset))
    except (pa.ArrowException, OSError, ValueError, msgspec.MsgspecError) as error:
        msg = f"{lake.storage.url(entry.key)} is damaged ({error}); restore it, or delete it to forget its rows"
        raise LakeError(msg) from error
    return KeptFile(rows, record, _stage_of(entry))


def _stage_of(entry: Entry) -> str:
    return entry.key.stem.partition("~")[0]


def _told(content: bytes) -> str:
    """Return by what a file is told from others of its stage."""
    return hashlib.sha256(content).hexdigest()[:_NAME_DIGITS]


def _folders(lake: Lake, folder: PurePosixPath) -> Iterator[str]:
    for entry in lake.storage.list(folder):
        yield entry.key.relative_to(folder).parts[0]
