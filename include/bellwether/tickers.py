"""What a ticker may look like: the one gate between a name from outside and a URL or a file name."""

import re

TICKER_PATTERN = r"^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z]{1,4})?$"
"""Equity tickers as the vendor writes them: `SPY`, `BRK.A`, `BACpK`; also used as the form's JSON-schema pattern."""

_TICKER = re.compile(TICKER_PATTERN)


def check_ticker(ticker: str) -> str:
    """Return `ticker` if it is well formed.

    Raises
    ------
    ValueError
        It is not; the message says what is allowed.
    """
    if not _TICKER.fullmatch(ticker):
        msg = f"{ticker!r} is not a ticker: a capital letter, then letters and digits, at most one suffix: SPY, BRK.A"
        raise ValueError(msg)
    return ticker
