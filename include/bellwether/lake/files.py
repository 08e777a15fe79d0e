"""Durable, atomic writes on a local file system, and the lock of a partition.

What these functions return from is on disk: a file appears whole under its name or not at all, also
after a power cut. This room knows bytes and names, not datasets.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Create a folder and its parents, durably."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def replace(source: Path, target: Path) -> None:
    """Move a synced file over `target` in one atomic, durable step."""
    os.replace(source, target)  # noqa: PTH105 - the atomic call by its name
    sync(target.parent)


def keep(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where hard links do not exist; nothing happens if it is kept already."""
    make_folder(target.parent)
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        temporary = _beside(target)
        shutil.copyfile(source, temporary)
        sync(temporary)
        replace(temporary, target)
    sync(target.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file atomically."""
    make_folder(path.parent)
    temporary = _beside(path)
    temporary.write_bytes(content)
    sync(temporary)
    replace(temporary, path)


def write_parquet(path: Path, table: pa.Table, *, compression: str = "zstd") -> None:
    """Write a working file (stage, raw, quarantine) atomically."""
    make_folder(path.parent)
    temporary = _beside(path)
    pq.write_table(table, temporary, compression=compression)
    sync(temporary)
    replace(temporary, path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock among processes; the kernel releases it when its holder dies."""
    make_folder(path.parent)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _beside(path: Path) -> Path:
    # A dot file in the same folder: same file system, and no reader takes it for data.
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")
