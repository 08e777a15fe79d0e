"""What is told of streams as datasets: gaps, and the comparison with daily pulls."""

from datetime import timedelta
from pathlib import Path

import pytest

from bellwether.config import Config
from bellwether.lake import Lake, read
from bellwether.streaming import live as live_room
from bellwether.streaming.assignment import whole_session
from bellwether.streaming.bookkeeping import publish_gaps, publish_reconciliation, publish_streamed, wait_for_daily
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.live import publish_live
from tests.builders import SESSION, bars, publish_bars
from tests.recordings import leave, miss, record

START = whole_session("equities", SESSION).start
NOON = START + timedelta(hours=8)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path, simulated=True)
    record(lake, bars("AAPL"), NOON, dataset="equities", session=SESSION)
    leave(lake, "equities", SESSION, NOON)
    return lake


def rows(lake: Lake, dataset: str) -> list[dict[str, object]]:
    return read(dataset, SESSION, SESSION, root=lake.root).to_pylist()


def test_the_gaps_of_all_streams_of_a_session_are_one_partition(lake: Lake) -> None:
    leave(lake, "options", SESSION, NOON)
    gap = miss(lake, "equities", SESSION, NOON)
    miss(lake, "options", SESSION, None, cause="crash", symbols=["O:A", "O:B"])
    published = publish_gaps(lake, Config(), SESSION, run_id="r")
    assert published is not None
    assert published.manifest.warnings == {"open": 2}
    assert [(row["dataset"], row["cause"], row["symbols"]) for row in rows(lake, "gaps")] == [
        ("equities", "dropped", ["*"]),
        ("options", "crash", ["O:A", "O:B"]),
    ]
    GapLog(lake, "equities", SESSION, "test").close(gap, NOON, "filled")
    assert (publish_gaps(lake, Config(), SESSION, run_id="r") or published).changed
    assert [row["closed_utc"] for row in rows(lake, "gaps")] == [NOON, None]


def test_that_nothing_was_missed_is_published_too_and_that_nobody_recorded_is_not(lake: Lake, tmp_path: Path) -> None:
    publish_streamed(lake, Config(), "equities", SESSION, run_id="r")
    assert (lake.sessions("gaps"), rows(lake, "gaps")) == ([SESSION], [])
    nobody = Lake.open(tmp_path / "another", simulated=True)
    assert publish_gaps(nobody, Config(), SESSION, run_id="r") is None


def test_streamed_and_daily_are_compared_over_the_tickers_the_daily_pull_has_proven(lake: Lake) -> None:
    record(lake, bars("SPY"), NOON, dataset="equities", session=SESSION, seq=2)
    publish_live(lake, Config(), "equities", SESSION, run_id="r")
    assert publish_reconciliation(lake, Config(), SESSION, run_id="r") is None
    publish_bars(lake, ["AAPL", "MSFT"], SESSION)
    done = publish_reconciliation(lake, Config(), SESSION, run_id="r")
    assert done is not None
    totals = done.totals["equities"]
    assert (totals.minutes, totals.missing, totals.extra, totals.changed) == (5, 5, 0, 0)
    assert done.publication.manifest.warnings["equities_missing"] == 5
    assert {(row["dataset"], row["ticker"], row["kind"]) for row in rows(lake, "reconciliation")} == {
        ("equities", "MSFT", "missing")
    }
    # Repaired, and compared again by whoever published it.
    record(lake, bars("MSFT"), NOON, dataset="equities", session=SESSION, seq=3)
    publish_streamed(lake, Config(), "equities", SESSION, run_id="r")
    assert rows(lake, "reconciliation") == []


def test_a_compaction_that_read_before_a_gap_was_closed_never_replaces_one_that_read_after(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    gap = miss(lake, "equities", SESSION, NOON)
    compact, first = live_room.compact, iter([True])

    def overtaken(*arguments: object) -> object:
        found = compact(*arguments)  # type: ignore[arg-type]
        if next(first, False):
            record(lake, bars("SPY"), NOON, dataset="equities", session=SESSION, seq=2)
            GapLog(lake, "equities", SESSION, "test").close(gap, NOON, "filled")
            publish_live(lake, Config(), "equities", SESSION, run_id="the repair's")
        return found

    monkeypatch.setattr(live_room, "compact", overtaken)
    published = publish_live(lake, Config(), "equities", SESSION, run_id="the stream's")
    assert published is not None
    assert (published.changed, published.manifest.run_id) == (False, "the repair's")
    assert (published.manifest.rows, published.manifest.warnings["gaps"]) == (10, 0)


def test_a_compaction_of_fewer_rows_never_replaces_one_of_more(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    compact, first = live_room.compact, iter([True])

    def overtaken(*arguments: object) -> object:
        found = compact(*arguments)  # type: ignore[arg-type]
        if next(first, False):
            record(lake, bars("SPY"), NOON, dataset="equities", session=SESSION, seq=2)
            publish_live(lake, Config(), "equities", SESSION, run_id="the later one's")
        return found

    monkeypatch.setattr(live_room, "compact", overtaken)
    published = publish_live(lake, Config(), "equities", SESSION, run_id="the earlier one's")
    assert published is not None
    assert published.manifest.rows == 10


def test_the_daily_pull_is_looked_for_from_when_it_is_due_and_not_for_ever() -> None:
    until = whole_session("equities", SESSION).until
    first = wait_for_daily("equities", SESSION, NOON)
    assert first is not None
    assert NOON + first.length == until - timedelta(minutes=1)
    last = wait_for_daily("equities", SESSION, until + timedelta(hours=20) - timedelta(seconds=1))
    assert last is not None
    assert last.length == timedelta(minutes=10)
    assert wait_for_daily("equities", SESSION, until + timedelta(hours=20)) is None
