"""What was recorded, on disk: one small Parquet file per batch, each whole or not there, never changed.

The files are the truth a recorder goes on from. A name carries the run, its try, the process and a number that goes on
rising whoever writes; what a file covers stands in its metadata.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

import msgspec
import pyarrow as pa

from bellwether.errors import LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import METADATA_KEY, encode
from bellwether.meter import count

REPAIR = "rest+"
"""With this begins the run of whoever writes down what REST says; no recorder's is called so."""

_READ_AT_ONCE = 8  # a session has ten thousand files, and an object store answers for each after 20 ms

_NAME = re.compile(r"(?P<run>[^~]+)~t(?P<attempt>\d+)~p(?P<pid>\d+)~(?P<seq>\d+)\.parquet")
_UNSAFE = re.compile(r"[^A-Za-z0-9._:+-]")


@dataclass(frozen=True, order=True)
class Writer:
    """One process that records: its run, the run's try, its process id."""

    run: str
    attempt: int
    pid: int

    @property
    def name(self) -> str:
        """As part of a file's name."""
        return f"{_UNSAFE.sub('-', self.run)}~t{self.attempt}~p{self.pid}"


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch tells beside its rows.

    Attributes
    ----------
    covered_ms
        Until when, ms UTC by the vendor's stamps, everything that was broadcast is in this writer's files, in those it
        went on from, or in a gap.
    last_arrival
        The number of its last row.
    """

    rows: int
    last_arrival: int
    covered_ms: int


@dataclass(frozen=True)
class Position:
    """Where the files of a session end: the last number, the last row's, and what is covered (ms UTC)."""

    seq: int
    arrival: int
    covered_ms: int


@dataclass(frozen=True, order=True)
class _File:
    seq: int
    writer: str
    key: PurePosixPath


class Batches:
    """The files of one streamed (dataset, session)."""

    def __init__(self, lake: Lake, dataset: str, session: date) -> None:
        self._lake = lake
        self._folder = paths.live(dataset, session)

    def write(self, writer: Writer, seq: int, table: pa.Table, record: BatchRecord) -> None:
        """Write a batch; it is on disk when this returns.

        Raises
        ------
        LakeError
            It could not be written, and nothing of it is there.
        """
        key = self._folder / f"{writer.name}~{seq:06d}.parquet"
        self._lake.write_parquet(key, table.replace_schema_metadata({METADATA_KEY: encode(record)}))
        count("rows", table.num_rows)

    def last_number(self) -> int:
        """Return the highest number of a file, 0 where there is none; no file is opened."""
        return max((file.seq for file in self._files()), default=0)

    def position(self) -> Position | None:
        """Return where the files end; None where there are none."""
        last_of_each = {file.writer: file for file in self._files()}
        if not last_of_each:
            return None
        records = [
            msgspec.json.decode(self._read(file).schema.metadata[METADATA_KEY], type=BatchRecord)
            for file in last_of_each.values()
        ]
        return Position(
            max(file.seq for file in last_of_each.values()),
            max(record.last_arrival for record in records),
            max(record.covered_ms for record in records),
        )

    def read(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield the writer's name and the rows of every batch, by number."""
        files = self._files()
        with ThreadPoolExecutor(_READ_AT_ONCE) as threads:
            for file, table in zip(files, threads.map(self._read, files), strict=True):
                yield file.writer, table.replace_schema_metadata(None)

    def _files(self) -> list[_File]:
        matches = ((entry.key, _NAME.fullmatch(entry.key.name)) for entry in self._lake.storage.list(self._folder))
        return sorted(
            _File(int(match["seq"]), key.name.rpartition("~")[0], key) for key, match in matches if match is not None
        )

    def _read(self, file: _File) -> pa.Table:
        table = self._lake.read_parquet(file.key)
        if table is None:
            msg = f"{self._lake.storage.url(file.key)} is gone while it is read: somebody deletes what was streamed"
            raise LakeError(msg)
        return table
