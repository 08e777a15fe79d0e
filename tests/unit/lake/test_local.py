"""A folder holds whole files or none, names what is wrong with the disk, and keeps nothing of dead writers."""

import errno
import fcntl
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path, PurePosixPath

import pytest

from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Lake, local, paths
from bellwether.lake.layout import FileLayout
from bellwether.lake.local import LocalStorage
from bellwether.lake.publish import publish
from tests.builders import SESSION, bars, submission

Key = Callable[[str, date], PurePosixPath]

KEY, KEPT = PurePosixPath("a/b.bin"), PurePosixPath("kept/b.bin")


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def version(storage: LocalStorage) -> str:
    stored = storage.read(KEY)
    assert stored is not None
    return stored.version


def test_a_swap_replaces_only_the_version_it_expects_and_keeps_it(storage: LocalStorage) -> None:
    assert storage.swap(KEY, b"one", expected=None)
    assert not storage.swap(KEY, b"other", expected=None)
    first = version(storage)
    assert storage.swap(KEY, b"two", expected=first, keep_as=KEPT)
    assert not storage.swap(KEY, b"three", expected=first, keep_as=KEPT)
    assert storage.read(KEY).content == b"two"
    assert storage.read(KEPT).content == b"one"
    assert list(storage.list(paths.INCOMING)) == []


def test_a_handle_stays_with_the_version_it_was_opened_at(storage: LocalStorage) -> None:
    storage.write(KEY, b"old content")
    with storage.open(KEY) as handle:
        storage.write(KEY, b"new")
        assert handle.read() == b"old content"


def test_what_is_kept_is_a_copy_where_links_do_not_exist(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(local.os, "link", no_links)
    storage.write(KEY, b"one")
    assert storage.swap(KEY, b"two", expected=version(storage), keep_as=KEPT)
    assert storage.read(KEPT).content == b"one"


def test_zeros_take_no_room_and_read_back(storage: LocalStorage, tmp_path: Path) -> None:
    for content in (
        b"head" + bytes(1_000_000) + b"tail",
        bytes(1_000_000),
        b"x" * 4095 + bytes(8193),
        b"x" * 10_000,
        b"",
    ):
        storage.write(KEY, content)
        assert storage.read(KEY).content == content
        filled = sum(any(content[start : start + 4096]) for start in range(0, len(content), 4096))
        assert (tmp_path / KEY).stat().st_blocks * 512 <= (filled + 1) * 4096


@pytest.mark.parametrize("of", [paths.partition, paths.manifest, paths.stages])
def test_a_lock_is_held_also_while_somebody_deletes_the_state(storage: LocalStorage, tmp_path: Path, of: Key) -> None:
    with storage.locked(of("equities", SESSION)):
        storage.delete_folder(PurePosixPath("state"))
        [lock] = tmp_path.rglob("*.lock")
        assert lock.parents[-len(tmp_path.parts) - 1].name == "locks"
        with lock.open() as handle, pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_files_of_dead_writers_are_deleted_and_those_of_writers_at_work_are_not(
    storage: LocalStorage, tmp_path: Path
) -> None:
    dead = tmp_path / paths.INCOMING / "dead"
    at_work: list[bool] = []

    def clean_meanwhile(step: str) -> None:
        if step == "written":
            dead.write_bytes(b"half")
            storage.clean()
            at_work.append(dead.exists())

    assert storage.swap(KEY, b"one", expected=None, reached=clean_meanwhile)
    assert at_work == [False]
    assert storage.read(KEY).content == b"one"


def test_hidden_files_and_files_that_vanish_are_not_listed(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(storage.list(PurePosixPath("a"))) == []
    for name in ("b.bin", ".b.bin.swp", "gone.bin"):
        storage.write(PurePosixPath("a/deep", name), b"x")
    stat = Path.stat

    def vanishing(path: Path, **options: object) -> os.stat_result:
        if path.name == "gone.bin":
            path.unlink()
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", vanishing)
    assert [str(entry.key) for entry in storage.list(PurePosixPath("a"))] == ["a/deep/b.bin"]


def test_deleting_what_is_not_there_is_no_error(storage: LocalStorage, tmp_path: Path) -> None:
    storage.delete(KEY)
    storage.delete_folder(KEY.parent)
    storage.clean()
    storage.write(KEY, b"x")
    storage.delete_folder(KEY.parent)
    assert not (tmp_path / "a").exists()


REFUSALS = {
    errno.ENOSPC: "No space left on device; the disk is full: free some room",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "Read-only file system; the file system is mounted read-only: mount it for writing",
    errno.EACCES: "Permission denied; this user lacks the right",
    errno.EIO: "the file system failed",
}
# Every call by which a publication changes the disk.
CALLS = ["mkdir", "open", "fsync", "replace"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", REFUSALS)
def test_a_disk_that_refuses_leaves_the_old_revision_and_no_debris_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    layout = FileLayout(SinkSettings(), "snappy")
    old = publish(lake, submission(bars("SPY")), layout).manifest
    owner, original = (Path, getattr(Path, call)) if call in {"mkdir", "open"} else (os, getattr(os, call))

    def refuse(*arguments: object, **options: object) -> object:
        is_read = call == "open" and "rb" in arguments
        if is_read or (call == "mkdir" and "revisions" not in str(arguments[0])):
            return original(*arguments, **options)
        raise OSError(number, os.strerror(number), str(tmp_path / "place"))

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, refuse)
        with pytest.raises(LakeError, match=REFUSALS[number]) as caught:
            publish(lake, submission(bars("SPY", seed=1), stage_id="s2"), layout)
    assert str(tmp_path / "place") in str(caught.value)
    assert "What was published before still stands" in str(caught.value)
    assert lake.manifest("equities", SESSION) == old
    assert list(lake.storage.list(paths.INCOMING)) == []
    assert publish(lake, submission(bars("SPY", seed=1), stage_id="s2"), layout).changed
