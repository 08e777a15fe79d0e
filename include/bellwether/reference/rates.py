"""Which interest rate was known when: the Treasury curve as a session could know it, and a rate between its nodes.

Source: the Treasury's constant-maturity yields (home.treasury.gov, daily par yield curve), as fractions per year.
They are par yields on a bond-equivalent basis, compounded twice a year. Taken as the continuously compounded zero
rate of an option formula, as is usual, they are an approximation: at 4 % the compounding makes 0.04 points
(2 ln(1 + y/2) = 3.96 %), and on a sloping curve par and zero yields differ beyond half a year. Nothing is converted.
"""

from datetime import date, timedelta
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.schemas import RATES

MAX_AGE_DAYS = 10
"""Calendar days: holidays around a weekend and a late vendor fit in, a capture that has stopped does not."""


def curve_known_on(rates: pa.Table, session: date) -> pa.Table:
    """Return the curve that was known while `session` traded.

    A day's yields are computed from its closing quotes and published after it, so only earlier days count; where
    bonds rested the day before, the one before that stands. Maturities not quoted within `MAX_AGE_DAYS` (the 30-year
    of 2002 to 2006) are not part of the curve.

    Parameters
    ----------
    rates
        Rows of the schema `RATES`, any order.
    session
        The trading session.

    Returns
    -------
    pyarrow.Table
        Schema `RATES`: one row per maturity, ascending; `date` says which day each is of. No rows where no yield is
        at most `MAX_AGE_DAYS` old: yesterday's rate may be carried on for some days, not for ever.
    """
    first = session - timedelta(days=MAX_AGE_DAYS)
    is_known = pc.and_(pc.less(rates["date"], pa.scalar(session)), pc.greater_equal(rates["date"], pa.scalar(first)))
    by_age = rates.filter(is_known).sort_by([("tenor_months", "ascending"), ("date", "ascending")])
    last_rows = by_age.group_by("tenor_months", use_threads=False).aggregate([("date", "last"), ("rate", "last")])
    return last_rows.select(["date_last", "tenor_months", "rate_last"]).rename_columns(RATES.names).cast(RATES)


@overload
def rate_for(curve: pa.Table, t_years: float) -> float: ...
@overload
def rate_for(curve: pa.Table, t_years: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...
def rate_for(curve: pa.Table, t_years: float | npt.NDArray[np.float64]) -> float | npt.NDArray[np.float64]:
    """Return the rate for a time to maturity, linear between the curve's maturities.

    Parameters
    ----------
    curve
        What `curve_known_on` returned; without rows no rate is known, which is NaN.
    t_years
        Years, one number or an array. Shorter than the shortest maturity, or past: the shortest's rate. Longer than
        the longest: the longest's. NaN gives NaN.

    Returns
    -------
    float or numpy.ndarray
        Fractions per year; at a maturity (months / 12) exactly that of the curve.
    """
    if not len(curve):
        return t_years * np.nan
    rates: float | npt.NDArray[np.float64]
    rates = np.interp(t_years, curve["tenor_months"].to_numpy() / 12, curve["rate"].to_numpy())
    return rates
