"""Black-Scholes on a skewed smile, vectorised: prices, Greeks and the index of volatility that follows from them.

European exercise, no dividends. Everything broadcasts; time is in years of 365 days, rates are continuously
compounded fractions, volatilities are fractions per year. This room knows formulas and no market.
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
_VIX_YEARS = 30 / 365
_VIX_STRIKES = np.linspace(-6, 4, 161)  # in standard deviations of log-moneyness


def implied_volatility(spot: Values, strike: Values, years: Values, rate: Values, atm: Values) -> Floats:
    """Return the smile's volatility at a strike, given the one at the forward."""
    deviation = np.asarray(atm) * np.sqrt(np.maximum(years, SHORTEST_YEARS))
    moneyness = np.clip((np.log(np.asarray(strike) / spot) - np.asarray(rate) * years) / deviation, -_WIDEST, _WIDEST)
    smile: Floats = atm * (1 + _SKEW * moneyness + _CURVATURE * moneyness**2)
    return smile


def price(spot: Values, strike: Values, years: Values, rate: Values, iv: Values, sign: Values) -> Floats:
    """Return the price per share; `sign` is 1 for calls, -1 for puts."""
    d1, d2 = _moments(spot, strike, years, rate, iv)
    discounted = strike * np.exp(-np.asarray(rate) * years)
    value: Floats = sign * (spot * ndtr(sign * d1) - discounted * ndtr(sign * d2))
    return value


def greeks(spot: Values, strike: Values, years: Values, rate: Values, iv: Values, sign: Values) -> Floats:
    """Return delta, gamma, theta per calendar day and vega per volatility point, in rows."""
    d1, d2 = _moments(spot, strike, years, rate, iv)
    density = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
    root = np.sqrt(years)
    carry = np.asarray(rate) * strike * np.exp(-np.asarray(rate) * years) * ndtr(sign * d2)
    return np.array(
        [
            sign * ndtr(sign * d1),
            density / (spot * iv * root),
            (-spot * density * iv / (2 * root) - sign * carry) / 365,
            spot * density * root / 100,
        ]
    )


def volatility_index(atm: Floats, rate: float) -> Floats:
    """Return the 30-day index in points: the fair variance of the smile's options out of the money (Cboe's VIX)."""
    sigma = atm[:, None] * np.sqrt(_VIX_YEARS)
    log_moneyness = _VIX_STRIKES * sigma
    strike, forward = np.exp(log_moneyness), 1.0  # of a spot that makes the forward 1
    spot = forward * np.exp(-rate * _VIX_YEARS)
    iv = implied_volatility(spot, strike, _VIX_YEARS, rate, atm[:, None])
    sign = np.where(_VIX_STRIKES < 0, -1.0, 1.0)
    value = price(spot, strike, _VIX_YEARS, rate, iv, sign) * np.exp(rate * _VIX_YEARS)
    # dK / K^2 = dk / K, with k the log of K
    variance = 2 / _VIX_YEARS * np.trapezoid(value / strike, log_moneyness, axis=1)
    index: Floats = 100 * np.sqrt(variance)
    return index


def _moments(spot: Values, strike: Values, years: Values, rate: Values, iv: Values) -> tuple[Floats, Floats]:
    deviation = np.asarray(iv) * np.sqrt(years)
    d1 = (np.log(np.asarray(spot) / strike) + (np.asarray(rate) + np.asarray(iv) ** 2 / 2) * years) / deviation
    return d1, d1 - deviation
