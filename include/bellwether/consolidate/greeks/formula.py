"""Black-Scholes-Merton, its inverse and its derivatives, for one option and without branches.

The method is P. Jaeckel's ("Let's Be Rational", 2013-16): the price above the forward's intrinsic value, normalised, as
a function b(x, s) of the log-moneyness x and the total volatility s; third-order Householder steps on its logarithm.
What differs from that paper serves vectors: one first guess for all regions in place of four, namely his closed form
of the normal model's volatility ("Implied Normal Volatility", 2017) brought to lognormal by Hagan's expansion.

Everything here holds for any option in the gate's sense, but is precise only within `is_plain`; the rest is for
`safeguarded`. A price deep in the money fixes the volatility by what it exceeds intrinsic value by, so that excess is
computed with twice the digits: the volatility is the price's own, not the rounding's.
"""

from math import pi, sqrt
from typing import Final, NamedTuple

from bellwether.consolidate.greeks.conventions import DAYS_PER_YEAR, POINT
from bellwether.consolidate.greeks.elementary import bits, double, exp, fma, log_ratio, two_product, two_sum
from bellwether.consolidate.greeks.jit import inlined
from bellwether.consolidate.greeks.mills import mills_fraction, spread

ONE_OVER_ROOT_2_PI: Final = 1 / sqrt(2 * pi)
_EXPONENT: Final = 0x7FF0_0000_0000_0000
_PER_DAY: Final = 1 / DAYS_PER_YEAR
_EPSILON: Final = 2.0**-52


class Option(NamedTuple):
    """One option: as in `Rows`, but `sign` is 1 for calls and -1 for puts."""

    price: float
    spot: float
    strike: float
    t_years: float
    rate: float
    dividend_yield: float
    sign: float


class Normal(NamedTuple):
    """An option, normalised.

    Attributes
    ----------
    excess
        The price above the discounted forward's intrinsic value: that of the option out of the money, by parity.
    room
        What the price lacks to its upper bound.
    gap
        Spot less dividends, less the discounted strike.
    spot, strike
        Both present values: less dividends, discounted.
    scale
        Their geometric mean.
    x
        The absolute logarithm of their ratio.
    """

    excess: float
    room: float
    gap: float
    spot: float
    strike: float
    scale: float
    x: float


class Answer(NamedTuple):
    """What `Greeks` has of one option, in the same units."""

    iv: float
    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float
    iv_error: float


@inlined
def normalise(option: Option, yielded: tuple[float, float], discount: tuple[float, float]) -> Normal:
    """Return the normalised option.

    Parameters
    ----------
    option
        As quoted.
    yielded, discount
        e^(-dividend yield x time) - 1 and e^(-rate x time) - 1, as sums of two doubles.
    """
    price, spot, strike, sign = option.price, option.spot, option.strike, option.sign
    gap, low = two_sum(spot, -strike)
    spot_part, spot_low = two_product(spot, yielded[0])
    strike_part, strike_low = two_product(strike, discount[0])
    spot_low, strike_low = fma(spot, yielded[1], spot_low), fma(strike, discount[1], strike_low)
    gap, rounded = two_sum(gap, spot_part)
    low += rounded + spot_low
    gap, rounded = two_sum(gap, -strike_part)
    low += rounded - strike_low
    over, rounded = two_sum(price, -sign * gap)
    excess = over + (rounded - sign * low) if sign * gap > 0 else price
    spot_now, strike_now = spot + spot_part + spot_low, strike + strike_part + strike_low
    room = (spot_now if sign > 0 else strike_now) - price
    x = abs(log_ratio(spot, strike) + (option.rate - option.dividend_yield) * option.t_years)
    return Normal(excess, room, gap + low, spot_now, strike_now, sqrt(spot_now * strike_now), x)


@inlined
def first_guess(beta: float, x: float, gap: float) -> float:
    """Return about the total volatility of a normalised price: to 0.1 % where it is below 1.

    Parameters
    ----------
    beta
        The excess, in units of the scale.
    x
        As in `Normal`.
    gap
        The absolute gap, in units of the scale.
    """
    middle = beta + 0.5 * gap
    g = gap / middle
    w = g * g
    above = fma(w, fma(w, fma(w, -9.6066952861e-5, 2.6207332461e-3), -0.016969777977), 0.032114372355)
    below = fma(w, fma(w, fma(w, -0.010472855461, 0.14528712196), -0.6635646938), 1.0)
    above, below = middle * below, fma(above, w, ONE_OVER_ROOT_2_PI * below)
    h = sqrt(log_ratio(gap, beta))
    is_far = beta < 0.001882039271 * gap
    above = gap * fma(h, fma(h, fma(h, 6.6437847132e-5, 1.5120247828), 0.65174820867), -1.0) if is_far else above
    below = fma(h, fma(h, fma(h, 2.1464093351, 0.58556997323), -9.6320903635), 9.4883409779) if is_far else below
    square = x * x
    lognormal = above / below * fma(square, fma(square, 7 / 5760, -1 / 24), 1.0)
    return 2.0 * lognormal / (1.0 + sqrt(max(1.0 - lognormal * lognormal / 6.0, 0.0)))


@inlined
def step(s: float, beta: float, x: float) -> tuple[float, float]:
    """Return a better total volatility, and by what the logarithm of the price was missed before."""
    per_s, t = 1.0 / s, 0.5 * s
    h = x * per_s
    above = spread(h, t)
    missed = log_ratio(above * ONE_OVER_ROOT_2_PI, beta) - 0.5 * fma(h, h, t * t)
    # Newton's step is -missed x above, and 1 / above is the logarithm's slope: multiplied out, nothing is divided.
    newton = -missed * above
    second = newton * (h * h - t * t) * per_s
    square = newton * newton
    third = second * second - square * (3.0 * (h * per_s) * (h * per_s) + 0.25) + missed * (2.0 * missed + 3.0 * second)
    second += missed
    return s + newton * (1.0 + 0.5 * second) / (1.0 + second + third / 6.0), missed


@inlined
def householder(newton: float, second: float, third: float) -> float:
    """Return the third-order step: Newton's, corrected by the second and third derivatives over the first."""
    return newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))


@inlined
def is_plain(s: float, x: float, missed: float) -> bool:
    """Return whether two steps from the first guess came to `s` and its Greeks with full precision."""
    return (abs(missed) < 3e-5) & (s < 2.0) & (x < 2.0) & (x < 37.0 * s)


@inlined
def answer(option: Option, normal: Normal, s: float) -> Answer:
    """Return volatility and Greeks from the total volatility."""
    per_s, t = 1.0 / s, 0.5 * s
    h = normal.x * per_s
    density = normal.scale * exp(-0.5 * fma(h, h, t * t)) * ONE_OVER_ROOT_2_PI
    # Both terms of the formula for the option out of the money, by the lower and the higher of spot and strike; in the
    # money it is the rest of either. What is over a half is computed as the rest of what is not.
    in_the_money = option.sign * normal.gap > 0
    edge, below = mills_fraction(abs(h - t))
    tail, other_below = mills_fraction(h + t)
    per_below = density / (below * other_below)
    edge, tail = edge * other_below * per_below, tail * below * per_below
    lower = edge if (h > t) != in_the_money else min(normal.spot, normal.strike) - edge
    higher = max(normal.spot, normal.strike) - tail if in_the_money else tail
    spot_term = lower if normal.gap < 0 else higher
    strike_term = higher if normal.gap < 0 else lower
    root, per_spot = sqrt(option.t_years), 1.0 / option.spot
    per_root = 1.0 / root
    vega = density * root
    carry = option.sign * (option.dividend_yield * spot_term - option.rate * strike_term)
    return Answer(
        s * per_root,
        option.sign * spot_term * per_spot,
        density * per_s * per_spot * per_spot,
        (carry - density * t * per_root * per_root) * _PER_DAY,
        vega * POINT,
        option.sign * option.t_years * strike_term * POINT,
        double(bits(option.price) & _EXPONENT) * _EPSILON / vega,
    )


@inlined
def is_finite(found: Answer) -> bool:
    """Return whether every number is one."""
    total = found.iv + abs(found.delta) + found.gamma + abs(found.theta) + found.vega + abs(found.rho) + found.iv_error
    return total * 0.0 == 0.0
