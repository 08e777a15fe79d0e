"""Gate and suite say the same of splits, dividends, yields and listings, whatever is wrong with them."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import staged_schema
from bellwether.quality.suite import read_suite
from bellwether.quality.validate import validate_session
from bellwether.schemas import FORMS
from tests.unit.quality.frames import HOURS

Row = dict[str, Any]
SESSION = HOURS.session

GOOD: dict[str, Row] = {
    "splits": {
        "ticker": "AAPL",
        "execution_date": date(2014, 6, 9),
        "split_from": 1.0,
        "split_to": 7.0,
        "split_id": "E1",
    },
    "dividends": {
        "ticker": "AAPL",
        "ex_dividend_date": date(2025, 5, 12),
        "cash_amount": 0.26,
        "frequency": 4,
        "dividend_type": "CD",
        "dividend_id": "E2",
    },
    "rates": {"date": SESSION - timedelta(days=1), "tenor_months": 120, "rate": 0.0406},
    "tickers": {"ticker": "AAPL", "listing_id": "", "market": "stocks", "active": True},
}
# (dataset, what is done to a good row, the reasons it must be given)
SPOILS: list[tuple[str, Row, list[str]]] = [
    ("splits", {"ticker": None}, ["null_key"]),
    ("splits", {"execution_date": None}, ["null_key"]),
    ("splits", {"split_id": None}, ["null_key"]),
    ("splits", {"split_from": None}, ["null_value"]),
    ("splits", {"split_to": math.nan}, ["null_value"]),
    ("splits", {"split_to": math.inf}, ["not_finite"]),
    ("splits", {"split_from": 0.0}, ["factor_not_positive"]),
    ("splits", {"split_to": -math.inf}, ["not_finite", "factor_not_positive"]),
    ("dividends", {"ex_dividend_date": None, "dividend_id": None}, ["null_key"]),
    ("dividends", {"cash_amount": None}, ["null_value"]),
    ("dividends", {"dividend_type": None}, ["null_value"]),
    ("dividends", {"cash_amount": math.inf}, ["not_finite"]),
    ("dividends", {"cash_amount": -0.01}, ["negative_amount"]),
    ("rates", {"date": None}, ["null_key"]),
    ("rates", {"tenor_months": None}, ["null_key"]),
    ("rates", {"rate": math.nan}, ["null_value"]),
    ("rates", {"rate": -math.inf}, ["not_finite"]),
    ("rates", {"date": SESSION}, ["not_known_yet"]),
    ("rates", {"date": SESSION + timedelta(days=1)}, ["not_known_yet"]),
    ("tickers", {"listing_id": None}, ["null_key"]),
    ("tickers", {"market": None}, ["null_value"]),
]
ODD: list[tuple[str, Row]] = [
    ("splits", {"split_from": 21.0, "split_to": 20.5}),
    ("dividends", {"cash_amount": 0.0, "frequency": None, "ex_dividend_date": date(2030, 1, 1)}),
    ("rates", {"rate": -0.0002}),
    ("tickers", {"active": None, "delisted_utc": datetime(2022, 1, 31, tzinfo=UTC), "listing_id": "2022-01-31"}),
]


def numbered(dataset: str, number: int) -> Row:
    """Return a good row of a key of its own."""
    row, name = GOOD[dataset], FORMS[dataset].key[-1]
    value = row[name]
    return row | {name: value + number if isinstance(value, int) else f"{value}-{number:03d}"}


def table_of(dataset: str, rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=staged_schema(dataset))


def marked(dataset: str, rows: list[Row]) -> list[str]:
    report = check_batch(table_of(dataset, rows), HOURS, dataset)
    assert report.errors == []
    return [reason for reason in report.reasons.to_pylist() if reason is not None]


def conflicting(dataset: str) -> Row:
    name = {"splits": "split_to", "dividends": "cash_amount", "rates": "rate", "tickers": "market"}[dataset]
    return GOOD[dataset] | {name: "otc" if dataset == "tickers" else 0.03}


@pytest.mark.parametrize(("dataset", "change", "reasons"), SPOILS)
def test_a_bad_row_is_marked_with_its_reasons_and_its_neighbour_is_not(
    dataset: str, change: Row, reasons: list[str]
) -> None:
    assert marked(dataset, [GOOD[dataset] | change, numbered(dataset, 1)]) == [", ".join(reasons)]


@pytest.mark.parametrize(("dataset", "change"), ODD)
def test_what_is_odd_and_real_stays(dataset: str, change: Row) -> None:
    assert marked(dataset, [GOOD[dataset] | change]) == []


@pytest.mark.parametrize("dataset", GOOD)
def test_rows_that_contradict_each_other_all_go(dataset: str) -> None:
    assert marked(dataset, [GOOD[dataset], conflicting(dataset)]) == ["conflicting_rows"] * 2


@pytest.mark.parametrize("dataset", GOOD)
def test_gate_and_suite_say_the_same_of_everything_at_once(dataset: str) -> None:
    changes = [change for name, change, _ in SPOILS if name == dataset]
    changes += [change for name, change in ODD if name == dataset]
    rows = [numbered(dataset, 1 + number) | change for number, change in enumerate(changes)]
    rows += [GOOD[dataset], conflicting(dataset)]
    rows += [numbered(dataset, 200 + number) for number in range(100)]  # so that the share of bad ones is no reason
    report = check_batch(table_of(dataset, rows), HOURS, dataset)
    verdict = validate_session(table_of(dataset, rows), dataset=dataset, session_hours=HOURS, rows_expected=len(rows))
    assert (verdict.passed, verdict.failures) == (True, [])
    bad = report.table.append_column("reason", report.reasons).filter(report.reasons.is_valid())
    assert repr(verdict.quarantined.to_pylist()) == repr(bad.to_pylist())  # NaN is not equal to itself
    assert verdict.good.to_pylist() == report.table.filter(report.reasons.is_null()).to_pylist()
    assert verdict.good.schema == FORMS[dataset].schema
    assert verdict.warnings == report.warnings


@pytest.mark.parametrize("dataset", GOOD)
def test_every_reason_of_a_suite_has_a_case(dataset: str) -> None:
    tried = {reason for name, _, reasons in SPOILS if name == dataset for reason in reasons}
    told = {each["meta"]["reason"] for each in read_suite(dataset).expectations if each["meta"]["level"] == "row"}
    assert told == tried | {"conflicting_rows"}
