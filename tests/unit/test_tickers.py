"""Only well-formed tickers reach URLs and file names."""

import re

import pytest

from bellwether.tickers import TICKER_PATTERN, check_ticker


@pytest.mark.parametrize("ticker", ["A", "SPY", "BRK.A", "BACpK", "T0001", "GOOGL"])
def test_tickers_as_the_vendor_writes_them_pass(ticker: str) -> None:
    assert check_ticker(ticker) == ticker
    assert re.search(TICKER_PATTERN, ticker)


@pytest.mark.parametrize(
    "ticker", ["", "../x", "spy", "SPY\n", "SPY/..", "S PY", "O:SPY", "A" * 12, "BRK.A.B", "É", "1SPY"]
)
def test_anything_else_is_refused_by_name(ticker: str) -> None:
    with pytest.raises(ValueError, match="is not a ticker"):
        check_ticker(ticker)
