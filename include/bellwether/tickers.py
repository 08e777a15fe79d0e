"""What a ticker may look like: the one gate between a name from outside and a URL or a file name."""

import re
from typing import Final, Literal

Family = Literal["equity", "option", "index"]

WHOLE: Final = "*"
"""What stands in a ticker's place where all rows of a dataset are asked for at once; no ticker looks like it."""

TICKER_PATTERN = r"^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z]{1,4})?$"
"""Equity tickers as the vendor writes them: `SPY`, `BRK.A`, `BACpK`; also used as the form's JSON-schema pattern."""

INDEX_PATTERN = r"^I:[A-Z][A-Z0-9]{0,14}$"
"""Indices: `I:VIX`."""

OPTION_PATTERN = r"^O:[A-Z][A-Z0-9]{0,5}[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[CP][0-9]{8}$"
"""OCC: root (a digit at its end marks an adjusted contract), YYMMDD, call or put, strike in thousandths of a dollar;
Python and RE2 read it alike."""

_PATTERNS: Final[dict[Family, re.Pattern[str]]] = {
    "equity": re.compile(TICKER_PATTERN),
    "option": re.compile(OPTION_PATTERN),
    "index": re.compile(INDEX_PATTERN),
}
_ALLOWED: Final[dict[Family, str]] = {
    "equity": "a capital letter, then letters and digits, at most one suffix: SPY, BRK.A",
    "option": "O:, root, expiration, C or P, strike in thousandths: O:SPY240119C00470000",
    "index": "I:, then capital letters and digits: I:VIX",
}


def check_ticker(ticker: str, *families: Family) -> str:
    """Return `ticker` if it is well formed.

    Parameters
    ----------
    ticker
        As the vendor writes it.
    families
        What kinds are allowed; equities only, unless others are named.

    Raises
    ------
    ValueError
        It is not; the message says what is allowed.
    """
    allowed = families or ("equity",)
    if not any(_PATTERNS[family].fullmatch(ticker) for family in allowed):
        msg = f"{ticker!r} is not a ticker: {'; or '.join(_ALLOWED[family] for family in allowed)}"
        raise ValueError(msg)
    return ticker
