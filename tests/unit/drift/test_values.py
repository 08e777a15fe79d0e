"""A session's values against the trailing ones: changes of unit, nulls and levels, and what only looks like one."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bellwether.config import Config
from bellwether.drift.change import Kind
from bellwether.drift.values import Summary, findings, summarise
from bellwether.schemas import EQUITIES, RATES

CONTRACTS = Config.load(Path(__file__).parents[3] / "config", {}).contracts
LAST = date(2025, 7, 8)
QUIET = {"AAPL": 1_000.0, "MSFT": 2_000.0, "SPY": 9_000.0}


def summary(
    volumes: dict[str, float], trades: dict[str, float] | None = None, nulls: int = 0, rows: int = 99
) -> Summary:
    medians = {"volume": volumes, "transactions": trades or dict.fromkeys(volumes, 10.0)}
    [first, *_] = volumes
    return Summary("r", dict.fromkeys(volumes, rows // len(volumes)), {"vwap": {first: nulls}}, medians)


def times(factor: float, of: dict[str, float] = QUIET) -> dict[str, float]:
    return {subject: size * factor for subject, size in of.items()}


def trailing(*factors: float, **options: Any) -> dict[date, Summary]:
    return {
        LAST - timedelta(days=len(factors) - number): summary(times(factor), **options)
        for number, factor in enumerate(factors)
    }


def found(today: Summary, before: dict[date, Summary] | None = None, **options: Any) -> list[tuple[str, Kind, str]]:
    before = trailing(0.9, 1.0, 1.2) if before is None else before
    changes = [each.change for each in findings("equities", CONTRACTS["equities"], today, before, **options)]
    return [(change.field, change.kind, change.to) for change in changes]


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        pytest.param(summary(QUIET), [], id="as ever"),
        pytest.param(summary(times(0.01)), [("v", Kind.RESCALED, "100")], id="in hundreds"),
        pytest.param(summary(times(0.013)), [("v", Kind.RESCALED, "100")], id="in hundreds, on a busy day"),
        pytest.param(summary(times(1000)), [("v", Kind.RESCALED, "0.001")], id="in thousandths"),
        pytest.param(summary(times(10), times(0.1, dict.fromkeys(QUIET, 1000.0))), [], id="ten times the trades, too"),
        pytest.param(summary({**QUIET, "SPY": 90.0}), [], id="of one ticker in three"),
        pytest.param(summary({**times(0.01), "SPY": 9_000.0}), [("v", Kind.RESCALED, "100")], id="of two in three"),
        pytest.param(summary({"NEW": 1.0, "NEWER": 1.0}), [], id="another universe"),
        pytest.param(summary(times(5.5)), [("v", Kind.MOVED, "5.5")], id="far more, and no more trades"),
        pytest.param(summary(times(0.01), rows=6), [], id="hardly any rows"),
        pytest.param(summary(QUIET, nulls=25), [("vw", Kind.NULLS, "0.25")], id="a jump of nulls"),
        pytest.param(summary(QUIET, nulls=15), [], id="some more nulls"),
    ],
)
def test_a_sessions_values_are_judged_by_the_trailing_sessions(today: Summary, expected: list[Any]) -> None:
    assert found(today) == expected


def test_two_sessions_are_no_history() -> None:
    assert found(summary(times(0.01), nulls=90), trailing(1.0, 1.0)) == []


def test_nulls_are_compared_with_what_is_usual() -> None:
    assert found(summary(QUIET, nulls=95), trailing(1, 1, 1, nulls=90)) == []


def test_a_ticker_that_never_has_the_value_is_no_jump_when_it_comes_alone() -> None:
    alone = Summary("r", {"AAPL": 33}, {"vwap": {"AAPL": 30}}, {})
    assert found(alone, trailing(1, 1, 1, nulls=30)) == []
    assert [change[:2] for change in found(alone)] == [("vw", Kind.NULLS)]


def test_a_ticker_that_split_says_nothing() -> None:
    one = {"SPY": 900.0}
    before = {day: summary({"SPY": 9_000.0}) for day in trailing(1, 1, 1)}
    assert found(summary(one), before) == [("v", Kind.RESCALED, "10")]
    assert found(summary(one), before, left_out=frozenset({"SPY"})) == []


def test_wild_sessions_before_make_a_far_one_no_change() -> None:
    assert found(summary(times(100)), trailing(0.05, 1.0, 20.0)) == []


def test_a_summary_counts_nulls_and_takes_medians_by_subject() -> None:
    rows = [
        {"ticker": ticker, "ts": 0, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": volume, "vwap": vwap}
        for ticker, volume, vwap in [
            ("A", 1.0, None),
            ("A", 3.0, 1.0),
            ("A", 5.0, 1.0),
            ("A", 0.0, 1.0),
            ("B", 1.0, 1.0),
        ]
    ]
    table = pa.Table.from_pylist(rows, schema=EQUITIES)
    made = summarise("equities", table, ["volume", "vwap"], "r1")
    assert made == Summary(
        "r1", {"A": 4, "B": 1}, {"volume": {}, "vwap": {"A": 1}}, {"volume": {"A": 3.0}, "vwap": {"A": 1.0}}
    )


def test_rates_in_percent_are_told_tenor_by_tenor() -> None:
    def day(factor: float) -> Summary:
        rows = [
            {"date": LAST, "tenor_months": months, "rate": factor * rate}
            for months, rate in ((1, 0.0425), (120, 0.0406), (360, 0.0411))
            for _ in range(8)
        ]
        return summarise("rates", pa.Table.from_pylist(rows, schema=RATES), ["rate"], "r")

    before = {LAST - timedelta(days=days): day(1 + days / 100) for days in (1, 2, 3)}
    [finding] = findings("rates", CONTRACTS["rates"], day(0.01), before)
    assert (finding.change.field, finding.change.kind, finding.change.to) == ("yield_1_month", Kind.RESCALED, "100")
