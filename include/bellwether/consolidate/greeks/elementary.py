"""Elementary functions without branches or calls, so that a loop over them becomes vector instructions.

Scalars in, scalars out, compiled into their callers. Arguments outside the stated ranges give garbage, never an error:
who calls masks them. Relative errors are below 3e-16 unless stated otherwise.
"""

from collections.abc import Callable
from math import factorial
from typing import Any, Final, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from bellwether.consolidate.greeks.jit import inlined

_DOUBLE, _INT = ir.DoubleType(), ir.IntType(64)

_ROUNDER: Final = 1.5 * 2.0**52  # adding it leaves the nearest integer in the lowest bits
_ROUNDER_BITS: Final = 0x4338_0000_0000_0000
_LOG2_E: Final = float.fromhex("0x1.71547652b82fep+0")
_LN_2_HIGH: Final = float.fromhex("0x1.62e42fee00000p-1")  # its lowest bits are zero: multiples are exact
_LN_2_LOW: Final = float.fromhex("0x1.a39ef35793c76p-33")
_ONE_BITS: Final = 0x3FF0_0000_0000_0000
_ROOT_HALF_BITS: Final = 0x3FE6_A09E_667F_3BCD
_EXP: Final = tuple(1 / factorial(k) for k in range(13, -1, -1))
_ARTANH: Final = tuple(2 / (2 * k + 1) for k in range(11, 0, -1))
_EXPM1_TAIL: Final = tuple(1 / factorial(k) for k in range(17, 3, -1))
_SIXTH: Final = 1 / 6
_SIXTH_LOW: Final = float.fromhex("0x1.5555555555555p-57")


def _fma(_: Any, a: Any, b: Any, c: Any) -> Any:  # noqa: ANN401 - numba's types and LLVM's values
    def emit(_: Any, builder: Any, __: Any, values: Any) -> Any:  # noqa: ANN401
        return builder.fma(*values)

    return types.float64(a, b, c), emit


def _bits(_: Any, value: Any) -> Any:  # noqa: ANN401
    def emit(_: Any, builder: Any, __: Any, values: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(values[0], _INT)

    return types.int64(value), emit


def _double(_: Any, value: Any) -> Any:  # noqa: ANN401
    def emit(_: Any, builder: Any, __: Any, values: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(values[0], _DOUBLE)

    return types.float64(value), emit


fma = cast("Callable[[float, float, float], float]", intrinsic(_fma))
"""a * b + c, rounded once."""
bits = cast("Callable[[float], int]", intrinsic(_bits))
"""The 64 bits of a double."""
double = cast("Callable[[int], float]", intrinsic(_double))
"""The double of 64 bits."""


@inlined
def exp(x: float) -> float:
    """Return e^x for -700 <= x <= 700."""
    shifted = fma(x, _LOG2_E, _ROUNDER)
    n = shifted - _ROUNDER
    r = fma(-n, _LN_2_LOW, fma(-n, _LN_2_HIGH, x))
    p = _EXP[0]
    for k in range(1, 14):
        p = fma(p, r, _EXP[k])
    return double(bits(p) + (bits(shifted) << 52))


@inlined
def log_ratio(a: float, b: float) -> float:
    """Return ln(a / b) of positive normal numbers whose ratio is one too; exact differences keep it precise near 0."""
    # The bits of a double, as an integer, are about its logarithm to base 2; so the ratio's is known without dividing
    # well enough to leave between 2/3 and 3/2 of it to the series.
    e = (bits(a) - bits(b) + _ONE_BITS - _ROOT_HALF_BITS) >> 52
    scaled = b * double((e + 1023) << 52)
    s = (a - scaled) / (a + scaled)
    square = s * s
    p = _ARTANH[0]
    for k in range(1, 11):
        p = fma(p, square, _ARTANH[k])
    n = double(_ROUNDER_BITS + e) - _ROUNDER
    return fma(n, _LN_2_HIGH, fma(n, _LN_2_LOW, fma(s * square, p, 2 * s)))


@inlined
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return a + b rounded, and what rounding took away."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@inlined
def two_product(a: float, b: float) -> tuple[float, float]:
    """Return a * b rounded, and what rounding took away."""
    product = a * b
    return product, fma(a, b, -product)


@inlined
def expm1_of_product(a: float, b: float) -> tuple[float, float]:
    """Return e^(a b) - 1 for |a b| <= 1 as a sum of two doubles, to 1e-20 at 0.1 and 1e-17 at 1."""
    y, y_low = two_product(a, b)
    tail = _EXPM1_TAIL[0]
    for k in range(1, 14):
        tail = fma(tail, y, _EXPM1_TAIL[k])
    high, low = two_sum(_SIXTH, tail * y)
    high, low = _times_plus(high, low + _SIXTH_LOW, y, 0.5)
    high, low = _times_plus(high, low, y, 1.0)
    product, error = two_product(high, y)
    return two_sum(product, fma(low, y, error) + fma(y, y_low, y_low))


@inlined
def _times_plus(high: float, low: float, y: float, constant: float) -> tuple[float, float]:
    product, error = two_product(high, y)
    total, rounded = two_sum(constant, product)
    return total, rounded + fma(low, y, error)
