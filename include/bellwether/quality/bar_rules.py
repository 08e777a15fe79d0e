"""What bars must be, and what real ones do: the rules of every dataset of bars, of minutes and of days."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.due import SPANS
from bellwether.quality.prepare import any_of, column_of
from bellwether.quality.reasons import RowReason, WarningName

if TYPE_CHECKING:  # the calendar loads pandas, which the gate must not
    from bellwether.calendar import SessionHours

type _Columns = Mapping[str, pa.Array]

PRICES = ("open", "high", "low", "close")
_MINUTE_MS = 60_000
_CENT_TOLERANCE = 1e-6  # in cents: far above the float error of a real price, far below the finest print ($0.0001)


def broken_of(dataset: str) -> "Callable[[_Columns, SessionHours], dict[str, pa.Array]]":
    """Return the rules of a dataset of minute bars; those about volumes hold where there are any."""

    def broken(columns: _Columns, hours: "SessionHours") -> dict[str, pa.Array]:
        start, end = SPANS[dataset](hours)
        timed = _timed(columns["ts"], start, end)
        return _priced(columns) | timed | (_traded(columns) if "volume" in columns else {})

    return broken


def broken_day(columns: _Columns, hours: "SessionHours") -> dict[str, pa.Array]:
    """Return the rules of day bars: those of minutes, and each is of the session."""
    day = columns["date"]
    other_day = any_of(pc.not_equal(day, pa.scalar(hours.session, day.type)))
    return _priced(columns) | _traded(columns) | {RowReason.OUTSIDE_SESSION: other_day}


def _timed(ts: pa.Array, start: datetime, end: datetime) -> dict[str, pa.Array]:
    before, after = pc.less(ts, pa.scalar(start, ts.type)), pc.greater_equal(ts, pa.scalar(end, ts.type))
    return {
        RowReason.OUTSIDE_SESSION: any_of(before, after),
        RowReason.OFF_MINUTE: any_of(pc.not_equal(ms_past_minute(ts), 0)),
    }


def _priced(columns: _Columns) -> dict[str, pa.Array]:
    prices = [columns[name] for name in PRICES]
    high, low = columns["high"], columns["low"]
    return {
        RowReason.NULL_PRICE: any_of(*(is_missing(price) for price in prices)),
        RowReason.NOT_FINITE: any_of(*(pc.is_inf(price) for price in prices)),
        RowReason.PRICE_NOT_POSITIVE: any_of(*(pc.less_equal(price, 0.0) for price in prices)),
        RowReason.HIGH_BELOW_LOW: any_of(pc.less(high, low)),
        RowReason.OPEN_OUTSIDE_RANGE: outside(columns["open"], low, high),
        RowReason.CLOSE_OUTSIDE_RANGE: outside(columns["close"], low, high),
    }


def _traded(columns: _Columns) -> dict[str, pa.Array]:
    numbers = [columns[name] for name in (*PRICES, "volume", "vwap")]
    return {
        RowReason.NULL_VOLUME: is_missing(columns["volume"]),
        RowReason.NOT_FINITE: any_of(*(pc.is_inf(number) for number in numbers)),
        RowReason.NEGATIVE_VOLUME: any_of(pc.less(columns["volume"], 0.0)),
        RowReason.NEGATIVE_TRANSACTIONS: any_of(pc.less(columns["transactions"], 0)),
    }


def traded_warnings(good: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return what odd bars of traded tickers are: real, and kept."""
    vwap, high, low = good["vwap"], good["high"], good["low"]
    return {
        WarningName.VWAP_OUTSIDE_RANGE: outside(vwap, low, high),
        WarningName.SUB_PENNY_PRICE: _has_sub_penny_price(good),
        WarningName.NULL_VWAP: is_missing(vwap),
        WarningName.NULL_TRANSACTIONS: good["transactions"].is_null(),
    }


def index_warnings(good: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return which bars of an index are stale."""
    return {WarningName.STALE_BAR: good["is_stale"]}


def is_missing(values: pa.Array) -> pa.Array:
    """Return which values are null or NaN."""
    return values.is_null(nan_is_null=True)


def outside(values: pa.Array, low: pa.Array, high: pa.Array) -> pa.Array:
    """Return which values lie outside of their own bounds; null lies nowhere."""
    return any_of(pc.less(values, low), pc.greater(values, high))


def ms_past_minute(ts: pa.Array) -> pa.Array:
    """Return the milliseconds of each time beyond its whole minute, int64; null stays null."""
    since_epoch = ts.cast(pa.int64())
    return pc.subtract(since_epoch, pc.multiply(pc.divide(since_epoch, _MINUTE_MS), _MINUTE_MS))


def _has_sub_penny_price(columns: _Columns) -> pa.Array:
    """Return for each row whether a price of $1 or more is no whole number of cents; null counts as no.

    Below $1 quotes in fractions of a cent are allowed (SEC rule 612).
    """
    return any_of(*(_sub_penny(columns[name]) for name in PRICES))


def _sub_penny(price: pa.Array) -> pa.Array:
    cents = pc.multiply(price, 100.0)
    distance = pc.abs(pc.subtract(cents, pc.round(cents)))
    return pc.and_(pc.greater_equal(price, 1.0), pc.greater(distance, _CENT_TOLERANCE))


def with_ms_past_minute(table: pa.Table) -> pa.Table:
    """Return the table with the column `ms_past_minute` appended."""
    return table.append_column("ms_past_minute", ms_past_minute(column_of(table, "ts")))


def with_traded_columns(table: pa.Table) -> pa.Table:
    """Return the table with the columns `ms_past_minute` and `has_sub_penny_price` appended."""
    return with_sub_penny_column(with_ms_past_minute(table))


def with_sub_penny_column(table: pa.Table) -> pa.Table:
    """Return the table with the column `has_sub_penny_price` appended."""
    prices = {name: column_of(table, name) for name in PRICES}
    return table.append_column("has_sub_penny_price", _has_sub_penny_price(prices))


def missing_regular_minutes(table: pa.Table, good: pa.Table, hours: "SessionHours") -> dict[str, int]:
    """Count how many minutes of regular trading have no good row, summed over the tickers of `table`.

    Parameters
    ----------
    table
        All rows judged; a ticker whose rows are all bad misses every minute.
    good
        The rows to be published: whole minutes, keys unique.
    hours
        Bounds of the session.
    """
    ts = good["ts"]
    opened = pc.greater_equal(ts, pa.scalar(hours.open, ts.type))
    regular = pc.sum(pc.and_(opened, pc.less(ts, pa.scalar(hours.close, ts.type)))).as_py() or 0
    missing = int(pc.count_distinct(table["ticker"]).as_py() * hours.expected_minutes() - regular)
    return {WarningName.MISSING_REGULAR_MINUTES.value: missing}
