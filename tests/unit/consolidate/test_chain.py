"""The rows of `chain`: what stands beside a print, and the one reason of each that has no volatility."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.consolidate.chain import underlyings_of
from bellwether.consolidate.greeks.conventions import FROM_BAR_START
from bellwether.schemas import CONTRACTS, RATES
from tests.unit.consolidate.market import DAY, HALF_DAY
from tests.unit.consolidate.prints import CALL, PUT, SPOT, bars, chain_of, contract, worth


def test_a_print_stands_beside_the_price_of_its_own_minute_and_else_the_last_one_with_its_age() -> None:
    rows = chain_of((CALL, 0, 9.0), (CALL, 2, 9.0), (CALL, 4, 9.0), prices=[(1, 199.0), (4, 201.0), (5, 999.0)])
    assert [(row["spot"], row["spot_age_s"]) for row in rows] == [(None, None), (199.0, 60), (201.0, 0)]
    assert [row["iv_status"] for row in rows] == ["no_underlying", "ok", "ok"]


def test_while_the_underlying_is_silent_for_an_hour_prints_stay_and_say_how_old_its_price_is() -> None:
    prices = [(0, SPOT), (61, SPOT)]
    rows = chain_of((CALL, 5, 9.0), (CALL, 6, 9.0), (CALL, 60, 9.0), (CALL, 61, 9.0), prices=prices)
    assert [(row["spot_age_s"], row["iv_status"]) for row in rows] == [
        (300, "ok"),
        (360, "stale_underlying"),
        (3600, "stale_underlying"),
        (0, "ok"),
    ]
    assert {row["spot"] for row in rows} == {SPOT}


def test_a_price_from_before_the_opening_is_none_after_it() -> None:
    [row] = chain_of((CALL, 0, 9.0), prices=[(-1, SPOT)])
    assert (row["spot"], row["iv_status"]) == (None, "no_underlying")


def test_without_an_underlying_every_print_is_kept_with_that_reason() -> None:
    rows = chain_of((CALL, 0, 9.0), (PUT, 7, 8.0), prices=[])
    assert [(row["ticker"], row["close"], row["iv_status"]) for row in rows] == [
        (CALL, 9.0, "no_underlying"),
        (PUT, 8.0, "no_underlying"),
    ]
    assert not any(row["is_american_biased"] for row in rows)


@pytest.mark.parametrize("rate", [0.04, 0.0, -0.02])
@pytest.mark.parametrize("dividend_yield", [0.0, 0.03])
def test_the_volatility_is_the_one_that_gives_the_price_at_negative_rates_and_with_dividends_too(
    rate: float, dividend_yield: float
) -> None:
    terms = {"rate": rate, "dividend_yield": dividend_yield}
    asked = [chain_of((ticker, 3, 9.0), **terms)[0] for ticker in (CALL, PUT)]
    priced = [(row["ticker"], 3, worth(row, 0.3, **terms)) for row in asked]
    for row in chain_of(*priced, **terms):
        assert row["iv"] == pytest.approx(0.3, abs=1e-12)
        assert (row["rate"], row["dividend_yield"]) == (rate, dividend_yield)


def test_a_dividend_left_out_moves_calls_and_puts_apart() -> None:
    asked = [chain_of((ticker, 3, 9.0))[0] for ticker in (CALL, PUT)]
    call, put = chain_of(*[(row["ticker"], 3, worth(row, 0.3, dividend_yield=0.03)) for row in asked])
    assert call["iv"] < 0.3 - 1e-3
    assert put["iv"] > 0.3 + 1e-3


def test_the_rate_is_the_curves_at_the_time_to_settlement() -> None:
    days = (date(2025, 7, 18), date(2025, 12, 19))
    tickers = [f"O:AAPL{day:%y%m%d}C00200000" for day in days]
    nodes = [{"date": date(2025, 7, 1), "tenor_months": months, "rate": months / 100} for months in (1, 12)]
    curve = pa.Table.from_pylist(nodes, RATES)
    near, far = chain_of(*[(ticker, 0, 15.0) for ticker in tickers], rate=None, curve=curve)
    assert near["rate"] == 0.01  # shorter than the shortest
    assert far["rate"] == pytest.approx(np.interp(far["t_years"], [1 / 12, 1], [0.01, 0.12]), rel=1e-15)


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [({"rate": None}, "no_rate"), ({"dividend_yield": float("nan")}, "no_dividend_yield")],
    ids=["rate", "dividend yield"],
)
def test_what_is_not_known_is_a_reason_and_a_null_never_a_zero(unknown: dict[str, Any], reason: str) -> None:
    [row] = chain_of((CALL, 0, 9.0), **unknown)
    assert row["iv_status"] == reason
    assert [row[name] for name in ("rate", "dividend_yield")].count(None) == 1


def test_a_contract_of_the_day_counts_minutes_and_has_no_time_at_the_close_and_after_it() -> None:
    today = f"O:AAPL{DAY:%y%m%d}C00195000"
    rows = chain_of((today, 388, 5.2), (today, 389, 5.2), (today, 392, 5.2))
    assert [row["iv_status"] for row in rows] == ["ok", "expired", "expired"]
    assert [row["t_years"] * 365 * 1440 for row in rows] == pytest.approx([1, 0, -3])


def test_on_a_half_day_the_contract_of_the_day_ends_at_one() -> None:
    today = f"O:AAPL{HALF_DAY:%y%m%d}C00195000"
    rows = chain_of((today, 208, 5.2), (today, 209, 5.2), day=HALF_DAY)
    assert [row["iv_status"] for row in rows] == ["ok", "expired"]


def test_the_archives_conventions_count_from_the_start_of_the_bar_to_four_oclock() -> None:
    today = f"O:AAPL{HALF_DAY:%y%m%d}C00195000"
    [row] = chain_of((today, 209, 5.2), day=HALF_DAY, conventions=FROM_BAR_START)
    assert row["t_years"] * 365 * 1440 == pytest.approx(181)


def test_index_options_are_european_and_settled_by_their_roots_opening_or_close() -> None:
    prints = [(f"O:{root}250718P05600000", 0, 30.0) for root in ("SPX", "SPXW")]
    morning, close = chain_of(*prints, underlying="SPX", prices=[(0, 5500.0)])
    assert (morning["settlement"], close["settlement"]) == ("am", "pm")
    assert (close["t_years"] - morning["t_years"]) * 365 * 24 == pytest.approx(6.5)
    assert {row["exercise_style"] for row in (morning, close)} == {"european"}
    assert {row["iv_status"] for row in (morning, close)} == {"below_european_bound"}  # where an American one is below
    assert not close["is_american_biased"]


def test_what_the_contracts_say_goes_before_what_the_symbol_does() -> None:
    known = contract(PUT, exercise_style="european", multiplier=10.0)
    call, put = chain_of((CALL, 0, 9.0), (PUT, 0, 9.0), contracts=[known])
    assert (call["exercise_style"], call["multiplier"]) == ("american", None)
    assert (put["exercise_style"], put["multiplier"]) == ("european", 10.0)


@pytest.mark.parametrize(
    ("ticker", "contracts"),
    [("O:AAPL1250718C00200000", []), (CALL, [contract(CALL, is_adjusted=True)])],
    ids=["by its root", "by its contract"],
)
def test_an_adjusted_contract_is_priced_by_no_formula(ticker: str, contracts: list[dict[str, Any]]) -> None:
    [row] = chain_of((ticker, 0, 9.0), contracts=contracts)
    assert (row["is_adjusted"], row["iv_status"], row["strike"]) == (True, "adjusted_contract", 200.0)


def test_prices_that_no_volatility_explains_say_on_which_side_they_are() -> None:
    deep = "O:AAPL250718C00150000"
    rows = chain_of((deep, 0, 49.99), (deep, 1, 50.0), (deep, 2, 50.01), (deep, 3, 200.0), (CALL, 4, 0.0))
    assert {(row["ticker"], row["close"]): row["iv_status"] for row in rows} == {
        (deep, 49.99): "below_intrinsic",
        (deep, 50.0): "at_intrinsic",
        (deep, 50.01): "below_european_bound",
        (deep, 200.0): "above_bound",
        (CALL, 0.0): "at_intrinsic",
    }


def test_puts_in_the_money_that_may_be_exercised_early_are_flagged_and_no_others() -> None:
    strikes = {"C": (190, 200, 210), "P": (190, 200, 210)}
    tickers = [f"O:AAPL250718{right}{strike * 1000:08d}" for right, of in strikes.items() for strike in of]
    rows = chain_of(*[(ticker, 0, 15.0) for ticker in tickers])
    assert [row["ticker"] for row in rows if row["is_american_biased"]] == ["O:AAPL250718P00210000"]


def test_rows_come_in_the_order_of_the_prints_which_is_that_of_the_key() -> None:
    prints = [(ticker, minute, 9.0) for ticker in (CALL, PUT) for minute in (1, 3, 7)]
    rows = chain_of(*prints)
    assert [(row["ticker"], row["ts"]) for row in rows] == sorted((row["ticker"], row["ts"]) for row in rows)


def test_no_prints_are_no_rows() -> None:
    assert chain_of() == []


def test_the_underlying_is_the_contracts_and_without_one_the_roots() -> None:
    roots = {
        **{"AAPL": "AAPL", "AAPL1": "AAPL", "SPX": "SPX", "SPXW": "SPX", "SPXPM": "SPX", "NDXP": "NDX", "RUTW": "RUT"},
        **{"XSP": "XSP", "VIXW": "VIX", "MRUT": "MRUT", "SNAP": "SNAP", "QQQ": "QQQ"},
    }
    tickers = [f"O:{root}250718C00200000" for root in roots]
    prints = bars([(ticker, 0, 1.0) for ticker in [*tickers, "O:FB250718C00200000"]])
    contracts = pa.Table.from_pylist([contract("O:FB250718C00200000", underlying="META")], CONTRACTS)
    assert underlyings_of(prints["ticker"], contracts).to_pylist() == [*roots.values(), "META"]


def test_a_future_price_or_print_changes_no_row_before_it() -> None:
    now = 30
    prints = [(ticker, minute, 9.0 + minute / 50) for ticker in (CALL, PUT) for minute in range(60)]
    prices = [(minute, SPOT + minute / 100) for minute in range(0, 60, 2)]
    before = chain_of(*prints, prices=prices)
    other = [print_ if print_[1] <= now else (print_[0], print_[1], 77.0) for print_ in prints]
    after = chain_of(*other, prices=[(minute, price if minute <= now else 1.0) for minute, price in prices])
    end = _minute(now)
    assert [row for row in before if row["ts"] <= end] == [row for row in after if row["ts"] <= end]
    assert before != after


def _minute(minute: int) -> datetime:
    return get_calendar().hours(DAY).open + timedelta(minutes=minute)
