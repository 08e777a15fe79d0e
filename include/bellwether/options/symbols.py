"""The one parser of option symbols as the vendor spells them: `O:AAPL140613C00645000` into its four facts and back.

`bellwether.tickers` stays the gate of their form; here they get their meaning. Knows no product and no calendar.
Source: the OCC's option symbology, root, YYMMDD, C or P, strike in thousandths of a dollar in eight digits; the vendor
puts `O:` before it and leaves out the padding of the root.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.tickers import OPTION_PATTERN, check_ticker

Right = Literal["call", "put"]

_LAST_YEAR = 2099  # two digits of a year; no option is older than this century


@dataclass(frozen=True, slots=True)
class OptionSymbol:
    """What an option symbol says; `str()` prints it back.

    Attributes
    ----------
    root
        The product, mostly the underlying's ticker; not unique to it: SPX and SPXW are both options on SPX.
    expiration
        As the symbol carries it, a Saturday for monthly options before February 2015.
    right
        `call` or `put`.
    strike
        Dollars a share, the float64 nearest to a whole number of thousandths.

    Raises
    ------
    ValueError
        No symbol can say this; the message says what is allowed.
    """

    root: str
    expiration: date
    right: Right
    strike: float

    def __post_init__(self) -> None:
        """Refuse what cannot be printed."""
        if self.right not in ("call", "put"):
            msg = f"an option is a call or a put, not {self.right!r}"
            raise ValueError(msg)
        if not 2000 <= self.expiration.year <= _LAST_YEAR:
            msg = f"an option symbol has two digits for the year, 2000 to {_LAST_YEAR}: {self.expiration} has no place"
            raise ValueError(msg)
        if not 0 <= self.strike < 100_000 or self._thousandths / 1000 != self.strike:
            msg = f"a strike is a whole number of thousandths of a dollar below 100,000 dollars, not {self.strike!r}"
            raise ValueError(msg)
        check_ticker(str(self), "option")

    @classmethod
    def parse(cls, ticker: str) -> Self:
        """Return what `ticker` says.

        Raises
        ------
        ValueError
            It is no option symbol, or its expiration is no date.
        """
        check_ticker(ticker, "option")
        # Everything but the root has its width, so it is read from the end: a root may end in digits.
        digits = ticker[-15:-9]
        try:
            expiration = date.fromisoformat(f"20{digits}")
        except ValueError:
            msg = f"{ticker!r} expires on a day that does not exist: 20{digits[:2]}-{digits[2:4]}-{digits[4:]}"
            raise ValueError(msg) from None
        return cls(ticker[2:-15], expiration, "call" if ticker[-9] == "C" else "put", int(ticker[-8:]) / 1000)

    def __str__(self) -> str:
        """Return the symbol as the vendor writes it."""
        return f"O:{self.root}{self.expiration:%y%m%d}{self.right[0].upper()}{self._thousandths:08d}"

    @property
    def is_adjusted(self) -> bool:
        """Whether a corporate action changed the contract: then its root ends in a digit, and it delivers otherwise."""
        return self.root[-1].isdigit()

    @property
    def _thousandths(self) -> int:
        return round(self.strike * 1000)


def parse_symbols(tickers: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return what option symbols say, row by row: `OptionSymbol.parse` for a whole partition.

    Parameters
    ----------
    tickers
        Strings, none of them null.

    Returns
    -------
    pa.Table
        As many rows in the same order: `root` string, `expiration` date32, `right` string, `strike` float64 in dollars.

    Raises
    ------
    ValueError
        One of them is no option symbol; the message names the first.
    """
    if tickers.null_count:
        msg = f"{tickers.null_count} of {len(tickers)} option symbols are null"
        raise ValueError(msg)
    for malformed in tickers.filter(pc.invert(pc.match_substring_regex(tickers, OPTION_PATTERN))):
        OptionSymbol.parse(malformed.as_py())
    # A partition has thousands of symbols and dozens of expirations: each is understood once.
    dates = pc.utf8_slice_codeunits(tickers, -15, -9)
    kinds = dates.unique()
    known = [OptionSymbol.parse(tickers[pc.index(dates, digits).as_py()].as_py()).expiration for digits in kinds]
    thousandths = pc.utf8_slice_codeunits(tickers, -8).cast(pa.int64())
    return pa.table(
        {
            "root": pc.utf8_slice_codeunits(tickers, 2, -15),
            "expiration": pa.array(known, pa.date32()).take(pc.index_in(dates, kinds)),
            "right": pc.if_else(pc.equal(pc.utf8_slice_codeunits(tickers, -9, -8), "C"), "call", "put"),
            "strike": pc.divide(thousandths.cast(pa.float64()), 1000.0),
        }
    )
