"""The normal distribution's Mills ratio M(u) = (1 - Phi(u)) / phi(u), its slope, and its difference between two points.

The normalised Black formula is exp(-(h^2 + t^2) / 2) / sqrt(2 pi) times [M(u - t) - M(u + t)], u = |h|: written so
(Jaeckel, "Let's Be Rational", 2013-16, sections 2 and 6) nothing underflows. The two ratios differ little where
volatility is small, so their difference is not subtracted but summed from the derivatives at u (same paper, the
expansion for small t), which are all of one sign, starting from a slope that is itself approximated and not computed
as 1 - u M(u).
"""

from typing import Final

from bellwether.consolidate.greeks.elementary import fma
from bellwether.consolidate.greeks.jit import inlined

# 1 - u M(u) = SLOPE / BELOW and M(u) = RATIO / BELOW, polynomials in u from the constant term up; interpolated with 60
# digits at 22 Chebyshev points of (u - 4) / (u + 4), 0 <= u <= 42. All are positive, so nothing cancels.
# tools/greeks_numbers.py computes them.
_SLOPE: Final = (
    *(1.0, 1.3631960342768896, 0.9456722729521925, 0.42840234499970137, 0.13856729134855367, 0.03320561980805653),
    *(0.0059512904466025186, 0.0007875413823833831, 7.384006247405991e-05, 4.45708477809365e-06),
    *(1.3308759444336859e-07,),
)
_RATIO: Final = (
    *(1.2533141373155003, 2.2793091884865477, 2.052061755266934, 1.190140523438985, 0.49027582743561093),
    *(0.15003240706543172, 0.03475396062484146, 0.006098172029446194, 0.000796455552295603, 7.410623765770997e-05),
    *(4.457084778140386e-06, 1.3308759444317875e-07),
)
_BELOW: Final = (
    *(1.0, 2.61651017159239, 3.22498146143874, 2.480464100266635, 1.3287078147875386, 0.5234814472436674),
    *(0.15598369751203425, 0.03554150200722484, 0.0061720120919202546, 0.0008009126370736966, 7.423932525215334e-05),
    *(4.457084778140386e-06, 1.3308759444317875e-07),
)
_TERMS: Final = 14
_STEPS: Final = tuple(1.0 / (2 * k * (2 * k + 1)) for k in range(1, _TERMS))


@inlined
def mills_fraction(u: float) -> tuple[float, float]:
    """Return numerator and denominator of M(u) for u >= 0."""
    ratio, below = _RATIO[11], _BELOW[12]
    for k in range(10, -1, -1):
        ratio = fma(ratio, u, _RATIO[k])
    for k in range(11, -1, -1):
        below = fma(below, u, _BELOW[k])
    return ratio, below


@inlined
def mills(u: float) -> float:
    """Return M(u) for u >= 0."""
    ratio, below = mills_fraction(u)
    return ratio / below


@inlined
def slope(u: float) -> float:
    """Return -M'(u) = 1 - u M(u) for 0 <= u <= 42."""
    above, below = _SLOPE[10], _BELOW[12]
    for k in range(9, -1, -1):
        above = fma(above, u, _SLOPE[k])
    for k in range(11, -1, -1):
        below = fma(below, u, _BELOW[k])
    return above / below


@inlined
def spread(u: float, t: float) -> float:
    """Return M(u - t) - M(u + t) for 0 < t <= 1 and 0 <= u <= 42, u t <= 1, to 1e-14 and mostly better.

    The odd derivatives follow each other by M''(n + 2) = (u^2 + 2 n + 1) M(n) - n (n - 1) M(n - 2).
    """
    square, w = u * u, t * t
    first = slope(u)
    before = first
    term = fma(first, square + 3.0, -1.0) * (w * _STEPS[0])
    total = first + term
    for k in range(1, _TERMS - 1):
        following = w * _STEPS[k] * fma(square + (4 * k + 3), term, -(w * before))
        before, term = term, following
        total += following
    return 2.0 * t * total
