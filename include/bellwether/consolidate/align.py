"""What was known last at the end of each minute, and each row beside the values of its minute.

As-of on the minutes, which are few, then an equi-join by index arithmetic: a chain of a million rows is never sorted.
Knows times, not what the values mean.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from bellwether.consolidate.grid import MINUTE_MS, Flags, Floats, Integers, MinuteGrid


def as_of(
    grid: MinuteGrid, known_ms: Integers, *, max_age_s: float, across_open: bool = False
) -> tuple[pa.Int64Array, pa.Int32Array]:
    """Find, for every minute, what was known last by its end.

    Parameters
    ----------
    grid
        The minutes.
    known_ms
        When each observation was known, ms UTC, any order: the end of a bar, not its start. Of several known at one
        instant the last counts.
    max_age_s
        How old an observation may be at the minute's end, in seconds, bound included.
    across_open
        Whether an observation known by the last opening still counts after it.

    Returns
    -------
    rows : pyarrow.Int64Array
        Which observation; null where none is known, or none young enough.
    age_s : pyarrow.Int32Array
        How long it had been known at the end of the minute, in whole seconds; null likewise.
    """
    order = np.argsort(known_ms, kind="stable")
    ordered = np.append(known_ms[order], 0)  # so that there is something at -1, whose age is never asked
    ends_ms = grid.ends_ms
    last = np.searchsorted(ordered[:-1], ends_ms, side="right") - 1
    age_ms = ends_ms - ordered[last]
    unknown = (last < 0) | (age_ms > max_age_s * 1000)
    if not across_open:
        unknown |= ordered[last] <= grid.starts_ms[grid.stretches]
    rows = np.append(order, -1)[last]
    age_s = np.where(unknown, 0, age_ms // 1000).astype(np.int32)
    return pa.array(rows, mask=unknown), pa.array(age_s, mask=unknown)


def closes_as_of(bars: pa.Table, grid: MinuteGrid, *, max_age_s: float) -> tuple[pa.DoubleArray, pa.Int32Array]:
    """Return the last close since the opening by the end of every minute, and its age in seconds: 0 for its own bar.

    Parameters
    ----------
    bars
        Of one ticker, any order, with `ts` and `close`; those without a close are passed over, and those that only
        repeat one (`is_stale`), so that its age goes on.
    grid, max_age_s
        As for `as_of`.
    """
    close = bars["close"].cast(pa.float64()).to_numpy()
    known_ms = bars["ts"].cast(pa.int64()).to_numpy() + MINUTE_MS
    priced = np.isfinite(close)
    if "is_stale" in bars.column_names:
        priced &= ~bars["is_stale"].to_numpy()
    rows, age_s = as_of(grid, known_ms[priced], max_age_s=max_age_s)
    return pa.array(close[priced]).take(rows), age_s


def join_minutes(rows: pa.Table, grid: MinuteGrid, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Return rows with the values of their minute beside them, in their order.

    Parameters
    ----------
    rows
        Any rows with `ts`, the start of their minute.
    grid
        The minutes.
    columns
        By name, a value for every minute of the grid.

    Returns
    -------
    pyarrow.Table
        `rows` and the columns; null where the minute has none, and for rows outside the grid.
    """
    minute = grid.find(rows["ts"].cast(pa.int64()).to_numpy())
    index = pa.array(minute, mask=minute < 0)
    for name, values in columns.items():
        rows = rows.append_column(name, values.take(index))
    return rows


def carried(values: Floats, grid: MinuteGrid) -> tuple[Floats, Flags]:
    """Carry each ticker's last value over the minutes without one, never across an opening.

    Parameters
    ----------
    values
        Tickers x minutes, NaN where nothing was traded.
    grid
        What the second axis stands for.

    Returns
    -------
    carried : numpy.ndarray
        NaN only where nothing is known since the opening.
    is_filled : numpy.ndarray
        Where a value stands that is not the minute's own.
    """
    own = np.isfinite(values)
    last = np.maximum.accumulate(np.where(own, np.arange(len(grid)), -1), axis=1)
    known = last >= grid.stretches
    filled = np.where(known, np.take_along_axis(values, np.maximum(last, 0), axis=1), np.nan)
    return filled, known & ~own
