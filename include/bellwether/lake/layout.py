"""The bytes of a published file, laid out so that a reader caught in the middle of a swap still reads true rows.

Polars and DuckDB open a file twice: once for the footer, when they plan, and again for the data. If the
file is replaced in between, they decode the new file's bytes by the old file's offsets; tried with plain
renames, DuckDB returned rows that were never published. So a new file keeps the data and the footer of the
publication it replaces at their old offsets, and writes its own rows where nothing is still in use. Parquet
allows it: a footer names the place of every page, and bytes it does not name are skipped.

A file that was never replaced is a plain Parquet file; a replaced one is about twice as large.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.config import SinkSettings

LAYOUT_KEY = b"bellwether.layout"

# Longer than any reader takes between opening a file for its footer and opening it for its data.
_IN_USE = timedelta(seconds=10)
_MAGIC_BYTES = 4
_TRAILER_BYTES = 8  # length of the footer, and the magic number again


class Extent(msgspec.Struct, frozen=True, order=True):
    """Bytes `start` to `end` of a file, in use by readers of a publication replaced at `replaced_utc`."""

    start: int
    end: int
    replaced_utc: datetime


@dataclass(frozen=True)
class FileLayout:
    """How a table is encoded.

    Attributes
    ----------
    sink
        Row groups and dictionaries.
    compression
        `snappy` or `zstd`.
    """

    sink: SinkSettings
    compression: str

    def compose(self, table: pa.Table, metadata: dict[bytes, bytes], replaced: bytes | None, now: datetime) -> bytes:
        """Return the bytes of the file to publish.

        Parameters
        ----------
        table
            The rows.
        metadata
            Key-value metadata for the footer.
        replaced
            The bytes of the file it replaces, None for the first publication.
        now
            The moment of replacement.
        """
        kept = [] if replaced is None else _in_use(replaced, now)
        table = table.replace_schema_metadata({**metadata, LAYOUT_KEY: msgspec.json.encode(kept)})
        plain = self._encode(table, b"", 0)
        if replaced is None:
            return plain
        data_bytes = _footer_start(plain) - _MAGIC_BYTES
        return self._encode(table, replaced, _place(data_bytes, kept, len(replaced)))

    def _encode(self, table: pa.Table, replaced: bytes, place: int) -> bytes:
        """Encode the table with its data from `place` on, over a copy of the replaced file's bytes."""
        sink = pa.BufferOutputStream()
        writer = pq.ParquetWriter(
            sink, table.schema, compression=self.compression, use_dictionary=list(self.sink.dictionary_columns)
        )
        sink.write(replaced[_MAGIC_BYTES:place])
        if table.num_rows:
            writer.write_table(table, row_group_size=self.sink.row_group_rows)
        sink.write(replaced[sink.tell() :])
        writer.close()
        return bytes(sink.getvalue())


def _in_use(content: bytes, now: datetime) -> list[Extent]:
    """Return the extents of a file that readers of it, or of what it replaced a moment ago, may still ask for."""
    metadata = pq.read_metadata(pa.BufferReader(content))
    earlier = msgspec.json.decode((metadata.metadata or {}).get(LAYOUT_KEY, b"[]"), type=list[Extent])
    extents = [extent for extent in earlier if now - extent.replaced_utc < _IN_USE]
    columns = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    if columns:
        start = min(_first_byte(column) for column in columns)
        end = max(_first_byte(column) + column.total_compressed_size for column in columns)
        extents.append(Extent(start, end, now))
    extents.append(Extent(_footer_start(content), len(content), now))
    return sorted(extents)


def _first_byte(column: pq.ColumnChunkMetaData) -> int:
    first: int = column.dictionary_page_offset or column.data_page_offset
    return first


def _footer_start(content: bytes) -> int:
    footer_bytes = int.from_bytes(content[-_TRAILER_BYTES : -_TRAILER_BYTES + 4], "little")
    return len(content) - _TRAILER_BYTES - footer_bytes


def _place(data_bytes: int, kept: Sequence[Extent], file_bytes: int) -> int:
    """Return the first gap between sorted extents that holds the data, or the file's end."""
    free = _MAGIC_BYTES
    for extent in kept:
        if extent.start - free >= data_bytes:
            return free
        free = max(free, extent.end)
    return file_bytes
