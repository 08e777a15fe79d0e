"""A symbol says four facts; parsing and printing are inverse, alone and by the column."""

import re
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwether.options.symbols import OptionSymbol, parse_symbols
from bellwether.tickers import OPTION_PATTERN

THOUSANDTHS = st.integers(0, 99_999_999)
SYMBOLS = st.builds(
    OptionSymbol,
    root=st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True).filter(str.isascii),
    expiration=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    right=st.sampled_from(["call", "put"]),
    strike=THOUSANDTHS.map(lambda thousandths: float(Decimal(thousandths) / 1000)),
)


@pytest.mark.parametrize(
    ("ticker", "said"),
    [
        ("O:AAPL140613C00645000", ("AAPL", date(2014, 6, 13), "call", 645.0)),
        ("O:SPXW210104C03700000", ("SPXW", date(2021, 1, 4), "call", 3700.0)),
        ("O:SPY1240119P00470500", ("SPY1", date(2024, 1, 19), "put", 470.5)),
        ("O:F240229C00012355", ("F", date(2024, 2, 29), "call", 12.355)),
        ("O:A991231P99999999", ("A", date(2099, 12, 31), "put", 99999.999)),
    ],
)
def test_a_symbol_says_root_expiration_right_and_strike(ticker: str, said: tuple[str, date, str, float]) -> None:
    symbol = OptionSymbol.parse(ticker)
    assert (symbol.root, symbol.expiration, symbol.right, symbol.strike) == said
    assert str(symbol) == ticker


@given(SYMBOLS)
def test_what_is_printed_is_parsed_back(symbol: OptionSymbol) -> None:
    assert OptionSymbol.parse(str(symbol)) == symbol


@given(st.from_regex(OPTION_PATTERN, fullmatch=True).filter(lambda ticker: not ticker.endswith("\n")))
def test_what_is_parsed_is_printed_back_and_strikes_are_the_nearest_float64(ticker: str) -> None:
    try:
        symbol = OptionSymbol.parse(ticker)
    except ValueError as error:
        assert "a day that does not exist" in str(error)  # noqa: PT017 - only impossible dates pass the form
    else:
        assert str(symbol) == ticker
        assert repr(symbol.strike) == repr(float(f"{ticker[-8:-3]}.{ticker[-3:]}"))


@given(st.text(max_size=24))
def test_no_other_text_is_ever_taken_for_a_symbol(text: str) -> None:
    if not re.fullmatch(OPTION_PATTERN, text):
        with pytest.raises(ValueError, match="is not a ticker: O:, root, expiration"):
            OptionSymbol.parse(text)


@pytest.mark.parametrize("day", ["140230", "230229", "140431", "210631"])
def test_a_day_that_does_not_exist_is_refused_in_words(day: str) -> None:
    with pytest.raises(ValueError, match=f"O:SPY{day}C00470000' expires on a day that does not exist: 20{day[:2]}-"):
        OptionSymbol.parse(f"O:SPY{day}C00470000")


def test_only_a_root_that_ends_in_a_digit_is_adjusted() -> None:
    assert OptionSymbol.parse("O:SPY1240119C00470000").is_adjusted
    assert not OptionSymbol.parse("O:SPY240119C00470000").is_adjusted


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"right": "other"}, "a call or a put"),
        ({"expiration": date(1999, 12, 31)}, "2000 to 2099"),
        ({"expiration": date(2100, 1, 1)}, "2000 to 2099"),
        ({"strike": 33.3333}, "thousandths of a dollar"),
        ({"strike": -1.0}, "thousandths of a dollar"),
        ({"strike": 100_000.0}, "below 100,000"),
        ({"strike": float("nan")}, "thousandths of a dollar"),
        ({"strike": float("inf")}, "thousandths of a dollar"),
        ({"root": "spy"}, "is not a ticker"),
        ({"root": "TOOLONG"}, "is not a ticker"),
    ],
)
def test_what_no_symbol_can_say_is_refused(changed: dict[str, object], why: str) -> None:
    facts = {"root": "SPY", "expiration": date(2024, 1, 19), "right": "call", "strike": 470.0}
    with pytest.raises(ValueError, match=why):
        OptionSymbol(**{**facts, **changed})  # type: ignore[arg-type]


@given(st.lists(SYMBOLS, max_size=30), st.booleans())
def test_a_column_is_understood_like_its_rows(symbols: list[OptionSymbol], in_chunks: bool) -> None:
    tickers = [str(symbol) for symbol in symbols]
    column: pa.Array | pa.ChunkedArray = pa.array(tickers, pa.string())
    if in_chunks:
        column = pa.chunked_array([tickers[:7], tickers[7:]], pa.string())
    parsed = parse_symbols(column)
    assert parsed.schema == pa.schema(
        {"root": pa.string(), "expiration": pa.date32(), "right": pa.string(), "strike": pa.float64()}
    )
    assert [OptionSymbol(**row) for row in parsed.to_pylist()] == symbols


@pytest.mark.parametrize("bad", ["O:SPY", "SPY240119C00470000", "O:SPY240230C00470000", "O:SPY240119C00470000\n"])
def test_one_bad_symbol_in_a_column_is_refused_by_name(bad: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(bad))):
        parse_symbols(pa.array(["O:SPY240119C00470000", bad, "O:SPY240119C00471000"]))


def test_a_null_in_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 option symbols are null"):
        parse_symbols(pa.array(["O:SPY240119C00470000", None]))


def test_twenty_thousand_symbols_take_a_fraction_of_100_ms() -> None:
    tickers = pa.array([f"O:SPX2401{1 + n % 28:02d}{'CP'[n % 2]}{n * 250:08d}" for n in range(20_000)])
    spent_s = []
    for _ in range(3):
        begun_s = time.process_time()
        assert parse_symbols(tickers).num_rows == 20_000
        spent_s.append(time.process_time() - begun_s)
    assert min(spent_s) < 0.1


def test_every_contract_of_the_archive_decodes_to_its_own_row(archive: Path) -> None:
    files = sorted(archive.glob("contracts_*.parquet"))
    assert files
    for file in files:
        rows = pq.read_table(file)
        wanted = zip(
            rows["expiration_date"].cast(pa.date32()).to_pylist(),
            rows["contract_type"].to_pylist(),
            rows["strike_price"].to_pylist(),
            strict=True,
        )
        symbols = [OptionSymbol.parse(ticker) for ticker in rows["ticker"].to_pylist()]
        assert [(symbol.expiration, symbol.right, symbol.strike) for symbol in symbols] == list(wanted)
        assert [str(symbol) for symbol in symbols] == rows["ticker"].to_pylist()
        assert [OptionSymbol(**row) for row in parse_symbols(rows["ticker"]).to_pylist()] == symbols
        underlying = rows["underlying_ticker"].to_pylist()
        assert all(symbol.root.startswith(name) for symbol, name in zip(symbols, underlying, strict=True))
