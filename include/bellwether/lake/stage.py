"""The stage: what one run has fetched and not yet published, one file per batch.

A staged file carries its record in the Parquet metadata, so rows and record appear together. Fetch
tasks that are tried again read here what they have already proven.
"""

import math
import shutil
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.lake import files
from bellwether.lake.lake import Lake
from bellwether.lake.manifest import METADATA_KEY, TickerCoverage, encode

_VALIDATED = "validated.parquet"


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch brought.

    Attributes
    ----------
    coverage
        Every ticker of the batch.
    api_calls, seconds
        What fetching it cost, over all tries.
    raw
        Hash of each raw response file written, by name.
    """

    coverage: dict[str, TickerCoverage]
    api_calls: int
    seconds: float
    raw: dict[str, str]

    @property
    def failed(self) -> list[str]:
        """Tickers whose fetch failed."""
        return [ticker for ticker, known in self.coverage.items() if not known.state.is_proven]


class ValidatedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What validation decided about a whole stage.

    Attributes
    ----------
    coverage
        Every ticker the run planned, those of lost batches as `failed`.
    """

    coverage: dict[str, TickerCoverage]
    api_calls: int
    raw: dict[str, str]
    timings_s: dict[str, float]


class Stage:
    """The stage of one run of one (dataset, session).

    Parameters
    ----------
    lake
        Where it lies.
    dataset, session, stage_id
        Whose it is.
    """

    def __init__(self, lake: Lake, dataset: str, session: date, stage_id: str) -> None:
        self.dataset = dataset
        self.session = session
        self.stage_id = stage_id
        self.folder = lake.paths.stage(dataset, session, stage_id)

    def write_batch(self, index: int, table: pa.Table, record: BatchRecord) -> Path:
        """Stage a batch, replacing what it staged before."""
        return _write(self._batch(index), table, record)

    def read_batch(self, index: int) -> tuple[pa.Table, BatchRecord] | None:
        """Return what a batch has staged, or None."""
        return _read(self._batch(index), BatchRecord)

    def write_validated(self, table: pa.Table, record: ValidatedRecord) -> Path:
        """Stage the rows that may be published."""
        return _write(self.folder / _VALIDATED, table, record)

    def read_validated(self) -> tuple[pa.Table, ValidatedRecord] | None:
        """Return the rows that may be published, or None."""
        return _read(self.folder / _VALIDATED, ValidatedRecord)

    def remove(self) -> None:
        """Delete the stage."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _batch(self, index: int) -> Path:
        return self.folder / f"b{index:03d}.parquet"


def remove_old_stages(lake: Lake, dataset: str, session: date, keep: timedelta) -> None:
    """Delete stages of a session, and files left by killed publications, untouched for longer than `keep`."""
    oldest_kept_s = (lake.clock.now() - keep).timestamp()
    for folder in lake.paths.stages(dataset, session).glob("*"):
        if _last_written_s(folder) < oldest_kept_s:
            shutil.rmtree(folder, ignore_errors=True)
    any_incoming = lake.paths.incoming(dataset, session, "*")
    for orphan in any_incoming.parent.glob(any_incoming.name):
        if _last_written_s(orphan) < oldest_kept_s:
            orphan.unlink(missing_ok=True)


def _last_written_s(path: Path) -> float:
    """Return the newest time of a file, or of a folder and what is in it; infinity if a run is at work there."""
    try:
        entries = [path, *path.iterdir()] if path.is_dir() else [path]
        return max(entry.stat().st_mtime for entry in entries)
    except FileNotFoundError:
        return math.inf


def _write(path: Path, table: pa.Table, record: BatchRecord | ValidatedRecord) -> Path:
    files.write_parquet(path, table.replace_schema_metadata({METADATA_KEY: encode(record)}))
    return path


def _read[Record: (BatchRecord, ValidatedRecord)](path: Path, kind: type[Record]) -> tuple[pa.Table, Record] | None:
    try:
        table = pq.ParquetFile(path).read()
    except FileNotFoundError:
        return None
    return table.replace_schema_metadata(None), msgspec.json.decode(table.schema.metadata[METADATA_KEY], type=kind)
