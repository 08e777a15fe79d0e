from pathlib import Path

import numpy as np
import pyarrow as pa

from bellwether.consolidate.align import as_of, carried, closes_as_of, join_minutes
from bellwether.consolidate.grid import minute_rows, rows_on_grid, session_grid
from bellwether.schemas import EQUITIES, TIMESTAMP
from tests.unit.consolidate.market import DAY, HALF_DAY, REAL_DAY, real_bars

GRID = session_grid(DAY, warmup_sessions=1)
OPEN = 390
"""The first minute of the session."""


def at(minute: int, second: float = 0.0) -> int:
    """Return a time within a minute of the grid, ms."""
    return int(GRID.starts_ms[minute] + 1000 * second)


def vix(*bars: tuple[int, float | None]) -> pa.Table:
    """Return bars by the minute in which they start, counted from the opening."""
    starts = [at(OPEN) + 60_000 * minute for minute, _ in bars]
    return pa.table({"ts": pa.array(starts).cast(TIMESTAMP), "close": pa.array([c for _, c in bars], pa.float64())})


def values(column: pa.Array) -> list[object]:
    return column[OPEN : OPEN + 6].to_pylist()


def test_what_becomes_known_at_the_very_end_of_a_minute_counts_in_it_and_not_a_moment_later() -> None:
    known = np.array([at(OPEN, 60), at(OPEN + 2, 0.001)])
    rows, age_s = as_of(GRID, known, max_age_s=3600)
    assert values(rows) == [0, 0, 1, 1, 1, 1]
    assert values(age_s) == [0, 60, 59, 119, 179, 239]


def test_a_bar_is_known_at_its_end_so_the_minutes_own_has_no_age() -> None:
    closes, age_s = closes_as_of(vix((0, 17.0), (2, 18.0)), GRID, max_age_s=3600)
    assert values(closes) == [17.0, 17.0, 18.0, 18.0, 18.0, 18.0]
    assert values(age_s) == [0, 60, 0, 60, 120, 180]


def test_what_is_older_than_allowed_is_null_and_so_is_its_age() -> None:
    closes, age_s = closes_as_of(vix((0, 17.0), (4, 18.0)), GRID, max_age_s=120)
    assert values(closes) == [17.0, 17.0, 17.0, None, 18.0, 18.0]
    assert values(age_s) == [0, 60, 120, None, 0, 60]


def test_nothing_is_carried_across_the_opening_unless_asked_for() -> None:
    before = vix((-1, 16.0), (2, 18.0))
    assert values(closes_as_of(before, GRID, max_age_s=3600)[0]) == [None, None, 18.0, 18.0, 18.0, 18.0]
    rows, age_s = as_of(GRID, np.array([at(OPEN), at(OPEN + 3)]), max_age_s=3600, across_open=True)
    assert values(rows) == [0, 0, 1, 1, 1, 1]
    assert values(age_s)[:3] == [60, 120, 0]


def test_the_sessions_before_have_their_own_values_up_to_their_close() -> None:
    yesterday = pa.table({"ts": pa.array([at(0)]).cast(TIMESTAMP), "close": [15.0]})
    closes, _ = closes_as_of(yesterday, GRID, max_age_s=86_400)
    assert closes.to_pylist() == [15.0] * 390 + [None] * 390


def test_a_bar_without_a_close_hides_nothing() -> None:
    closes, age_s = closes_as_of(vix((0, 17.0), (1, None), (2, np.nan)), GRID, max_age_s=3600)
    assert values(closes) == [17.0] * 6
    assert values(age_s) == [0, 60, 120, 180, 240, 300]


def test_a_bar_that_only_repeats_the_one_before_does_not_make_it_younger() -> None:
    bars = vix((0, 17.0), (1, 17.0), (2, 17.0), (3, 18.0))
    bars = bars.append_column("is_stale", pa.array([False, False, True, False]))
    closes, age_s = closes_as_of(bars, GRID, max_age_s=3600)
    assert values(closes) == [17.0, 17.0, 17.0, 18.0, 18.0, 18.0]
    assert values(age_s) == [0, 0, 60, 0, 60, 120]


def test_a_missing_index_is_null_everywhere() -> None:
    for bars in (vix(), vix((0, np.nan))):
        closes, age_s = closes_as_of(bars, GRID, max_age_s=3600)
        assert (closes.null_count, age_s.null_count) == (780, 780)


def test_observations_may_come_in_any_order_and_of_those_known_at_once_the_last_counts() -> None:
    known = np.array([at(OPEN + 2), at(OPEN), at(OPEN + 2), at(OPEN, 1)])
    assert values(as_of(GRID, known, max_age_s=3600)[0]) == [3, 2, 2, 2, 2, 2]


def test_rows_get_the_values_of_their_minute_and_keep_their_order() -> None:
    grid = session_grid(HALF_DAY)
    price, age_s = pa.array(np.arange(210.0)), pa.array([None, *range(1, 210)], pa.int32())
    minutes = [5, 0, 209, 5, 210, -1]
    rows = pa.table(
        {"ticker": list("abcdef"), "ts": pa.array(grid.starts_ms[0] + 60_000 * np.array(minutes)).cast(TIMESTAMP)}
    )
    joined = join_minutes(rows, grid, {"spot": price, "spot_age_s": age_s})
    assert joined.select(["ticker", "ts"]).equals(rows)
    assert joined["spot"].to_pylist() == [5.0, 0.0, 209.0, 5.0, None, None]
    assert joined["spot_age_s"].to_pylist() == [5, None, 209, 5, None, None]


def test_a_silent_hour_is_filled_and_says_so_but_the_night_is_not() -> None:
    prices = np.full((2, 780), np.nan)
    prices[0, 100] = 7.0
    prices[0, [OPEN + 10, OPEN + 70]] = 8.0, 9.0
    filled, is_filled = carried(prices, GRID)
    assert np.isnan(filled[1]).all()
    assert not is_filled[1].any()
    assert filled[0].tolist()[100:390] == [7.0] * 290
    assert np.isnan(filled[0, OPEN : OPEN + 10]).all()
    assert filled[0, OPEN + 10 :].tolist() == [8.0] * 60 + [9.0] * 320
    assert np.nonzero(~is_filled[0, OPEN:])[0].tolist() == [*range(10), 10, 70]


def test_the_real_chain_of_a_day_is_aligned_as_plain_loops_align_it(archive: Path) -> None:
    grid = session_grid(REAL_DAY, extended=True)
    stock, chain = real_bars(archive, "bars_equity_AAPL_20140606"), real_bars(archive, "bars_option_AAPL_20140606")
    spot, spot_age_s = closes_as_of(stock, grid, max_age_s=300)
    joined = join_minutes(chain, grid, {"spot": spot, "spot_age_s": spot_age_s})
    assert len(joined) == 22_067
    assert joined.select(chain.column_names).equals(chain)
    known = sorted(
        (start + 60_000, close) for start, close in zip(times(stock), stock["close"].to_pylist(), strict=True)
    )
    opening = int(grid.starts_ms[grid.opens[0]])
    expected = {end: plainly(known, end, opening) for end in {start + 60_000 for start in times(chain)}}
    assert list(zip(joined["spot"].to_pylist(), joined["spot_age_s"].to_pylist(), strict=True)) == [
        expected[start + 60_000] for start in times(chain)
    ]


def test_the_real_minutes_of_a_day_are_those_of_the_bars_and_nulls_where_it_was_silent(archive: Path) -> None:
    grid = session_grid(REAL_DAY)
    bars = pa.concat_tables([real_bars(archive, f"bars_equity_{ticker}_20140606") for ticker in ("AAPL", "TWX")])
    table = minute_rows(bars, rows_on_grid(bars, ["AAPL", "TWX"], grid), ["AAPL", "TWX"], grid)
    own = {(bar["ticker"], bar["ts"]): bar for bar in bars.to_pylist()}
    assert len(table) == 780
    assert table["close"].null_count == 3
    for minute in table.to_pylist():
        bar = own.get((minute["ticker"], minute["ts"]), dict.fromkeys(EQUITIES.names))
        assert minute == bar | {"ticker": minute["ticker"], "ts": minute["ts"]}


def plainly(known: list[tuple[int, float]], end: int, opening: int) -> tuple[float | None, int | None]:
    """Return the last close known by `end`, since the opening and at most five minutes old."""
    last = None
    for when, close in known:
        if when <= end:
            last = (when, close)
    if last is None or last[0] <= opening or end - last[0] > 300_000:
        return None, None
    return last[1], (end - last[0]) // 1000


def times(table: pa.Table) -> list[int]:
    return table["ts"].cast(pa.int64()).to_pylist()
