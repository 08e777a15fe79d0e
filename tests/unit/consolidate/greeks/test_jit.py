"""Compiled code is kept where it can be, and is there where it cannot."""

import errno
from pathlib import Path
from typing import Any

import numba
import pytest
from numba.core import caching

from bellwether.consolidate.greeks import jit


def _twice(number: float) -> float:
    return 2 * number


def _refuse(*_: Any) -> None:
    raise OSError(errno.EROFS, "read-only")


def test_code_is_kept_under_the_digest_of_the_whole_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(jit, "_digest", lambda: "first")
    assert jit.compiled(_twice, "float64(float64)")(3) == 6
    monkeypatch.setattr(jit, "_digest", lambda: "second")
    jit.compiled(_twice, "float64(float64)")
    indexes = sorted(file.name for file in tmp_path.rglob("*.nbi"))
    assert ["first" in indexes[0], "second" in indexes[1]] == [True, True]
    assert len(indexes) == 2


def test_the_digest_is_of_every_file_of_the_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = set()
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    for name, content in (("jit.py", "1"), ("kernel.py", "1"), ("kernel.py", "2"), ("mills.py", "1")):
        (tmp_path / name).write_text(content)
        seen.add(jit._digest())
    assert len(seen) == 4


def test_where_no_folder_can_be_written_code_runs_without_being_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", _refuse)
    assert jit.compiled(_twice, "float64(float64)")(3) == 6


def test_on_a_full_disk_code_runs_without_being_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(caching.IndexDataCacheFile, "save", _refuse)
    assert jit.compiled(_twice, "float64(float64)")(3) == 6
    assert not list(tmp_path.rglob("*.nbi"))


def test_code_that_numba_cannot_compile_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(number: float) -> object:
        return open(str(number))  # noqa: PTH123 - never runs

    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", _refuse)
    with pytest.raises(numba.core.errors.TypingError):
        jit.compiled(wrong, "pyobject(float64)")
