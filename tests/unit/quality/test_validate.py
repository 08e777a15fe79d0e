import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from bellwether.errors import ConfigError
from bellwether.quality import validate
from bellwether.quality.bar_rules import with_traded_columns
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import quarantine_schema
from bellwether.quality.rules import RULES
from bellwether.quality.suite import read_suite
from bellwether.quality.validate import Verdict, raised_exceptions, validate_session
from bellwether.schemas import EQUITIES
from tests.unit.quality.frames import HOURS, NO_WARNINGS, Row, good_row, good_rows, reasons_of, spoilt_rows, table_of


def judge(rows: list[Row], **changes: Any) -> Verdict:
    arguments: dict[str, Any] = {"dataset": "equities", "session_hours": HOURS, "rows_expected": len(rows)}
    return validate_session(table_of(rows), **arguments | changes)


def keyed(table: pa.Table, reasons: list[str | None]) -> dict[str, str | None]:
    rows = table.select(EQUITIES.names).to_pylist()
    return {repr(list(row.values())): reason for row, reason in zip(rows, reasons, strict=True)}


@pytest.fixture(scope="module")
def mixed() -> Verdict:
    """Judge a session with one bad row, oddities and a duplicate, within the share that may go to quarantine."""
    rows = good_rows()
    rows[0].update(volume=-1.0, close=math.inf, vwap=None)
    rows[1].update(vwap=None, transactions=None)
    rows[2].update(vwap=200.0)
    rows[3].update(vwap=1.0, close=100.0001)
    return judge([*rows, rows[9]], duplicates_dropped=2)


def test_bad_rows_are_quarantined_with_their_reasons_and_the_others_pass(mixed: Verdict) -> None:
    assert mixed.passed
    assert mixed.failures == []
    assert mixed.quarantined.schema == quarantine_schema("equities")
    assert mixed.quarantined["reason"].to_pylist() == ["not_finite, close_outside_range, negative_volume"]
    assert mixed.good.schema == EQUITIES
    assert mixed.good.num_rows == 209


def test_warnings_count_good_rows_once_each_and_all_duplicates(mixed: Verdict) -> None:
    assert mixed.warnings == {
        "vwap_outside_range": 2,
        "sub_penny_price": 1,
        "null_vwap": 1,
        "null_transactions": 1,
        "missing_regular_minutes": 1,
        "duplicates_dropped": 3,
    }


def test_result_is_a_small_record_of_every_expectation(mixed: Verdict) -> None:
    result = json.loads(json.dumps(mixed.result))
    assert {key: result[key] for key in ("suite", "session", "passed", "rows", "quarantined_rows")} == {
        "suite": "equities",
        "session": "2025-07-03",
        "passed": True,
        "rows": 210,
        "quarantined_rows": 1,
    }
    assert result["warnings"] == mixed.warnings
    assert len(result["expectations"]) == len(read_suite("equities").expectations)
    (volume,) = (each for each in result["expectations"] if each["reason"] == "negative_volume")
    assert volume == {
        "type": "expect_column_values_to_be_between",
        "columns": ["volume"],
        "level": "row",
        "reason": "negative_volume",
        "severity": "warning",
        "success": False,
        "unexpected_count": 1,
        "failure": None,
    }
    assert len(json.dumps(result)) < 12_000
    assert 0 < mixed.seconds < 60


@pytest.mark.parametrize("seed", range(6))
def test_gate_and_suite_agree_on_every_row_of_a_seeded_bad_frame(seed: int) -> None:
    rows = spoilt_rows(seed)
    gate = check_batch(table_of(rows), HOURS, "equities")
    verdict = judge(rows)
    bad = verdict.quarantined
    assert keyed(bad, bad["reason"].to_pylist()) == {
        key: reason for key, reason in keyed(gate.table, gate.reasons.to_pylist()).items() if reason
    }
    assert bad.num_rows == gate.bad_rows
    assert verdict.warnings == gate.warnings
    seen = {word for reason in bad["reason"].to_pylist() for word in reason.split(", ")}
    assert seen == reasons_of("equities", "row")


def test_more_than_a_fifth_in_quarantine_fails_the_session_and_offers_nothing() -> None:
    rows = good_rows(minutes=10)
    for row in rows[:3]:
        row["open"] = None
    verdict = judge(rows)
    assert not verdict.passed
    assert verdict.failures == ["quarantined_share: 3 of 10 rows (30.0%) break a rule; at most 20% may"]
    assert (verdict.good.num_rows, verdict.quarantined.num_rows) == (0, 3)
    assert verdict.result["passed"] is False


def test_exactly_a_fifth_in_quarantine_passes() -> None:
    rows = good_rows(minutes=10)
    for row in rows[:2]:
        row["open"] = None
    assert judge(rows).passed


def test_rows_lost_between_staging_and_validation_fail_the_session() -> None:
    rows = good_rows(minutes=5)
    verdict = judge([*rows, rows[0]], rows_expected=8)
    assert verdict.failures == ["row_count: expect_table_row_count_to_equal() failed; observed 5"]
    assert verdict.good.num_rows == 0


def test_session_without_rows_is_valid() -> None:
    verdict = judge([])
    assert verdict.passed
    assert (verdict.good.schema, verdict.good.num_rows) == (EQUITIES, 0)
    assert verdict.quarantined.num_rows == 0
    assert verdict.warnings == NO_WARNINGS
    assert verdict.result["expectations"] == []


def test_session_whose_rows_all_vanished_fails() -> None:
    assert judge([], rows_expected=390).failures == ["row_count: no rows, but 390 were staged"]


def test_wrong_columns_fail_the_session_in_words() -> None:
    table = table_of(good_rows(minutes=5)).drop_columns("vwap")
    verdict = validate_session(table, dataset="equities", session_hours=HOURS, rows_expected=5)
    assert not verdict.passed
    assert verdict.failures == ["schema: column vwap is missing"]
    assert verdict.good.num_rows == verdict.quarantined.num_rows == 0


def test_bars_without_any_vwap_pass() -> None:
    verdict = judge([row | {"vwap": None, "transactions": None} for row in good_rows()])
    assert verdict.passed
    assert verdict.warnings == NO_WARNINGS | {"null_vwap": 210, "null_transactions": 210}


def derive_as(monkeypatch: pytest.MonkeyPatch, derived: Callable[[pa.Table], pa.Table]) -> None:
    monkeypatch.setattr(validate, "RULES", {"equities": dataclasses.replace(RULES["equities"], derived=derived)})


def test_column_missing_in_the_frame_is_an_error_not_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    derive_as(monkeypatch, lambda table: with_traded_columns(table).drop_columns("ms_past_minute"))
    verdict = judge([good_row()])
    (failure,) = verdict.failures
    assert failure.startswith("error: expect_column_values_to_be_in_set(ms_past_minute) could not be evaluated: ")
    assert not verdict.passed


def test_nulls_that_no_rule_could_judge_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    derive_as(monkeypatch, lambda table: table.drop_columns("open"))
    verdict = judge([good_row() | {"open": None}])
    assert not verdict.passed
    assert (verdict.good.schema, verdict.good.num_rows) == (EQUITIES, 0)
    assert any(failure.startswith("schema: expect_table_columns_to_match_set(") for failure in verdict.failures)


def test_misspelt_expectation_stops_the_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = read_suite("equities")
    typo = suite.expectations[0] | {"type": "expect_table_row_count_to_equl"}
    monkeypatch.setattr(validate, "read_suite", lambda _: replace(suite, expectations=[typo]))
    with pytest.raises(ConfigError, match="expect_table_row_count_to_equl"):
        judge([good_row()])


@pytest.mark.parametrize(
    ("info", "messages"),
    [
        ({"raised_exception": False, "exception_message": None}, []),
        ({"raised_exception": True, "exception_message": "flat"}, ["flat"]),
        ({"metric-1": {"raised_exception": True, "exception_message": "nested"}}, ["nested"]),
        ({"metric-1": {"raised_exception": False}, "metric-2": {"raised_exception": True}}, ["None"]),
    ],
    ids=["none", "flat", "nested", "second of two, without a message"],
)
def test_exceptions_are_found_flat_and_nested(info: dict[str, Any], messages: list[str]) -> None:
    assert raised_exceptions(info) == messages


@pytest.mark.parametrize(
    "result",
    [{"unexpected_count": 3, "unexpected_index_list": [1, 2]}, {"unexpected_count": 0}, {}],
    ids=["names too few", "fails without a count", "fails without a word"],
)
def test_row_rule_that_cannot_name_its_rows_fails_the_session(result: dict[str, Any]) -> None:
    config = SimpleNamespace(
        type="expect_x", kwargs={"column": "open"}, meta={"level": "row", "reason": "null_price"}, severity="warning"
    )
    answer: Any = SimpleNamespace(
        expectation_config=config, success=False, result=result, exception_info={"raised_exception": False}
    )
    assert str(validate._outcome(answer).failure).startswith("error: expect_x(open) found ")
