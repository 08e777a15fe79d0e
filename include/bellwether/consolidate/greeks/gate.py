"""Which rows have an implied volatility to look for at all, by comparing numbers, before any engine.

Every engine answers only what passes here, so they all give the same reasons. What remains to be judged behind it are
the bounds that need discounting, which an engine sees anyway.
"""

from math import isfinite, isnan

import numpy as np
import numpy.typing as npt

from bellwether.consolidate.greeks.status import IvStatus

ROUNDING = 2.0**-51
"""What a difference of two decimal numbers may owe to their being doubles, per unit of the larger."""

_NO_UNDERLYING = int(IvStatus.NO_UNDERLYING)
_NO_PRICE = int(IvStatus.NO_PRICE)
_NO_STRIKE = int(IvStatus.NO_STRIKE)
_NO_TIME = int(IvStatus.NO_TIME)
_EXPIRED = int(IvStatus.EXPIRED)
_NO_RATE = int(IvStatus.NO_RATE)
_NO_DIVIDEND_YIELD = int(IvStatus.NO_DIVIDEND_YIELD)
_BELOW_INTRINSIC = int(IvStatus.BELOW_INTRINSIC)
_AT_INTRINSIC = int(IvStatus.AT_INTRINSIC)


def missing(  # noqa: PLR0911 - one reason each
    price: float, spot: float, strike: float, t_years: float, rate: float, dividend_yield: float
) -> int:
    """Return the reason why a row cannot be computed, 0 if there is none."""
    if not (isfinite(spot) and spot > 0):
        return _NO_UNDERLYING
    if not isfinite(price):
        return _NO_PRICE
    if not (isfinite(strike) and strike > 0):
        return _NO_STRIKE
    if isnan(t_years) or t_years == np.inf:
        return _NO_TIME
    if t_years <= 0:
        return _EXPIRED
    if not isfinite(rate):
        return _NO_RATE
    if not isfinite(dividend_yield):
        return _NO_DIVIDEND_YIELD
    return 0


def against_intrinsic(price: float, spot: float, strike: float, is_call: bool, is_american: bool) -> int:
    """Return the reason why a price has no volatility whatever the time and the rates, 0 if there is none.

    An American contract is worth what its exercise pays; a European one may be worth less (a put far in the money, at
    positive rates), so there only the sign counts. Prices are decimals: 62.93 is what 647.93 - 585 pays, though their
    doubles differ.
    """
    intrinsic = 0.0
    if is_american:
        intrinsic = max(spot - strike if is_call else strike - spot, 0.0)
    tolerance = ROUNDING * max(spot, strike) if intrinsic > 0 else 0.0
    if price < intrinsic - tolerance:
        return _BELOW_INTRINSIC
    return _AT_INTRINSIC if price <= intrinsic + tolerance else 0


def midpoint(
    bid: npt.NDArray[np.float64], ask: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int8]]:
    """Return the price between bid and ask, and why there is none.

    A side without a quote is NaN. A locked quote (bid = ask) has a midpoint, a crossed one has none.
    """
    price = (bid + ask) / 2
    status = np.where(bid > ask, IvStatus.CROSSED_QUOTE, np.where(np.isfinite(price), IvStatus.OK, IvStatus.NO_PRICE))
    return np.where(status == IvStatus.OK, price, np.nan), status.astype(np.int8)
