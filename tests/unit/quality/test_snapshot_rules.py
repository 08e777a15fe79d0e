"""Rows of a chain: what is wrong goes to quarantine with its reason, what real quotes do is counted and kept."""

import math
import random
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bellwether.quality.gate import GateReport, check_batch
from bellwether.quality.prepare import staged_schema
from bellwether.quality.snapshot_rules import quote_verdict, symbol_verdict
from bellwether.quality.suite import read_suite
from bellwether.quality.validate import validate_session
from tests.unit.quality.frames import HOURS, Row, reasons_of

NO_WARNINGS = dict.fromkeys([*reasons_of("options_snapshot", "warning"), "duplicates_dropped"], 0)

# name -> (what is done to a good row, the reasons it must be given)
SPOILS: dict[str, tuple[Row, list[str]]] = {
    "null underlying": ({"underlying": None}, ["null_key"]),
    "null ticker": ({"ticker": None}, ["null_key"]),
    "null ts": ({"ts": None}, ["null_contract_term"]),
    "null right": ({"right": None}, ["null_contract_term"]),
    "null exercise style": ({"exercise_style": None}, ["null_contract_term"]),
    "null expiration": ({"expiration": None}, ["null_contract_term"]),
    "null strike": ({"strike": None}, ["null_contract_term"]),
    "nan strike": ({"strike": math.nan}, ["null_contract_term"]),
    "null multiplier": ({"multiplier": None}, ["null_contract_term"]),
    "no symbol": ({"ticker": "SPY"}, ["malformed_symbol"]),
    "lower-case symbol": ({"ticker": "O:spy250703C00638748"}, ["malformed_symbol"]),
    "another right": ({"right": "put"}, ["symbol_mismatch"]),
    "a right of its own": ({"right": "other"}, ["symbol_mismatch"]),
    "another expiration": ({"expiration": date(2025, 7, 4)}, ["symbol_mismatch"]),
    "another century": ({"expiration": date(1925, 7, 3)}, ["symbol_mismatch"]),
    "another strike": ({"strike": 638.747}, ["symbol_mismatch"]),
    "a finer strike": ({"strike": 638.74849}, ["symbol_mismatch"]),
    "a day that does not exist": ({"ticker": "O:SPY250231C00638748"}, ["symbol_mismatch"]),
    "infinite strike": ({"strike": math.inf}, ["not_finite", "symbol_mismatch"]),
    "negative strike": ({"strike": -638.748}, ["price_not_positive", "symbol_mismatch"]),
    "zero strike": ({"strike": 0.0, "ticker": "O:SPY250703C00000000"}, ["price_not_positive"]),
    "infinite iv": ({"vendor_iv": math.inf}, ["not_finite"]),
    "infinite theta": ({"vendor_theta": -math.inf}, ["not_finite"]),
    "infinite ask": ({"ask": math.inf}, ["not_finite"]),
    "no shares": ({"multiplier": 0.0}, ["multiplier_not_positive"]),
    "negative bid": ({"bid": -0.01}, ["negative_price"]),
    "negative ask": ({"ask": -0.01}, ["negative_price"]),
    "negative last price": ({"last_price": -4.0}, ["negative_price"]),
    "negative underlying": ({"underlying_price": -1.0}, ["negative_price"]),
    "negative size": ({"bid_size": -1}, ["negative_size"]),
    "negative last size": ({"last_size": -1}, ["negative_size"]),
    "negative volume": ({"day_volume": -1.0}, ["negative_volume"]),
    "negative open interest": ({"open_interest": -1}, ["negative_open_interest"]),
    "several at once": (
        {"ts": None, "bid": -math.inf, "open_interest": -3},
        ["not_finite", "null_contract_term", "negative_price", "negative_open_interest"],
    ),
}
# What is odd and real: counted, never lost.
ODDITIES: dict[str, tuple[Row, dict[str, int]]] = {
    "crossed": ({"bid": 4.9}, {"crossed_quote": 1}),
    "locked": ({"bid": 4.8}, {"locked_quote": 1}),
    "no bid": ({"bid": None, "bid_size": None, "mid": None}, {"one_sided_quote": 1}),
    "a bid of 0": ({"bid": 0.0, "bid_size": 0, "mid": None}, {"one_sided_quote": 1}),
    "an ask of 0": ({"ask": 0.0, "mid": None}, {"one_sided_quote": 1}),
    "no quote": (dict.fromkeys(("bid", "ask", "bid_size", "ask_size", "mid", "quote_ts")), {"no_quote": 1}),
    "a quote of 0 at 0": ({"bid": 0.0, "ask": 0.0, "mid": None}, {"no_quote": 1}),
    "null iv": ({"vendor_iv": None}, {"null_iv": 1}),
    "nan iv": ({"vendor_iv": math.nan}, {"null_iv": 1}),
    "a cabinet trade": ({"last_price": 0.0}, {}),
    "never traded": (dict.fromkeys(("last_price", "last_size", "last_ts", "day_volume")), {}),
    "an adjusted contract": ({"ticker": "O:SPY1250703C00638748", "multiplier": 150.0}, {}),
    "a strike of 99,999.999": ({"ticker": "O:SPY250703C99999999", "strike": 99_999.999}, {}),
}


def good_row(strike: float = 638.748) -> Row:
    moment = datetime(2025, 7, 3, 16, 50, tzinfo=UTC)
    return {
        **{"underlying": "SPY", "ticker": f"O:SPY250703C{round(strike * 1000):08d}", "ts": moment, "right": "call"},
        **{"exercise_style": "american", "expiration": date(2025, 7, 3), "strike": strike, "multiplier": 100.0},
        **{"bid": 4.6, "ask": 4.8, "bid_size": 3, "ask_size": 4, "mid": 4.7, "quote_ts": moment},
        **{"last_price": 4.7, "last_size": 1, "last_ts": moment, "day_volume": 58.0, "open_interest": 8133},
        **{"vendor_iv": 0.3, "vendor_delta": 0.5, "vendor_gamma": 0.01, "vendor_theta": -0.02, "vendor_vega": 0.7},
        **{"underlying_price": 640.0, "break_even_price": 643.4},
    }


def good_rows(count: int = 10) -> list[Row]:
    return [good_row(638.748 + number) for number in range(count)]


def table_of(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=staged_schema("options_snapshot"))


def check(rows: list[Row]) -> GateReport:
    return check_batch(table_of(rows), HOURS, "options_snapshot")


@pytest.mark.parametrize(("change", "reasons"), SPOILS.values(), ids=SPOILS)
def test_bad_row_is_marked_with_its_reasons_and_its_neighbours_are_not(change: Row, reasons: list[str]) -> None:
    report = check([good_row() | change, *good_rows(5)[1:]])
    assert report.errors == []
    assert report.reasons.drop_null().to_pylist() == [", ".join(reasons)]


def test_every_reason_of_the_suite_has_a_case() -> None:
    cases = {reason for _, reasons in SPOILS.values() for reason in reasons}
    assert cases == reasons_of("options_snapshot", "row") - {"conflicting_rows"}


@pytest.mark.parametrize(("change", "counted"), ODDITIES.values(), ids=ODDITIES)
def test_oddity_is_counted_and_its_row_stays_good(change: Row, counted: dict[str, int]) -> None:
    report = check([good_row() | change, *good_rows(5)[1:]])
    assert report.bad_rows == 0
    assert report.warnings == NO_WARNINGS | counted


def test_two_rows_of_one_contract_are_both_marked_and_equal_ones_dropped() -> None:
    row = good_row()
    report = check([row, row | {"bid": 4.5}, *good_rows(3)[1:], good_rows(3)[2]])
    assert report.duplicates_dropped == 1
    assert Counter(report.reasons.to_pylist()) == {"conflicting_rows": 2, None: 2}


def test_the_same_contract_in_two_chains_is_no_conflict() -> None:
    assert check([good_row(), good_row() | {"underlying": "SPX"}]).bad_rows == 0


@pytest.mark.parametrize("seed", range(3))
def test_gate_and_suite_agree_on_every_row_and_count_of_a_seeded_bad_chain(seed: int) -> None:
    rng = random.Random(seed)
    rows = good_rows(400)
    for change, _ in (SPOILS | ODDITIES).values():
        rng.choice(rows).update(change)
    rows += [dict(row) for row in rng.sample(rows, 4)]
    for row in rows[-2:]:
        row["open_interest"] = 7
    rng.shuffle(rows)
    gate = check(rows)
    verdict = validate_session(table_of(rows), dataset="options_snapshot", session_hours=HOURS, rows_expected=len(rows))
    bad = gate.table.append_column("reason", gate.reasons).filter(gate.reasons.is_valid())

    def told(table: pa.Table) -> Counter[str]:
        return Counter(repr(list(row.values())) for row in table.to_pylist())

    assert verdict.failures == []
    assert told(verdict.quarantined) == told(bad)
    assert verdict.warnings == gate.warnings
    assert {reason for text in bad["reason"].to_pylist() for reason in text.split(", ")} == reasons_of(
        "options_snapshot", "row"
    )


def test_the_suite_names_the_columns_of_the_schema() -> None:
    [columns] = [
        each["kwargs"]["column_set"]
        for each in read_suite("options_snapshot").expectations
        if each["type"] == "expect_table_columns_to_match_set"
    ]
    assert columns == staged_schema("options_snapshot").names


def _verdicts(table: pa.Table) -> Counter[str]:
    return Counter(
        quote_verdict({"bid": table["bid"].combine_chunks(), "ask": table["ask"].combine_chunks()}).to_pylist()
    )


def test_the_archives_quotes_are_judged_as_its_readme_counts_them(archive: Path) -> None:
    twx = _verdicts(pq.read_table(archive / "quotes_option_TWX_20140606.parquet"))
    spx = _verdicts(pq.read_table(archive / "quotes_option_SPX_20210104.parquet"))
    aapl = _verdicts(pq.read_table(archive / "quotes_option_hourly_AAPL_20140606.parquet"))
    # 5978 rows without a bid alone, 6727 without an ask alone, 4 with neither.
    assert (twx["one_sided"], twx["none"]) == (5978 + 6727, 4)
    assert (spx["one_sided"], spx["locked"]) == (403, 72)
    assert (aapl["one_sided"], aapl["locked"], aapl["crossed"]) == (946, 62, 2)


@pytest.mark.parametrize("file", ["AAPL_20140606", "SPX_20210104", "TWX_20140606"])
def test_every_symbol_of_the_archive_agrees_with_its_contract(archive: Path, file: str) -> None:
    raw = pq.read_table(archive / f"contracts_{file}.parquet")
    columns: dict[str, Any] = {
        "ticker": raw["ticker"].combine_chunks(),
        "right": raw["contract_type"].combine_chunks(),
        "expiration": pa.array([date.fromisoformat(day) for day in raw["expiration_date"].to_pylist()]),
        "strike": raw["strike_price"].combine_chunks(),
    }
    assert set(symbol_verdict(columns).to_pylist()) == {"agrees"}
