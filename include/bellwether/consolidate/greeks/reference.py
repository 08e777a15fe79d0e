"""The reference engine: `vollib`, row by row. No other module imports it.

`vollib` is what `py_vollib`, which has no code of its own, stands for. Its arithmetic is double precision throughout:
in the money, and where rates are not 0, its volatility is off by what rounding the forward price does to it.
"""

from math import nan

import numpy as np
import numpy.typing as npt
from py_lets_be_rational.exceptions import AboveMaximumException, BelowIntrinsicException
from vollib.black_scholes_merton.greeks import analytical
from vollib.black_scholes_merton.implied_volatility import implied_volatility

from bellwether.consolidate.greeks.gate import against_intrinsic, missing
from bellwether.consolidate.greeks.rows import Rows
from bellwether.consolidate.greeks.status import IvStatus

type _Result = tuple[IvStatus, tuple[float, ...]]

_NOTHING = (nan,) * 7


def fill(rows: Rows, status: npt.NDArray[np.int8], out: npt.NDArray[np.float64]) -> None:
    """Compute the rows whose status is 0: `engine.Engine`."""
    for i, row in enumerate(zip(*rows, strict=True)):
        if status[i] == IvStatus.OK:
            *numbers, is_call, is_american = (value.item() for value in row)
            price, spot, strike, *_ = numbers
            reason = missing(*numbers) or against_intrinsic(price, spot, strike, is_call, is_american)
            status[i], out[:, i] = (reason, _NOTHING) if reason else _one(*numbers, flag="c" if is_call else "p")
        else:
            out[:, i] = nan


def _one(
    price: float, spot: float, strike: float, t_years: float, rate: float, dividend_yield: float, *, flag: str
) -> _Result:
    try:
        iv = float(implied_volatility(price, spot, strike, t_years, rate, dividend_yield, flag))
    except BelowIntrinsicException:
        return IvStatus.BELOW_EUROPEAN_BOUND, _NOTHING
    except AboveMaximumException:
        return IvStatus.ABOVE_BOUND, _NOTHING
    except (ZeroDivisionError, ValueError, OverflowError):
        return IvStatus.OUT_OF_RANGE, _NOTHING
    if iv == 0:
        return IvStatus.BELOW_EUROPEAN_BOUND, _NOTHING
    option = (flag, spot, strike, t_years, rate, iv, dividend_yield)
    names = ("delta", "gamma", "theta", "vega", "rho")
    greeks = [float(getattr(analytical, name)(*option)) for name in names]
    result = (iv, *greeks, np.spacing(price) / (greeks[3] * 100) if greeks[3] else nan)
    return (IvStatus.OK, result) if np.isfinite(result).all() else (IvStatus.OUT_OF_RANGE, _NOTHING)
