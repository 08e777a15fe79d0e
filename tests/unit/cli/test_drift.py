"""`bellwether drift` says what it knows and did, and that there is nothing of the kind."""

from datetime import UTC, date, datetime

import pytest

from bellwether.cli.main import main
from bellwether.drift.change import Change, Kind
from bellwether.drift.ledger import Sighting, write_down
from bellwether.lake import Lake, read

SESSION = date(2025, 7, 1)


@pytest.fixture
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake in which somebody saw a type change, and whose answers were deleted since."""
    lake = Lake.open(tmp_path_factory.mktemp("lake"), simulated=True)
    now = datetime(2025, 7, 2, tzinfo=UTC)
    sighting = Sighting(
        change=Change("equities", "c", Kind.RETYPED, "text"),
        session=SESSION,
        stage_id="s1",
        subjects=("SPY",),
        first_utc=now,
        raw={"s1/b000-x.parquet": "h"},
        evidence="the answers about SPY",
        version=1,
        seen_utc=now,
    )
    write_down(lake, sighting)
    return lake


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_changes_are_listed_shown_and_rejected_with_a_reason(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "list", "--lake", lake.root]) == 0
    assert "equities.c.retyped.text" in said(capsys)
    assert main(["drift", "show", "equities.c.retyped.text", "--lake", lake.root]) == 0
    assert "lenient: true" in said(capsys)
    assert main(["drift", "reject", "equities.c.retyped.text", "--reason", "theirs", "--lake", lake.root]) == 0
    assert "equities.c.retyped.text: rejected" in said(capsys)
    [row] = read("drift", SESSION, SESSION, root=lake.root).to_pylist()
    assert (row["state"], row["reason"]) == ("rejected", "theirs")


def test_what_was_approved_and_cannot_be_published_is_said_with_exit_code_1(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["drift", "approve", "equities.c.retyped.text", "--lake", lake.root]
    assert main(command) == 1
    first = said(capsys)
    assert "equities.c.retyped.text: approved; contract version 2" in first
    assert "the raw answers about SPY are gone from" in first
    assert main(command) == 1
    assert "approved already, by" in said(capsys)


def test_an_unknown_change_is_said_with_exit_code_2(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", "approve", "equities.x", "--lake", lake.root]) == 2
    assert "there is no change equities.x; open are: equities.c.retyped.text" in said(capsys)
