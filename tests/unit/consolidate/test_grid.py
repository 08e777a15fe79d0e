from datetime import UTC, date, datetime, time

import numpy as np
import pyarrow as pa
import pytest

from bellwether.calendar import NEW_YORK
from bellwether.consolidate.grid import minute_rows, rows_on_grid, session_grid, trades_on_grid
from bellwether.errors import NotASession, QualityError
from bellwether.schemas import EQUITIES
from tests.unit.consolidate.market import DAY, HALF_DAY, walk


def clocks(starts_ms: np.ndarray) -> list[str]:
    return [f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone(NEW_YORK):%d %H:%M}" for ms in starts_ms.tolist()]


def row(grid_minute_ms: int, ticker: str = "SPY", **changes: object) -> dict[str, object]:
    prices = dict.fromkeys(("open", "high", "low", "close", "vwap"), 100.0)
    return {"ticker": ticker, "ts": int(grid_minute_ms), **prices, "volume": 5.0, "transactions": 1} | changes


def table_of(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=EQUITIES)


def test_a_grid_holds_the_warm_up_before_the_session_and_no_night() -> None:
    grid = session_grid(HALF_DAY, warmup_sessions=2)
    assert [f"{day}" for day in grid.sessions] == ["2025-07-01", "2025-07-02", "2025-07-03"]
    assert clocks(grid.starts_ms[grid.begins[:-1]]) == ["01 09:30", "02 09:30", "03 09:30"]
    assert clocks(grid.starts_ms[grid.begins[1:] - 1]) == ["01 15:59", "02 15:59", "03 12:59"]
    assert grid.last_session == slice(780, 990)
    assert np.unique(grid.session_numbers, return_counts=True)[1].tolist() == [390, 390, 210]


def test_extended_hours_open_twice_and_nothing_is_carried_from_the_first_opening_to_the_second() -> None:
    grid = session_grid(DAY, extended=True)
    assert clocks(grid.starts_ms[[0, -1, *grid.opens]]) == ["02 04:00", "02 19:59", "02 09:30"]
    assert clocks(grid.starts_ms[np.unique(grid.stretches)]) == ["02 04:00", "02 09:30"]


def test_the_warm_up_may_lie_in_winter_time() -> None:
    grid = session_grid(date(2025, 3, 10), warmup_sessions=1)
    assert clocks(grid.starts_ms[grid.begins[:-1]]) == ["07 09:30", "10 09:30"]


@pytest.mark.parametrize(
    ("day", "extended", "until", "minutes", "opens", "closes"),
    [
        (DAY, False, "09:30:59", 0, 0, 0),
        (DAY, False, "09:31:00", 1, 0, 1),
        (DAY, False, "12:00:30", 150, 0, 150),
        (DAY, False, "18:00:00", 390, 0, 390),
        (DAY, True, "08:00:00", 240, 240, 240),
        (DAY, True, "12:00:00", 480, 330, 480),
        (DAY, True, "18:00:00", 840, 330, 720),
        (HALF_DAY, False, "12:59:00", 209, 0, 209),
        (HALF_DAY, False, "15:00:00", 210, 0, 210),
    ],
)
def test_of_a_session_that_goes_on_there_are_the_minutes_that_are_over_and_all_of_its_warm_up(
    day: date, extended: bool, until: str, minutes: int, opens: int, closes: int
) -> None:
    now = datetime.combine(day, time.fromisoformat(until), NEW_YORK)
    grid = session_grid(day, warmup_sessions=1, extended=extended, until=now)
    before = 960 if extended else 390
    assert (grid.begins.tolist(), len(grid)) == ([0, before, before + minutes], before + minutes)
    assert (grid.opens[-1] - before, grid.closes[-1] - before) == (opens, closes)
    assert (grid.stretches[before:] >= before).all()


def test_a_holiday_has_no_grid() -> None:
    with pytest.raises(NotASession, match="2025-07-04"):
        session_grid(date(2025, 7, 4))


def test_times_outside_the_minutes_are_found_nowhere() -> None:
    grid = session_grid(HALF_DAY, warmup_sessions=1)
    first, last = int(grid.starts_ms[390]), int(grid.starts_ms[-1])
    times = np.array([first - 1, first, first + 59_999, first + 60_000, last + 59_999, last + 60_000])
    assert grid.find(times).tolist() == [-1, 390, 390, 391, 599, -1]
    assert (grid.find(grid.starts_ms) == np.arange(600)).all()


def test_every_ticker_has_a_row_for_every_minute_with_nulls_where_nothing_was_traded() -> None:
    grid = session_grid(DAY, warmup_sessions=1)
    bars = walk(grid, ["AAPL", "SPY"], silent=0.3)
    shuffled = bars.take(np.random.default_rng(1).permutation(len(bars)))
    rows = rows_on_grid(shuffled, ["SPY", "NONE"], grid)
    table = minute_rows(shuffled, rows, ["SPY", "NONE"], grid)
    assert table.schema.names == EQUITIES.names
    own = {(bar["ticker"], bar["ts"]): bar for bar in bars.to_pylist()}
    nothing = dict.fromkeys(EQUITIES.names)
    for number, minute in enumerate(table.to_pylist()):
        key = (["SPY", "NONE"][number // 390], datetime.fromtimestamp(grid.starts_ms[390 + number % 390] / 1000, UTC))
        assert minute == own.get(key, nothing | {"ticker": key[0], "ts": key[1]})


def test_a_print_that_comes_twice_counts_once() -> None:
    grid = session_grid(DAY)
    bars = table_of(row(grid.starts_ms[3]), row(grid.starts_ms[3]), row(grid.starts_ms[4]))
    rows = rows_on_grid(bars, ["SPY"], grid)
    assert np.nonzero(rows[0] >= 0)[0].tolist() == [3, 4]


def test_two_prints_of_one_minute_that_differ_are_refused() -> None:
    grid = session_grid(DAY)
    bars = table_of(row(grid.starts_ms[3]), row(grid.starts_ms[3], volume=6.0))
    with pytest.raises(QualityError, match=r"two different bars of SPY begin at 2025-07-02T13:33:00"):
        rows_on_grid(bars, ["SPY"], grid)


def test_a_bar_within_a_minute_is_refused() -> None:
    grid = session_grid(DAY)
    with pytest.raises(QualityError, match="SPY does not begin with a minute"):
        rows_on_grid(table_of(row(grid.starts_ms[3] + 1)), ["SPY"], grid)


def test_a_bar_with_a_value_that_is_no_number_is_no_trade() -> None:
    grid = session_grid(DAY)
    spoilt = [row(grid.starts_ms[minute], **{name: np.nan}) for minute, name in enumerate(EQUITIES.names[2:7])]
    bars = table_of(*spoilt, row(grid.starts_ms[5], close=np.inf), row(grid.starts_ms[6]))
    trades = trades_on_grid(bars, rows_on_grid(bars, ["SPY"], grid))
    assert all(np.nonzero(np.isfinite(values[0]))[0].tolist() == [6] for values in trades)


def test_no_bars_and_no_tickers_are_no_error() -> None:
    grid = session_grid(HALF_DAY)
    nothing = EQUITIES.empty_table()
    rows = rows_on_grid(nothing, ["SPY"], grid)
    assert (rows == -1).all()
    assert minute_rows(nothing, rows, ["SPY"], grid)["close"].null_count == 210
    assert len(minute_rows(nothing, rows_on_grid(nothing, [], grid), [], grid)) == 0
