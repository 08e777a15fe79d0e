"""Index bars: which of them merely repeat the last value."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bellwether.calendar import get_calendar
from bellwether.errors import LakeError, NotFound
from bellwether.schemas import INDEX_BARS
from bellwether.sources.indices import IndexBars, mark_stale
from bellwether.sources.raw import Request

SESSION = date(2025, 11, 28)  # a half day: regular trading ends at 13:00
HOURS = get_calendar().hours(SESSION)


def bars(*closes: float, first: datetime = HOURS.close, flat: bool = True) -> pa.Table:
    rows = [
        {"ticker": "I:VIX", "ts": first + timedelta(minutes=n), "open": c, "high": c + (not flat), "low": c, "close": c}
        for n, c in enumerate(closes)
    ]
    return pa.Table.from_pylist(rows, schema=INDEX_BARS)


def test_bars_after_the_close_that_repeat_the_value_before_are_stale() -> None:
    assert mark_stale(bars(16.0, 16.0, 16.0), HOURS).to_pylist() == [False, True, True]


def test_a_bar_that_moves_or_is_not_flat_is_not_stale() -> None:
    assert mark_stale(bars(16.0, 16.1, 16.1), HOURS).to_pylist() == [False, False, True]
    assert mark_stale(bars(16.0, 16.0, flat=False), HOURS).to_pylist() == [False, False]


def test_a_value_that_stands_still_during_the_session_is_not_stale() -> None:
    early = bars(16.0, 16.0, 16.0, first=HOURS.close - timedelta(minutes=2))
    assert mark_stale(early, HOURS).to_pylist() == [False, False, True]


def test_no_bars_are_no_stale_bars() -> None:
    assert mark_stale(INDEX_BARS.empty_table(), HOURS).to_pylist() == []


def test_the_archives_index_has_its_twenty_flat_bars_marked(archive: Path) -> None:
    raw = pq.read_table(archive / "bars_index_SPX_20210104.parquet")
    table = pa.table(
        [raw["ticker"], raw["t"].cast(INDEX_BARS.field("ts").type), raw["o"], raw["h"], raw["l"], raw["c"]],
        schema=INDEX_BARS,
    )
    stale = mark_stale(table, get_calendar().hours(date(2021, 1, 4)))
    assert (len(table), pc.sum(stale).as_py()) == (411, 20)
    flat = table.filter(stale)
    assert set(flat["close"].to_pylist()) == {3700.65}
    assert pc.min(flat["ts"]).as_py() == datetime(2021, 1, 4, 21, 1, tzinfo=UTC)


def test_an_index_is_asked_for_from_midnight_to_the_end_of_extended_hours() -> None:
    start_ms, last_ms = IndexBars("indices").window_ms(HOURS)
    assert datetime.fromtimestamp(start_ms / 1000, UTC) == datetime(2025, 11, 28, 5, tzinfo=UTC)
    assert datetime.fromtimestamp(last_ms / 1000, UTC) == datetime(2025, 11, 29, 0, 59, tzinfo=UTC)


def test_a_stored_answer_to_a_shorter_window_is_refused() -> None:
    source = IndexBars("indices")
    start_ms, last_ms = source.window_ms(HOURS)
    asked = Request("aggregates", {"ticker": "I:VIX", "from_ms": str(start_ms + 1), "to_ms": str(last_ms)})
    with pytest.raises(LakeError, match="while the session is 2025-11-28T05:00"):
        source.check_asked(asked, HOURS)


def test_an_unknown_index_is_told_from_one_without_bars() -> None:
    unknown = NotFound("Ticker not found.", url="http://x", status=404)
    with pytest.raises(NotFound):
        IndexBars("indices").rows("I:NONE", [unknown], HOURS)
