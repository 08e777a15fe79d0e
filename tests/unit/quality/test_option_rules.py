"""Listed contracts and late prints: what is refused, what is counted; gate and suite say the same."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import staged_schema
from bellwether.quality.suite import read_suite
from bellwether.quality.validate import validate_session
from tests.unit.quality.frames import good_row

Row = dict[str, Any]

SESSION = date(2014, 6, 6)
HOURS = get_calendar().hours(SESSION)

SPOILS: dict[str, tuple[Row, list[str]]] = {
    "null ticker": ({"ticker": None}, ["null_key"]),
    "null underlying": ({"underlying": None}, ["null_key"]),
    "null right": ({"right": None}, ["null_key"]),
    "null expiration": ({"expiration": None}, ["null_key"]),
    "null strike": ({"strike": None}, ["null_key"]),
    "neither call nor put": ({"right": "other"}, ["not_call_or_put"]),
    "no symbol": ({"ticker": "O:AAPL-JUN-645"}, ["malformed_symbol"]),
    "no such day": ({"ticker": "O:AAPL140631C00645000"}, ["malformed_symbol"]),
    "other strike": ({"strike": 640.0}, ["symbol_mismatch"]),
    "other right": ({"right": "put"}, ["symbol_mismatch"]),
    "other expiration": ({"expiration": date(2014, 6, 20)}, ["symbol_mismatch"]),
    "strike of nothing": ({"strike": 0.0, "ticker": "O:AAPL140613C00000000"}, ["price_not_positive"]),
    "price below nothing": ({"opening_price": -1.0}, ["price_not_positive"]),
    "infinite price": ({"opening_price": float("inf")}, ["not_finite"]),
    "delivers nothing": ({"multiplier": 0.0}, ["multiplier_not_positive"]),
}
ODDITIES: dict[str, tuple[Row, dict[str, int]]] = {
    "adjusted": (
        {"ticker": "O:AAPL1140613C00645000", "is_adjusted": True, "strike": 644.5},
        {"adjusted_contract": 1},
    ),
    "did not open": ({"opening_price_source": "previous_close"}, {"chosen_by_previous_close": 1}),
    "no price": ({"opening_price": None, "opening_price_source": None}, {}),
    "saturday": ({"ticker": "O:AAPL140621C00645000", "expiration": date(2014, 6, 21)}, {}),
}


def contract(strike: int = 645) -> Row:
    return {
        "ticker": f"O:AAPL140613C{strike * 1000:08d}",
        "underlying": "AAPL",
        "right": "call",
        "exercise_style": "american",
        "expiration": date(2014, 6, 13),
        "strike": float(strike),
        "multiplier": 100.0,
        "is_adjusted": False,
        "additional_underlyings": None,
        "opening_price": 649.9,
        "opening_price_source": "open_close",
        "chosen_by": "any strike; expires within 7 days",
    }


def table_of(rows: list[Row], dataset: str = "contracts") -> pa.Table:
    return pa.Table.from_pylist(rows, schema=staged_schema(dataset))


@pytest.mark.parametrize(("change", "reasons"), SPOILS.values(), ids=SPOILS)
def test_a_contract_that_cannot_be_is_refused_with_its_reasons(change: Row, reasons: list[str]) -> None:
    report = check_batch(table_of([contract(640), contract() | change]), HOURS, "contracts")
    assert report.reasons.drop_null().to_pylist() == [", ".join(reasons)]


@pytest.mark.parametrize(("change", "counted"), ODDITIES.values(), ids=ODDITIES)
def test_an_odd_contract_is_kept_and_counted(change: Row, counted: dict[str, int]) -> None:
    report = check_batch(table_of([contract() | change]), HOURS, "contracts")
    assert report.bad_rows == 0
    nothing = dict.fromkeys(("adjusted_contract", "chosen_by_previous_close", "duplicates_dropped"), 0)
    assert report.warnings == nothing | counted


def test_every_row_reason_of_the_suite_has_a_case() -> None:
    used = {each["meta"]["reason"] for each in read_suite("contracts").expectations if each["meta"]["level"] == "row"}
    assert {reason for _, reasons in SPOILS.values() for reason in reasons} | {"conflicting_rows"} == used


def test_gate_and_suite_agree_on_every_spoilt_contract() -> None:
    rows = [contract(100 + number) for number in range(60)]
    rows += [contract() | change for change, _ in (SPOILS | ODDITIES).values()]
    rows += [contract(500), contract(500), contract(501), contract(501) | {"multiplier": 10.0}]
    gate = check_batch(table_of(rows), HOURS, "contracts")
    verdict = validate_session(table_of(rows), dataset="contracts", session_hours=HOURS, rows_expected=len(rows))
    assert verdict.passed
    assert verdict.quarantined.num_rows == gate.bad_rows > len(SPOILS)
    assert sorted(verdict.quarantined["reason"].to_pylist()) == sorted(gate.reasons.drop_null().to_pylist())
    assert "conflicting_rows" in gate.reasons.to_pylist()
    assert verdict.warnings == gate.warnings


@pytest.mark.parametrize(
    ("ticker", "minute", "late"),
    [
        ("O:AAPL140613C00645000", "15:59", 0),
        ("O:AAPL140613C00645000", "16:00", 1),
        ("O:SPY140613C00190000", "16:14", 0),
        ("O:SPY140613C00190000", "16:15", 1),
        ("O:SPXW140606C01940000", "16:00", 1),  # on its last day
        ("O:SPX140606C01940000", "10:00", 1),  # last traded the day before
        ("NONE", "16:30", 0),
    ],
)
def test_a_bar_after_the_contracts_own_close_is_kept_and_counted(ticker: str, minute: str, late: int) -> None:
    hour, minutes = (int(part) for part in minute.split(":"))
    ts = datetime(2014, 6, 6, tzinfo=UTC) + timedelta(hours=hour + 4, minutes=minutes)
    rows = [good_row(ticker) | {"ts": ts}]
    gate = check_batch(table_of(rows, "options"), HOURS, "options")
    verdict = validate_session(table_of(rows, "options"), dataset="options", session_hours=HOURS, rows_expected=1)
    assert (gate.bad_rows, verdict.good.num_rows) == (0, 1)
    assert gate.warnings["print_after_close"] == verdict.warnings["print_after_close"] == late
    assert "missing_regular_minutes" not in gate.warnings
    assert gate.warnings == verdict.warnings


def test_bars_before_the_open_are_no_option_trades() -> None:
    rows = [good_row("O:AAPL140613C00645000") | {"ts": HOURS.open - timedelta(minutes=1)}]
    report = check_batch(table_of(rows, "options"), HOURS, "options")
    assert report.reasons.to_pylist() == ["outside_session"]
