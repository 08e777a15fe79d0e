from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.reference.rates import MAX_AGE_DAYS, curve_known_on, rate_for
from bellwether.schemas import RATES

FRIDAY, MONDAY = date(2014, 10, 10), date(2014, 10, 13)  # Columbus Day: stocks trade, bonds rest
TUESDAY = date(2014, 10, 14)


def rates(*rows: tuple[date, int, float]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(RATES.names, row, strict=True)) for row in rows], schema=RATES)


def known(table: pa.Table, session: date) -> dict[int, float]:
    curve = curve_known_on(table, session)
    assert curve.schema.equals(RATES)
    return dict(zip(curve["tenor_months"].to_pylist(), curve["rate"].to_pylist(), strict=True))


def test_a_session_knows_the_day_before_and_never_its_own_yields() -> None:
    table = rates((TUESDAY, 12, 0.03), (FRIDAY, 12, 0.02), (FRIDAY - timedelta(days=1), 12, 0.01))
    assert known(table, FRIDAY) == {12: 0.01}
    assert known(table, MONDAY) == {12: 0.02}


def test_after_a_bond_holiday_the_row_before_it_stands() -> None:
    assert known(rates((FRIDAY, 12, 0.02), (TUESDAY, 12, 0.03)), TUESDAY) == {12: 0.02}


def test_each_maturity_has_its_own_last_row_and_maturities_ascend() -> None:
    table = rates((FRIDAY, 120, 0.03), (FRIDAY, 3, 0.01), (FRIDAY - timedelta(days=1), 12, 0.02))
    curve = curve_known_on(table, MONDAY)
    assert curve["tenor_months"].to_pylist() == [3, 12, 120]
    assert curve["date"].to_pylist() == [FRIDAY, FRIDAY - timedelta(days=1), FRIDAY]


def test_a_maturity_no_longer_quoted_leaves_the_curve() -> None:
    oldest = MONDAY - timedelta(days=MAX_AGE_DAYS)
    table = rates((FRIDAY, 12, 0.02), (oldest, 24, 0.03), (oldest - timedelta(days=1), 360, 0.05))
    assert known(table, MONDAY) == {12: 0.02, 24: 0.03}


@pytest.mark.parametrize(
    "table",
    [rates((MONDAY - timedelta(days=MAX_AGE_DAYS + 1), 12, 0.02), (TUESDAY, 12, 0.03)), rates()],
    ids=["all too old", "none at all"],
)
def test_without_recent_yields_no_rate_is_known(table: pa.Table) -> None:
    curve = curve_known_on(table, MONDAY)
    assert curve.equals(RATES.empty_table())
    assert np.isnan(rate_for(curve, 0.5))
    assert np.isnan(rate_for(curve, np.array([0.0, 2.0]))).tolist() == [True, True]


CURVE = rates((FRIDAY, 1, 0.01), (FRIDAY, 3, 0.02), (FRIDAY, 12, 0.04), (FRIDAY, 360, 0.05))


@pytest.mark.parametrize(
    ("t_years", "rate"),
    [(0.0, 0.01), (-0.1, 0.01), (1 / 24, 0.01), (2 / 12, 0.015), (7.5 / 12, 0.03), (30.0, 0.05), (50.0, 0.05)],
)
def test_rates_are_linear_between_maturities_and_flat_beyond(t_years: float, rate: float) -> None:
    assert rate_for(CURVE, t_years) == pytest.approx(rate, rel=1e-14)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-500, 2000), min_size=11, max_size=11))
def test_at_a_maturity_the_rate_is_exactly_the_curves(hundredths: list[int]) -> None:
    tenors = [1, 3, 6, 12, 24, 36, 60, 84, 120, 240, 360]
    values = [number / 10_000 for number in hundredths]
    curve = rates(*((FRIDAY, tenor, value) for tenor, value in zip(tenors, values, strict=True)))
    assert [rate_for(curve, tenor / 12) for tenor in tenors] == values
    assert rate_for(curve, np.array(tenors) / 12).tolist() == values


def test_an_unknown_time_has_an_unknown_rate() -> None:
    assert np.isnan(rate_for(CURVE, np.array([np.nan, 1.0]))).tolist() == [True, False]
