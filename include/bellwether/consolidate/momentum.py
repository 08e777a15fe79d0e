"""Momentum: log returns over the last minutes, and since the open.

Known at the end of each minute. A price is the last close known at or before a minute, in the same stretch of trading:
a silent minute carries it on (`is_filled` says so), an opening never does. Windows count minutes of trading: the one
before 09:30 is the last of the session before, so an hour's return at 10:00 spans the night if there is a session of
warm-up, and is null if there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bellwether.consolidate.align import carried
from bellwether.consolidate.grid import Floats, MinuteGrid, Trades


@dataclass(frozen=True)
class Momentum:
    """Columns for the minutes of the last session, ticker by ticker.

    Attributes
    ----------
    log_returns
        A list of fixed size per row: natural logarithms of the ratio of prices, in the order of the windows; null
        where one of both prices is not known.
    since_open
        The same from the first regular trade to this minute; null before the session's first regular bar.
    is_filled
        Whether the minute has no trade of its own, and the price was carried.
    """

    log_returns: pa.FixedSizeListArray
    since_open: pa.DoubleArray
    is_filled: pa.BooleanArray


def momentum(trades: Trades, grid: MinuteGrid, windows: Sequence[int]) -> Momentum:
    """Compute momentum.

    Parameters
    ----------
    trades
        What was traded, on the grid.
    grid
        The session, after its warm-up.
    windows
        Lengths in minutes.
    """
    price, is_filled = carried(np.where(trades.close > 0, trades.close, np.nan), grid)
    logs = np.log(price)
    here = grid.last_session
    minutes = np.arange(here.start, here.stop)
    returns = np.full((len(windows), len(logs), len(minutes)), np.nan)
    for number, window in enumerate(windows):
        reached = minutes >= window
        returns[number][:, reached] = logs[:, minutes[reached]] - logs[:, minutes[reached] - window]
    opening, close = int(grid.opens[-1]), int(grid.closes[-1])
    since_open = np.full((len(logs), len(minutes)), np.nan)
    if opening < close:
        opened = _opening_logs(trades.open[:, opening:close])
        since_open[:, opening - here.start :] = logs[:, opening : here.stop] - opened
    return Momentum(
        pa.FixedSizeListArray.from_arrays(_nullable(np.moveaxis(returns, 0, -1)), len(windows)),
        _nullable(since_open),
        pa.array(is_filled[:, here].ravel()),
    )


def _opening_logs(open_: Floats) -> Floats:
    """Return the log of each ticker's first open, NaN where there is none."""
    priced = open_ > 0
    first = np.take_along_axis(np.where(priced, open_, np.nan), priced.argmax(axis=1)[:, None], axis=1)
    logs: Floats = np.log(first)
    return logs


def _nullable(values: Floats) -> pa.DoubleArray:
    flat = values.ravel()
    return pa.array(flat, mask=np.isnan(flat))
