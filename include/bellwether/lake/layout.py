"""The bytes of a published file, laid out so that a reader caught in the middle of a swap still reads true rows.

Polars and DuckDB open a file twice: once for the footer, when they plan, and again for the data. If the
file is replaced in between, they decode the new file's bytes by the old file's offsets; tried with plain
renames, DuckDB returned rows that were never published. So a new file keeps the data and the footer of the
publication it replaces at their old offsets, and writes its own rows where nothing is still in use. Parquet
allows it: a footer names the place of every page, and bytes it does not name are skipped.

A file that was never replaced is a plain Parquet file. One that was is longer; bytes no longer in use are zeros,
which a local disk stores as holes, so it takes about three times as much. Tried against renames alone:
docs/architecture.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.config import SinkSettings

LAYOUT_KEY = b"bellwether.layout"

# A reader takes milliseconds from footer to data, a slow stream of many sessions seconds or minutes: what was
# replaced a moment ago stays, and so do the last publications, whatever their age.
_IN_USE = timedelta(seconds=30)
_ALWAYS_KEPT = 2
_MAGIC = b"PAR1"
_MAGIC_BYTES = len(_MAGIC)
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
        metadata = {**metadata, LAYOUT_KEY: msgspec.json.encode(kept)}
        plain = self._encode(table, metadata, b"", 0)
        if replaced is None:
            return plain
        place = _place(_footer_start(plain) - _MAGIC_BYTES, kept, len(replaced))
        return self._encode(table, metadata, _blank_but(replaced, kept), place)

    def _encode(self, table: pa.Table, metadata: dict[bytes, bytes], replaced: bytes, place: int) -> bytes:
        """Encode the table with its data from `place` on, among the bytes of the replaced file still in use."""
        sink = pa.BufferOutputStream()
        writer = pq.ParquetWriter(
            sink,
            table.schema.remove_metadata(),
            compression=self.compression,
            use_dictionary=list(self.sink.dictionary_columns),
        )
        sink.write(replaced[_MAGIC_BYTES:place])
        if table.num_rows:
            writer.write_table(table.replace_schema_metadata(None), row_group_size=self.sink.row_group_rows)
        sink.write(replaced[sink.tell() :])
        writer.add_key_value_metadata(metadata)
        writer.close()
        return bytes(sink.getvalue())


def replaced_metadata(file: IO[bytes], metadata: dict[bytes, bytes]) -> dict[bytes, bytes] | None:
    """Return the key-value metadata of the publication that a file replaced, from the footer it keeps.

    Parameters
    ----------
    file
        The open file.
    metadata
        Its own key-value metadata.

    Returns
    -------
    dict or None
        None for a file that replaced none.
    """
    kept = msgspec.json.decode(metadata.get(LAYOUT_KEY, b"[]"), type=list[Extent])
    if not kept:
        return None
    # A file is longer than the one it replaces and begins where its footer ends: no clock is asked.
    footer = max(kept, key=lambda extent: extent.end)
    file.seek(footer.start)
    content = file.read(footer.end - footer.start)
    return pq.read_metadata(pa.BufferReader(_MAGIC + content)).metadata or {}


def _in_use(content: bytes, now: datetime) -> list[Extent]:
    """Return the extents of a file that readers of it, or of what it replaced before, may still ask for."""
    metadata = pq.read_metadata(pa.BufferReader(content))
    earlier = msgspec.json.decode((metadata.metadata or {}).get(LAYOUT_KEY, b"[]"), type=list[Extent])
    newest_first = sorted({extent.replaced_utc for extent in earlier}, reverse=True)
    # The file itself is the last publication kept whatever its age; of those before it, the newest.
    always = set(newest_first[: _ALWAYS_KEPT - 1])
    recent = [e for e in earlier if e.replaced_utc in always or now - e.replaced_utc < _IN_USE]
    return sorted([*recent, *_own_extents(content, now)])


def _own_extents(content: bytes, now: datetime) -> list[Extent]:
    """Return where a file's own data and footer stand."""
    metadata = pq.read_metadata(pa.BufferReader(content))
    columns = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    footer = Extent(_footer_start(content), len(content), now)
    if not columns:
        return [footer]
    start = min(_first_byte(column) for column in columns)
    end = max(_first_byte(column) + column.total_compressed_size for column in columns)
    return [Extent(start, end, now), footer]


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


def _blank_but(content: bytes, kept: Sequence[Extent]) -> bytes:
    """Return the bytes of a file with all that is not in use set to zero."""
    blank = bytearray(len(content))
    for extent in kept:
        blank[extent.start : extent.end] = content[extent.start : extent.end]
    return bytes(blank)
