"""Black-Scholes-Merton on a skewed smile with a term structure: prices, Greeks and the index of volatility they imply.

European exercise, dividends as a yield. Everything broadcasts; time is in years of 365 days, rates and yields are
continuously compounded fractions, volatilities are fractions per year. This room knows formulas and no market.
"""

import numpy as np
from scipy.special import ndtr

from bellwether.simulator.bars import Floats

type Values = float | Floats

SHORTEST_YEARS = 60 / (365 * 86_400)
"""A contract's last minute: below it the formulas are not asked for."""

_SKEW = -0.06  # change of relative volatility per standard deviation of log-moneyness
_CURVATURE = 0.012
_WIDEST = 4.0  # standard deviations beyond which the smile is flat
_REVERSION_PER_YEAR = 4.0  # half of a shock to variance is gone after two months
VIX_YEARS = 30 / 365
"""The horizon of the volatility index."""

_VIX_STRIKES = np.linspace(-6, 4, 161)  # in standard deviations of log-moneyness


def at_the_money(now: Values, usual: Values, years: Values) -> Floats:
    """Return the volatility at the forward of a horizon: variance `now` returns to the `usual` one exponentially."""
    elapsed = _REVERSION_PER_YEAR * np.maximum(years, SHORTEST_YEARS)
    weight = -np.expm1(-elapsed) / elapsed  # the mean of exp(-t) up to the horizon
    level: Floats = np.sqrt(np.square(usual) + (np.square(now) - np.square(usual)) * weight)
    return level


def implied_volatility(
    spot: Values, strike: Values, years: Values, rate: Values, atm: Values, dividend_yield: Values = 0.0
) -> Floats:
    """Return the smile's volatility at a strike, given the one at the forward."""
    deviation = np.asarray(atm) * np.sqrt(np.maximum(years, SHORTEST_YEARS))
    carry = (np.asarray(rate) - dividend_yield) * years
    moneyness = np.clip((np.log(np.asarray(strike) / spot) - carry) / deviation, -_WIDEST, _WIDEST)
    smile: Floats = atm * (1 + _SKEW * moneyness + _CURVATURE * moneyness**2)
    return smile


def price(
    spot: Values, strike: Values, years: Values, rate: Values, iv: Values, sign: Values, dividend_yield: Values = 0.0
) -> Floats:
    """Return the price per share; `sign` is 1 for calls, -1 for puts."""
    stock = spot * np.exp(-np.asarray(dividend_yield) * years)
    d1, d2 = _moments(stock, strike, years, rate, iv)
    discounted = strike * np.exp(-np.asarray(rate) * years)
    value: Floats = sign * (stock * ndtr(sign * d1) - discounted * ndtr(sign * d2))
    return value


def greeks(
    spot: Values, strike: Values, years: Values, rate: Values, iv: Values, sign: Values, dividend_yield: Values = 0.0
) -> Floats:
    """Return delta, gamma, theta per calendar day and vega per volatility point, in rows."""
    paid_out = np.exp(-np.asarray(dividend_yield) * years)
    stock = spot * paid_out
    d1, d2 = _moments(stock, strike, years, rate, iv)
    density = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
    root = np.sqrt(years)
    carry = np.asarray(rate) * strike * np.exp(-np.asarray(rate) * years) * ndtr(sign * d2)
    carry = carry - np.asarray(dividend_yield) * stock * ndtr(sign * d1)
    return np.array(
        [
            sign * paid_out * ndtr(sign * d1),
            paid_out * density / (spot * iv * root),
            (-stock * density * iv / (2 * root) - sign * carry) / 365,
            stock * density * root / 100,
        ]
    )


def volatility_index(atm: Floats, rate: float) -> Floats:
    """Return the 30-day index in points, given the volatility at the forward of 30 days.

    The variance swap's integral over the smile's options out of the money: what Cboe's VIX formula, a sum over the
    listed strikes of two expirations (Cboe Volatility Index Mathematics Methodology), approximates.
    """
    sigma = atm[:, None] * np.sqrt(VIX_YEARS)
    log_moneyness = _VIX_STRIKES * sigma
    strike, forward = np.exp(log_moneyness), 1.0  # of a spot that makes the forward 1
    spot = forward * np.exp(-rate * VIX_YEARS)
    iv = implied_volatility(spot, strike, VIX_YEARS, rate, atm[:, None])
    sign = np.where(_VIX_STRIKES < 0, -1.0, 1.0)
    value = price(spot, strike, VIX_YEARS, rate, iv, sign) * np.exp(rate * VIX_YEARS)
    # dK / K^2 = dk / K, with k the log of K
    variance = 2 / VIX_YEARS * np.trapezoid(value / strike, log_moneyness, axis=1)
    index: Floats = 100 * np.sqrt(variance)
    return index


def _moments(spot: Values, strike: Values, years: Values, rate: Values, iv: Values) -> tuple[Floats, Floats]:
    deviation = np.asarray(iv) * np.sqrt(years)
    d1 = (np.log(np.asarray(spot) / strike) + (np.asarray(rate) + np.asarray(iv) ** 2 / 2) * years) / deviation
    return d1, d1 - deviation
