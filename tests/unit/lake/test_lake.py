"""Opening a lake: its kind is fixed at creation, and damage is named."""

from pathlib import Path

import pyarrow as pa
import pytest

from bellwether.errors import LakeError
from bellwether.lake import Lake, files
from bellwether.lake.paths import LakePaths
from tests.builders import SESSION


def test_kind_is_fixed_at_creation_and_the_kinds_never_mix(tmp_path: Path) -> None:
    assert Lake.open(tmp_path / "lake", simulated=True).provenance == "simulated"
    with pytest.raises(LakeError, match="holds simulated data; production data needs a lake of its own"):
        Lake.open(tmp_path / "lake", simulated=False)
    assert Lake.open(tmp_path / "real", simulated=False).provenance == "final"
    with pytest.raises(LakeError, match="holds production data; simulated data needs a lake of its own"):
        Lake.open(tmp_path / "real", simulated=True)


def test_reading_opens_either_kind_but_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="there is no lake at"):
        Lake.open(tmp_path / "lake")
    assert not (tmp_path / "lake").exists()
    Lake.open(tmp_path / "lake", simulated=True)
    assert Lake.open(f"file://{tmp_path}/lake").simulated


def test_of_two_creators_at_once_the_first_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = files.sync

    def create_meanwhile(path: Path) -> None:
        if not LakePaths(tmp_path).marker.exists():
            LakePaths(tmp_path).marker.write_text('{"kind":"production","created_utc":"2025-07-01T00:00:00Z"}')
        write(path)

    monkeypatch.setattr(files, "sync", create_meanwhile)
    with pytest.raises(LakeError, match="holds production data"):
        Lake.open(tmp_path, simulated=True)


def test_a_damaged_marker_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake.json").write_text("{")
    with pytest.raises(LakeError, match=r"lake\.json is damaged"):
        Lake.open(tmp_path)


def test_object_storage_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="not s3://"):
        Lake.open("s3://bucket/lake", simulated=True)


def test_a_file_url_has_three_slashes_and_may_be_encoded(tmp_path: Path) -> None:
    Lake.open(tmp_path / "my lake", simulated=True)
    assert Lake.open(f"file://{tmp_path}/my%20lake").paths.root == tmp_path / "my lake"
    with pytest.raises(LakeError, match="three slashes"):
        Lake.open("file://data/lake", simulated=True)


def test_gold_and_clean_stand_apart_and_a_session_folder_is_hive_style(tmp_path: Path) -> None:
    paths = LakePaths(tmp_path)
    assert paths.partition("equities", SESSION) == tmp_path / "clean/equities/session=2025-07-01/equities.parquet"
    assert paths.partition("minutes", SESSION) == tmp_path / "gold/minutes/session=2025-07-01/minutes.parquet"


def test_files_are_kept_by_copy_where_links_do_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "a", tmp_path / "kept" / "a"
    source.write_bytes(b"rows")

    def no_links(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(files.os, "link", no_links)
    files.keep(source, target)
    source.write_bytes(b"newer rows")
    files.keep(source, target)
    assert target.read_bytes() == b"rows"


def test_a_failing_write_leaves_no_file_under_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_parquet(tmp_path / "x.parquet", pa.table({"a": [1]}))
    before = (tmp_path / "x.parquet").read_bytes()

    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "sync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        files.write_parquet(tmp_path / "x.parquet", pa.table({"a": [2]}))
    assert (tmp_path / "x.parquet").read_bytes() == before
