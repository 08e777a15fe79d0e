"""What is published of a stream: its rows, and of each ticker whether a gap may hide something."""

from pathlib import Path

import pytest

from bellwether.config import Config
from bellwether.lake import Coverage, Lake, paths, read
from bellwether.schemas import LIVE
from bellwether.streaming.batches import Batches, BatchRecord, Writer
from bellwether.streaming.compact import compact
from bellwether.streaming.decode import decode
from bellwether.streaming.gaps import ALL, Filled, GapLog
from bellwether.streaming.live import live, publish_live
from tests.unit.streaming.feeds import NOON, NOON_MS, SESSION, bar, frame


def recorded(lake: Lake) -> GapLog:
    """Record a minute of two tickers, and a gap of one of them."""
    table = decode([frame(bar("AAPL"), bar("SPY"))], 0).table
    record = BatchRecord(rows=2, last_arrival=1, covered_ms=NOON_MS)
    Batches(lake, "equities", SESSION).write(Writer("run", 1, 10), 1, table, record)
    gaps = GapLog(lake, "equities", SESSION, "test")
    gaps.end(gaps.open(NOON, ["SPY"], "refused", NOON, "no such ticker"), NOON)
    return gaps


@pytest.mark.parametrize("simulated", [False, True])
def test_a_ticker_that_a_gap_concerns_is_partial_and_the_partition_is_provisional(
    tmp_path: Path, simulated: bool
) -> None:
    lake = Lake.open(tmp_path, simulated=simulated)
    recorded(lake)
    published = publish_live(lake, Config(), "equities", SESSION, run_id="r")
    assert published is not None
    manifest = published.manifest
    assert (manifest.dataset, manifest.rows) == ("equities_live", 2)
    assert manifest.provenance == ("simulated" if simulated else "provisional")
    assert {ticker: known.state for ticker, known in manifest.coverage.items()} == {
        "AAPL": Coverage.COMPLETE,
        "SPY": Coverage.PARTIAL,
    }
    assert manifest.coverage["SPY"].reason == "gaps that are not filled: refused"
    [file] = (tmp_path / "live/equities_live" / f"session={SESSION}").iterdir()
    assert file.name == "equities_live.parquet"


def coverage(lake: Lake) -> dict[str, str]:
    published = publish_live(lake, Config.load(), "equities", SESSION, run_id="r")
    assert published is not None
    return {ticker: str(known.state) for ticker, known in published.manifest.coverage.items()}


def test_who_is_wholly_hidden_by_a_gap_is_told_of_as_missing_until_it_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", '["AAPL", "SPY", "XOM"]')
    lake = Lake.open(tmp_path, simulated=True)
    gaps = recorded(lake)
    assert coverage(lake) == {"AAPL": "complete", "SPY": "partial"}
    gap = gaps.open(NOON, ["QQQ"], "refused", NOON, "")
    everything = gaps.open(NOON, ALL, "crash", NOON, "")
    assert coverage(lake) == {"AAPL": "partial", "SPY": "partial", "QQQ": "missing", "XOM": "missing"}
    gaps.fill(everything, dict.fromkeys(("AAPL", "SPY", "QQQ", "XOM"), Filled(0, 0.0, 0, 0)))
    assert coverage(lake) == {"AAPL": "complete", "SPY": "partial", "QQQ": "missing"}
    gaps.fill(gap, {"QQQ": Filled(0, 0.0, 0, 0, refused="not_entitled")})
    assert coverage(lake) == {"AAPL": "complete", "SPY": "partial", "QQQ": "not_entitled"}


def test_who_is_first_heard_after_a_gap_of_everything_was_closed_is_partial_until_it_is_filled_of_it(
    tmp_path: Path,
) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    gaps = recorded(lake)
    gap = gaps.end(gaps.open(NOON, ALL, "crash", NOON, ""), NOON)
    gap = gaps.fill(gap, {"AAPL": Filled(1, 100.0, 0, 0)})
    gaps.close(gap, NOON, "REST has what we have")
    published = publish_live(lake, Config(), "equities", SESSION, run_id="r")
    assert published is not None
    assert published.manifest.coverage["SPY"].reason == "gaps that are not filled: crash, refused"
    assert published.manifest.coverage["AAPL"].state is Coverage.COMPLETE


def test_compacted_again_nothing_changes_unless_a_gap_was_closed(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    gaps = recorded(lake)

    def publish() -> tuple[bool, int]:
        published = publish_live(lake, Config(), "equities", SESSION, run_id="r")
        assert published is not None
        return published.changed, published.manifest.warnings["gaps"]

    assert [publish(), publish()] == [(True, 1), (False, 1)]
    gaps.close(gaps.read()[0], NOON, "REST had nothing either")
    assert publish() == (True, 0)
    gaps.open(NOON, ALL, "crash", NOON, "")
    assert publish() == (True, 1)


def test_of_two_who_compact_at_once_the_one_that_saw_more_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    recorded(lake)
    older = compact(lake, "equities", SESSION)
    table = decode([frame(bar("AAPL", 1))], 2).table
    record = BatchRecord(rows=1, last_arrival=2, covered_ms=NOON_MS)
    Batches(lake, "equities", SESSION).write(Writer("run", 1, 10), 2, table, record)
    newer = publish_live(lake, Config(), "equities", SESSION, run_id="newer")
    monkeypatch.setattr("bellwether.streaming.live.compact", lambda *_: older)
    left = publish_live(lake, Config(), "equities", SESSION, run_id="older")
    assert newer is not None
    assert left is not None
    assert (left.changed, left.manifest) == (False, newer.manifest)


def test_of_a_session_without_recordings_nothing_is_published(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    assert publish_live(lake, Config(), "equities", SESSION, run_id="r") is None
    assert lake.sessions("equities_live") == []


def test_an_index_is_published_without_volume(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    record = BatchRecord(rows=1, last_arrival=0, covered_ms=NOON_MS)
    Batches(lake, "indices", SESSION).write(Writer("run", 1, 10), 1, decode([frame(bar("I:VIX"))], 0).table, record)
    assert publish_live(lake, Config(), "indices", SESSION, run_id="r") is not None
    [row] = read("indices_live", SESSION, SESSION, root=tmp_path).to_pylist()
    assert row == {"ticker": "I:VIX", "ts": NOON, "open": 10.0, "high": 11.0, "low": 9.75, "close": 10.5}


def test_every_stream_has_a_dataset() -> None:
    assert set(LIVE) == {live(dataset) for dataset in ("equities", "options", "indices", "news")}


def test_minutes_that_came_too_late_wait_in_quarantine_and_are_counted_however_often_it_is_published(
    tmp_path: Path,
) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    frames = [frame(bar("SPY", v=100)), frame(bar("SPY", v=140), arrived_s=1000)]
    record = BatchRecord(rows=2, last_arrival=1, covered_ms=NOON_MS)
    Batches(lake, "equities", SESSION).write(Writer("run", 1, 10), 1, decode(frames, 0).table, record)
    published = [publish_live(lake, Config(), "equities", SESSION, run_id="r") for _ in range(2)]
    assert [each is not None and each.manifest.warnings["late_rows"] for each in published] == [1, 1]
    assert read("equities_live", SESSION, SESSION, root=tmp_path)["volume"].to_pylist() == [100.0]
    [row] = lake.read_parquet(paths.late("equities_live", SESSION, "stream")).to_pylist()
    assert (row["ticker"], row["ts"], row["volume"], row["reason"]) == ("SPY", NOON, 140.0, "late")
