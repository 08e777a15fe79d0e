"""The dividend yield of a share as a session could know it."""

from datetime import date, timedelta
from math import prod

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_REGULAR = "CD"  # of cash, consistently paid: special ones say nothing of the next
_YEAR = timedelta(days=365)


def trailing_yield(dividends: pa.Table, splits: pa.Table, session: date, close: float, close_of: date) -> float:
    """Return the regular cash dividends of the 365 days up to a session, over a price: a fraction per year.

    Both are put in the session's shares: a dividend is paid per share of its own day.

    Parameters
    ----------
    dividends, splits
        Rows of `DIVIDENDS` and `SPLITS` of one share.
    session
        Dividends go ex on it or in the year before it; the newest count, as many as the last says are paid a year.
    close, close_of
        The close before, in dollars as it traded, and its session; NaN, where it is not known, gives NaN.
    """
    ex = dividends["ex_dividend_date"]
    counted = dividends.filter(
        pc.and_(
            pc.and_(pc.greater(ex, pa.scalar(session - _YEAR)), pc.less_equal(ex, pa.scalar(session))),
            pc.and_(pc.equal(dividends["dividend_type"], _REGULAR), pc.equal(dividends["currency"], "USD")),
        )
    )
    rows = counted.sort_by([("ex_dividend_date", "descending")]).to_pylist()
    # Ex-dates move by some days a year, so the one of a year ago may come in twice.
    rows = rows[: (rows and rows[0]["frequency"]) or len(rows)]
    paid = sum(row["cash_amount"] * _shares_ratio(splits, row["ex_dividend_date"], session) for row in rows)
    return float(np.divide(paid, close * _shares_ratio(splits, close_of, session)))


def _shares_ratio(splits: pa.Table, day: date, session: date) -> float:
    """Return how many shares of a day are one of a later session."""
    between = (split for split in splits.to_pylist() if day < split["execution_date"] <= session)
    ratio: float = prod(split["split_from"] / split["split_to"] for split in between)
    return ratio
