"""Compute, with more digits than doubles have, the numbers that `bellwether.consolidate.greeks` rests on.

`python tools/greeks_numbers.py coefficients` prints those of `mills.py`;
`python tools/greeks_numbers.py references` writes `tests/fixtures/greeks_40_digits.csv`. Needs mpmath.
"""

import csv
import random
import sys
from pathlib import Path

import mpmath as mp

FIXTURE = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "greeks_40_digits.csv"
_ROWS, _SEED = 400, 20_140_606
_DEGREE, _CENTRE, _LAST = 11, 4, 42
_NAMES = ("price", "spot", "strike", "t_years", "rate", "dividend_yield", "is_call")
_RESULTS = ("iv", "delta", "gamma", "theta", "vega", "rho")


def coefficients() -> dict[str, list[float]]:
    """Interpolate 1 - u M(u), M the Mills ratio, by a ratio of polynomials; M follows from both."""
    mp.mp.dps = 80
    unknown = 2 * _DEGREE
    last = mp.mpf(_LAST - _CENTRE) / (_LAST + _CENTRE)
    matrix, right = mp.matrix(unknown, unknown), mp.matrix(unknown, 1)
    for i in range(unknown):
        w = (last - 1) / 2 + (last + 1) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * unknown))
        u = _CENTRE * (1 + w) / (1 - w)
        slope = 1 - u * mp.sqrt(mp.pi / 2) * mp.exp(u * u / 2) * mp.erfc(u / mp.sqrt(2))
        weight = 1 / (slope * (1 + u) ** (_DEGREE + 1))
        for j in range(1, _DEGREE):
            matrix[i, j - 1] = u**j * weight
        for j in range(1, _DEGREE + 2):
            matrix[i, _DEGREE + j - 2] = -slope * u**j * weight
        right[i] = (slope - 1) * weight
    solved = list(mp.lu_solve(matrix, right))
    above, below = [mp.mpf(1), *solved[: _DEGREE - 1]], [mp.mpf(1), *solved[_DEGREE - 1 :]]
    ratio = [below[j + 1] - (above[j + 1] if j + 1 < len(above) else 0) for j in range(_DEGREE + 1)]
    return {
        name: [float(value) for value in values]
        for name, values in (("_SLOPE", above), ("_RATIO", ratio), ("_BELOW", below))
    }


def references() -> list[dict[str, str]]:
    """Return options of random terms whose price fixes the volatility to 1e-9, with 40-digit results for that price."""
    mp.mp.dps = 45
    draw, rows = random.Random(_SEED), []  # noqa: S311 - a fixed sample is wanted
    while len(rows) < _ROWS:
        spot = round(10 ** draw.uniform(0, 3.5), 2)
        strike = round(spot / draw.uniform(0.5, 2), 2)
        t_years = (1 / 8760) * (2 * 8760) ** draw.random()
        rate = round(draw.uniform(-0.01, 0.08), 4) * draw.choice([0, 1, 1, 1])
        dividend_yield = round(draw.uniform(0, 0.05), 4) * draw.choice([0, 1])
        terms = [mp.mpf(number) for number in (spot, strike, t_years, rate, dividend_yield)]
        is_call = draw.random() < 0.5
        drawn = 0.03 * 100 ** draw.random()
        price = float(_price(is_call, *terms, mp.mpf(drawn)))
        if price < 1e-290 or (iv := _volatility(mp.mpf(price), is_call, *terms, mp.mpf(drawn))) is None:
            continue
        greeks = _greeks(is_call, *terms, iv)
        ulp = mp.mpf(2) ** (mp.frexp(price)[1] - 53)
        if ulp / (greeks[3] * 100 * iv) < 1e-9:
            inputs = (price, spot, strike, t_years, rate, dividend_yield, int(is_call))
            results = (mp.nstr(value, 20) for value in (iv, *greeks))
            rows.append(dict(zip((*_NAMES, *_RESULTS), (*map(repr, inputs), *results), strict=True)))
    return rows


def _terms(
    spot: mp.mpf, strike: mp.mpf, t: mp.mpf, rate: mp.mpf, dividend_yield: mp.mpf, iv: mp.mpf
) -> tuple[mp.mpf, ...]:
    s = iv * mp.sqrt(t)
    d1 = (mp.log(spot / strike) + (rate - dividend_yield) * t) / s + s / 2
    return spot * mp.exp(-dividend_yield * t), strike * mp.exp(-rate * t), d1, d1 - s


def _normal(z: mp.mpf) -> mp.mpf:
    return mp.erfc(-z / mp.sqrt(2)) / 2


def _price(is_call: bool, *option: mp.mpf) -> mp.mpf:
    spot, strike, d1, d2 = _terms(*option)
    sign = 1 if is_call else -1
    return sign * (spot * _normal(sign * d1) - strike * _normal(sign * d2))


def _volatility(price: mp.mpf, is_call: bool, *option: mp.mpf) -> mp.mpf | None:
    """Solve for the volatility by Newton's method on the logarithm of the price out of the money."""
    *terms, iv = option
    for _ in range(80):
        spot, strike, d1, _d2 = _terms(*terms, iv)
        excess = price - max(spot - strike if is_call else strike - spot, 0)
        found = _price(spot < strike, *terms, iv)
        if excess <= 0 or found <= 0:
            return None
        step = mp.log(excess / found) * found / (spot * mp.npdf(d1) * mp.sqrt(terms[2]))
        iv += max(min(step, iv), -iv / 2)
        if abs(step) < mp.mpf(10) ** -40 * iv:
            return iv
    return None


def _greeks(is_call: bool, *option: mp.mpf) -> tuple[mp.mpf, ...]:
    price, _, t, rate, dividend_yield, iv = option
    spot, strike, d1, d2 = _terms(*option)
    sign = 1 if is_call else -1
    density, spot_term, strike_term = spot * mp.npdf(d1), spot * _normal(sign * d1), strike * _normal(sign * d2)
    return (
        sign * spot_term / price,
        density / (price * price * iv * mp.sqrt(t)),
        (sign * (dividend_yield * spot_term - rate * strike_term) - density * iv / (2 * mp.sqrt(t))) / 365,
        density * mp.sqrt(t) / 100,
        sign * t * strike_term / 100,
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["coefficients"]:
        for name, values in coefficients().items():
            sys.stdout.write(f"{name} {values}\n")
    elif sys.argv[1:] == ["references"]:
        with FIXTURE.open("w", newline="") as file:
            writer = csv.DictWriter(file, (*_NAMES, *_RESULTS), lineterminator="\n")
            writer.writeheader()
            writer.writerows(references())
    else:
        sys.exit(__doc__)
