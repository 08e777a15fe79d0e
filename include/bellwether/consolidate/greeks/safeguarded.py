"""The inverse of the normalised Black formula for what the vector path leaves: any price, one at a time.

Jaeckel's objectives ("Let's Be Rational", sections 4 and 5): the reciprocal logarithm of the price where it is low, the
logarithm of what it lacks to its limit where it is high; third-order Householder steps within a bracket that halves
where a step would leave it.
"""

from math import nan, sqrt
from typing import Final

from bellwether.consolidate.greeks.elementary import log_ratio
from bellwether.consolidate.greeks.formula import ONE_OVER_ROOT_2_PI, householder
from bellwether.consolidate.greeks.jit import inlined
from bellwether.consolidate.greeks.mills import mills, spread

_MOST_STEPS: Final = 100
_ENOUGH: Final = 1e-5  # a step of relative size e leaves an error of about e^4
_HIGHEST: Final = 70.0  # above, what a price lacks to its limit is below the smallest double


@inlined
def total_volatility(beta: float, room: float, x: float) -> float:
    """Return the total volatility s, NaN where double precision has none.

    Parameters
    ----------
    beta
        The price above intrinsic value, in units of the geometric mean of both present values.
    room
        What it lacks to its limit, in the same units.
    x
        The absolute log-moneyness.
    """
    middle = max(sqrt(2.0 * x), 2.0)
    is_low = log_ratio(beta, 1.0) < _log_price(middle, x)
    low, high = (0.0, middle) if is_low else (middle, _HIGHEST)
    s = middle
    for _ in range(_MOST_STEPS):
        missed, move = _low_step(s, beta, x) if is_low else _high_step(s, room, x)
        if missed > 0:
            high = s
        else:
            low = s
        s += move
        if abs(move) <= _ENOUGH * s and low <= s <= high:
            return s
        if not low < s < high:
            s = 0.5 * (low + high)
    return nan


@inlined
def _low_step(s: float, beta: float, x: float) -> tuple[float, float]:
    """Return the logarithm of the price at `s` less that of `beta`, and the step: for 1 / ln(b) - 1 / ln(beta)."""
    h, t = x / s, 0.5 * s
    log_price, log_beta, slope = _log_price(s, x), log_ratio(beta, 1.0), 1.0 / _mills_spread(h, t)
    second = (h * h - t * t) / s
    third = second * second - 3.0 * (h / s) * (h / s) - 0.25
    newton = (log_beta - log_price) * log_price / (log_beta * slope)
    bend = 1.0 + 2.0 / log_price
    third += 2.0 * slope * slope * (1.0 + 3.0 / log_price * (1.0 + 1.0 / log_price)) - 3.0 * second * slope * bend
    return log_price - log_beta, householder(newton, second - slope * bend, third)


@inlined
def _high_step(s: float, room: float, x: float) -> tuple[float, float]:
    """Return the logarithm of `room` less that at `s`, and the step: for ln(b_max - b) - ln(room)."""
    h, t = x / s, 0.5 * s
    both = mills(t - h) + mills(t + h)
    slope = 1.0 / both
    missed = log_ratio(room, both * ONE_OVER_ROOT_2_PI) + 0.5 * (h * h + t * t)
    second = (h * h - t * t) / s
    third = second * second - 3.0 * (h / s) * (h / s) - 0.25 + slope * (2.0 * slope + 3.0 * second)
    return missed, householder(-missed * both, second + slope, third)


@inlined
def _log_price(s: float, x: float) -> float:
    h, t = x / s, 0.5 * s
    return log_ratio(_mills_spread(h, t) * ONE_OVER_ROOT_2_PI, 1.0) - 0.5 * (h * h + t * t)


@inlined
def _mills_spread(h: float, t: float) -> float:
    return spread(h, t) if t <= 1.0 and h * t <= 1.0 else mills(h - t) - mills(h + t)
