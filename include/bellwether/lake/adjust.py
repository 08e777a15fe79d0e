"""Prices and volumes as of one day's shares: what splits change, computed when reading.

The lake keeps bars as they traded. Only shares of the ticker that split are adjusted, dividends never; nor are
option contracts: after a split the exchange adjusts strike, deliverable and often the ticker of each contract, and
their prices stay what was paid.
"""

from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import midnight
from bellwether.errors import LakeError

_Times = npt.NDArray[np.int64]
_Split = tuple[int, Fraction]  # the midnight on which its day begins, in ms; what a price before it is multiplied by
_PER_SHARE = ("open", "high", "low", "close", "vwap")


def adjust_for_splits(bars: pa.Table, splits: pa.Table, basis: date) -> pa.Table:
    """Return bars with prices and volumes in the shares of `basis`.

    For each bar, over the splits of its ticker with session < execution_date <= `basis`::

        price  x  product(split_from / split_to)        volume  x  product(split_to / split_from)

    A split is in force from the open of its execution date, so it does not touch that session's own bars. A session
    is a New York date. Nothing is rounded: the product is an exact, reduced fraction, and each value is multiplied
    once by its numerator and divided once by its denominator. Where one of both is 1, as for 7:1 or 1:10, the result
    is the double nearest to the exact one; elsewhere, as for 3:2, it is at most two units in the last place away.

    Parameters
    ----------
    bars
        Rows with `ticker` and `ts`; of `open`, `high`, `low`, `close`, `vwap` and `volume` those that are there are
        adjusted. `transactions` and all else stay, nulls too.
    splits
        Rows of the schema `SPLITS`, any order, of any tickers.
    basis
        The New York date in whose shares to express all bars; no bar may be of a later one.

    Raises
    ------
    LakeError
        A bar is of a session after `basis`: a split between both would leave the bars in different shares.
    """
    ts_ms = bars["ts"].cast(pa.int64()).to_numpy()
    if len(bars) and ts_ms.max() >= _begin_ms(basis + timedelta(days=1)):
        last = pc.max(bars["ts"]).as_py()
        msg = f"bars until {last.isoformat()} cannot be put in the shares of {basis}: give a basis on or after the last"
        raise LakeError(msg)
    top, bottom = _ratios(bars["ticker"].combine_chunks().dictionary_encode(), ts_ms, _latest_first(splits, basis))
    for index, field in enumerate(bars.schema):
        if field.name in _PER_SHARE:
            bars = bars.set_column(index, field, pc.divide(pc.multiply(bars[field.name], top), bottom))
        elif field.name == "volume":
            bars = bars.set_column(index, field, pc.divide(pc.multiply(bars[field.name], bottom), top))
    return bars


def _ratios(coded: pa.DictionaryArray, ts_ms: _Times, splits: dict[str, list[_Split]]) -> tuple[pa.Array, pa.Array]:
    """Return numerator and denominator of what each bar's prices are multiplied by, as doubles."""
    codes = coded.indices.to_numpy()
    by_code = [splits.get(ticker, []) for ticker in coded.dictionary.to_pylist()]
    depth = max(map(len, by_code), default=0)
    begins_ms = np.full((depth, len(by_code)), np.iinfo(np.int64).min)
    parts = np.ones((2, depth + 1, len(by_code)))  # of the ratio of so many splits, the latest ones
    for code, latest_first in enumerate(by_code):
        ratio = Fraction(1)
        for number, (begin_ms, factor) in enumerate(latest_first):
            ratio *= factor
            begins_ms[number, code] = begin_ms
            parts[:, number + 1, code] = ratio.as_integer_ratio()
    # A bar's session lies before a split exactly if its time lies before the midnight on which the split's day begins.
    ahead = np.zeros(len(codes), np.int64)
    for begin in begins_ms:
        ahead += ts_ms < begin[codes]
    return pa.array(parts[0, ahead, codes]), pa.array(parts[1, ahead, codes])


def _latest_first(splits: pa.Table, basis: date) -> dict[str, list[_Split]]:
    """Return each ticker's splits until `basis`."""
    due = splits.filter(pc.less_equal(splits["execution_date"], pa.scalar(basis)))
    found: dict[str, list[_Split]] = {}
    for row in due.sort_by([("execution_date", "descending")]).to_pylist():
        factor = _exact(row["split_from"]) / _exact(row["split_to"])
        found.setdefault(row["ticker"], []).append((_begin_ms(row["execution_date"]), factor))
    return found


def _exact(shares: float) -> Fraction:
    """Return the number as it is written: 1.05 is 21/20, not the double beside it."""
    return Fraction(repr(shares))


def _begin_ms(day: date) -> int:
    return int(midnight(day).timestamp()) * 1000
