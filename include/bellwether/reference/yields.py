"""The dividend yield of a share as a session could know it."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_REGULAR = "CD"  # of cash, consistently paid: special ones say nothing of the next
_YEAR = timedelta(days=365)


def trailing_yield(dividends: pa.Table, session: date, price: float) -> float:
    """Return the regular cash dividends of the 365 days up to a session, over a price: a fraction per year.

    Parameters
    ----------
    dividends
        Rows of `DIVIDENDS` of one share.
    session
        Dividends go ex on it or in the year before it.
    price
        The close before, in dollars; NaN, where it is not known, gives NaN.
    """
    ex = dividends["ex_dividend_date"]
    counted = dividends.filter(
        pc.and_(
            pc.and_(pc.greater(ex, pa.scalar(session - _YEAR)), pc.less_equal(ex, pa.scalar(session))),
            pc.and_(pc.equal(dividends["dividend_type"], _REGULAR), pc.equal(dividends["currency"], "USD")),
        )
    )
    return float(np.divide(pc.sum(counted["cash_amount"], min_count=0).as_py(), price))
