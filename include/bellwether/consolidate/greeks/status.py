"""Why a row has no implied volatility: one reason for every row, in place of NaN."""

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class IvStatus(IntEnum):
    """What came of a row's implied volatility; `code` is how columns say it.

    The first that applies, in this order. STALE_UNDERLYING, CROSSED_QUOTE and ADJUSTED_CONTRACT are found by who joins
    prices, and kept.
    """

    OK = 0
    STALE_UNDERLYING = 1
    """The underlying's last price is too old."""
    CROSSED_QUOTE = 2
    """The bid is above the ask: there is no price between them."""
    NO_UNDERLYING = 3
    """No positive, finite price of the underlying."""
    NO_PRICE = 4
    """No finite price of the option."""
    NO_STRIKE = 5
    """No positive, finite strike."""
    NO_TIME = 6
    """No finite time to settlement."""
    EXPIRED = 7
    """Settled at or before the instant of the price."""
    NO_RATE = 8
    """No finite interest rate."""
    NO_DIVIDEND_YIELD = 9
    """No finite dividend yield."""
    BELOW_INTRINSIC = 10
    """The price is negative, or below what immediate exercise pays: an old print, or one of another instant."""
    AT_INTRINSIC = 11
    """The price is what immediate exercise pays, 0 included; of European contracts: the price is 0."""
    BELOW_EUROPEAN_BOUND = 12
    """At or below the discounted forward's intrinsic value: the limit of the formula where volatility goes to 0."""
    ABOVE_BOUND = 13
    """At or above the limit where volatility grows without end: the spot less dividends, or the discounted strike."""
    OUT_OF_RANGE = 14
    """The numbers go beyond what the formula can be computed for in double precision."""
    ADJUSTED_CONTRACT = 15
    """It delivers something else than shares of the underlying alone, which no formula of their price knows."""

    @property
    def code(self) -> str:
        """The reason as a word, as columns hold it."""
        return self.name.lower()


_CODES: Final = pa.array([status.code for status in IvStatus])


def status_codes(status: npt.NDArray[np.int8]) -> pa.DictionaryArray:
    """Return the column of words, dictionary-encoded."""
    return pa.DictionaryArray.from_arrays(pa.array(status), _CODES)
