"""Technical indicators of a session's minutes.

Each is computed over the minutes in which its ticker traded, warm-up first, as on a table without holes: a silent
minute is no bar, does not count towards a length, and its row is null. OBV begins with the warm-up, VWAP with each
session. What is known at a minute's end never depends on what comes later.
"""

import numpy as np
import pyarrow as pa

from bellwether.config.features import Indicator, IndicatorSettings
from bellwether.consolidate.grid import Floats, MinuteGrid, Trades
from bellwether.consolidate.indicator_kernels import COLUMNS, indicator_grid
from bellwether.consolidate.reference_indicators import reference_grid


def indicators(trades: Trades, grid: MinuteGrid, settings: IndicatorSettings) -> dict[str, pa.DoubleArray]:
    """Compute the indicators.

    Parameters
    ----------
    trades
        What was traded, on the grid.
    grid
        The session, after its warm-up.
    settings
        Which indicators, with which lengths, by which engine.

    Returns
    -------
    dict
        By the name of each column (`COLUMNS`), a value for every ticker and minute of the last session, ticker by
        ticker; null where nothing was traded, where there are not enough bars yet, and for what is not computed.
    """
    compute = _fast_grid if settings.engine == "fast" else reference_grid
    wanted = {name for indicator in settings.names for name in columns_of(indicator)}
    columns = {}
    for name, values in zip(COLUMNS, compute(trades, grid, settings), strict=True):
        flat = values.ravel()
        columns[name] = pa.array(flat, mask=np.isnan(flat) if name in wanted else np.ones(len(flat), np.bool_))
    return columns


def columns_of(indicator: Indicator) -> list[str]:
    """Return the columns of an indicator."""
    return [name for name in COLUMNS if name.startswith(f"ind_{indicator}")]


def _fast_grid(trades: Trades, grid: MinuteGrid, settings: IndicatorSettings) -> Floats:
    lengths = (
        *(settings.sma_bars, settings.ema_bars, settings.rsi_bars),
        *(settings.macd_fast_bars, settings.macd_slow_bars, settings.macd_signal_bars),
        *(settings.bollinger_bars, settings.atr_bars, settings.adx_bars),
        *(settings.stochastic_bars, settings.stochastic_smooth_bars, settings.stochastic_signal_bars),
    )
    values: Floats = indicator_grid(
        np.stack((trades.high, trades.low, trades.close)),
        np.ascontiguousarray(trades.volume),
        grid.session_numbers,
        grid.last_session.start,
        np.array(lengths),
        settings.bollinger_deviations,
    )
    return values
