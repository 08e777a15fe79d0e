from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bellwether.errors import ConfigError
from bellwether.quality.reasons import RowReason, TableReason, WarningName
from bellwether.quality.suite import REASONS_OF_LEVEL, build_suite, columns_of, read_suite
from bellwether.schemas import FORMS, GOLD
from tests.unit.quality.frames import reasons_of

SUITE = read_suite("equities")
GOOD: dict[str, Any] = {
    "type": "expect_column_values_to_not_be_null",
    "kwargs": {"column": "ticker"},
    "severity": "warning",
    "meta": {"level": "row", "reason": "null_key"},
}
META = GOOD["meta"]
# Counted in Arrow, or before there are rows: no single expectation could tell.
COUNTED = {
    *("missing_regular_minutes", "duplicates_dropped", "print_after_close"),
    *("articles_without_ticker", "malformed_tickers"),
    *("late_rows", "late_removals"),
}


@pytest.mark.parametrize("dataset", [*FORMS, *GOLD])
def test_every_dataset_has_a_suite_that_builds_completely(dataset: str) -> None:
    suite = read_suite(dataset)
    assert (suite.name, suite.dataset) == (dataset, dataset)
    assert len(build_suite(suite).expectations) == len(suite.expectations)


def test_suites_and_vocabulary_cover_each_other() -> None:
    def said(level: str) -> set[str]:
        return set().union(*(reasons_of(dataset, level) for dataset in FORMS | GOLD))

    assert said("row") == set(RowReason) - {"late"}  # which what is published beside tells
    assert said("warning") == set(WarningName) - COUNTED
    assert said("table") == set(TableReason) - {"quarantined_share"}


@pytest.mark.parametrize("dataset", [*FORMS, *GOLD])
def test_severity_follows_the_level(dataset: str) -> None:
    severity = {"table": "critical", "row": "warning", "warning": "info"}
    for each in read_suite(dataset).expectations:
        assert each["severity"] == severity[each["meta"]["level"]], each


def _misspelt() -> Iterator[tuple[str, dict[str, Any], str]]:
    yield "type", GOOD | {"type": "expect_column_values_to_not_be_nul"}, "expect_column_values_to_not_be_nul not found"
    yield "argument", GOOD | {"kwargs": {"column": "ticker", "mostley": 0.9}}, "mostley"
    yield "argument name", GOOD | {"kwargs": {"colum": "ticker"}}, "colum"
    yield "field", GOOD | {"severitee": "critical"}, "severitee"
    yield "severity", GOOD | {"severity": "fatal"}, "severity"
    yield "column", GOOD | {"kwargs": {"column": "tickr"}}, "equities has no column tickr"
    yield "level", GOOD | {"meta": META | {"level": "rows"}}, "meta.level must be one of row, table, warning"
    yield "reason", GOOD | {"meta": META | {"reason": "null_keys"}}, "meta.reason must be one of null_key, "
    yield "reason of a level", GOOD | {"meta": META | {"reason": "null_vwap"}}, "meta.reason must be one of"
    yield "meta", {key: value for key, value in GOOD.items() if key != "meta"}, "meta.level"


@pytest.mark.parametrize(("what", "bad", "complaint"), list(_misspelt()), ids=[what for what, _, _ in _misspelt()])
def test_misspelt_expectation_is_refused_by_name(what: str, bad: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        build_suite(replace(SUITE, expectations=[GOOD, bad]))
    assert complaint in str(refusal.value), what
    assert "quality/suites/equities.json, expectation 2 (" in str(refusal.value)


def test_unknown_dataset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no dataset 'bonds'; known: .*equities"):
        read_suite("bonds")


def test_columns_are_found_in_every_form_of_argument() -> None:
    kwargs = {"column_A": "high", "column_B": "low", "column_list": ["ticker", "ts"], "or_equal": True}
    assert columns_of(kwargs) == ["high", "low", "ticker", "ts"]
    assert set(REASONS_OF_LEVEL) == {each["meta"]["level"] for each in SUITE.expectations}
