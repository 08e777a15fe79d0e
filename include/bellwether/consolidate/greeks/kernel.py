"""The default engine: volatility and Greeks of many options in blocks, compiled.

Each block is read and gated row by row, computed without branches, then stored row by row; only what is not plain is
solved again on its own. A row's numbers depend on that row alone, so blocks may be cut anywhere.
"""

from collections.abc import Callable
from functools import cache
from math import nan
from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from bellwether.consolidate.greeks.elementary import exp, expm1_of_product, two_sum
from bellwether.consolidate.greeks.formula import (
    Answer,
    Normal,
    Option,
    answer,
    first_guess,
    is_finite,
    is_plain,
    normalise,
    step,
)
from bellwether.consolidate.greeks.gate import ROUNDING, against_intrinsic, missing
from bellwether.consolidate.greeks.jit import compiled, inlined
from bellwether.consolidate.greeks.rows import Rows
from bellwether.consolidate.greeks.safeguarded import total_volatility
from bellwether.consolidate.greeks.status import IvStatus

type _Block = npt.NDArray[np.float64]

_SIZE: Final = 256  # a block stays in the first-level cache
_SMALLEST, _LARGEST, _SMALLEST_BETA, _LARGEST_EXPONENT = 1e-30, 1e30, 1e-300, 700.0
_PLAIN, _IV, _DELTA, _GAMMA, _THETA, _VEGA, _RHO, _IV_ERROR = 7, 8, 9, 10, 11, 12, 13, 14
_OK = int(IvStatus.OK)
_BELOW_EUROPEAN_BOUND = int(IvStatus.BELOW_EUROPEAN_BOUND)
_ABOVE_BOUND = int(IvStatus.ABOVE_BOUND)
_OUT_OF_RANGE = int(IvStatus.OUT_OF_RANGE)
_NOTHING: Final = Answer(nan, nan, nan, nan, nan, nan, nan)

_missing, _against_intrinsic = inlined(missing), inlined(against_intrinsic)


def fill(rows: Rows, status: npt.NDArray[np.int8], out: npt.NDArray[np.float64]) -> None:
    """Compute the rows whose status is 0: `engine.Engine`."""
    machine_code()(*rows, status, out)


@cache
def machine_code() -> Callable[..., None]:
    """Return what `fill` calls; compiled in seconds where no process has kept it before."""
    numbers, flags = (numba.types.Array(kind, 1, "A", readonly=True) for kind in (numba.float64, numba.boolean))
    status, out = numba.types.Array(numba.int8, 1, "C"), numba.types.Array(numba.float64, 2, "C")
    return compiled(_fill, numba.void(*[numbers] * 6, flags, flags, status, out))


def _fill(  # noqa: PLR0913, PLR0917 - numba converts arrays one by one, not within a tuple
    price: npt.NDArray[np.float64],
    spot: npt.NDArray[np.float64],
    strike: npt.NDArray[np.float64],
    t_years: npt.NDArray[np.float64],
    rate: npt.NDArray[np.float64],
    dividend_yield: npt.NDArray[np.float64],
    is_call: npt.NDArray[np.bool_],
    is_american: npt.NDArray[np.bool_],
    status: npt.NDArray[np.int8],
    out: npt.NDArray[np.float64],
) -> None:
    rows = Rows(price, spot, strike, t_years, rate, dividend_yield, is_call, is_american)
    block = np.empty((15, _SIZE))
    for start in range(0, len(status), _SIZE):
        _load_block(rows, status, start, block)
        for i in range(_SIZE):
            _compute(block, i)
        _store_block(block, status, start, out)


@inlined
def _load_block(rows: Rows, status: npt.NDArray[np.int8], start: int, block: _Block) -> None:
    for i in range(_SIZE):
        row = start + i
        if row < len(status) and status[row] == _OK:
            status[row] = _judge(rows, row)
        _load(rows, row, block, i, row < len(status) and status[row] == _OK)


@inlined
def _store_block(block: _Block, status: npt.NDArray[np.int8], start: int, out: npt.NDArray[np.float64]) -> None:
    for i in range(min(_SIZE, len(status) - start)):
        row = start + i
        if status[row] != _OK:
            _store(_NOTHING, out, row)
        elif block[_PLAIN, i] == 1.0:
            for j in range(7):
                out[j, row] = block[_IV + j, i]
        else:
            status[row], found = _solve_again(_option(block, i))
            _store(found, out, row)


@inlined
def _judge(rows: Rows, row: int) -> int:
    price, spot, strike = rows.price[row], rows.spot[row], rows.strike[row]
    reason = _missing(price, spot, strike, rows.t_years[row], rows.rate[row], rows.dividend_yield[row])
    if reason != _OK:
        return reason
    return _against_intrinsic(price, spot, strike, rows.is_call[row], rows.is_american[row])


@inlined
def _load(rows: Rows, row: int, block: _Block, i: int, is_wanted: bool) -> None:
    """Read a row into the block, or an option that is as good as any where nothing is to be computed."""
    block[0, i] = rows.price[row] if is_wanted else 0.4
    block[1, i] = rows.spot[row] if is_wanted else 1.0
    block[2, i] = rows.strike[row] if is_wanted else 1.0
    block[3, i] = rows.t_years[row] if is_wanted else 1.0
    block[4, i] = rows.rate[row] if is_wanted else 0.0
    block[5, i] = rows.dividend_yield[row] if is_wanted else 0.0
    block[6, i] = (1.0 if rows.is_call[row] else -1.0) if is_wanted else 1.0


@inlined
def _option(block: _Block, i: int) -> Option:
    return Option(block[0, i], block[1, i], block[2, i], block[3, i], block[4, i], block[5, i], block[6, i])


@inlined
def _compute(block: _Block, i: int) -> None:
    option = _option(block, i)
    normal = normalise(
        option,
        expm1_of_product(-option.dividend_yield, option.t_years),
        expm1_of_product(-option.rate, option.t_years),
    )
    per_scale = 1.0 / normal.scale
    beta = normal.excess * per_scale
    guess = first_guess(beta, normal.x, abs(normal.gap) * per_scale)
    better, _ = step(guess, beta, normal.x)
    s, missed = step(better, beta, normal.x)
    found = answer(option, normal, s)
    plain = is_plain(s, normal.x, missed) & (beta >= _SMALLEST_BETA) & is_finite(found)
    plain = plain & (normal.excess > _tolerance(option, normal))
    plain = plain & (max(abs(option.rate), abs(option.dividend_yield)) * option.t_years <= 1.0)
    plain = plain & (min(option.spot, option.strike) >= _SMALLEST) & (max(option.spot, option.strike) <= _LARGEST)
    block[_PLAIN, i] = 1.0 if plain else 0.0
    block[_IV, i] = found.iv
    block[_DELTA, i] = found.delta
    block[_GAMMA, i] = found.gamma
    block[_THETA, i] = found.theta
    block[_VEGA, i] = found.vega
    block[_RHO, i] = found.rho
    block[_IV_ERROR, i] = found.iv_error


@inlined
def _store(found: Answer, out: npt.NDArray[np.float64], row: int) -> None:
    out[0, row] = found.iv
    out[1, row] = found.delta
    out[2, row] = found.gamma
    out[3, row] = found.theta
    out[4, row] = found.vega
    out[5, row] = found.rho
    out[6, row] = found.iv_error


@inlined
def _tolerance(option: Option, normal: Normal) -> float:
    return ROUNDING * max(option.spot, option.strike) if option.sign * normal.gap > 0 else 0.0


@inlined
def _solve_again(option: Option) -> tuple[int, Answer]:
    """Return the reason and the numbers of what the vector path left."""
    yield_exponent, rate_exponent = -option.dividend_yield * option.t_years, -option.rate * option.t_years
    if max(abs(yield_exponent), abs(rate_exponent)) > _LARGEST_EXPONENT:
        return _OUT_OF_RANGE, _NOTHING
    if min(option.spot, option.strike) < _SMALLEST or max(option.spot, option.strike) > _LARGEST:
        return _OUT_OF_RANGE, _NOTHING
    yielded, discount = two_sum(exp(yield_exponent), -1.0), two_sum(exp(rate_exponent), -1.0)
    if abs(yield_exponent) <= 1.0:
        yielded = expm1_of_product(-option.dividend_yield, option.t_years)
    if abs(rate_exponent) <= 1.0:
        discount = expm1_of_product(-option.rate, option.t_years)
    normal = normalise(option, yielded, discount)
    if normal.excess <= _tolerance(option, normal):
        return _BELOW_EUROPEAN_BOUND, _NOTHING
    if normal.room <= 0:
        return _ABOVE_BOUND, _NOTHING
    beta = normal.excess / normal.scale
    if not beta >= _SMALLEST_BETA:
        return _OUT_OF_RANGE, _NOTHING
    s = total_volatility(beta, normal.room / normal.scale, normal.x)
    found = answer(option, normal, s)
    return (_OK, found) if is_finite(found) else (_OUT_OF_RANGE, _NOTHING)
