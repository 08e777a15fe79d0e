"""Prices between quotes, on named and on real ones."""

from math import inf, nan
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bellwether.consolidate.greeks.gate import midpoint
from bellwether.consolidate.greeks.status import IvStatus


def test_a_crossed_or_one_sided_quote_has_no_midpoint_and_says_why() -> None:
    bid, ask = np.array([1.0, 2.0, 2.1, nan, 0.5, 1.0]), np.array([1.5, 2.0, 2.0, 1.0, nan, inf])
    price, status = midpoint(bid, ask)
    assert [IvStatus(code).code for code in status] == ["ok", "ok", "crossed_quote", "no_price", "no_price", "no_price"]
    np.testing.assert_array_equal(price, [1.25, 2.0, nan, nan, nan, nan])


def test_the_crossed_quotes_of_a_real_day_are_found(archive: Path) -> None:
    quotes = pq.read_table(archive / "quotes_option_hourly_AAPL_20140606.parquet")
    price, status = midpoint(quotes["bid"].to_numpy(), quotes["ask"].to_numpy())
    crossed = quotes["ticker"].to_numpy()[status == IvStatus.CROSSED_QUOTE]
    assert crossed.tolist() == ["O:AAPL140613P00550000", "O:AAPL140613P00555000"]
    assert (np.isfinite(price) == (status == IvStatus.OK)).all()
