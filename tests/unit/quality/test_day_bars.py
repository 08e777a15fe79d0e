"""The rules of day bars: gate and suite say the same, and each bar is of its session."""

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import staged_schema
from bellwether.quality.validate import validate_session
from bellwether.schemas import DAILY_BARS
from tests.unit.quality.frames import HOURS, MINUTE, good_row, reasons_of, spoilt_rows


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=staged_schema("daily_bars"))


def day_row(row: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a minute's row as the day of a ticker of its own; what lay outside the session is of another day."""
    ts = row["ts"]
    day = None if ts is None else HOURS.session + timedelta(days=int(not HOURS.pre_open <= ts < HOURS.post_close))
    ticker = row["ticker"] and f"{row['ticker']}{number}"
    return {name: row.get(name) for name in DAILY_BARS.names} | {"date": day, "ticker": ticker}


def test_gate_and_suite_agree_on_every_row_and_every_rule_is_broken() -> None:
    rows = [day_row(row, number) for number, row in enumerate(spoilt_rows(0))]
    rows += [rows[0], rows[1] | {"volume": 77.0}]
    gate = check_batch(table_of(rows), HOURS, "daily_bars")
    verdict = validate_session(table_of(rows), dataset="daily_bars", session_hours=HOURS, rows_expected=len(rows))
    expected = gate.table.append_column("reason", gate.reasons).filter(gate.reasons.is_valid())
    # As text: a row with NaN equals no other.
    assert sorted(map(repr, verdict.quarantined.to_pylist())) == sorted(map(repr, expected.to_pylist()))
    assert verdict.warnings == gate.warnings
    assert verdict.warnings.keys() == {*reasons_of("daily_bars", "warning"), "duplicates_dropped"}
    seen = {word for reason in expected["reason"].to_pylist() for word in reason.split(", ")}
    assert seen == reasons_of("daily_bars", "row")


@pytest.mark.parametrize(("day", "reason"), [(HOURS.session, None), (date(2025, 7, 2), "outside_session")])
def test_a_bar_of_another_day_goes_to_quarantine(day: date, reason: str | None) -> None:
    row = day_row(good_row() | {"ts": HOURS.open + MINUTE}, 0) | {"date": day}
    assert check_batch(table_of([row]), HOURS, "daily_bars").reasons.to_pylist() == [reason]
