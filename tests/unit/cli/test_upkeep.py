"""The commands that look after a lake say what they did, in figures, and change nothing unasked."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bellwether.cli.main import main
from bellwether.lake import Lake, paths, read

FIXTURE = Path(__file__).parents[2] / "fixtures" / "lake_v1" / "lake"
HEALED = date(2025, 7, 3)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a copy of a lake of version 1, whose last session has two replaced revisions."""
    shutil.copytree(FIXTURE, tmp_path / "lake")
    return Lake.open(tmp_path / "lake")


def kept(lake: Lake) -> int:
    return len(list(lake.storage.list(paths.revisions("equities", HEALED))))


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_prune_says_what_it_would_delete_and_deletes_only_when_told(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read("equities", HEALED, HEALED, root=lake.root)
    command = ["prune", "--keep-days", "0", "--lake", lake.root]
    assert main(command) == 0
    assert "2 revisions replaced before" in (said := told(capsys))
    assert "bytes: would be deleted; run it with --delete" in said
    assert kept(lake) == 2
    assert main([*command, "--delete"]) == 0
    assert "bytes: deleted" in told(capsys)
    assert kept(lake) == 0
    assert read("equities", HEALED, HEALED, root=lake.root, as_of=datetime.now(UTC)).equals(before)
    assert main([*command, "--delete"]) == 0
    assert "0 revisions" in told(capsys)


def test_prune_names_what_is_left_of_a_lost_history_and_keeps_it(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = paths.revisions("equities", HEALED)
    first, undone = sorted(entry.key for entry in lake.storage.list(folder))
    lake.storage.write(paths.partition("equities", HEALED), lake.storage.read(first).content)
    assert main(["prune", "--keep-days", "0", "--delete", "--lake", lake.root]) == 0
    said = told(capsys)
    assert "0 revisions" in said
    assert f"{folder}: kept: {undone.name}: once in force, but no part of today's history" in said
    assert kept(lake) == 2


def test_prune_keeps_what_the_last_days_need(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--keep-days", "20000", "--delete", "--lake", lake.root]) == 0
    assert "0 revisions" in told(capsys)
    assert kept(lake) == 2
    assert main(["prune", "--keep-days", "-1", "--lake", lake.root]) == 2


def test_migrate_and_index_rebuild_report_and_can_be_repeated(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--lake", lake.root]) == 0
    assert "2 partitions brought to schema version 2, 0 problems" in told(capsys)
    assert main(["migrate", "--lake", lake.root]) == 0
    assert "0 partitions brought to schema version 2, 0 problems" in told(capsys)
    lake.storage.write(paths.manifest("equities", date(2025, 7, 2)), b"{}")
    assert main(["index", "rebuild", "--lake", lake.root]) == 0
    assert "2 entries, 1 of partitions that are gone removed, 0 problems" in told(capsys)


def test_a_damaged_partition_is_named_and_holds_up_no_other(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    lake.storage.write(paths.partition("equities", date(2025, 7, 1)), b"not a Parquet file")
    for command in (["migrate"], ["index", "rebuild"]):
        assert main([*command, "--lake", lake.root]) == 1
        said = told(capsys).replace(" ", "")
        assert "session=2025-07-01/equities.parquetisdamaged" in said
        assert "1problems" in said
    assert lake.manifest("equities", HEALED).schema_version == 2


def test_views_are_written_to_a_file_or_shown(lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["views", "--lake", lake.root]) == 0
    shown = capsys.readouterr().out
    assert "CREATE OR REPLACE VIEW equities AS" in shown
    assert main(["views", "--lake", lake.root, "--out", str(tmp_path / "views.sql")]) == 0
    assert (tmp_path / "views.sql").read_text() == shown
