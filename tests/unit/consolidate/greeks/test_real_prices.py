"""AAPL on 2014-06-06 under the archive's conventions, against what `vollib` gave for 2,000 of its rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bellwether.consolidate.greeks.conventions import FROM_BAR_START
from bellwether.consolidate.greeks.engine import Greeks, greeks
from bellwether.consolidate.greeks.rows import Rows, rows
from bellwether.options.symbols import OptionSymbol


@dataclass(frozen=True)
class Day:
    bars: pa.Table
    rows: Rows
    found: Greeks


@pytest.fixture(scope="module")
def day(archive: Path) -> Day:
    stock = pq.read_table(archive / "bars_equity_AAPL_20140606.parquet", columns=["t", "c"])
    bars = pq.read_table(archive / "bars_option_AAPL_20140606.parquet", columns=["ticker", "t", "c"])
    spot = stock.rename_columns(["t", "spot"])
    bars = bars.join(spot, "t").sort_by([("ticker", "ascending"), ("t", "ascending")])
    symbols = {ticker: OptionSymbol.parse(ticker) for ticker in bars["ticker"].unique().to_pylist()}
    settled = {
        ticker: FROM_BAR_START.settled_at(symbol.root, symbol.expiration).timestamp() * 1000
        for ticker, symbol in symbols.items()
    }
    tickers = bars["ticker"].to_pylist()
    options = rows(
        price=bars["c"],
        spot=bars["spot"],
        strike=np.array([symbols[ticker].strike for ticker in tickers]),
        t_years=FROM_BAR_START.t_years(bars["t"].to_numpy(), np.array([settled[ticker] for ticker in tickers])),
        rate=0.0075,
        is_call=np.array([symbols[ticker].right == "call" for ticker in tickers]),
    )
    return Day(bars, options, greeks(options))


def test_iv_and_greeks_equal_the_oracle(archive: Path, day: Day) -> None:
    oracle = pq.read_table(archive / "oracle_greeks.parquet")
    place = {
        key: i for i, key in enumerate(zip(*(day.bars[name].to_pylist() for name in ("ticker", "t")), strict=True))
    }
    at = [place[key] for key in zip(oracle["ticker"].to_pylist(), oracle["t"].to_pylist(), strict=True)]
    assert len(at) == 2000
    assert not day.found.status[at].any()
    np.testing.assert_allclose(day.rows.t_years[at], oracle["T_years"], rtol=1e-15)
    for name in ("iv", "delta", "gamma", "theta", "vega", "rho"):
        np.testing.assert_allclose(getattr(day.found, name)[at], oracle[name], rtol=1e-10, err_msg=name)


def test_what_has_no_volatility_is_null_with_its_reason(day: Day) -> None:
    table = day.found.table()
    counts = {row["values"]: row["counts"] for row in pc.value_counts(table["iv_status"]).to_pylist()}
    assert counts == {
        "ok": 21_330,  # the 21,321 of the archive's README, and 9 after the close that had not expired
        "below_intrinsic": 574,
        "at_intrinsic": 51,
        "below_european_bound": 109,
        "expired": 3,
    }
    below = table.filter(pc.equal(table["iv_status"].cast(pa.string()), "below_intrinsic"))
    assert all(below[name].null_count == len(below) for name in below.column_names if name != "iv_status")


def test_calls_and_puts_of_one_minute_agree_on_the_price_of_the_stock(day: Day) -> None:
    terms = zip(day.rows.strike, day.rows.t_years, day.bars["t"].to_pylist(), strict=True)
    pairs: dict[tuple[float, float, int], dict[bool, int]] = {}
    for i, (key, is_call) in enumerate(zip(terms, day.rows.is_call, strict=True)):
        if 0 < key[1] < 0.12:
            pairs.setdefault(key, {})[bool(is_call)] = i
    both = np.array([(pair[True], pair[False]) for pair in pairs.values() if len(pair) == 2])
    call, put = both[:, 0], both[:, 1]
    options = day.rows
    forward = options.spot[call] - options.strike[call] * np.exp(-0.0075 * options.t_years[call])
    gap = options.price[call] - options.price[put] - forward
    assert len(gap) == pytest.approx(2829, abs=5)
    assert abs(np.median(gap)) <= 0.0115  # the archive's README: -0.011
    assert np.median(np.abs(gap - np.median(gap))) <= 0.105  # there: 0.10
