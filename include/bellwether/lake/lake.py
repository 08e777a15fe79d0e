"""A lake: its kind, its partitions and their manifests. Publishing is in `publish`, staging in `stage`."""

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Literal, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.clock import Clock, SystemClock
from bellwether.errors import LakeError
from bellwether.lake import paths
from bellwether.lake.location import open_storage
from bellwether.lake.manifest import Manifest, Provenance, encode
from bellwether.lake.partition import PartitionFile
from bellwether.lake.storage import Storage, VersionReplaced
from bellwether.meter import timed

# Each means that a publication came in the middle of a read; so many in a row mean something else is wrong.
_MOST_REPLACEMENTS = 20


_Kind = Literal["simulated", "production"]


class _Marker(msgspec.Struct, frozen=True):
    kind: _Kind
    created_utc: datetime


class Published(NamedTuple):
    """A partition read whole.

    Attributes
    ----------
    table
        Its rows.
    content, version
        The file, and what a publication that replaces it must state.
    """

    table: pa.Table
    manifest: Manifest
    content: bytes
    version: str


class Lake:
    """One lake; get it with `Lake.open`.

    Attributes
    ----------
    storage
        What it is kept in.
    simulated
        Whether its data comes from a simulator; the two kinds never mix in one lake.
    clock
        What stamps publications.
    """

    def __init__(self, storage: Storage, *, simulated: bool, clock: Clock) -> None:
        self.storage = storage
        self.simulated = simulated
        self.clock = clock

    @classmethod
    def open(
        cls,
        root: str | Path,
        *,
        options: Mapping[str, str] | None = None,
        simulated: bool | None = None,
        clock: Clock | None = None,
    ) -> "Lake":
        """Open a lake, creating it where there is none.

        Parameters
        ----------
        root
            Folder, `file://` URL of one, or `s3://bucket/prefix`.
        options
            How to reach a bucket: see `bellwether.lake.location.open_storage`.
        simulated
            The kind of data about to be written; None opens an existing lake of either kind, for reading.
        clock
            What stamps publications; the machine's clock by default.

        Raises
        ------
        LakeError
            There is no lake to read, it is of the other kind, or its storage is not supported, cannot be reached, or
            cannot be written without losing publications.
        """
        clock = clock or SystemClock()
        storage = open_storage(root, options or {})
        if simulated is None:
            return cls(storage, simulated=_kind_of(storage) == "simulated", clock=clock)
        coming: _Kind = "simulated" if simulated else "production"
        if storage.read(paths.MARKER) is None:
            # Of two processes creating a lake at once, the first decides its kind.
            storage.swap(paths.MARKER, encode(_Marker(coming, clock.now())), expected=None)
        kind = _kind_of(storage)
        if kind != coming:
            msg = f"the lake at {storage.root} holds {kind} data; {coming} data needs a lake of its own"
            raise LakeError(msg)
        storage.verify(paths.MARKER)
        return cls(storage, simulated=simulated, clock=clock)

    @property
    def root(self) -> str:
        """The folder or URL."""
        return self.storage.root

    @property
    def provenance(self) -> Provenance:
        """What the daily pull publishes into this lake."""
        return "simulated" if self.simulated else "final"

    def sessions(self, dataset: str) -> list[date]:
        """Return the sessions with a published partition, ascending.

        Raises
        ------
        LakeError
            A folder there is named like none of Bellwether's: plain reads would take its rows for published ones.
        """
        folder = paths.dataset_folder(dataset)
        files = (entry.key for entry in self.storage.list(folder))
        return sorted(
            self._session_of(key.parent) for key in files if key.match(f"{folder}/session=*/{dataset}.parquet")
        )

    def manifest(self, dataset: str, session: date) -> Manifest | None:
        """Return the manifest of a published partition, from its Parquet footer; None if there is no partition."""
        return self.look(paths.partition(dataset, session), lambda file: file.manifest)

    def partition(self, dataset: str, session: date, columns: Sequence[str] | None = None) -> Published | None:
        """Return one publication whole, or only these columns of its rows; None if there is none."""
        key = paths.partition(dataset, session)
        stored = self.storage.read(key)
        if stored is None:
            return None
        file = self._partition_file(io.BytesIO(stored.content), key)
        return Published(file.read(columns), file.manifest, stored.content, stored.version)

    def look[T](self, key: PurePosixPath, see: Callable[[PartitionFile], T]) -> T | None:
        """Return what `see` makes of a published file, all of it from one version; None if there is no such file.

        Parameters
        ----------
        key
            The file: a partition or a kept revision.
        see
            Called with the open file; again where the file was replaced before all was read.
        """
        return self._look(key, lambda handle: see(self._partition_file(handle, key)))

    def write_parquet(self, key: PurePosixPath, table: pa.Table) -> None:
        """Write a working file (stage, raw, quarantine), whole or not at all."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.storage.write(key, sink.getvalue().to_pybytes())

    def read_parquet(self, key: PurePosixPath) -> pa.Table | None:
        """Return a working file with its metadata; None if there is none."""
        return self._look(key, lambda handle: pq.ParquetFile(handle, pre_buffer=True).read())

    @timed("read_s")
    def _look[T](self, key: PurePosixPath, see: Callable[[IO[bytes]], T]) -> T | None:
        for _ in range(_MOST_REPLACEMENTS):
            handle = self.storage.open(key)
            if handle is None:
                return None
            try:
                with handle:
                    return see(handle)
            except VersionReplaced:
                continue
        msg = f"{self.storage.url(key)} was replaced {_MOST_REPLACEMENTS} times while being read; try again"
        raise LakeError(msg)

    def _partition_file(self, handle: IO[bytes], key: PurePosixPath) -> PartitionFile:
        """Open a published file, and refuse one that was put into a folder it does not belong to."""
        file = PartitionFile(handle, self.storage.url(key))
        belongs = (file.manifest.dataset, paths.session_folder(file.manifest.session))
        if belongs != (key.parent.parent.name, key.parent.name):
            msg = f"{self.storage.url(key)} is {belongs[0]} of {belongs[1]}: move it where it belongs"
            raise LakeError(msg)
        return file

    def _session_of(self, folder: PurePosixPath) -> date:
        try:
            session = date.fromisoformat(folder.name.removeprefix("session="))
            if paths.session_folder(session) != folder.name:  # another spelling would double the session
                raise ValueError(folder.name)
            return session
        except ValueError as error:
            place = self.storage.url(folder)
            msg = f"{place} is not of Bellwether's making and would be read as published data: move it out of the lake"
            raise LakeError(msg) from error


def _kind_of(storage: Storage) -> _Kind:
    stored = storage.read(paths.MARKER)
    if stored is None:
        msg = f"there is no lake at {storage.root}: nothing has been published there yet"
        raise LakeError(msg)
    try:
        return msgspec.json.decode(stored.content, type=_Marker).kind
    except msgspec.MsgspecError as error:
        place = storage.url(paths.MARKER)
        msg = f"{place} is damaged ({error}); it should say whether this lake is simulated or production"
        raise LakeError(msg) from error
