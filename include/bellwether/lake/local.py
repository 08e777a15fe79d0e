"""A lake in a folder of a local file system: durable, atomic writes, and locks that die with their holder.

What these methods return from is on disk: a file appears whole under its name or not at all, also after a
power cut. Files are written in one folder outside of all zones' readers, synced, and renamed to their place.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

from bellwether.errors import LakeError
from bellwether.lake import paths
from bellwether.lake.storage import Entry, Stored, no_steps
from bellwether.meter import count, timed

_BLOCK_BYTES = 4096
_STAT_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's blocks are: man 7 inode
_HOLE = bytes(_BLOCK_BYTES)

_WHAT_TO_DO = {
    errno.ENOSPC: "the disk is full: free some room or move the lake, then run this again",
    errno.EDQUOT: "the disk quota is used up: free some room or raise it, then run this again",
    errno.EFBIG: "files as large are not allowed here: raise the limit (ulimit -f), then run this again",
    errno.EROFS: "the file system is mounted read-only: mount it for writing, then run this again",
    errno.EACCES: "this user lacks the right: give it to the user that runs Bellwether, or run as the lake's owner",
    errno.EPERM: "this user lacks the right: give it to the user that runs Bellwether, or run as the lake's owner",
}


class LocalStorage:
    """A folder.

    Parameters
    ----------
    folder
        Its absolute path; it is created by the first write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def root(self) -> str:
        """The folder."""
        return str(self._folder)

    def url(self, key: PurePosixPath) -> str:
        """Return the path of a file."""
        return str(self._folder / key)

    @timed("read_s")
    def read(self, key: PurePosixPath) -> Stored | None:
        """Return a file whole; its version is a hash of the content, which no file system's clock can blur."""
        handle = self.open(key)
        if handle is None:
            return None
        with _explained(self._folder / key), handle:
            content = handle.read()
        return Stored(content, hashlib.blake2b(content, digest_size=20).hexdigest())

    def open(self, key: PurePosixPath) -> IO[bytes] | None:
        """Open a file; the handle stays with its version when another takes the name."""
        path = self._folder / key
        with _explained(path):
            try:
                return path.open("rb")
            except FileNotFoundError:
                return None

    @timed("write_s")
    def write(self, key: PurePosixPath, content: bytes) -> None:
        """Write a file atomically."""
        count("bytes_written", len(content))
        with _explained(self._folder / key), self._written(content, no_steps) as incoming:
            _move(incoming, self._folder / key)

    @timed("write_s")
    def swap(
        self,
        key: PurePosixPath,
        content: bytes,
        *,
        expected: str | None,
        keep_as: PurePosixPath | None = None,
        reached: Callable[[str], None] = no_steps,
    ) -> bool:
        """Write and sync outside of the place; then, under its lock, compare, keep and rename."""
        count("bytes_written", len(content))
        path = self._folder / key
        with _explained(path), self._written(content, reached) as incoming, self.locked(key):
            reached("locked")
            current = self.read(key)
            if (current and current.version) != expected:
                return False
            if keep_as is not None:
                self._keep(path, self._folder / keep_as)
            reached("kept")
            _move(incoming, path)
        reached("swapped")
        return True

    def list(self, folder: PurePosixPath) -> Iterator[Entry]:
        """Yield all files below a folder; hidden ones are not the lake's."""
        with _explained(self._folder / folder):
            for parent, _, names in os.walk(self._folder / folder, onerror=_unless_missing):
                for name in names:
                    path = Path(parent, name)
                    try:
                        status = path.stat()
                    except FileNotFoundError:  # deleted since it was seen
                        continue
                    if not name.startswith("."):
                        key = PurePosixPath(path.relative_to(self._folder))
                        modified_utc = datetime.fromtimestamp(status.st_mtime, UTC)
                        yield Entry(key, modified_utc, status.st_blocks * _STAT_BLOCK_BYTES)

    def delete(self, key: PurePosixPath) -> None:
        """Delete a file if it is there."""
        with _explained(self._folder / key):
            (self._folder / key).unlink(missing_ok=True)

    def delete_folder(self, folder: PurePosixPath) -> None:
        """Delete a folder and all that is in it."""
        with _explained(self._folder / folder):
            shutil.rmtree(self._folder / folder, onexc=lambda _call, _path, error: _unless_missing(error))

    def clean(self) -> None:
        """Delete the incoming files whose writers are dead: the kernel has released their locks."""
        folder = self._folder / paths.INCOMING
        if not folder.is_dir():
            return
        with _explained(folder), self.locked(paths.INCOMING):
            for path in folder.iterdir():
                try:
                    with path.open("rb") as handle:
                        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        path.unlink(missing_ok=True)
                except (BlockingIOError, FileNotFoundError):  # its writer is at work, or has just moved it
                    continue

    @contextmanager
    def locked(self, key: PurePosixPath) -> Iterator[None]:
        """Hold an exclusive lock among processes; the kernel releases it when its holder dies."""
        path = self._folder / paths.lock(key)
        with _explained(path):
            _make_folder(path.parent)
            handle = path.open("a")
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def verify(self, key: PurePosixPath) -> None:
        """Do nothing: `swap` compares under a lock of the kernel."""

    @contextmanager
    def _written(self, content: bytes, reached: Callable[[str], None]) -> Iterator[Path]:
        """Write and sync a file to be moved to its place; what was not moved is deleted."""
        path = self._folder / paths.INCOMING / uuid.uuid4().hex
        _make_folder(path.parent)
        # Whoever sees the file sees its lock, and so whether its writer lives.
        with self.locked(paths.INCOMING):
            handle = path.open("xb")
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            with handle:
                _write_sparsely(handle, content)
                handle.flush()
                reached("written")
                os.fsync(handle.fileno())
                reached("synced")
                yield path
        finally:
            path.unlink(missing_ok=True)

    def _keep(self, source: Path, target: Path) -> None:
        """Give a file a second name, or copy it where hard links do not exist."""
        _make_folder(target.parent)
        if target.exists():
            return
        try:
            os.link(source, target)
        except OSError:
            with self._written(source.read_bytes(), no_steps) as incoming:
                _move(incoming, target)
        _sync(target.parent)


def _write_sparsely(handle: IO[bytes], content: bytes) -> None:
    """Write a file in which blocks of zeros are holes that take no room."""
    start = 0
    view = memoryview(content)
    for position in range(0, len(content), _BLOCK_BYTES):
        if content.startswith(_HOLE, position):
            handle.write(view[start:position])
            start = position + _BLOCK_BYTES
            handle.seek(start)
    handle.write(view[start:])
    handle.truncate(len(content))


def _make_folder(path: Path) -> None:
    """Create a folder and its parents, durably."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _move(source: Path, target: Path) -> None:
    """Move a synced file over `target` in one atomic, durable step."""
    _make_folder(target.parent)
    os.replace(source, target)  # noqa: PTH105 - the atomic call by its name
    _sync(target.parent)


def _sync(path: Path) -> None:
    """Flush a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unless_missing(error: BaseException) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename or path
        what_to_do = _WHAT_TO_DO.get(error.errno or 0, "the file system failed: mend it, then run this again")
        msg = f"{place}: {error.strerror or error}; {what_to_do}. What was published before still stands"
        raise LakeError(msg) from error
