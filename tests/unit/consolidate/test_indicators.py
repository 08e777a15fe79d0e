import re
import sys
import types
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

import bellwether
from bellwether.config.features import IndicatorSettings
from bellwether.consolidate.grid import MinuteGrid, Trades, session_grid
from bellwether.consolidate.indicator_kernels import COLUMNS
from bellwether.consolidate.indicators import columns_of, indicators
from tests.unit.consolidate.market import DAY, REAL_DAY, placed, real_bars, walk, walked

FAST, REFERENCE = IndicatorSettings(), IndicatorSettings(engine="pandas_ta")
SHORTEST = IndicatorSettings(
    **{name: 2 for name in IndicatorSettings.model_fields if name.endswith("_bars")} | {"macd_slow_bars": 3}
)
LONG = IndicatorSettings(
    sma_bars=50,
    ema_bars=200,
    rsi_bars=21,
    macd_fast_bars=5,
    macd_slow_bars=35,
    macd_signal_bars=5,
    bollinger_bars=100,
    bollinger_deviations=1.5,
    atr_bars=30,
    adx_bars=25,
    stochastic_bars=40,
    stochastic_smooth_bars=5,
    stochastic_signal_bars=7,
)


def with_first_bars(bars: int) -> tuple[Trades, MinuteGrid]:
    """Return a market that falls silent after its first bars, of the session alone."""
    trades, _ = walked(1, silent=0.0)
    grid = session_grid(DAY)
    kept = np.arange(390) < bars
    return Trades(*(np.where(kept, values[:, :390], np.nan) for values in trades)), grid


def at_one_price(price: float) -> tuple[Trades, MinuteGrid]:
    grid = session_grid(DAY, warmup_sessions=1)
    return Trades(*(np.full((1, len(grid)), value) for value in (price, price, price, price, 100.0))), grid


def after_a_gap() -> tuple[Trades, MinuteGrid]:
    """Return a dear stock that jumps over night and then hardly moves: what sums over windows forget badly."""
    trades, grid = at_one_price(5000.0)
    for values in trades[:4]:
        values[0, 390:430] = np.round(5500 + np.cumsum(np.random.default_rng(0).normal(0, 30, 40)), 2)
        values[0, 430:] = 5400.0
        values[0, [600, 620]] = 5400.01
    return trades, grid


def without_volume() -> tuple[Trades, MinuteGrid]:
    trades, grid = walked(1)
    return trades._replace(volume=np.where(np.isnan(trades.volume), np.nan, 0.0)), grid


def with_fractions_of_shares() -> tuple[Trades, MinuteGrid]:
    trades, grid = walked(1)
    return trades._replace(volume=0.37 * trades.volume), grid


def assert_equal(trades: Trades, grid: MinuteGrid, settings: IndicatorSettings = FAST) -> None:
    fast = indicators(trades, grid, settings)
    reference = indicators(trades, grid, settings.model_copy(update={"engine": "pandas_ta"}))
    for name in COLUMNS:
        assert fast[name].is_null().equals(reference[name].is_null()), name
        ours, theirs = fast[name].to_numpy(zero_copy_only=False), reference[name].to_numpy(zero_copy_only=False)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("silent", [0.0, 0.3, 0.95, 1.0])
def test_the_fast_engine_equals_the_reference_on_every_row(silent: float) -> None:
    assert_equal(*walked(2, silent=silent))


@pytest.mark.parametrize("settings", [SHORTEST, LONG], ids=["shortest", "long"])
def test_with_other_lengths_too(settings: IndicatorSettings) -> None:
    assert_equal(*walked(1, seed=1), settings)


@pytest.mark.parametrize("price", [0.05, 700_000.0])
def test_at_prices_of_any_size(price: float) -> None:
    assert_equal(*walked(1, price=price))


@pytest.mark.parametrize("market", [after_a_gap, without_volume, with_fractions_of_shares])
def test_on_hostile_markets(market: Callable[[], tuple[Trades, MinuteGrid]]) -> None:
    assert_equal(*market())


def test_at_a_price_that_never_moves() -> None:
    assert_equal(*at_one_price(100.1))
    found = {name: column[-1].as_py() for name, column in indicators(*at_one_price(100.1), FAST).items()}
    assert found["ind_sma"] == pytest.approx(100.1)
    assert found["ind_bollinger_upper"] == pytest.approx(100.1)
    assert (found["ind_rsi"], found["ind_adx"]) == (None, None), "no gain and no loss say nothing of their balance"
    assert (found["ind_stochastic_k"], found["ind_obv"]) == (0, 0)


@pytest.mark.parametrize("bars", [0, 1, 2, 13, 14, 15, 20, 33, 34])
def test_on_less_bars_than_an_indicator_asks_for(bars: int) -> None:
    assert_equal(*with_first_bars(bars))


def test_a_value_does_not_depend_on_how_many_bars_follow() -> None:
    short, long = (indicators(*with_first_bars(bars), FAST) for bars in (12, 390))
    for name in COLUMNS:
        assert short[name][:12].equals(long[name][:12]), name
        assert short[name][12:].null_count == 378


def test_real_days_equal_the_reference(archive: Path) -> None:
    for ticker in ("AAPL", "TWX"):
        grid = session_grid(REAL_DAY, extended=True)
        assert_equal(placed(real_bars(archive, f"bars_equity_{ticker}_20140606"), [ticker], grid), grid)
    grid = session_grid(REAL_DAY.replace(2013, 10, 8), warmup_sessions=2)
    assert_equal(placed(real_bars(archive, "bars_equity_SPY_20131004_20131011"), ["SPY"], grid), grid)


def test_late_trading_in_winter_belongs_to_the_same_day_though_not_in_utc() -> None:
    grid = session_grid(date(2025, 1, 15), warmup_sessions=1, extended=True)
    assert_equal(placed(walk(grid, ["SPY"]), ["SPY"], grid), grid)


def test_silent_minutes_are_null_and_count_for_nothing() -> None:
    trades, grid = walked(1, silent=0.0)
    holes = np.random.default_rng(2).random(len(grid)) < 0.4
    found = indicators(Trades(*(np.where(holes, np.nan, values) for values in trades)), grid, FAST)
    bars = int((~holes).sum())
    dense = session_grid(DAY, warmup_sessions=1)
    packed = Trades(*(np.full((1, len(grid)), np.nan) for _ in trades))
    kept = np.concatenate(
        [np.arange(390)[: int((~holes[:390]).sum())], 390 + np.arange(390)[: int((~holes[390:]).sum())]]
    )
    for values, original in zip(packed, trades, strict=True):
        values[0, kept] = original[0, ~holes]
    expected = indicators(packed, dense, FAST)
    for name in COLUMNS:
        assert (
            found[name].filter(pa.array(~holes[390:])).equals(expected[name].slice(0, bars - int((kept < 390).sum())))
        ), name
        assert found[name].filter(pa.array(holes[390:])).null_count == holes[390:].sum()


def test_the_vwap_begins_with_the_session_and_the_balance_of_volume_with_the_warm_up() -> None:
    trades, grid = walked(1, silent=0.0)
    found = indicators(trades, grid, FAST)
    typical = (trades.high[0, 390] + trades.low[0, 390] + trades.close[0, 390]) / 3
    assert found["ind_vwap"][0].as_py() == pytest.approx(typical, abs=1e-9)
    signs = np.sign(np.diff(trades.close[0]))
    assert found["ind_obv"][0].as_py() == (signs[:390] * trades.volume[0, 1:391]).sum()


def test_indicators_left_out_are_null_and_the_others_unchanged() -> None:
    trades, grid = walked(1)
    everything, some = (
        indicators(trades, grid, IndicatorSettings(**names)) for names in ({}, {"names": ("macd", "vwap")})
    )
    assert [*some] == [*everything] == [*COLUMNS]
    for name in COLUMNS:
        if name in {*columns_of("macd"), *columns_of("vwap")}:
            assert some[name].equals(everything[name])
        else:
            assert some[name].null_count == 390


def test_every_column_belongs_to_one_indicator() -> None:
    assert sorted(name for each in FAST.names for name in columns_of(each)) == sorted(COLUMNS)


def test_there_is_nobody() -> None:
    grid = session_grid(DAY)
    for settings in (FAST, REFERENCE):
        assert [len(column) for column in indicators(Trades(*np.zeros((5, 0, 390))), grid, settings).values()] == [
            0
        ] * 17


def test_the_reference_stays_itself_where_ta_lib_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = indicators(*walked(1), REFERENCE)
    other = types.ModuleType("talib")
    monkeypatch.setitem(sys.modules, "talib", other)
    import pandas_ta.maps

    monkeypatch.setitem(pandas_ta.maps.Imports, "talib", True)
    found = indicators(*walked(1), REFERENCE)
    assert all(found[name].equals(expected[name]) for name in COLUMNS)


def test_the_reference_is_imported_in_one_module() -> None:
    importing = re.compile(r"^\s*(import|from) pandas_ta\b", re.MULTILINE)
    library = Path(bellwether.__file__).parent
    assert [path.stem for path in library.rglob("*.py") if importing.search(path.read_text())] == [
        "reference_indicators"
    ]


def test_lengths_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValidationError, match="macd_fast_bars must be less than macd_slow_bars"):
        IndicatorSettings(macd_fast_bars=26)
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        IndicatorSettings(sma_bars=1)
