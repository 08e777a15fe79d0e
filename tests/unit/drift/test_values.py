"""A session's values against the trailing ones: changes of unit, nulls and levels, and what only looks like one."""

from datetime import UTC, date, datetime, timedelta
from math import inf, nan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bellwether.config import Config
from bellwether.drift.change import Kind
from bellwether.drift.values import Summary, findings, summarise
from bellwether.schemas import EQUITIES, FORMS, RATES, TIMESTAMP
from bellwether.tickers import WHOLE

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
        pytest.param(summary(times(0.1)), [("v", Kind.RESCALED, "10")], id="in tens"),
        pytest.param(summary(times(0.01)), [("v", Kind.RESCALED, "100")], id="in hundreds"),
        pytest.param(summary(times(0.001)), [("v", Kind.RESCALED, "1000")], id="in thousands"),
        pytest.param(summary(times(10)), [("v", Kind.RESCALED, "0.1")], id="in tenths"),
        pytest.param(summary(times(100)), [("v", Kind.RESCALED, "0.01")], id="in hundredths"),
        pytest.param(summary(times(0.5), rows=60), [], id="a quiet half day"),
        pytest.param(summary(times(1e300)), [("v", Kind.MOVED, "1e+15")], id="beyond any unit"),
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


def priced(price: float, volume: float) -> Summary:
    medians = {"close": {"SPY": price}, "volume": {"SPY": volume}, "transactions": {"SPY": 10.0}}
    return Summary("r", {"SPY": 390}, {}, medians)


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (priced(10.0, 90_000.0), []),
        (priced(10.0, 40_000.0), []),
        (priced(1_000.0, 900.0), []),
        (priced(10_000.0, 9_000.0), [("c", Kind.RESCALED, "0.01")]),
        (priced(10.0, 9_000.0), [("c", Kind.RESCALED, "10")]),
        (priced(10.0, 900.0), [("c", Kind.RESCALED, "10"), ("v", Kind.RESCALED, "10")]),
    ],
    ids=["one for ten", "one for ten, a quiet day", "ten for one", "cents", "only the price", "both the same way"],
)
def test_a_price_that_goes_one_way_as_the_volume_goes_the_other_is_a_split_nobody_published(
    today: Summary, expected: list[Any]
) -> None:
    before = {
        day: priced(100.0, 9_000.0 * factor) for day, factor in zip(trailing(1, 1, 1), (0.8, 1, 1.2), strict=True)
    }
    assert found(today, before) == expected


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


def test_of_texts_nulls_are_counted_and_of_times_the_size() -> None:
    ts = [datetime(2025, 7, 7, 20, minute, tzinfo=UTC) for minute in range(3)]
    table = pa.table({"name": ["a", None, "b"], "active": [True, None, None], "quote_ts": pa.array(ts, TIMESTAMP)})
    made = summarise("tickers", table, ["name", "active", "quote_ts"], "r")
    assert made.nulls == {"name": {WHOLE: 1}, "active": {WHOLE: 2}, "quote_ts": {}}
    assert made.medians == {
        "name": {},
        "active": {},
        "quote_ts": {WHOLE: pytest.approx(ts[1].timestamp() * 1000, rel=1e-9)},
    }


def test_numbers_that_no_double_holds_are_sizes_all_the_same() -> None:
    table = pa.table({"ticker": ["A"] * 4, "transactions": [2**62 + 1] * 3 + [-(2**63)], "vwap": [1.0, inf, nan, 2.0]})
    made = summarise("equities", table, ["transactions", "vwap"], "r")
    assert made.medians == {"transactions": {"A": pytest.approx(2.0**62, rel=1e-6)}, "vwap": {}}


def test_a_description_that_articles_have_no_more_is_a_jump_of_nulls() -> None:
    def day(nulls: int) -> Summary:
        return Summary("r", {WHOLE: 100}, {"description": {WHOLE: nulls}}, {})

    before = {LAST - timedelta(days=days): day(5) for days in (1, 2, 3)}
    [finding] = findings("news", CONTRACTS["news"], day(100), before)
    assert (finding.change.field, finding.change.kind, finding.change.to) == ("description", Kind.NULLS, "1.00")
    assert findings("news", CONTRACTS["news"], day(20), before) == []


def test_every_usual_field_that_becomes_a_column_is_compared() -> None:
    named_alike = {
        (dataset, name)
        for dataset, contract in CONTRACTS.items()
        for name, field in contract.fields.items()
        if field.usual and field.column is None and name.rpartition(".")[2] in FORMS[dataset].schema.names
    }
    assert named_alike == set()


@pytest.mark.parametrize(
    ("column", "usual", "today", "expected"),
    [
        ("vendor_iv", 0.25, 25.0, ("implied_volatility", Kind.RESCALED, "0.01")),
        ("vendor_iv", 25.0, 0.25, ("implied_volatility", Kind.RESCALED, "100")),
        # As ns what is in ms: the column holds a millionth.
        ("quote_ts", 1.75e12, 1.75e6, ("last_quote.last_updated", Kind.RESCALED, "1e+06")),
        ("strike", 600.0, 600_000.0, ("details.strike_price", Kind.RESCALED, "0.001")),
    ],
    ids=["percent", "a fraction", "ms for ns", "thousandths of a dollar"],
)
def test_percent_and_fractions_ms_and_ns_are_told_by_the_trailing_sessions(
    column: str, usual: float, today: float, expected: tuple[str, Kind, str]
) -> None:
    def day(size: float) -> Summary:
        return Summary("r", {"SPY": 300}, {}, {column: {"SPY": size}})

    before = {LAST - timedelta(days=days): day(usual * (1 + days / 1000)) for days in (1, 2, 3)}
    [finding] = findings("options_snapshot", CONTRACTS["options_snapshot"], day(today), before)
    assert (finding.change.field, finding.change.kind, finding.change.to) == expected


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
