"""The stage: what one run has fetched and not yet published, one file per batch.

A staged file carries its record in the Parquet metadata, so rows and record appear together. Fetch
tasks that are tried again read here what they have already proven.
"""

from datetime import date, datetime, timedelta
from pathlib import PurePosixPath

import msgspec
import pyarrow as pa

from bellwether.drift.change import Change
from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.lake.manifest import METADATA_KEY, TickerCoverage, encode
from bellwether.meter import count

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
    left_out
        What of the answers became no row, counted by `WarningName`.
    drift
        How the answers about each ticker differ from their contracts.
    """

    coverage: dict[str, TickerCoverage]
    api_calls: int
    seconds: float
    raw: dict[str, str]
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
    drift: dict[str, tuple[Change, ...]] = msgspec.field(default_factory=dict)

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
    left_out: dict[str, int] = msgspec.field(default_factory=dict)


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
        self._lake = lake
        self.dataset = dataset
        self.session = session
        self.stage_id = stage_id
        self.folder = paths.stage(dataset, session, stage_id)

    def write_batch(self, index: int, table: pa.Table, record: BatchRecord) -> None:
        """Stage a batch, replacing what it staged before."""
        self._write(self._batch(index), table, record)

    def read_batch(self, index: int) -> tuple[pa.Table, BatchRecord] | None:
        """Return what a batch has staged, or None."""
        return self._read(self._batch(index), BatchRecord)

    def write_validated(self, table: pa.Table, record: ValidatedRecord) -> None:
        """Stage the rows that may be published."""
        self._write(self.folder / _VALIDATED, table, record)

    def read_validated(self) -> tuple[pa.Table, ValidatedRecord] | None:
        """Return the rows that may be published, or None."""
        return self._read(self.folder / _VALIDATED, ValidatedRecord)

    def remove(self) -> None:
        """Delete the stage."""
        self._lake.storage.delete_folder(self.folder)

    def _batch(self, index: int) -> PurePosixPath:
        return self.folder / f"b{index:03d}.parquet"

    def _write(self, key: PurePosixPath, table: pa.Table, record: BatchRecord | ValidatedRecord) -> None:
        count("rows", table.num_rows)
        self._lake.write_parquet(key, table.replace_schema_metadata({METADATA_KEY: encode(record)}))

    def _read[Record: (BatchRecord, ValidatedRecord)](
        self, key: PurePosixPath, kind: type[Record]
    ) -> tuple[pa.Table, Record] | None:
        table = self._lake.read_parquet(key)
        if table is None:
            return None
        return table.replace_schema_metadata(None), msgspec.json.decode(table.schema.metadata[METADATA_KEY], type=kind)


def remove_old_stages(lake: Lake, dataset: str, session: date, keep: timedelta) -> None:
    """Delete what dead writers left, and the stages of a session to which nothing was added for longer than `keep`."""
    lake.storage.clean()
    last_written_utc: dict[PurePosixPath, datetime] = {}
    stages = paths.stages(dataset, session)
    for entry in lake.storage.list(stages):
        folder = stages / entry.key.relative_to(stages).parts[0]
        if folder == entry.key:  # a file beside the stages: nobody's
            continue
        last_written_utc[folder] = max(entry.modified_utc, last_written_utc.get(folder, entry.modified_utc))
    for folder, written_utc in last_written_utc.items():
        if written_utc < lake.clock.now() - keep:
            lake.storage.delete_folder(folder)
