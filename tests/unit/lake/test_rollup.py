from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.calendar import NEW_YORK, SessionHours, get_calendar
from bellwether.errors import LakeError
from bellwether.lake.rollup import Every, roll_up
from bellwether.schemas import EQUITIES, INDEX_BARS, INDICES, TIMESTAMP

DAY = date(2025, 7, 1)
HALF_DAY = date(2025, 7, 3)
LENGTHS: dict[Every, timedelta] = {
    "5min": timedelta(minutes=5),
    "15min": timedelta(minutes=15),
    "30min": timedelta(minutes=30),
    "1h": timedelta(hours=1),
}
Row = dict[str, Any]


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK)


def row(clock: str, close: float = 100.0, day: date = DAY, **changes: Any) -> Row:
    values = {"ticker": "SPY", "ts": at(clock, day), "open": close, "high": close, "low": close, "close": close}
    return values | {"volume": 100.0, "vwap": close, "transactions": 2} | changes


def table_of(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=EQUITIES)


def starts(table: pa.Table) -> list[str]:
    return [f"{ts.as_py().astimezone(NEW_YORK):%H:%M}" for ts in table["ts"]]


def test_a_bucket_has_the_first_open_the_extremes_the_last_close_and_the_sums() -> None:
    rows = [
        row("10:00", open=10.0, high=12.0, low=9.0, close=11.0, vwap=10.5, volume=100.0, transactions=1),
        row("10:03", open=11.5, high=15.0, low=11.0, close=14.0, vwap=12.0, volume=300.0, transactions=5),
        row("10:04", open=14.0, high=14.5, low=8.0, close=9.5, vwap=9.0, volume=200.0, transactions=2),
    ]
    expected = row("10:00", open=10.0, high=15.0, low=8.0, close=9.5, volume=600.0, transactions=8)
    expected["vwap"] = (100 * 10.5 + 300 * 12.0 + 200 * 9.0) / 600
    assert roll_up(table_of(rows), "5min").equals(table_of([expected]))
    assert roll_up(table_of(rows[::-1]), "5min").equals(table_of([expected])), "the order of rows does not matter"


def test_buckets_begin_on_whole_hours_so_that_of_nine_holds_half_an_hour_of_regular_trading() -> None:
    table = table_of([row("09:15"), row("09:29"), row("09:30"), row("10:29"), row("15:59"), row("16:00")])
    assert starts(roll_up(table, "1h")) == ["09:00", "10:00", "15:00", "16:00"]
    assert roll_up(table, "1h")["volume"].to_pylist() == [300.0, 100.0, 100.0, 100.0]
    regular = roll_up(table, "1h", regular_only=True)
    assert starts(regular) == ["09:00", "10:00", "15:00"]
    assert regular["volume"].to_pylist() == [100.0, 100.0, 100.0]


def test_a_day_is_one_row_at_new_yorks_midnight_with_or_without_extended_hours() -> None:
    table = table_of([row("04:00", 1.0), row("09:30", 2.0), row("15:59", 3.0), row("19:59", 4.0)])
    whole, regular = roll_up(table, "1d"), roll_up(table, "1d", regular_only=True)
    assert whole["ts"].to_pylist() == regular["ts"].to_pylist() == [at("00:00")]
    assert (whole["open"][0].as_py(), whole["close"][0].as_py(), whole["volume"][0].as_py()) == (1.0, 4.0, 400.0)
    assert (regular["open"][0].as_py(), regular["close"][0].as_py(), regular["volume"][0].as_py()) == (2.0, 3.0, 200.0)


def test_half_day_ends_at_13_00() -> None:
    table = table_of([row("12:59", day=HALF_DAY), row("13:00", 2.0, day=HALF_DAY)])
    assert roll_up(table, "1d", regular_only=True)["close"].to_pylist() == [100.0]


def test_days_without_a_session_have_no_regular_hours() -> None:
    saturday = table_of([row("10:00", day=date(2025, 7, 5))])
    assert len(roll_up(saturday, "1d", regular_only=True)) == 0
    assert roll_up(saturday, "1d")["ts"].to_pylist() == [at("00:00", date(2025, 7, 5))]


@pytest.mark.parametrize(
    ("friday", "monday"), [(date(2025, 3, 7), date(2025, 3, 10)), (date(2025, 10, 31), date(2025, 11, 3))]
)
def test_changes_of_the_clock_move_no_bucket(friday: date, monday: date) -> None:
    table = table_of([row(clock, day=day) for day in (friday, monday) for clock in ("04:00", "09:30", "19:59")])
    assert starts(roll_up(table, "1h")) == ["04:00", "09:00", "19:00"] * 2
    assert roll_up(table, "1d")["ts"].to_pylist() == [at("00:00", friday), at("00:00", monday)]
    assert roll_up(table, "1d", regular_only=True)["volume"].to_pylist() == [100.0, 100.0]


def test_a_late_minute_stays_with_its_new_york_date() -> None:
    winter = date(2025, 1, 2)
    table = table_of([row("19:59", day=winter), row("04:00", day=date(2025, 1, 3))])
    assert roll_up(table, "1d")["ts"].to_pylist() == [at("00:00", winter), at("00:00", date(2025, 1, 3))]


def test_rows_come_by_session_ticker_and_time() -> None:
    table = table_of(
        [row(clock, day=day, ticker=name) for clock in ("10:00", "09:30") for name in "BA" for day in (HALF_DAY, DAY)]
    )
    found = [
        (ts.as_py(), name.as_py()) for ts, name in zip(*roll_up(table, "5min").select(["ts", "ticker"]), strict=True)
    ]
    assert found == [(at(clock, day), name) for day in (DAY, HALF_DAY) for name in "AB" for clock in ("09:30", "10:00")]


UNKNOWNS: dict[str, tuple[Row, float | None, int | None]] = {
    "all known": ({}, 75.0, 4),
    "transactions of one minute unknown": ({"transactions": None}, 75.0, None),
    "vwap of a minute with volume unknown": ({"vwap": None}, None, 4),
    "vwap of a minute without volume unknown": ({"vwap": None, "volume": 0.0}, 100.0, 4),
}


@pytest.mark.parametrize(("change", "vwap", "transactions"), UNKNOWNS.values(), ids=UNKNOWNS)
def test_a_sum_with_an_unknown_part_is_unknown(change: Row, vwap: float | None, transactions: int | None) -> None:
    rolled = roll_up(table_of([row("10:00"), row("10:01", 50.0) | change]), "5min")
    assert rolled["vwap"].to_pylist() == [vwap]
    assert rolled["transactions"].to_pylist() == [transactions]


def test_a_bucket_in_which_nothing_was_traded_has_no_vwap() -> None:
    assert roll_up(table_of([row("10:00", volume=0.0)]), "5min")["vwap"].to_pylist() == [None]


def test_an_index_has_no_volume_to_sum() -> None:
    bars = table_of([row("10:00", 1.0), row("10:01", 2.0), row("10:06", 2.0)]).select(INDEX_BARS.names)
    table = bars.append_column(INDICES.field("is_stale"), pa.array([False, True, True]))
    rolled = roll_up(table, "5min")
    assert rolled.schema.equals(INDICES)
    assert rolled.select(["open", "high", "low", "close", "is_stale"]).to_pylist() == [
        {"open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0, "is_stale": False},
        {"open": 2.0, "high": 2.0, "low": 2.0, "close": 2.0, "is_stale": True},
    ]


def test_no_bars_roll_up_to_none() -> None:
    assert roll_up(EQUITIES.empty_table(), "1h").equals(EQUITIES.empty_table())
    assert roll_up(table_of([row("08:00")]), "1h", regular_only=True).equals(EQUITIES.empty_table())


def test_unknown_buckets_are_refused_with_what_there_is() -> None:
    with pytest.raises(LakeError, match="no bars of '7min'; there are: 5min, 15min, 30min, 1h, 1d"):
        roll_up(EQUITIES.empty_table(), "7min")  # type: ignore[arg-type]


@cache
def hours_of(day: date) -> SessionHours:
    return get_calendar().hours(day)


def naive(rows: list[Row], every: Every, *, regular_only: bool) -> list[Row]:
    """Roll up on New York's wall clock, one row after the other."""
    groups: dict[tuple[date, str, datetime], list[Row]] = {}
    for minute in rows:
        local = minute["ts"].astimezone(NEW_YORK)
        day = local.date()
        hours = hours_of(day)
        if regular_only and not hours.open <= minute["ts"] < hours.close:
            continue
        start = datetime.combine(day, time())
        if every != "1d":
            start += (local.replace(tzinfo=None) - start) // LENGTHS[every] * LENGTHS[every]
        groups.setdefault((day, minute["ticker"], start.replace(tzinfo=NEW_YORK)), []).append(minute)
    return [_bar(ticker, start, groups[day, ticker, start]) for day, ticker, start in sorted(groups)]


def _bar(ticker: str, start: datetime, minutes: list[Row]) -> Row:
    minutes = sorted(minutes, key=lambda minute: minute["ts"])
    volume = sum(minute["volume"] for minute in minutes)
    traded = [minute for minute in minutes if minute["volume"]]
    weighted = None not in [minute["vwap"] for minute in traded] and volume > 0
    counts = [minute["transactions"] for minute in minutes]
    return {
        "ticker": ticker,
        "ts": start,
        "open": minutes[0]["open"],
        "high": max(minute["high"] for minute in minutes),
        "low": min(minute["low"] for minute in minutes),
        "close": minutes[-1]["close"],
        "volume": volume,
        "vwap": sum(minute["vwap"] * minute["volume"] for minute in traded) / volume if weighted else None,
        "transactions": None if None in counts else sum(counts),
    }


# Around both changes of the clock, and a half day.
SESSIONS = [date(2025, 3, 7), date(2025, 3, 10), date(2025, 7, 3), date(2025, 10, 31), date(2025, 11, 3)]
prices = st.integers(1, 400).map(lambda quarters: quarters / 4)
keys = st.tuples(st.sampled_from(["A", "BB"]), st.sampled_from(SESSIONS), st.integers(4 * 60, 20 * 60 - 1))
values = st.fixed_dictionaries(
    {
        "open": prices,
        "high": prices,
        "low": prices,
        "close": prices,
        "volume": st.integers(0, 8).map(float),
        "vwap": st.none() | prices,
        "transactions": st.none() | st.integers(0, 9),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(keys, values, max_size=30), st.sampled_from([*LENGTHS, "1d"]), st.booleans())
def test_every_roll_up_equals_the_naive_one(minutes: dict[Any, Row], every: Every, regular_only: bool) -> None:
    rows = [
        {"ticker": ticker, "ts": datetime.combine(day, time(minute // 60, minute % 60), NEW_YORK)} | value
        for (ticker, day, minute), value in minutes.items()
    ]
    expected = table_of(naive(rows, every, regular_only=regular_only))
    assert roll_up(table_of(rows), every, regular_only=regular_only).equals(expected)


def test_a_real_week_of_minutes_adds_up(archive: Path) -> None:
    raw = pq.read_table(archive / "bars_equity_SPY_20131004_20131011.parquet").drop_columns(["vw", "n"])
    table = raw.rename_columns(["ticker", "ts", "open", "high", "low", "close", "volume"])
    table = table.set_column(1, "ts", table["ts"].cast(TIMESTAMP))
    days = roll_up(table, "1d")
    assert len(days) == 6
    assert pc.sum(days["volume"]) == pc.sum(table["volume"])
    assert roll_up(roll_up(table, "5min"), "1d").equals(days)
    assert len(roll_up(table, "5min", regular_only=True)) == 6 * 78
