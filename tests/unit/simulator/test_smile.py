from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bellwether.simulator import smile


def test_prices_and_greeks_equal_an_independent_oracle(archive: Path) -> None:
    oracle = pq.read_table(archive / "oracle_greeks.parquet").to_pandas()
    sign = np.where(oracle["ticker"].str[-9] == "C", 1.0, -1.0)
    inputs = [oracle[name].to_numpy() for name in ("underlying_close", "strike", "T_years", "r", "iv")]
    np.testing.assert_allclose(smile.price(*inputs, sign), oracle["option_close"], rtol=1e-9, atol=1e-9)
    for row, name in zip(smile.greeks(*inputs, sign), ("delta", "gamma", "theta", "vega"), strict=True):
        np.testing.assert_allclose(row, oracle[name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("years", [1 / 365, 30 / 365, 1.0])
def test_the_smile_is_skewed_to_low_strikes(years: float) -> None:
    strikes = np.array([80.0, 90, 100, 110])
    iv = smile.implied_volatility(100.0, strikes, years, 0.0, 0.2)
    assert np.all(np.diff(iv) <= 0)
    assert iv[0] > iv[-1]
    assert iv[2] == pytest.approx(0.2)


def test_the_index_lies_above_the_volatility_at_the_money_and_scales_with_it() -> None:
    index = smile.volatility_index(np.array([0.1, 0.2, 0.4]), 0.03)
    assert np.all(index > [10, 20, 40])
    assert np.all(index < [11, 22, 44])


def test_a_flat_smile_gives_back_its_volatility(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smile, "_SKEW", 0.0)
    monkeypatch.setattr(smile, "_CURVATURE", 0.0)
    assert smile.volatility_index(np.array([0.2]), 0.03) == pytest.approx(20.0, rel=2e-3)


def test_a_dividend_yield_moves_the_forward_and_the_greeks_are_the_prices_slopes() -> None:
    spot, strike, years, rate, iv, paid = 100.0, 95.0, 0.4, 0.05, 0.25, 0.03
    call, put = (smile.price(spot, strike, years, rate, iv, sign, paid) for sign in (1.0, -1.0))
    assert call - put == pytest.approx(spot * np.exp(-paid * years) - strike * np.exp(-rate * years))
    for sign in (1.0, -1.0):
        up, at, down = (smile.price(spot + move, strike, years, rate, iv, sign, paid) for move in (0.01, 0.0, -0.01))
        day, point = 1e-4, 1e-4
        later = smile.price(spot, strike, years - day, rate, iv, sign, paid)
        wilder = smile.price(spot, strike, years, rate, iv + point, sign, paid)
        slopes = [
            (up - down) / 0.02,
            (up - 2 * at + down) / 1e-4,
            (later - at) / day / 365,
            (wilder - at) / point / 100,
        ]
        np.testing.assert_allclose(smile.greeks(spot, strike, years, rate, iv, sign, paid), slopes, rtol=2e-3)


def test_volatility_of_the_moment_fades_with_the_horizon_towards_the_usual_one() -> None:
    levels = smile.at_the_money(0.4, 0.2, np.array([0.0, 1 / 12, 0.5, 2.0, 50.0]))
    assert np.all(np.diff(levels) < 0)
    assert levels[0] == pytest.approx(0.4, rel=1e-4)
    assert levels[-1] == pytest.approx(0.2, rel=0.02)
    assert np.allclose(smile.at_the_money(0.2, 0.2, np.array([0.1, 1.0])), 0.2)
