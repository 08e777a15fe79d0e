"""What volatility and Greeks are counted in, and from when until when.

Every number is that of a European option with a continuous dividend yield (Black-Scholes-Merton), interest compounded
continuously, whatever the contract's exercise style: the usual column of vendors, and comparable between contracts.
Of American contracts, early exercise is taken for volatility. Measured on SPY-like options (volatility 18 %, rate
4.3 %, yield 1.2 %; with the yield passed): nothing for calls; 0.1 to 0.3 points for puts at or out of the money up to
90 days; 0.9 for puts 5 % in the money at 30 days, 14 at 15 %, more nearer to expiration. `american_bias` flags those
in the money. A yield left at 0 costs half a point at the money at 30 days, of opposite signs for calls and puts.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from bellwether.calendar import usual_close
from bellwether.options.hours import settled_at

DAYS_PER_YEAR: Final = 365.0
"""Calendar days of 24 hours: of `t_years`, and of theta, which is per day."""
POINT: Final = 0.01
"""What vega and rho are per: one point of volatility, one point of the rate."""

_BAR_MS: Final = 60_000
_YEAR_MS: Final = DAYS_PER_YEAR * 86_400_000


@dataclass(frozen=True, slots=True)
class Conventions:
    """How the time to settlement is counted: continuously, no rounding to days.

    Attributes
    ----------
    priced_at
        The instant of a minute bar's price: its end, which is when its close is known, or its start, which names it.
    settled
        When the contract is settled: as its product really is (opening or close of the settlement day, early closes and
        Saturday expirations as they were), or at 16:00 New York on the very date of its symbol.
    """

    priced_at: Literal["bar_end", "bar_start"] = "bar_end"
    settled: Literal["product", "date"] = "product"

    def settled_at(self, root: str, expiration: date) -> datetime:
        """Return when contracts of `root` are settled that expire on `expiration`, aware UTC."""
        return settled_at(root, expiration) if self.settled == "product" else usual_close(expiration)

    def t_years(
        self, bar_start_ms: npt.NDArray[np.int64], settled_ms: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Return the years from the prices of minute bars to settlement; 0 and less where it is past.

        Parameters
        ----------
        bar_start_ms
            Starts of the bars, milliseconds since 1970 UTC.
        settled_ms
            Instants of settlement, likewise.
        """
        delay_ms = _BAR_MS if self.priced_at == "bar_end" else 0
        return (np.asarray(settled_ms, np.int64) - np.asarray(bar_start_ms, np.int64) - delay_ms) / _YEAR_MS


BELLWETHER: Final = Conventions()
"""What `chain` is computed by."""
FROM_BAR_START: Final = Conventions(priced_at="bar_start", settled="date")
"""What many back-testing archives are computed by: comparable with them, but a minute too long, and on Saturday
expirations a day."""


def american_bias(
    is_american: npt.NDArray[np.bool_],
    is_call: npt.NDArray[np.bool_],
    spot: npt.NDArray[np.float64],
    strike: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    """Return where the right to exercise early inflates the volatility: American puts in the money."""
    return np.asarray(is_american & ~np.asarray(is_call, np.bool_) & (spot < strike), np.bool_)
