"""The files of refused rows: one for each run of a session that had any, and what it knew of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath

import msgspec
import pyarrow as pa

from bellwether.errors import LakeError
from bellwether.lake import Lake, TickerCoverage, paths
from bellwether.lake.manifest import METADATA_KEY, encode
from bellwether.quality.prepare import quarantine_schema
from bellwether.schemas import FORMS
from bellwether.tickers import WHOLE


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

    Parameters
    ----------
    coverage
        What the run's answers proved.
    """
    subjects = set(subjects_of(table, dataset))
    concerned = coverage if None in subjects else coverage.keys() & subjects
    answers = {each: Origin(coverage[each].stage_id, coverage[each].fetched_utc) for each in sorted(concerned)}
    record = KeptRecord(lake.clock.now(), answers)
    key = paths.quarantine(dataset, session, stage_id)
    lake.write_parquet(key, table.replace_schema_metadata({METADATA_KEY: encode(record)}))
    return key


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
    folder = paths.quarantines(dataset) / paths.session_folder(session)
    found = []
    for entry in lake.storage.list(folder):
        if entry.key.suffix != ".parquet":
            continue
        try:
            table = lake.read_parquet(entry.key)
            if table is None:  # deleted meanwhile: the same rows stand in another
                continue
            written = (table.schema.metadata or {}).get(METADATA_KEY)
            record = msgspec.json.decode(written, type=KeptRecord) if written else KeptRecord(entry.modified_utc, {})
            rows = table.replace_schema_metadata(None).cast(quarantine_schema(dataset))
        except (pa.ArrowException, OSError, ValueError, msgspec.MsgspecError) as error:
            msg = f"{lake.storage.url(entry.key)} is damaged ({error}); restore it, or delete it to forget its rows"
            raise LakeError(msg) from error
        found.append(KeptFile(rows, record, entry.key.stem.partition("~")[0]))  # what came late stands beside
    return sorted(found, key=lambda each: (each.record.quarantined_utc, each.stage_id))


def subjects_of(table: pa.Table, dataset: str) -> list[str | None]:
    """Return whose each row is."""
    subject = FORMS[dataset].subject
    if subject is None:
        return [WHOLE] * table.num_rows
    found: list[str | None] = table[subject].to_pylist()
    return found


def _folders(lake: Lake, folder: PurePosixPath) -> Iterator[str]:
    for entry in lake.storage.list(folder):
        yield entry.key.relative_to(folder).parts[0]
