"""The Arrow gate: judges a batch of bars in well under a millisecond per ticker-day, before it is staged.

It must not import pandas or Great Expectations: it runs in every fetch task. Its verdicts on rows equal
those of `suites/equities.json`, which judges the whole session later.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.quality.prepare import (
    PRICES,
    any_of,
    column_of,
    has_sub_penny_price,
    missing_regular_minutes,
    ms_past_minute,
    neighbours,
    normalise,
    schema_errors,
    spell_reasons,
)
from bellwether.quality.reasons import RowReason, WarningName

if TYPE_CHECKING:
    from bellwether.calendar import SessionHours

_Columns = dict[str, pa.Array]


@dataclass(frozen=True)
class GateReport:
    """What the gate found in one batch.

    Attributes
    ----------
    errors
        Table errors, in words: the columns are not the schema's. Nothing else was checked then, and the
        batch must not be staged.
    warnings
        Count per `WarningName`, over the good rows; every name is there. Sums over the batches of a
        session (each ticker in one batch) are the session's counts.
    duplicates_dropped
        Identical rows left out of `table`.
    table
        All other rows, good and bad, sorted by (ticker, ts), in the staged schema (all columns nullable).
    reasons
        One entry per row of `table`: why it is bad, several joined by ", "; null for a good row.
    """

    errors: list[str]
    warnings: dict[str, int]
    duplicates_dropped: int
    table: pa.Table
    reasons: pa.Array

    @property
    def bad_rows(self) -> int:
        """How many rows of `table` are bad."""
        return int(len(self.reasons) - self.reasons.null_count)


def check_batch(table: pa.Table, session_hours: "SessionHours", dataset: str) -> GateReport:
    """Judge the bars of one batch.

    Parameters
    ----------
    table
        Bars of one or many tickers of one session, any order.
    session_hours
        Bounds of the session; bars outside its extended hours are bad.
    dataset
        Name of the dataset; its schema is demanded.

    Raises
    ------
    ConfigError
        There is no such dataset.
    """
    errors = schema_errors(table, dataset)
    if errors:
        return GateReport(errors, {}, 0, table, pa.nulls(len(table), pa.string()))
    table, dropped = normalise(table, dataset)
    reasons = spell_reasons(_broken_rules(table, session_hours), len(table))
    good = table.filter(reasons.is_null()) if reasons.null_count < len(table) else table
    warnings = _count_warnings(good) | {
        WarningName.MISSING_REGULAR_MINUTES.value: missing_regular_minutes(table, good, session_hours),
        WarningName.DUPLICATES_DROPPED.value: dropped,
    }
    return GateReport([], warnings, dropped, table, reasons)


def _broken_rules(table: pa.Table, hours: "SessionHours") -> dict[str, pa.Array]:
    """Return for each rule the mask of rows that break it; NaN counts as null, and null breaks only the null rules."""
    columns = {name: column_of(table, name) for name in table.column_names}
    prices = [columns[name] for name in PRICES]
    ts, high, low = columns["ts"], columns["high"], columns["low"]
    before_pre_open = pc.less(ts, pa.scalar(hours.pre_open, ts.type))
    from_post_close = pc.greater_equal(ts, pa.scalar(hours.post_close, ts.type))
    return {
        RowReason.NULL_KEY: any_of(columns["ticker"].is_null(), ts.is_null()),
        RowReason.NULL_PRICE: any_of(*(_is_missing(price) for price in prices)),
        RowReason.NULL_VOLUME: _is_missing(columns["volume"]),
        RowReason.OUTSIDE_SESSION: any_of(before_pre_open, from_post_close),
        RowReason.OFF_MINUTE: any_of(pc.not_equal(ms_past_minute(ts), 0)),
        RowReason.CONFLICTING_ROWS: _repeats_a_key(columns),
        RowReason.NOT_FINITE: any_of(*(pc.is_inf(column) for column in (*prices, columns["volume"], columns["vwap"]))),
        RowReason.PRICE_NOT_POSITIVE: any_of(*(pc.less_equal(price, 0.0) for price in prices)),
        RowReason.HIGH_BELOW_LOW: any_of(pc.less(high, low)),
        RowReason.OPEN_OUTSIDE_RANGE: _outside(columns["open"], low, high),
        RowReason.CLOSE_OUTSIDE_RANGE: _outside(columns["close"], low, high),
        RowReason.NEGATIVE_VOLUME: any_of(pc.less(columns["volume"], 0.0)),
        RowReason.NEGATIVE_TRANSACTIONS: any_of(pc.less(columns["transactions"], 0)),
    }


def _count_warnings(good: pa.Table) -> dict[str, int]:
    vwap, transactions, high, low = (column_of(good, name) for name in ("vwap", "transactions", "high", "low"))
    found = {
        WarningName.VWAP_OUTSIDE_RANGE: _outside(vwap, low, high),
        WarningName.SUB_PENNY_PRICE: has_sub_penny_price(good),
        WarningName.NULL_VWAP: _is_missing(vwap),
        WarningName.NULL_TRANSACTIONS: transactions.is_null(),
    }
    return {name.value: pc.sum(mask).as_py() or 0 for name, mask in found.items()}


def _is_missing(values: pa.Array) -> pa.Array:
    return values.is_null(nan_is_null=True)


def _outside(values: pa.Array, low: pa.Array, high: pa.Array) -> pa.Array:
    return any_of(pc.less(values, low), pc.greater(values, high))


def _repeats_a_key(columns: _Columns) -> pa.Array:
    """Return which rows share their key with a neighbour; the table is sorted, and two nulls are the same key."""
    ticker, ts = columns["ticker"], columns["ts"]
    same = pc.and_(_equals_next(ticker), _equals_next(ts))
    no_row = pa.array([False] if len(ts) else [], pa.bool_())
    return pc.or_(pa.concat_arrays([no_row, same]), pa.concat_arrays([same, no_row]))


def _equals_next(values: pa.Array) -> pa.Array:
    here, following = neighbours(values)
    return any_of(pc.equal(here, following), pc.and_(here.is_null(), following.is_null()))
