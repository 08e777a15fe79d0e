"""Gold is judged whole: one row that breaks a rule holds the session, what real data does is counted."""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from bellwether.consolidate.greeks.engine import greeks
from bellwether.consolidate.greeks.rows import rows as options
from bellwether.consolidate.greeks.status import IvStatus
from bellwether.quality.gold import GoldVerdict, judge_gold
from bellwether.quality.reasons import CHAIN_CHECKS
from bellwether.quality.suite import read_suite
from bellwether.schemas import CHAIN, MINUTES, SCHEMAS
from tests.unit.quality.frames import HOURS, MINUTE

Row = dict[str, Any]

PRINT: Row = {
    **{"underlying": "AAPL", "ticker": "O:AAPL250718C00200000", "ts": HOURS.open, "right": "call", "volume": 1.0},
    **dict.fromkeys(("open", "high", "low", "close"), 5.0),
    **{"expiration": date(2025, 7, 18), "strike": 200.0, "exercise_style": "american", "settlement": "pm"},
    **{"is_adjusted": False, "spot": 200.0, "spot_age_s": 0, "t_years": 0.04, "rate": 0.04, "dividend_yield": 0.0},
    **{"iv": 0.3, "delta": 0.5, "gamma": 0.01, "theta": -0.1, "vega": 0.1, "rho": 0.1, "iv_error": 1e-16},
    **{"iv_status": "ok", "is_american_biased": False},
}
UNSOLVED = dict.fromkeys(("iv", "delta", "gamma", "theta", "vega", "rho", "iv_error")) | {"iv_status": "no_rate"}
MINUTE_ROW: Row = {
    **{"ticker": "SPY", "ts": HOURS.open, "is_filled": False, "vix": 17.0, "vix_age_s": 0, "volume": 10.0},
    **dict.fromkeys(("open", "high", "low", "close", "vwap"), 100.0),
    **{"mom_log_returns": [0.1, None], "news_counts": [0], "news_sentiments": [None], "ind_rsi": 100.0},
    **{"chain_expirations": [date(2025, 7, 18)], "chain_atm_iv": [None], "chain_skew_25d": [0.1]},
    **{"chain_butterfly_25d": [0.1], "chain_volume": 0.0, "chain_put_call_ratio": 0.0},
}
ROWS = {"chain": PRINT, "minutes": MINUTE_ROW}


def judged(
    dataset: str, *rows: Row, checks: Mapping[str, list[bool | None]] | None = None, **other: Any
) -> GoldVerdict:
    """Judge rows, each a minute after the one before unless it says otherwise."""
    full = [ROWS[dataset] | {"ts": HOURS.open + number * MINUTE} | row for number, row in enumerate(rows)]
    table = pa.Table.from_pylist([dict.fromkeys(SCHEMAS[dataset].names) | row for row in full], SCHEMAS[dataset])
    found = {name.value: pa.nulls(len(rows), pa.bool_()) for name in CHAIN_CHECKS} if dataset == "chain" else {}
    found |= {name: pa.array(values, pa.bool_()) for name, values in (checks or {}).items()}
    arguments: dict[str, Any] = {
        "dataset": dataset,
        "session": HOURS.session,
        "span": (HOURS.open, HOURS.close),
        "rows_expected": len(rows),
        "checked": pa.table(found) if found else None,
    }
    return judge_gold(table, **arguments | other)


@pytest.mark.parametrize("dataset", ROWS)
def test_sound_rows_pass_and_leave_a_small_record(dataset: str) -> None:
    verdict = judged(dataset, {}, {})
    assert verdict.failures == []
    assert set(verdict.warnings.values()) == {0}
    result = json.loads(json.dumps(verdict.result))
    assert (result["passed"], result["rows"], result["session"]) == (True, 2, "2025-07-03")
    assert len(result["expectations"]) == len(read_suite(dataset).expectations)


BROKEN: dict[str, tuple[str, list[Row], str]] = {
    "the same minute twice": ("chain", [{}, {"ts": HOURS.open}], "repeated_key"),
    "a print before the open": ("chain", [{"ts": HOURS.open - MINUTE}], "row_outside_session"),
    "a print at the end": ("chain", [{"ts": HOURS.close}], "row_outside_session"),
    "an unknown status": ("chain", [UNSOLVED | {"iv_status": "unlucky"}], "unknown_word"),
    "a third right": ("chain", [{"right": "straddle"}], "unknown_word"),
    "a third settlement": ("chain", [{"settlement": "noon"}], "unknown_word"),
    "a volatility without ok": ("chain", [{"iv_status": "no_rate"}], "columns_disagree"),
    "ok without a volatility": ("chain", [UNSOLVED | {"iv_status": "ok"}], "columns_disagree"),
    "ok without a delta": ("chain", [{"delta": None}], "columns_disagree"),
    "a spot without its age": ("chain", [{"spot_age_s": None}], "columns_disagree"),
    "no volatility at all": ("chain", [{"iv": 0.0}], "value_out_of_range"),
    "a delta above one": ("chain", [{"delta": 1.001}], "value_out_of_range"),
    "a delta below minus one": ("chain", [{"delta": -1.001}], "value_out_of_range"),
    "a negative gamma": ("chain", [{"gamma": -0.1}], "value_out_of_range"),
    "a negative vega": ("chain", [{"vega": -0.1}], "value_out_of_range"),
    "a price of nothing": ("chain", [{"close": 0.0}], "value_out_of_range"),
    "a spot of nothing": ("chain", [{"spot": 0.0}], "value_out_of_range"),
    "a spot of the future": ("chain", [{"spot_age_s": -60}], "value_out_of_range"),
    "a row twice": ("minutes", [{}, {"ts": HOURS.open}], "repeated_key"),
    "a minute after the close": ("minutes", [{"ts": HOURS.close}], "row_outside_session"),
    "filled though traded": ("minutes", [{"is_filled": True}], "columns_disagree"),
    "an index without its age": ("minutes", [{"vix_age_s": None}], "columns_disagree"),
    "a list too short": ("minutes", [{"chain_atm_iv": []}], "columns_disagree"),
    "a list that is missing": ("minutes", [{"chain_skew_25d": None}], "columns_disagree"),
    "a bar of nothing": ("minutes", [{"close": 0.0}], "value_out_of_range"),
    "a negative volume": ("minutes", [{"volume": -1.0}], "value_out_of_range"),
    "a negative volume of options": ("minutes", [{"chain_volume": -1.0}], "value_out_of_range"),
    "a stochastic beyond 100": ("minutes", [{"ind_stochastic_k": 101.0}], "value_out_of_range"),
    "its average below 0": ("minutes", [{"ind_stochastic_d": -1.0}], "value_out_of_range"),
    "an index of nothing": ("minutes", [{"vix": 0.0}], "value_out_of_range"),
    "an index of the future": ("minutes", [{"vix_age_s": -1}], "value_out_of_range"),
    "news of the future": ("minutes", [{"news_minutes_since": -0.5}], "value_out_of_range"),
    "an RSI beyond 100": ("minutes", [{"ind_rsi": 100.1}], "value_out_of_range"),
    "a negative ADX": ("minutes", [{"ind_adx": -0.1}], "value_out_of_range"),
    "a negative range": ("minutes", [{"ind_atr": -0.1}], "value_out_of_range"),
    "a negative ratio": ("minutes", [{"chain_put_call_ratio": -0.1}], "value_out_of_range"),
}


@pytest.mark.parametrize("dataset", ROWS)
def test_every_rule_holds_the_session_by_its_reason(dataset: str) -> None:
    # One session for all cases: an expectation answers by rows, and the library takes its time.
    cases = [(name, rows, reason) for name, (of, rows, reason) in BROKEN.items() if of == dataset]
    spoilt = [row for _, rows, _ in cases for row in rows]
    verdict = judged(dataset, *spoilt, *[{}] * 5)
    said = {each["reason"] for each in verdict.result["expectations"] if each["failure"]}
    assert said == {reason for _, _, reason in cases}
    for each in verdict.result["expectations"]:
        if each["level"] == "table":
            assert not each["success"], each
        if each["columns"] == ["disagrees"]:
            assert each["unexpected_count"] == [reason for _, _, reason in cases].count("columns_disagree")


@pytest.mark.parametrize("case", ["a volatility without ok", "a list too short", "the same minute twice"])
def test_one_bad_row_is_enough_and_named_by_its_count(case: str) -> None:
    dataset, rows, reason = BROKEN[case]
    verdict = judged(dataset, *rows, {}, {})
    [failure] = verdict.failures
    assert failure.startswith(f"{reason}: expect_")
    assert failure.endswith(f"failed; observed {2 if case.startswith('the same') else 1} rows")
    assert verdict.result["passed"] is False


def test_violations_of_the_chain_are_counted_and_hold_nothing() -> None:
    checks = {name.value: [True, False, None] for name in CHAIN_CHECKS} | {"parity_violated": [True, True, None]}
    verdict = judged("chain", {}, {}, {}, checks=checks)
    assert verdict.failures == []
    assert verdict.warnings == {name.value: 1 for name in CHAIN_CHECKS} | {"parity_violated": 2}


def test_silent_minutes_and_a_missing_index_are_counted_and_hold_nothing() -> None:
    silent = dict.fromkeys(("open", "high", "low", "close", "volume", "vwap")) | {"is_filled": True}
    verdict = judged("minutes", {}, silent, silent | {"vix": None, "vix_age_s": None})
    assert (verdict.failures, verdict.warnings) == ([], {"no_vix": 1, "silent_minute": 2})


def test_a_chain_without_a_ticker_has_no_lists_and_passes() -> None:
    none = {name: None for name in MINUTES.names if name.startswith("chain_")}
    assert judged("minutes", none).failures == []


def test_a_volatility_is_as_high_as_the_last_minutes_print_makes_it() -> None:
    minute = 60 / (365 * 86_400)
    solved = greeks(options(price=0.95, spot=1.0, strike=0.5, t_years=minute, rate=0.04, is_call=True)).table()
    [row] = solved.to_pylist()
    assert (row["iv"] > 2000, row["iv_status"]) == (True, "ok")
    assert judged("chain", row).failures == []


def test_unsolved_rows_of_every_reason_pass() -> None:
    rows = [UNSOLVED | {"iv_status": status.code} for status in IvStatus if status is not IvStatus.OK]
    assert judged("chain", *rows).failures == []


def test_a_lost_row_holds_the_session_before_the_suite_runs() -> None:
    for dataset in ROWS:
        verdict = judged(dataset, {}, rows_expected=2)
        assert verdict.failures == ["row_count: 1 rows, but 2 were staged"]
        assert judged(dataset).failures == []
        assert judged(dataset, rows_expected=1).failures == ["row_count: 0 rows, but 1 were staged"]


def test_other_columns_or_nulls_where_there_may_be_none_hold_the_session() -> None:
    sound = pa.Table.from_pylist([dict.fromkeys(CHAIN.names) | PRINT], CHAIN)
    nullable = pa.schema([field.with_nullable(True) for field in CHAIN])
    for table in (
        sound.drop_columns(["gamma"]),
        sound.append_column("more", pa.array([1])),
        sound.set_column(0, "underlying", pa.array([None], pa.string())),
        sound.cast(nullable).set_column(3, "open", pa.array(["five"])),
    ):
        verdict = judge_gold(
            table,
            dataset="chain",
            session=HOURS.session,
            span=(HOURS.open, HOURS.open + timedelta(hours=1)),
            rows_expected=1,
        )
        [failure] = verdict.failures
        assert failure.startswith("schema: ")
