"""Scanning more rows than memory holds, from a folder or a bucket, each session from one publication.

pyarrow opens a file when it comes to it, keeps its footer and may open it again. What it opens here is pinned: the
first time fixes the publication, and later times give that one again, from `revisions/` once it was replaced.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs

from bellwether.errors import LakeError
from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.lake.migrations import rows_of
from bellwether.lake.partition import PartitionFile
from bellwether.lake.read import find, is_named, naming_columns, select
from bellwether.schemas import SCHEMAS


def scan(
    dataset: str,
    start: date | str,
    end: date | str,
    tickers: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    root: str | Path | None = None,
    options: Mapping[str, str] | None = None,
) -> ds.Scanner:
    """Return the published rows of a dataset as a stream; the arguments are those of `bellwether.lake.read`.

    Returns
    -------
    pyarrow.dataset.Scanner
        `to_batches()` and `to_reader()` go through the sessions in order. Sessions are those published now.

    Raises
    ------
    LakeError
        There is no such lake, dataset or column. While scanning: a session was replaced in the middle of its read (in
        a bucket), its pinned publication was replaced and then pruned, or its rows are of an earlier schema: scan
        anew, or run `bellwether migrate`. Rows of two publications are never mixed.
    """
    wanted = select(dataset, columns)
    names = [tickers] if isinstance(tickers, str) else tickers
    only = None if names is None else is_named([ds.field(name) for name in naming_columns(dataset)], names)
    lake, sessions = find(dataset, start, end, root, options)
    files = ds.FileSystemDataset.from_paths(
        [str(paths.partition(dataset, session)) for session in sessions],
        schema=SCHEMAS[dataset],
        format=ds.ParquetFileFormat(),
        filesystem=pyarrow.fs.PyFileSystem(_Pinned(lake)),
    )
    return files.scanner(columns=wanted.names, filter=only)


class _Pinned(pyarrow.fs.FileSystemHandler):  # type: ignore[misc] # pyarrow has no types
    """A lake's partitions as a file system that can do nothing but open them."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._kept_as: dict[str, PurePosixPath] = {}

    def open_input_file(self, path: str) -> pa.PythonFile:
        """Open the publication that this path meant the first time."""
        handle = self._open(PurePosixPath(path))
        if handle is None:
            msg = f"{path} was withdrawn"
            raise LakeError(msg)
        file = PartitionFile(handle, self._lake.storage.url(PurePosixPath(path)))
        if rows_of(file.version):
            msg = f"{path} is of schema version {file.version}: run `bellwether migrate`, then scan anew"
            raise LakeError(msg)
        kept_as = self._kept_as.setdefault(path, paths.revision(file.manifest))
        if kept_as != paths.revision(file.manifest):
            handle.close()
            handle = self._open(kept_as)
        if handle is None:
            msg = f"{path} was replaced since this scan first read it, and {kept_as} is kept no longer: scan anew"
            raise LakeError(msg)
        handle.seek(0)
        return pa.PythonFile(handle, mode="r")

    def get_type_name(self) -> str:
        """Return the name of this kind of file system."""
        return "bellwether"

    def normalize_path(self, path: str) -> str:
        """Return the path."""
        return path

    def get_file_info(self, paths: list[str]) -> list[pyarrow.fs.FileInfo]:
        """Return that every path is a file."""
        return [pyarrow.fs.FileInfo(path, pyarrow.fs.FileType.File) for path in paths]

    def _open(self, key: PurePosixPath) -> IO[bytes] | None:
        return self._lake.storage.open(key)

    def _refuse(self, *_: object) -> NoReturn:
        msg = "a scan only reads"
        raise LakeError(msg)

    create_dir = delete_dir = delete_dir_contents = delete_file = delete_root_dir_contents = _refuse
    copy_file = move = open_append_stream = open_input_stream = open_output_stream = _refuse
    get_file_info_selector = _refuse
