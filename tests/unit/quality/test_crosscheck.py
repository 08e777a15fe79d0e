from typing import Any

import pyarrow as pa
import pytest

from bellwether.errors import QualityError
from bellwether.quality.crosscheck import DIFFERENCES, crosscheck
from bellwether.quality.reasons import CrossCheckWarning

FIELDS = ("open", "high", "low", "close", "volume")
SCHEMA = pa.schema([("ticker", pa.string()), *((name, pa.float64()) for name in FIELDS)])
DAY = {"ticker": "SPY", "open": 100.0, "high": 110.0, "low": 90.0, "close": 105.0, "volume": 1000.0}


def days(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def counted(**warnings: int) -> dict[str, int]:
    return dict.fromkeys([name.value for name in CrossCheckWarning], 0) | warnings


def test_equal_days_have_no_differences() -> None:
    found = crosscheck(days(DAY), days(DAY))
    assert found.differences.equals(DIFFERENCES.empty_table())
    assert found.warnings == counted()


def test_a_difference_is_told_in_its_unit_and_in_basis_points_of_the_official_value() -> None:
    found = crosscheck(days(DAY | {"open": 101.0, "volume": 800.0}), days(DAY))
    assert found.differences.to_pylist() == [
        {
            "ticker": "SPY",
            "field": "open",
            "minutes_value": 101.0,
            "official_value": 100.0,
            "difference": 1.0,
            "difference_bp": 100.0,
            "warning": "open_differs",
        },
        {
            "ticker": "SPY",
            "field": "volume",
            "minutes_value": 800.0,
            "official_value": 1000.0,
            "difference": -200.0,
            "difference_bp": -2000.0,
            "warning": None,
        },
    ]


CASES: dict[str, tuple[dict[str, float], dict[str, float], str | None]] = {
    "opening auction near by": ({"open": 100.5}, {}, None),
    "open far off": ({"open": 100.51}, {}, "open_differs"),
    "closing auction near by": ({"close": 104.5}, {}, None),
    "close far off": ({"close": 104.4}, {}, "close_differs"),
    "high within 10 bp": ({"high": 109.9}, {}, None),
    "high beyond": ({"high": 110.2}, {}, "high_differs"),
    "low beyond": ({"low": 90.1}, {}, "low_differs"),
    "a cent at a dollar": ({"high": 1.01}, {"high": 1.0}, None),
    "two cents at a dollar": ({"high": 1.02}, {"high": 1.0}, "high_differs"),
    "volume below, as usual": ({"volume": 500.0}, {}, None),
    "volume far below": ({"volume": 499.0}, {}, "volume_far_below_official"),
    "volume above by rounding": ({"volume": 1000.05}, {}, None),
    "volume above": ({"volume": 1001.0}, {}, "volume_above_official"),
    "volume where there is none": ({"volume": 1.0}, {"volume": 0.0}, "volume_above_official"),
}


@pytest.mark.parametrize(("minutes", "official", "warning"), CASES.values(), ids=CASES)
def test_only_what_auctions_and_late_prints_do_not_explain_is_counted(
    minutes: dict[str, float], official: dict[str, float], warning: str | None
) -> None:
    found = crosscheck(days(DAY | minutes), days(DAY | official))
    assert found.differences["warning"].to_pylist() == [warning]
    assert found.warnings == counted(**({warning: 1} if warning else {}))


def test_every_warning_has_a_case() -> None:
    assert {warning for *_, warning in CASES.values()} - {None} == set(CrossCheckWarning) - {
        "no_minutes",
        "no_official",
    }


def test_tickers_that_one_side_lacks_are_counted_once_and_shown_in_every_field() -> None:
    found = crosscheck(days(DAY, DAY | {"ticker": "A"}), days(DAY, DAY | {"ticker": "Z"}, DAY | {"ticker": "Y"}))
    assert found.warnings == counted(no_official=1, no_minutes=2)
    assert found.differences["ticker"].to_pylist() == ["A"] * 5 + ["Y"] * 5 + ["Z"] * 5
    assert found.differences.slice(0, 1).to_pylist() == [
        {
            "ticker": "A",
            "field": "close",
            "minutes_value": 105.0,
            "official_value": None,
            "difference": None,
            "difference_bp": None,
            "warning": "no_official",
        }
    ]


def test_a_session_without_minutes_lacks_them_all() -> None:
    assert crosscheck(days(), days(DAY)).warnings == counted(no_minutes=1)
    assert crosscheck(days(DAY), days()).warnings == counted(no_official=1)
    assert crosscheck(days(), days()).warnings == counted()


def test_an_official_value_that_is_not_given_is_not_compared() -> None:
    found = crosscheck(days(DAY), days(DAY | {"volume": None}))
    assert found.differences.num_rows == 0
    assert found.warnings == counted()


def test_warnings_count_tickers() -> None:
    high = {"open": 120.0, "volume": 2000.0}
    found = crosscheck(days(DAY | high, DAY | high | {"ticker": "QQQ"}), days(DAY, DAY | {"ticker": "QQQ"}))
    assert found.warnings == counted(open_differs=2, volume_above_official=2)


@pytest.mark.parametrize("side", [0, 1])
def test_two_rows_of_a_ticker_are_refused(side: int) -> None:
    tables = [days(DAY), days(DAY)]
    tables[side] = days(DAY, DAY | {"open": 1.0})
    with pytest.raises(QualityError, match="several rows of SPY"):
        crosscheck(*tables)
