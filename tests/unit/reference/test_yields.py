"""A dividend yield counts a year of regular dividends, once each."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from bellwether.reference.yields import trailing_yield
from bellwether.schemas import DIVIDENDS, SPLITS

# Apple's, whose May ex-date came two days earlier in 2024.
QUARTERLY = [
    (date(2023, 2, 10), 0.23),
    (date(2023, 5, 12), 0.24),
    (date(2023, 8, 11), 0.24),
    (date(2023, 11, 10), 0.24),
    (date(2024, 2, 9), 0.24),
    (date(2024, 5, 10), 0.25),
]


def paid(
    *dividends: tuple[date, float], frequency: int | None = 4, kind: str = "CD", currency: str = "USD"
) -> pa.Table:
    rows = [
        {"ticker": "AAPL", "ex_dividend_date": ex, "cash_amount": amount, "currency": currency, "frequency": frequency}
        | {"dividend_type": kind, "dividend_id": f"{ex}{kind}"}
        for ex, amount in dividends
    ]
    return pa.Table.from_pylist(rows, DIVIDENDS)


def yearly(dividends: pa.Table, session: date) -> float:
    return trailing_yield(dividends, SPLITS.empty_table(), session, 1.0, session)


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (date(2024, 5, 9), 0.96),
        (date(2024, 5, 10), 0.97),  # the one of 2023-05-12 is less than a year ago, and is not counted beside it
        (date(2024, 5, 13), 0.97),
        (date(2024, 9, 3), 0.73),  # one is not there: nothing older takes its place
    ],
)
def test_as_many_dividends_count_as_are_paid_a_year(session: date, expected: float) -> None:
    assert yearly(paid(*QUARTERLY), session) == pytest.approx(expected, rel=1e-12)


def test_without_a_frequency_all_of_the_year_count() -> None:
    assert yearly(paid(*QUARTERLY, frequency=None), date(2024, 5, 10)) == pytest.approx(1.21, rel=1e-12)


def test_special_dividends_and_other_currencies_do_not_count_and_no_close_is_no_yield() -> None:
    special = paid((date(2024, 5, 1), 9.0), frequency=0, kind="SC")
    foreign = paid((date(2024, 5, 2), 9.0), currency="CAD")
    table = pa.concat_tables([paid(*QUARTERLY), special, foreign])
    assert yearly(table, date(2024, 5, 13)) == pytest.approx(0.97, rel=1e-12)
    assert yearly(DIVIDENDS.empty_table(), date(2024, 5, 13)) == 0
    assert np.isnan(trailing_yield(table, SPLITS.empty_table(), date(2024, 5, 13), np.nan, date(2024, 5, 10)))
