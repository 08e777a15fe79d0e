import math
from pathlib import Path

import numpy as np
import pytest

from bellwether.config.features import MomentumSettings
from bellwether.consolidate.grid import MinuteGrid, Trades, session_grid
from bellwether.consolidate.momentum import momentum
from tests.unit.consolidate.market import DAY, HALF_DAY, REAL_DAY, placed, real_bars, walked

WINDOWS = MomentumSettings().windows_min


def traded(grid: MinuteGrid, closes: dict[int, float]) -> Trades:
    """Return one ticker that trades in a few minutes, at one price each."""
    prices = np.full((1, len(grid)), np.nan)
    prices[0, list(closes)] = list(closes.values())
    return Trades(*(prices.copy() for _ in Trades._fields))


def plainly(trades: Trades, grid: MinuteGrid, ticker: int, minute: int) -> tuple[list[float | None], float | None]:
    """Compute one row by the words of the module."""

    def price(at: int) -> float | None:
        if at < 0:
            return None
        session = int(grid.session_numbers[at])
        opening = int(grid.opens[session]) if at >= grid.opens[session] else int(grid.begins[session])
        while at >= opening and np.isnan(trades.close[ticker, at]):
            at -= 1
        return float(trades.close[ticker, at]) if at >= opening else None

    def log_return(base: float | None) -> float | None:
        last = price(minute)
        return None if base is None or last is None else math.log(last) - math.log(base)

    opens = [value for value in trades.open[ticker, grid.opens[-1] : minute + 1].tolist() if not math.isnan(value)]
    since_open = log_return(opens[0]) if opens and minute >= grid.opens[-1] else None
    return [log_return(price(minute - window)) for window in WINDOWS], since_open


def check(trades: Trades, grid: MinuteGrid) -> None:
    found = momentum(trades, grid, WINDOWS)
    minutes = range(grid.last_session.start, len(grid))
    expected = [plainly(trades, grid, ticker, minute) for ticker in range(len(trades.close)) for minute in minutes]
    numbers = [number for row in found.log_returns.to_pylist() for number in row]
    assert_close(numbers, [number for returns, _ in expected for number in returns])
    assert_close(found.since_open.to_pylist(), [since_open for _, since_open in expected])


def assert_close(found: list[float | None], expected: list[float | None]) -> None:
    np.testing.assert_allclose(np.array(found, float), np.array(expected, float), rtol=0, atol=1e-14)


@pytest.mark.parametrize("silent", [0.0, 0.3, 0.98])
def test_momentum_is_what_plain_loops_compute(silent: float) -> None:
    check(*walked(2, silent=silent))


def test_momentum_of_a_real_day_is_what_plain_loops_compute(archive: Path) -> None:
    grid = session_grid(REAL_DAY, extended=True)
    check(placed(real_bars(archive, "bars_equity_TWX_20140606"), ["TWX"], grid), grid)


def test_windows_reach_into_the_session_before_and_without_warm_up_are_null_until_they_fit() -> None:
    grid = session_grid(DAY, warmup_sessions=1)
    found = momentum(traded(grid, {389: 100.0, 390: 110.0}), grid, (1, 5))
    assert found.log_returns[0].as_py() == [pytest.approx(math.log(1.1)), None]
    alone = session_grid(DAY)
    found = momentum(traded(alone, {0: 100.0, 5: 110.0}), alone, (1, 5))
    assert found.log_returns.to_pylist()[4:6] == [[0.0, None], [pytest.approx(math.log(1.1))] * 2]


def test_a_silent_minute_carries_its_price_and_says_so_and_none_is_carried_over_the_night() -> None:
    grid = session_grid(DAY, warmup_sessions=1)
    found = momentum(traded(grid, {100: 90.0, 392: 100.0, 394: 110.0}), grid, (1,))
    assert found.log_returns.to_pylist()[:5] == [[None], [None], [None], [0.0], [pytest.approx(math.log(1.1))]]
    assert found.is_filled.to_pylist()[:6] == [False, False, False, True, False, True]
    assert found.since_open.to_pylist()[:5] == [None, None, 0.0, 0.0, pytest.approx(math.log(1.1))]


def test_the_open_is_the_first_regular_trade_not_one_before_the_opening() -> None:
    grid = session_grid(DAY, extended=True)
    opening = int(grid.opens[0])
    trades = traded(grid, {opening - 1: 50.0, opening + 1: 100.0, opening + 2: 120.0})
    trades.open[0, opening + 1] = 80.0
    found = momentum(trades, grid, (1,))
    expected = [None, None, math.log(100 / 80), math.log(120 / 80)]
    assert_close(found.since_open.to_pylist()[opening - 1 : opening + 3], expected)


def test_a_first_trade_after_the_close_is_no_open() -> None:
    grid = session_grid(HALF_DAY, extended=True)
    close = int(grid.opens[0]) + 210
    assert momentum(traded(grid, {close: 100.0, close + 9: 101.0}), grid, (1,)).since_open.null_count == len(grid)
    last = momentum(traded(grid, {close - 1: 100.0, close + 9: 101.0}), grid, (1,)).since_open[-1].as_py()
    assert last == pytest.approx(math.log(1.01))


def test_a_price_that_is_not_above_zero_gives_nulls() -> None:
    grid = session_grid(DAY)
    found = momentum(traded(grid, {0: 0.0, 1: -1.0, 2: 100.0, 3: 100.0}), grid, (1,))
    assert found.log_returns.to_pylist()[:4] == [[None], [None], [None], [0.0]]
    assert found.since_open.to_pylist()[:4] == [None, None, 0.0, 0.0]


def test_nobody_trades_and_there_is_nobody() -> None:
    grid = session_grid(DAY)
    found = momentum(traded(grid, {}), grid, WINDOWS)
    assert found.log_returns.flatten().null_count == 390 * len(WINDOWS)
    assert found.since_open.null_count == 390
    assert len(momentum(Trades(*np.zeros((5, 0, 390))), grid, WINDOWS).log_returns) == 0
