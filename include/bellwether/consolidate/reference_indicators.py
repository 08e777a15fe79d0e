"""The technical indicators by pandas-ta, the reference. The one place that imports it, and only when asked.

Where TA-Lib can be imported, pandas-ta uses it and gives other values, in ADX even when told not to; here it never
does. It gives nothing at all on a table shorter than an indicator's window, though its values do not depend on what
comes later: a short table is made longer by repeating its last bar, and what was added is taken away again.
"""

import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from bellwether.calendar import NEW_YORK
from bellwether.config.features import IndicatorSettings
from bellwether.consolidate.grid import Floats, MinuteGrid, Trades
from bellwether.consolidate.indicator_kernels import COLUMNS


def reference_grid(trades: Trades, grid: MinuteGrid, settings: IndicatorSettings) -> Floats:
    """Compute all indicators of all tickers; as `bellwether.consolidate.indicator_kernels.indicator_grid`."""
    out = []
    for high, low, close, volume in zip(trades.high, trades.low, trades.close, trades.volume, strict=True):
        traded = np.isfinite(close)
        values = np.full((len(COLUMNS), len(grid)), np.nan)
        bars = pd.DataFrame({"high": high, "low": low, "close": close, "volume": volume})[traded]
        bars.index = pd.to_datetime(grid.starts_ms[traded], unit="ms", utc=True)
        if len(bars):
            values[:, traded] = reference_columns(bars, settings).to_numpy().T
        out.append(values[:, grid.last_session])
    return np.stack(out, axis=1) if out else np.zeros((len(COLUMNS), 0, len(grid.starts_ms[grid.last_session])))


def reference_columns(bars: pd.DataFrame, settings: IndicatorSettings) -> pd.DataFrame:
    """Compute the indicators of one ticker.

    Parameters
    ----------
    bars
        At least one row; columns high, low, close and volume; the index is when each bar starts, aware and ascending.
    settings
        Their lengths.

    Returns
    -------
    pandas.DataFrame
        A row per bar, columns in the order of `bellwether.consolidate.indicator_kernels.COLUMNS`.
    """
    ta = _pandas_ta()
    longest = max(value for name, value in settings if name.endswith("_bars"))
    table = _at_least(bars, 3 * longest)
    high, low, close, volume = (table[name] for name in ("high", "low", "close", "volume"))
    native: dict[str, Any] = {"talib": False}
    macd = ta.macd(close, settings.macd_fast_bars, settings.macd_slow_bars, settings.macd_signal_bars, **native)
    width = settings.bollinger_deviations
    bands = ta.bbands(close, settings.bollinger_bars, width, width, **native)
    adx = ta.adx(high, low, close, settings.adx_bars, **native)
    stochastic = ta.stoch(
        high,
        low,
        close,
        settings.stochastic_bars,
        settings.stochastic_signal_bars,
        settings.stochastic_smooth_bars,
        **native,
    )
    columns = [
        ta.sma(close, settings.sma_bars, **native),
        ta.ema(close, settings.ema_bars, **native),
        ta.rsi(close, settings.rsi_bars, **native),
        *(macd.iloc[:, number] for number in (0, 2, 1)),
        *(bands.iloc[:, number] for number in (0, 1, 2)),
        ta.atr(high, low, close, settings.atr_bars, **native),
        ta.vwap(high, low, close, volume),
        ta.obv(close, volume, **native),
        *(adx.iloc[:, number] for number in (0, 2, 3)),
        *(stochastic.iloc[:, number] for number in (0, 1)),
    ]
    return pd.concat(columns, axis=1).iloc[: len(bars)]


def _pandas_ta() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses what pandas is about to remove
        import pandas_ta as ta  # noqa: PLC0415 - compiles when imported
        from pandas_ta.maps import Imports  # noqa: PLC0415 - as above
    Imports["talib"] = False
    return ta


def _at_least(bars: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return bars on New York's clock, whose days begin VWAPs anew, with the last one repeated."""
    index = pd.DatetimeIndex(bars.index).tz_convert(NEW_YORK).tz_localize(None)
    bars = bars.set_axis(index)
    missing = rows - len(bars)
    if missing <= 0:
        return bars
    later = pd.date_range(index[-1], periods=missing + 1, freq="min")[1:]
    return pd.concat([bars, pd.DataFrame([bars.iloc[-1]] * missing, later)])
