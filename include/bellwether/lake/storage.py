"""What the lake asks of the place it is kept in: whole objects, one consistent version at a time.

A `Storage` knows keys and bytes, not datasets. `local` is a folder, `objects` an S3 bucket; `location` chooses.
Everything above publishes through `swap`, the compare-and-swap that both offer in their own way.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, Protocol

from bellwether.errors import LakeError


class VersionReplaced(LakeError):
    """What is being read was replaced meanwhile, and its old bytes are not to be had: open it again."""


@dataclass(frozen=True)
class Stored:
    """An object's content, and the version that it is.

    Attributes
    ----------
    version
        Opaque; two contents never share one. What `swap` compares.
    """

    content: bytes
    version: str


@dataclass(frozen=True)
class Entry:
    """One object of a listing.

    Attributes
    ----------
    size_bytes
        The room it takes.
    """

    key: PurePosixPath
    modified_utc: datetime
    size_bytes: int


class Storage(Protocol):
    """Where a lake is kept.

    All methods raise `LakeError`, with the place and what to do, where the storage refuses or cannot answer: no room,
    no rights, no connection. An object that is not there is no error but None, or not listed.
    """

    @property
    def root(self) -> str:
        """The folder or URL, as people write it."""
        ...

    def url(self, key: PurePosixPath) -> str:
        """Return the path or URL of an object, for people and other readers."""
        ...

    def read(self, key: PurePosixPath) -> Stored | None:
        """Return an object whole."""
        ...

    def open(self, key: PurePosixPath) -> IO[bytes] | None:
        """Open an object for random access; all that is read from the handle is of one version.

        The handle's reads raise `VersionReplaced` where that version can no longer be had.
        """
        ...

    def write(self, key: PurePosixPath, content: bytes) -> None:
        """Write an object, whole or not at all, over whatever is there."""
        ...

    def swap(
        self,
        key: PurePosixPath,
        content: bytes,
        *,
        expected: str | None,
        keep_as: PurePosixPath | None = None,
        reached: Callable[[str], None] = ...,
    ) -> bool:
        """Replace version `expected` of an object, or create it where `expected` is None, whole or not at all.

        Parameters
        ----------
        key, content
            What to write; the content must differ from all that ever stood there.
        expected
            The version that must still be in force.
        keep_as
            Where the replaced version stays available.
        reached
            Called with the name of each step done; the steps after which a process may die.

        Returns
        -------
        bool
            False if another version is in force: nothing was replaced.
        """
        ...

    def list(self, folder: PurePosixPath) -> Iterator[Entry]:
        """Yield all objects below a folder, at any depth, in no order."""
        ...

    def delete(self, key: PurePosixPath) -> None:
        """Delete an object if it is there."""
        ...

    def delete_folder(self, folder: PurePosixPath) -> None:
        """Delete all objects below a folder."""
        ...

    def clean(self) -> None:
        """Delete what writers that died left behind."""
        ...

    def locked(self, key: PurePosixPath) -> AbstractContextManager[None]:
        """Keep other processes of this machine out; for saving work, since no `swap` needs it."""
        ...

    def verify(self, key: PurePosixPath) -> None:
        """Prove with an existing object that `swap` compares at all, changing nothing.

        Raises
        ------
        LakeError
            It does not: publications would be lost.
        """
        ...


def no_steps(_step: str) -> None:
    """Take no notice of the steps of a swap."""
