"""One published file, open: its manifest and rows as today's schema has them, whichever version wrote it."""

from collections.abc import Sequence
from functools import cached_property
from typing import IO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.errors import LakeError
from bellwether.lake.layout import replaced_metadata
from bellwether.lake.manifest import METADATA_KEY, Manifest
from bellwether.lake.migrations import Words, manifest_of, rows_of, version_of


class PartitionFile:
    """A partition, or a kept revision of one.

    Parameters
    ----------
    handle
        The open file; all that is read comes from it, hence from one publication.
    place
        The file, for people.

    Raises
    ------
    LakeError
        It is no Parquet file.
    """

    def __init__(self, handle: IO[bytes], place: str) -> None:
        self._handle = handle
        self._place = place
        # Buffering ahead joins the reads of neighbouring columns: a bucket is asked 3 times instead of 19.
        try:
            self._file = pq.ParquetFile(handle, pre_buffer=True)
        except (pa.ArrowException, OSError) as error:  # pyarrow tells a broken footer as an OSError
            raise self._damage(error) from error
        self._metadata: dict[bytes, bytes] = self._file.metadata.metadata or {}

    @property
    def version(self) -> int:
        """The schema version it was written in.

        Raises
        ------
        LakeError
            A later Bellwether wrote it, or it carries no manifest.
        """
        return version_of(self._words, self._place)

    @cached_property
    def manifest(self) -> Manifest:
        """What is known of it.

        Raises
        ------
        LakeError
            As of `version`.
        """
        return manifest_of(self._words, self._place, self._replaced)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return its rows.

        Parameters
        ----------
        columns
            Only these, in this order; all by default.

        Raises
        ------
        LakeError
            It is damaged, or as of `version`.
        """
        steps = rows_of(self.version)
        try:
            table = self._file.read(columns=None if steps else columns)
        except (pa.ArrowException, OSError) as error:
            raise self._damage(error) from error
        for step in steps:
            table = step(table)
        table = table if columns is None else table.select(columns)
        return table.replace_schema_metadata(None)

    def _damage(self, error: Exception) -> LakeError:
        return LakeError(f"{self._place} is damaged ({error}): put it back from revisions/ or a backup")

    @property
    def _words(self) -> bytes:
        return self._metadata.get(METADATA_KEY, b"")

    def _replaced(self) -> Words | None:
        replaced = replaced_metadata(self._handle, self._metadata)
        return None if replaced is None else msgspec.json.decode(replaced.get(METADATA_KEY, b""), type=dict)
