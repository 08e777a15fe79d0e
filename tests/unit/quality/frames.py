"""Bars to judge, rows made bad in every way a rule names, and a second opinion in plain Python."""

import math
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.quality.prepare import staged_schema
from bellwether.quality.suite import read_suite

Row = dict[str, Any]

# 2025-07-03, a half day in summer: 04:00, 09:30, 13:00 and 20:00 New York.
HOURS = SessionHours(
    session=date(2025, 7, 3),
    pre_open=datetime(2025, 7, 3, 8, 0, tzinfo=UTC),
    open=datetime(2025, 7, 3, 13, 30, tzinfo=UTC),
    close=datetime(2025, 7, 3, 17, 0, tzinfo=UTC),
    post_close=datetime(2025, 7, 4, 0, 0, tzinfo=UTC),
)
MINUTE = timedelta(minutes=1)


def reasons_of(dataset: str, level: str) -> set[str]:
    """Return the reasons that a dataset's suite knows at a level."""
    return {each["meta"]["reason"] for each in read_suite(dataset).expectations if each["meta"]["level"] == level}


NO_WARNINGS = dict.fromkeys([*reasons_of("equities", "warning"), "missing_regular_minutes", "duplicates_dropped"], 0)

# name -> (what is done to a good row, the reasons it must be given)
SPOILS: dict[str, tuple[Row, list[str]]] = {
    "null ticker": ({"ticker": None}, ["null_key"]),
    "null ts": ({"ts": None}, ["null_key"]),
    "null open": ({"open": None}, ["null_price"]),
    "null high": ({"high": None}, ["null_price"]),
    "null low": ({"low": None}, ["null_price"]),
    "null close": ({"close": None}, ["null_price"]),
    "nan close": ({"close": math.nan}, ["null_price"]),
    "null volume": ({"volume": None}, ["null_volume"]),
    "nan volume": ({"volume": math.nan}, ["null_volume"]),
    "before pre-open": ({"ts": HOURS.pre_open - MINUTE}, ["outside_session"]),
    "at post-close": ({"ts": HOURS.post_close}, ["outside_session"]),
    "a day late": ({"ts": HOURS.open + timedelta(days=1)}, ["outside_session"]),
    "half a minute": ({"ts": HOURS.open + timedelta(seconds=30)}, ["off_minute"]),
    "one millisecond past": ({"ts": HOURS.open + timedelta(milliseconds=1)}, ["off_minute"]),
    "infinite high": ({"high": math.inf}, ["not_finite"]),
    "infinite volume": ({"volume": math.inf}, ["not_finite"]),
    "infinite vwap": ({"vwap": -math.inf}, ["not_finite"]),
    "zero prices": ({"open": 0.0, "high": 0.0, "low": 0.0, "close": 0.0}, ["price_not_positive"]),
    "negative low": ({"low": -1.0}, ["price_not_positive"]),
    "open above high": ({"open": 150.0}, ["open_outside_range"]),
    "open below low": ({"open": 50.0}, ["open_outside_range"]),
    "close above high": ({"close": 150.0}, ["close_outside_range"]),
    "close below low": ({"close": 50.0}, ["close_outside_range"]),
    "high below low": (
        {"high": 98.0, "low": 102.0},
        ["high_below_low", "open_outside_range", "close_outside_range"],
    ),
    "negative volume": ({"volume": -1.0}, ["negative_volume"]),
    "negative transactions": ({"transactions": -1}, ["negative_transactions"]),
    "several at once": (
        {"volume": -math.inf, "close": None, "open": -3.0},
        ["null_price", "not_finite", "price_not_positive", "open_outside_range", "negative_volume"],
    ),
}
# What is odd and real: counted, never lost.
ODDITIES: dict[str, tuple[Row, dict[str, int]]] = {
    "vwap above high": ({"vwap": 103.5}, {"vwap_outside_range": 1}),
    "vwap below low": ({"vwap": 96.0}, {"vwap_outside_range": 1}),
    "sub-penny close": ({"close": 100.0001}, {"sub_penny_price": 1}),
    "sub-penny everywhere": ({"open": 100.005, "high": 101.00005, "low": 99.995}, {"sub_penny_price": 1}),
    "penny stock": ({"open": 0.1234, "high": 0.9999, "low": 0.1, "close": 0.5, "vwap": 0.5}, {}),
    "float cents": ({"open": 100.07, "high": 100.29, "low": 99.57, "close": 99.99}, {}),
    "null vwap": ({"vwap": None}, {"null_vwap": 1}),
    "nan vwap": ({"vwap": math.nan}, {"null_vwap": 1}),
    "null transactions": ({"transactions": None}, {"null_transactions": 1}),
    "nothing traded": ({"volume": 0.0, "transactions": 0}, {}),
}


def good_row(ticker: str = "AAA", minute: int = 0) -> Row:
    prices = {"open": 100.0, "high": 102.0, "low": 98.0, "close": 101.0}
    activity = {"volume": 10.5, "vwap": 100.2, "transactions": 7}
    return {"ticker": ticker, "ts": HOURS.open + minute * MINUTE, **prices, **activity}


def good_rows(tickers: int = 1, minutes: int = 210) -> list[Row]:
    return [good_row(f"T{number:02d}", minute) for number in range(tickers) for minute in range(minutes)]


def table_of(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=staged_schema("equities"))


def spoilt_rows(seed: int) -> list[Row]:
    """Return shuffled rows in which every rule is broken, alone and together, with duplicates of both kinds."""
    rng = random.Random(seed)
    rows = good_rows(tickers=4, minutes=rng.randint(30, 210))
    changes = [change for change, _ in (SPOILS | ODDITIES).values()]
    for change in changes:
        rng.choice(rows).update(change)
    for _ in range(rng.randint(0, 40)):
        rng.choice(rows).update(rng.choice(changes))
    repeated: list[Row] = [dict(row) for row in rng.sample(rows, 12)]
    for row in repeated[:6]:
        row.update(rng.choice(changes))
    rows += repeated + [dict(row) for row in repeated[:3]]
    rng.shuffle(rows)
    return rows


def expected_reasons(rows: list[Row]) -> dict[str, int]:
    """Return how often each spelling of reasons must occur among the distinct `rows`, "" for good ones."""
    distinct = {repr(sorted(row.items())): row for row in rows}.values()
    keys = Counter((row["ticker"], row["ts"]) for row in distinct)
    spelt = (", ".join(_reasons(row, keys[row["ticker"], row["ts"]] > 1)) for row in distinct)
    return dict(Counter(spelt))


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _number(value: float | None) -> float:
    return math.nan if value is None else value  # no comparison with NaN holds: what is absent breaks only null rules


def _reasons(row: Row, conflicting: bool) -> list[str]:
    prices = [row[name] for name in ("open", "high", "low", "close")]
    opened, high, low, close, volume, vwap, count = (
        _number(row[name]) for name in ("open", "high", "low", "close", "volume", "vwap", "transactions")
    )
    ts = row["ts"]
    holds = {
        "null_key": row["ticker"] is None or ts is None,
        "null_price": any(_missing(price) for price in prices),
        "null_volume": math.isnan(volume),
        "outside_session": ts is not None and not HOURS.pre_open <= ts < HOURS.post_close,
        "off_minute": ts is not None and (ts.second, ts.microsecond) != (0, 0),
        "conflicting_rows": conflicting,
        "not_finite": any(math.isinf(value) for value in (opened, high, low, close, volume, vwap)),
        "price_not_positive": any(price <= 0 for price in (opened, high, low, close)),
        "high_below_low": high < low,
        "open_outside_range": opened < low or opened > high,
        "close_outside_range": close < low or close > high,
        "negative_volume": volume < 0,
        "negative_transactions": count < 0,
    }
    return [reason for reason, is_broken in holds.items() if is_broken]
