from collections import Counter

import pyarrow as pa
import pytest

from bellwether.errors import ConfigError
from bellwether.quality.gate import GateReport, check_batch
from bellwether.quality.prepare import schema_errors, staged_schema
from bellwether.schemas import EQUITIES
from tests.unit.quality.frames import (
    HOURS,
    NO_WARNINGS,
    ODDITIES,
    SPOILS,
    Row,
    expected_reasons,
    good_row,
    good_rows,
    reasons_of,
    spoilt_rows,
    table_of,
)


def check(rows: list[Row]) -> GateReport:
    return check_batch(table_of(rows), HOURS, "equities")


@pytest.mark.parametrize(("change", "reasons"), SPOILS.values(), ids=SPOILS)
def test_bad_row_is_marked_with_its_reasons_and_its_neighbours_are_not(change: Row, reasons: list[str]) -> None:
    rows = good_rows(minutes=3)
    rows[1].update(change)
    report = check(rows)
    assert report.errors == []
    assert report.bad_rows == 1
    assert report.reasons.drop_null().to_pylist() == [", ".join(reasons)]


@pytest.mark.parametrize(("change", "counted"), ODDITIES.values(), ids=ODDITIES)
def test_oddity_is_counted_and_its_row_stays_good(change: Row, counted: dict[str, int]) -> None:
    rows = good_rows()
    rows[5].update(change)
    report = check(rows)
    assert report.bad_rows == 0
    assert report.warnings == NO_WARNINGS | counted


def test_every_row_reason_has_a_case() -> None:
    cases = {reason for _, reasons in SPOILS.values() for reason in reasons}
    assert cases == reasons_of("equities", "row") - {"conflicting_rows"}


def test_identical_duplicates_are_dropped_and_counted() -> None:
    odd = good_row(minute=1) | {"vwap": None, "transactions": None}
    report = check([good_row(minute=0), odd, odd, good_row(minute=0), odd])
    assert report.duplicates_dropped == 3
    assert report.warnings["duplicates_dropped"] == 3
    assert report.table == table_of([good_row(minute=0), odd])
    assert report.bad_rows == 0


def test_rows_that_contradict_each_other_are_all_marked() -> None:
    other = good_row(minute=1) | {"close": 99.0}
    report = check([good_row(minute=1), other, good_row(minute=0), good_row(minute=1)])
    assert report.duplicates_dropped == 1
    assert report.reasons.to_pylist() == [None, "conflicting_rows", "conflicting_rows"]


def test_rows_are_sorted_by_ticker_and_time() -> None:
    rows = good_rows(tickers=3, minutes=5)
    assert check(rows[::-1]).table == table_of(rows)


def test_order_of_arrival_does_not_change_the_report() -> None:
    rows = spoilt_rows(seed=1)
    first, second = check(rows), check(rows[::-1])
    assert first.reasons == second.reasons
    assert first.warnings == second.warnings


def test_missing_minutes_are_those_of_regular_hours_summed_over_tickers() -> None:
    rows = good_rows(tickers=2)[7:] + [good_row("T00", minute) for minute in (-20, -1, 210, 300)]
    assert check(rows).warnings["missing_regular_minutes"] == 7


def test_bad_rows_count_as_missing_minutes_and_in_no_other_warning() -> None:
    rows = good_rows()
    rows[3].update(volume=-1.0, vwap=None)
    warnings = check(rows).warnings
    assert warnings["missing_regular_minutes"] == 1
    assert warnings["null_vwap"] == 0


def test_ticker_without_a_good_row_misses_every_minute() -> None:
    rows = [row | {"open": None} for row in good_rows(minutes=30)]
    report = check(rows)
    assert report.bad_rows == 30
    assert report.warnings["missing_regular_minutes"] == 210


def test_no_rows_are_a_valid_batch() -> None:
    report = check([])
    assert (report.errors, report.bad_rows, len(report.table)) == ([], 0, 0)
    assert set(report.warnings.values()) == {0}


@pytest.mark.parametrize("seed", range(8))
def test_seeded_bad_frame_gets_the_reasons_plain_python_gives(seed: int) -> None:
    rows = spoilt_rows(seed)
    report = check(rows)
    assert Counter(reason or "" for reason in report.reasons.to_pylist()) == expected_reasons(rows)
    assert len(report.table) + report.duplicates_dropped == len(rows)


@pytest.mark.parametrize("schema", [EQUITIES, staged_schema("equities")], ids=["as decoded", "as staged"])
def test_nullability_of_the_columns_is_no_table_error(schema: pa.Schema) -> None:
    report = check_batch(pa.Table.from_pylist(good_rows(minutes=2), schema=schema), HOURS, "equities")
    assert report.errors == []
    assert report.table.schema == staged_schema("equities")


def _with_type(name: str, kind: pa.DataType) -> pa.Table:
    table = table_of(good_rows(minutes=2))
    position = table.column_names.index(name)
    return table.set_column(position, name, table[name].cast(kind))


@pytest.mark.parametrize(
    ("table", "error"),
    [
        (table_of([good_row()]).drop_columns("vwap"), "column vwap is missing"),
        (table_of([good_row()]).append_column("otc", pa.array([True])), "column otc is unknown"),
        (table_of([good_row()]).append_column("open", pa.array([1.0])), "columns are ticker, ts, open"),
        (table_of([good_row()]).select(EQUITIES.names[::-1]), "columns are transactions, vwap"),
        (_with_type("ts", pa.timestamp("us", "UTC")), "column ts is timestamp[us, tz=UTC], not timestamp[ms, tz=UTC]"),
        (_with_type("transactions", pa.float64()), "column transactions is double, not int64"),
    ],
    ids=["missing", "unknown", "twice", "order", "unit", "type"],
)
def test_wrong_columns_are_a_table_error_that_names_them(table: pa.Table, error: str) -> None:
    (found,) = schema_errors(table, "equities")
    assert found.startswith(error)
    report = check_batch(table, HOURS, "equities")
    assert (report.errors, report.warnings, report.bad_rows) == ([found], {}, 0)


def test_unknown_dataset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no dataset 'bonds'; known: .*equities"):
        check_batch(table_of([]), HOURS, "bonds")
