"""A lake: its kind, its partitions and their manifests. Publishing is in `publish`, staging in `stage`."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.clock import Clock, SystemClock
from bellwether.errors import LakeError
from bellwether.lake import files
from bellwether.lake.manifest import METADATA_KEY, Manifest, Provenance, encode
from bellwether.lake.paths import LakePaths


class _Marker(msgspec.Struct, frozen=True):
    kind: Literal["simulated", "production"]
    created_utc: datetime


class Lake:
    """One lake on a local file system; get it with `Lake.open`.

    Attributes
    ----------
    paths
        Where everything stands.
    simulated
        Whether its data comes from a simulator; the two kinds never mix in one lake.
    clock
        What stamps publications.
    """

    def __init__(self, paths: LakePaths, *, simulated: bool, clock: Clock) -> None:
        self.paths = paths
        self.simulated = simulated
        self.clock = clock

    @classmethod
    def open(cls, root: str | Path, *, simulated: bool | None = None, clock: Clock | None = None) -> "Lake":
        """Open a lake, creating it where there is none.

        Parameters
        ----------
        root
            Folder, or `file://` URL of one.
        simulated
            The kind of data about to be written; None opens an existing lake of either kind, for reading.
        clock
            What stamps publications; the machine's clock by default.

        Raises
        ------
        LakeError
            There is no lake to read, it is of the other kind, or the URL is of a file system not supported.
        """
        clock = clock or SystemClock()
        paths = LakePaths(_local_folder(root))
        if simulated is not None and not paths.marker.exists():
            _create(paths, _Marker("simulated" if simulated else "production", clock.now()))
        try:
            marker = msgspec.json.decode(paths.marker.read_bytes(), type=_Marker)
        except FileNotFoundError:
            msg = f"there is no lake at {paths.root}: nothing has been published there yet"
            raise LakeError(msg) from None
        except msgspec.MsgspecError as error:
            msg = f"{paths.marker} is damaged ({error}); it should say whether this lake is simulated or production"
            raise LakeError(msg) from error
        is_simulated = marker.kind == "simulated"
        if simulated is not None and simulated != is_simulated:
            coming = "simulated" if simulated else "production"
            msg = f"the lake at {paths.root} holds {marker.kind} data; {coming} data needs a lake of its own"
            raise LakeError(msg)
        return cls(paths, simulated=is_simulated, clock=clock)

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
        return sorted(
            _session_of(path.parent) for path in self.paths.dataset(dataset).glob(f"session=*/{dataset}.parquet")
        )

    def manifest(self, dataset: str, session: date) -> Manifest | None:
        """Return the manifest of a published partition, from its Parquet footer; None if there is no partition."""
        with self.opened(dataset, session) as partition:
            return None if partition is None else _manifest_in(partition, self.paths.partition(dataset, session))

    def partition(self, dataset: str, session: date) -> tuple[pa.Table, Manifest] | None:
        """Return the rows and the manifest of one publication, both of the same one; None if there is none."""
        with self.opened(dataset, session) as partition:
            if partition is None:
                return None
            manifest = _manifest_in(partition, self.paths.partition(dataset, session))
            return partition.read().replace_schema_metadata(None), manifest

    @contextmanager
    def opened(self, dataset: str, session: date) -> Iterator[pq.ParquetFile | None]:
        """Open a partition once, so that everything read from it belongs to one publication."""
        try:
            handle = self.paths.partition(dataset, session).open("rb")
        except FileNotFoundError:
            yield None
            return
        with handle, pq.ParquetFile(handle) as partition:
            yield partition


def _manifest_in(partition: pq.ParquetFile, path: Path) -> Manifest:
    content = (partition.metadata.metadata or {}).get(METADATA_KEY, b"")
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        msg = f"{path} carries no readable manifest ({error}); it was not published here"
        raise LakeError(msg) from error


def _session_of(folder: Path) -> date:
    try:
        return date.fromisoformat(folder.name.removeprefix("session="))
    except ValueError as error:
        msg = f"{folder} is not of Bellwether's making and would be read as published data: move it out of the lake"
        raise LakeError(msg) from error


def _local_folder(root: str | Path) -> Path:
    url = urlsplit(str(root))
    if url.scheme not in ("", "file"):
        msg = f"{root}: only folders and file:// URLs can hold a lake, not {url.scheme}://"
        raise LakeError(msg)
    if url.scheme == "":
        return Path(root).absolute()
    if url.netloc not in ("", "localhost"):
        msg = f"{root} names a host; a folder's URL has three slashes: file:///data/lake"
        raise LakeError(msg)
    return Path(unquote(url.path))


def _create(paths: LakePaths, marker: _Marker) -> None:
    files.make_folder(paths.root)
    draft = paths.root / f".lake.{uuid.uuid4().hex}.json"
    draft.write_bytes(encode(marker))
    files.sync(draft)
    # A link fails if the name exists: of two processes creating a lake at once, the first decides its kind.
    try:
        paths.marker.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    files.sync(paths.root)
