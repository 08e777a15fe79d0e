"""Implied volatility and Greeks of option rows: one call, whatever the engine.

Greeks are the Black-Scholes-Merton formula's for European options with a continuous dividend yield, whatever the
contract's exercise style (`conventions` says what that does to American ones).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bellwether.consolidate.greeks import kernel
from bellwether.consolidate.greeks.rows import Rows
from bellwether.consolidate.greeks.status import IvStatus, status_codes

Engine = Literal["kernel", "vollib"]


@dataclass(frozen=True, slots=True)
class Greeks:
    """One number per row; NaN where `status` is not 0, and nowhere else.

    Attributes
    ----------
    iv
        Implied volatility, a fraction per year (0.2 is 20 %).
    delta
        Change in value per unit of the underlying's price.
    gamma
        Change in delta per unit of the underlying's price.
    theta
        Change in value per calendar day that passes: the derivative per year, over 365.
    vega
        Change in value per volatility point, that is per 0.01 of `iv`.
    rho
        Change in value per point of the interest rate, that is per 0.01.
    iv_error
        By how much the price's last binary digit changes `iv`, at least: below this, digits of `iv` mean nothing.
    status
        `IvStatus` as int8.
    """

    iv: npt.NDArray[np.float64]
    delta: npt.NDArray[np.float64]
    gamma: npt.NDArray[np.float64]
    theta: npt.NDArray[np.float64]
    vega: npt.NDArray[np.float64]
    rho: npt.NDArray[np.float64]
    iv_error: npt.NDArray[np.float64]
    status: npt.NDArray[np.int8]

    def table(self) -> pa.Table:
        """Return the columns, null where there is no volatility, and `iv_status` as words."""
        names = ("iv", "delta", "gamma", "theta", "vega", "rho", "iv_error")
        absent = self.status != IvStatus.OK
        columns = {name: pa.array(getattr(self, name), mask=absent) for name in names}
        return pa.table(columns | {"iv_status": status_codes(self.status)})


def greeks(rows: Rows, known: npt.NDArray[np.int8] | None = None, *, engine: Engine = "kernel") -> Greeks:
    """Return implied volatility and Greeks of every row, or the reason why there are none.

    Parameters
    ----------
    rows
        From `rows.rows`.
    known
        Reasons found before (`STALE_UNDERLYING`, ...): those rows keep them, 0 is for rows to compute.
    engine
        `kernel`, or `vollib` for the reference: a thousandth of the speed, and fewer digits in the money.
    """
    status = np.zeros(len(rows.price), np.int8) if known is None else np.array(known, np.int8, order="C")
    if len(status) != len(rows.price):
        msg = f"{len(status)} reasons for {len(rows.price)} rows"
        raise ValueError(msg)
    numbers = np.empty((7, len(status)))
    _fill(rows, status, numbers, engine)
    iv, delta, gamma, theta, vega, rho, iv_error = numbers
    return Greeks(iv, delta, gamma, theta, vega, rho, iv_error, status)


def _fill(rows: Rows, status: npt.NDArray[np.int8], out: npt.NDArray[np.float64], engine: Engine) -> None:
    if engine == "kernel":
        kernel.fill(rows, status, out)
    else:
        from bellwether.consolidate.greeks import reference  # noqa: PLC0415 - loads scipy's statistics: a second

        reference.fill(rows, status, out)
