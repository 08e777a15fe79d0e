"""Only well-formed tickers reach URLs and file names."""

import re

import pytest

from bellwether.tickers import TICKER_PATTERN, Family, check_ticker


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


@pytest.mark.parametrize(
    ("ticker", "family"),
    [
        ("O:SPY240119C00470000", "option"),
        ("O:SPY1240119P00470000", "option"),
        ("O:BRKB240119C00350500", "option"),
        ("I:VIX", "index"),
        ("I:VIX1D", "index"),
    ],
)
def test_options_and_indices_pass_where_they_are_asked_for_and_nowhere_else(ticker: str, family: Family) -> None:
    assert check_ticker(ticker, "equity", family) == ticker
    with pytest.raises(ValueError, match="is not a ticker"):
        check_ticker(ticker)


@pytest.mark.parametrize(
    "ticker",
    [
        "O:SPY",
        "O:SPY241319C00470000",
        "O:SPY240119X00470000",
        "O:SPY240119C0047",
        "O:../../x",
        "I:",
        "I:../VIX",
        "I:vix",
    ],
)
def test_what_only_looks_like_an_option_or_an_index_is_refused(ticker: str) -> None:
    with pytest.raises(ValueError, match=r"O:SPY240119C00470000; or .* I:VIX"):
        check_ticker(ticker, "option", "index")
