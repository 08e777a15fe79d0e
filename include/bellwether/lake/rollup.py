"""From minute bars to coarser ones: five minutes, hours, sessions."""

from datetime import date, datetime, timedelta
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import NEW_YORK, get_calendar, midnight
from bellwether.errors import LakeError
from bellwether.schemas import TIMESTAMP

_Integers = npt.NDArray[np.int64]
Every = Literal["5min", "15min", "30min", "1h", "1d"]
_MINUTES = {"5min": 5, "15min": 15, "30min": 30, "1h": 60}
# Of a total with an unknown part nothing is known; Arrow would leave the part out.
_ALL_KNOWN = pc.ScalarAggregateOptions(skip_nulls=False)
_TOTALS = {
    "open": ("open", "first", None),
    "high": ("high", "max", None),
    "low": ("low", "min", None),
    "close": ("close", "last", None),
    "volume": ("volume", "sum", None),
    "transactions": ("transactions", "sum", _ALL_KNOWN),
    "vwap": ("traded", "sum", _ALL_KNOWN),
    "is_stale": ("is_stale", "all", None),
}


def roll_up(bars: pa.Table, every: Every, *, regular_only: bool = False) -> pa.Table:
    """Combine minute bars into bars of `every`; buckets without a minute have no row.

    Buckets begin at whole multiples of their length on New York's clock and hold what lies in [start, start + length):
    the hour of 09:00 holds pre-market and 09:30 to 10:00, or with `regular_only` 09:30 to 10:00 alone. `1d` is one row
    per New York date. No bucket reaches over midnight. As with minutes, a bar is known at its end, not at `ts`.

    Parameters
    ----------
    bars
        Minute bars of any tickers and sessions, any order, (ticker, ts) unique; the schema `EQUITIES` or `INDICES`.
    every
        Length of a bucket.
    regular_only
        Only minutes of the exchange's regular hours, which end at 13:00 on half days. By default extended hours too.

    Returns
    -------
    pyarrow.Table
        The schema of `bars`, sorted by session, ticker and time. `ts` is the start of the bucket, for `1d` New York's
        midnight. Open is the first minute's, close the last one's; volumes are sums of doubles, exact for whole shares.
        `transactions` is null if that of any minute is. `vwap` is weighted by volume; null if any minute with volume
        has none, or nothing was traded. `is_stale` if every minute is.

    Raises
    ------
    LakeError
        There is no such bucket.
    """
    if every not in get_args(Every):
        msg = f"no bars of {every!r}; there are: {', '.join(get_args(Every))}"
        raise LakeError(msg)
    if not len(bars):
        return bars
    bars = bars.sort_by("ts").combine_chunks()  # for first and last; which ticker stands where does not matter
    ts_ms = bars["ts"].cast(pa.int64()).to_numpy()
    first, last = (bars["ts"][row].as_py().astimezone(NEW_YORK).date() for row in (0, -1))
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    begins_ms = np.array([_ms(midnight(day)) for day in days])
    day = np.searchsorted(begins_ms, ts_ms, side="right") - 1
    if every == "1d":
        bucket_ms = begins_ms[day]
    else:
        # New York is whole hours from UTC, so buckets that divide an hour begin at the same instants on both clocks.
        length_ms = _MINUTES[every] * 60_000
        bucket_ms = ts_ms // length_ms * length_ms
    keyed = bars.append_column("day", pa.array(day)).append_column("bucket", pa.array(bucket_ms))
    if regular_only:
        keyed = keyed.filter(pa.array(_in_regular_hours(ts_ms, day, days)))
    return _combine(keyed, bars.schema)


def _in_regular_hours(ts_ms: _Integers, day: _Integers, days: list[date]) -> npt.NDArray[np.bool_]:
    """Return which times, each of the day with that number, are of regular hours; a day without a session has none."""
    calendar = get_calendar()
    open_ms, close_ms = np.zeros((2, len(days)), np.int64)
    for number in np.unique(day):
        if calendar.is_session(days[number]):
            hours = calendar.hours(days[number])
            open_ms[number], close_ms[number] = _ms(hours.open), _ms(hours.close)
    within: npt.NDArray[np.bool_] = (ts_ms >= open_ms[day]) & (ts_ms < close_ms[day])
    return within


def _ms(instant: datetime) -> int:
    return int(instant.timestamp()) * 1000


def _combine(keyed: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return one row for each day, ticker and bucket of minutes in the order of time."""
    if "vwap" in schema.names:
        volume = keyed["volume"]
        traded = pc.if_else(pc.equal(volume, 0.0), 0.0, pc.multiply(keyed["vwap"], volume))
        keyed = keyed.append_column("traded", traded)
    totals = {name: total for name, total in _TOTALS.items() if name in schema.names}
    groups = keyed.group_by(["day", "ticker", "bucket"], use_threads=False).aggregate(list(totals.values()))
    groups = groups.sort_by([(key, "ascending") for key in ("day", "ticker", "bucket")])
    columns = {"ticker": groups["ticker"], "ts": groups["bucket"].cast(TIMESTAMP)}
    columns |= {name: groups[f"{column}_{how}"] for name, (column, how, _) in totals.items()}
    if "vwap" in schema.names:
        known = pc.greater(columns["volume"], 0.0)
        columns["vwap"] = pc.if_else(known, pc.divide(columns["vwap"], columns["volume"]), None)
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)
