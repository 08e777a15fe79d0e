"""Volatility and Greeks against 40-digit numbers, the reference and real prices; a reason for every row without."""

import csv
import tracemalloc
from hashlib import sha256
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwether.consolidate.greeks.engine import Engine, Greeks, greeks
from bellwether.consolidate.greeks.rows import Rows, rows
from bellwether.consolidate.greeks.status import IvStatus

FIXTURE = Path(__file__).resolve().parents[3] / "fixtures" / "greeks_40_digits.csv"  # tools/greeks_numbers.py wrote it
NAMES = ("iv", "delta", "gamma", "theta", "vega", "rho")
GOOD: dict[str, Any] = {"price": 3.0, "spot": 100.0, "strike": 101.0, "t_years": 0.1, "rate": 0.04, "is_call": True}
ANY_NUMBER = st.one_of(
    st.floats(), st.floats(1e-3, 1e3), st.sampled_from([0.0, -0.0, 5e-324, 1e-300, 1e300, 1.8e308, 1.0, 100.0])
)


@pytest.fixture(scope="module")
def exact() -> dict[str, np.ndarray]:
    with FIXTURE.open() as file:
        records = list(csv.DictReader(file))
    return {name: np.array([float(record[name]) for record in records]) for name in records[0]}


@pytest.fixture(scope="module")
def exact_rows(exact: dict[str, np.ndarray]) -> Rows:
    inputs = {name: exact[name] for name in ("price", "spot", "strike", "t_years", "rate", "dividend_yield")}
    return rows(**inputs, is_call=exact["is_call"] == 1, is_american=False)


def one(engine: Engine = "kernel", **changes: Any) -> Greeks:
    return greeks(rows(**{**GOOD, **changes}), engine=engine)


@pytest.mark.parametrize("name", NAMES)
def test_where_the_price_fixes_the_volatility_all_digits_are_right(
    exact: dict[str, np.ndarray], exact_rows: Rows, name: str
) -> None:
    found = greeks(exact_rows)
    assert not found.status.any()
    np.testing.assert_allclose(getattr(found, name), exact[name], rtol=1e-12, atol=0)


def test_the_reference_says_the_same_up_to_its_own_rounding(exact: dict[str, np.ndarray], exact_rows: Rows) -> None:
    some = Rows(*(column[:80] for column in exact_rows))
    ours, theirs = greeks(some), greeks(some, engine="vollib")
    assert not theirs.status.any()
    # The forward price is rounded to its last digit there: that much of the price, and of the log-moneyness.
    total_volatility = ours.iv * np.sqrt(some.t_years)
    rounding = 20 * (2.0**-52 * some.spot * ours.iv_error / np.spacing(some.price) / ours.iv)
    rounding += 1e-14 + 1e-15 / total_volatility
    assert (np.abs(theirs.iv / ours.iv - 1) <= rounding).all()
    for name in NAMES[1:]:
        here, there = getattr(ours, name), getattr(theirs, name)
        depth = 1 + np.square(np.log(some.spot / some.strike) / total_volatility)
        assert (np.abs(there / here - 1) <= 10 * depth * rounding).all(), name
    np.testing.assert_allclose(theirs.iv_error, ours.iv_error, rtol=1e-3)


@pytest.mark.parametrize(("rate", "dividend_yield"), [(3.0, 0.0), (-0.6, 0.0), (0.0, 0.7), (-1.0, -0.9)])
def test_rates_beyond_all_experience_are_computed_too(rate: float, dividend_yield: float) -> None:
    strike = 100 * np.exp(2 * (rate - dividend_yield)) * 1.1
    option = {"strike": strike, "t_years": 2.0, "rate": rate, "dividend_yield": dividend_yield, "is_american": False}
    ours, theirs = one(**option), one("vollib", **option)
    assert ours.status[0] == theirs.status[0] == IvStatus.OK
    for name in NAMES:
        assert getattr(ours, name)[0] == pytest.approx(getattr(theirs, name)[0], rel=1e-12), name


BAD_INPUT: list[tuple[dict[str, Any], IvStatus]] = [
    ({}, IvStatus.OK),
    ({"rate": -0.03}, IvStatus.OK),
    ({"rate": 3.0, "t_years": 2.0, "strike": 5e4}, IvStatus.OK),
    ({"price": 6.0, "dividend_yield": -0.5}, IvStatus.OK),
    ({"price": 2.0, "strike": 99.0, "t_years": 1 / 525_600}, IvStatus.OK),  # the last minute
    (
        {"price": 25.0, "spot": 100.0, "strike": 75.0, "is_call": False, "t_years": 1 / 8760},
        IvStatus.OK,
    ),  # iv of 6,000 %
    ({"price": 1e-200}, IvStatus.OK),
    ({"price": 1e-310}, IvStatus.OUT_OF_RANGE),
    ({"price": nan}, IvStatus.NO_PRICE),
    ({"price": inf}, IvStatus.NO_PRICE),
    ({"spot": nan}, IvStatus.NO_UNDERLYING),
    ({"spot": 0.0}, IvStatus.NO_UNDERLYING),
    ({"spot": -1.0}, IvStatus.NO_UNDERLYING),
    ({"spot": inf}, IvStatus.NO_UNDERLYING),
    ({"strike": 0.0}, IvStatus.NO_STRIKE),
    ({"strike": nan}, IvStatus.NO_STRIKE),
    ({"strike": inf}, IvStatus.NO_STRIKE),
    ({"t_years": nan}, IvStatus.NO_TIME),
    ({"t_years": inf}, IvStatus.NO_TIME),
    ({"t_years": 0.0}, IvStatus.EXPIRED),
    ({"t_years": -0.01}, IvStatus.EXPIRED),
    ({"t_years": -inf}, IvStatus.EXPIRED),
    ({"rate": nan}, IvStatus.NO_RATE),
    ({"rate": inf}, IvStatus.NO_RATE),
    ({"dividend_yield": nan}, IvStatus.NO_DIVIDEND_YIELD),
    ({"dividend_yield": -inf}, IvStatus.NO_DIVIDEND_YIELD),
    ({"price": -1.0}, IvStatus.BELOW_INTRINSIC),
    ({"price": 9.99, "strike": 90.0}, IvStatus.BELOW_INTRINSIC),
    ({"price": 9.99, "strike": 110.0, "is_call": False}, IvStatus.BELOW_INTRINSIC),
    ({"price": 0.0}, IvStatus.AT_INTRINSIC),
    ({"price": 0.0, "is_american": False}, IvStatus.AT_INTRINSIC),
    ({"price": 62.93, "spot": 647.93, "strike": 585.0}, IvStatus.AT_INTRINSIC),  # as decimals; the doubles differ
    ({"price": 10.2, "strike": 90.0}, IvStatus.BELOW_EUROPEAN_BOUND),
    ({"price": 9.8, "strike": 110.0, "is_call": False, "is_american": False}, IvStatus.OK),  # less than exercise pays
    ({"price": 9.5, "strike": 110.0, "is_call": False, "is_american": False}, IvStatus.BELOW_EUROPEAN_BOUND),
    ({"price": 100.0}, IvStatus.ABOVE_BOUND),
    ({"price": 99.9, "dividend_yield": 0.02}, IvStatus.ABOVE_BOUND),
    ({"price": 100.8, "is_call": False}, IvStatus.ABOVE_BOUND),  # the strike is worth 100.6 today
    ({"spot": 1e-200}, IvStatus.OUT_OF_RANGE),
    ({"strike": 1e200}, IvStatus.OUT_OF_RANGE),
    ({"rate": -1e5}, IvStatus.OUT_OF_RANGE),
    ({"rate": 0.0, "t_years": 1e-310}, IvStatus.OUT_OF_RANGE),
]


@pytest.mark.parametrize(("changes", "status"), BAD_INPUT, ids=str)
def test_every_input_has_its_reason(changes: dict[str, Any], status: IvStatus) -> None:
    found = one(**changes)
    assert IvStatus(found.status[0]) is status
    numbers = [getattr(found, name)[0] for name in (*NAMES, "iv_error")]
    assert np.isfinite(numbers).all() if status is IvStatus.OK else np.isnan(numbers).all()


@pytest.mark.parametrize(
    ("changes", "status"),
    [case for case in BAD_INPUT if case[1] != IvStatus.OUT_OF_RANGE],
    ids=str,
)
def test_the_reference_gives_the_same_reasons(changes: dict[str, Any], status: IvStatus) -> None:
    assert IvStatus(one("vollib", **changes).status[0]) is status


def test_what_rounding_leaves_above_a_bound_is_no_excess() -> None:
    found = one(price=62.93, spot=647.93, strike=585.0, rate=0.0, is_american=False)
    assert IvStatus(found.status[0]) is IvStatus.BELOW_EUROPEAN_BOUND


def test_missing_input_comes_before_what_the_price_says() -> None:
    assert IvStatus(one(spot=nan, price=nan).status[0]) is IvStatus.NO_UNDERLYING
    assert IvStatus(one(t_years=0.0, price=-1.0).status[0]) is IvStatus.EXPIRED


@given(st.lists(st.tuples(*[ANY_NUMBER] * 6, st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_whatever_comes_in_no_nan_is_unexplained(options: list[tuple[Any, ...]]) -> None:
    columns = [np.array(column) for column in zip(*options, strict=True)]
    found = greeks(Rows(*columns))
    for name in (*NAMES, "iv_error"):
        assert (np.isfinite(getattr(found, name)) == (found.status == 0)).all()
    assert set(found.status) <= set(IvStatus)
    assert (found.iv[found.status == 0] > 0).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("total_volatility", [1e-6, 0.01, 0.5, 1.99, 2.01, 4.0, 9.0])
@pytest.mark.parametrize("x", [0.0, 1e-9, 0.3, 2.5, 8.0])
def test_the_price_of_the_volatility_is_the_price(sign: int, total_volatility: float, x: float) -> None:
    from scipy.special import ndtr

    spot, strike = 100.0, 100.0 * np.exp(sign * x)
    d1 = -sign * x / total_volatility + total_volatility / 2
    price = sign * (spot * ndtr(sign * d1) - strike * ndtr(sign * (d1 - total_volatility)))
    if price < 1e-250:
        return  # no double can hold it with all its digits
    found = one(price=price, strike=strike, t_years=1.0, rate=0.0, is_call=sign == 1, is_american=False)
    assert found.status[0] == 0
    # scipy subtracts, so it keeps fewer digits than asked of the kernel elsewhere.
    assert found.iv[0] == pytest.approx(total_volatility, rel=1e-7)


def test_a_row_depends_on_no_other_row_and_on_no_strides(exact_rows: Rows) -> None:
    whole = greeks(exact_rows)
    backwards = greeks(Rows(*(column[::-1] for column in exact_rows)))
    tail = greeks(Rows(*(column[131:] for column in exact_rows)))
    for name in (*NAMES, "iv_error"):
        numbers = getattr(whole, name)
        assert numbers.tobytes() == getattr(backwards, name)[::-1].tobytes()
        assert numbers[131:].tobytes() == getattr(tail, name).tobytes()


def test_the_results_are_the_same_bits_on_every_machine(exact_rows: Rows) -> None:
    found = greeks(exact_rows)
    digest = sha256(b"".join(getattr(found, name).tobytes() for name in (*NAMES, "iv_error"))).hexdigest()
    assert digest[:16] == "68f9bf9415644b9e"  # whoever changes the arithmetic changes this, knowingly


def test_arrow_columns_and_single_numbers_are_taken_and_null_is_missing() -> None:
    columns = {**GOOD, "price": pa.chunked_array([[3.0, None], [4]]), "is_call": pa.array([True, False, True])}
    found = greeks(rows(**columns))
    assert [IvStatus(code).code for code in found.status] == ["ok", "no_price", "ok"]
    assert found.iv[0] == one().iv[0]


def test_a_row_that_does_not_say_its_right_is_refused() -> None:
    with pytest.raises(ValueError, match="1 rows do not say which right they are"):
        rows(**{**GOOD, "is_call": pa.array([True, None])})


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shape mismatch"):
        rows(**{**GOOD, "price": np.ones(3), "spot": np.ones(2)})


def test_reasons_found_before_are_kept() -> None:
    three = rows(**{**GOOD, "price": np.array([3.0, 3.0, nan])})
    known = np.array([IvStatus.STALE_UNDERLYING, IvStatus.OK, IvStatus.CROSSED_QUOTE], np.int8)
    for engine in ("kernel", "vollib"):
        found = greeks(three, known, engine=engine)
        assert [IvStatus(code).code for code in found.status] == ["stale_underlying", "ok", "crossed_quote"]
        assert np.isnan(found.iv).tolist() == [True, False, True]
    with pytest.raises(ValueError, match="2 reasons for 3 rows"):
        greeks(three, known[:2])


def test_columns_are_null_and_never_nan_where_there_is_a_reason() -> None:
    table = greeks(rows(**{**GOOD, "price": np.array([3.0, -1.0])})).table()
    assert table["iv_status"].to_pylist() == ["ok", "below_intrinsic"]
    for name in (*NAMES, "iv_error"):
        assert table[name].null_count == 1
        assert table[name][0].as_py() > -inf
        assert table[name][1].as_py() is None


def test_no_rows_are_no_rows() -> None:
    assert greeks(rows(**{**GOOD, "price": np.array([])})).table().num_rows == 0


def test_memory_beyond_the_inputs_is_64_bytes_an_option_at_most() -> None:
    count = 100_000
    many = rows(**{**GOOD, "price": np.full(count, 3.0), "is_call": np.ones(count, np.bool_)})
    one()
    tracemalloc.start()
    try:
        found = greeks(many)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.iv) == count
    assert peak <= 64 * count
