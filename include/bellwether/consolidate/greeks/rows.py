"""The options to compute, as columns."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

type Numbers = float | npt.NDArray[np.number] | pa.Array | pa.ChunkedArray
type Flags = bool | npt.NDArray[np.bool_] | pa.Array | pa.ChunkedArray


class Rows(NamedTuple):
    """Columns of one length, any strides: one value for all rows takes no memory.

    Attributes
    ----------
    price, spot
        Of the option and of its underlying, in the same currency, of the same instant; NaN where there is none.
    strike
        As listed.
    t_years
        Until settlement, as `conventions` counts it; 0 and less are expired.
    rate, dividend_yield
        Fractions per year, continuously compounded.
    is_call
        Whether the right is to buy.
    is_american
        Whether it may be exercised at any time.
    """

    price: npt.NDArray[np.float64]
    spot: npt.NDArray[np.float64]
    strike: npt.NDArray[np.float64]
    t_years: npt.NDArray[np.float64]
    rate: npt.NDArray[np.float64]
    dividend_yield: npt.NDArray[np.float64]
    is_call: npt.NDArray[np.bool_]
    is_american: npt.NDArray[np.bool_]


def rows(
    *,
    price: Numbers,
    spot: Numbers,
    strike: Numbers,
    t_years: Numbers,
    rate: Numbers,
    is_call: Flags,
    dividend_yield: Numbers = 0.0,
    is_american: Flags = True,
) -> Rows:
    """Return columns of one length from arrays, Arrow columns (null is NaN) and numbers that hold for all rows.

    Raises
    ------
    ValueError
        Lengths differ, or it is unknown of a row whether it is a call or may be exercised early.
    """
    numbers = [_values(column) for column in (price, spot, strike, t_years, rate, dividend_yield)]
    flags = [_flags(column) for column in (is_call, is_american)]
    shape = np.broadcast_shapes((1,), *(column.shape for column in (*numbers, *flags)))
    prices, spots, strikes, times, rates, yields = (
        np.broadcast_to(column.astype(np.float64, copy=False), shape) for column in numbers
    )
    calls, americans = (np.broadcast_to(column.astype(np.bool_, copy=False), shape) for column in flags)
    return Rows(prices, spots, strikes, times, rates, yields, calls, americans)


def _values(column: Numbers | Flags) -> npt.NDArray[Any]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.Array):
        column = column.to_numpy(zero_copy_only=False)
    return np.asarray(column)


def _flags(column: Flags) -> npt.NDArray[Any]:
    if isinstance(column, pa.Array | pa.ChunkedArray) and column.null_count:
        msg = f"{column.null_count} rows do not say which right they are"
        raise ValueError(msg)
    return _values(column)
