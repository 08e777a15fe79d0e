"""What was recorded in a drill beside what REST has, before its gaps are repaired and after."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from bellwether.config import Config
from bellwether.drill.report import Judged, Outcome
from bellwether.drill.request import KEY, TICKERS
from bellwether.drill.vendor import Vendor
from bellwether.lake import Lake
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.closing import conclude
from bellwether.streaming.compact import compact
from bellwether.streaming.feedtime import from_ms, to_ms
from bellwether.streaming.gaps import LATE, GapLog
from bellwether.streaming.repair import repair
from bellwether.streaming.simulated import simulated_time

_MINUTE = timedelta(minutes=1)
_PROMPT = timedelta(seconds=5)  # within which a minute that is over is broadcast
_LATER = timedelta(minutes=30)  # when REST knows all of it
_VALUES = ("open", "high", "low", "close", "volume", "vwap")

type _Key = tuple[str, int]


@dataclass(frozen=True)
class _Minutes:
    """Values by ticker and start (ms UTC), and how many rows say something of a minute that another says."""

    values: dict[_Key, tuple[float, ...]]
    doubled: Counter[_Key]


def judge(lake: Lake, config: Config, assignment: Assignment, vendor: Vendor, outcomes: Sequence[Outcome]) -> Judged:
    """Repair, and compare; what concerns the time of a fault is noted with it.

    Parameters
    ----------
    lake, config, assignment
        What was recorded, and how.
    vendor
        Who broadcast it; its clock is set to when it is all known.
    outcomes
        The faults played.
    """
    vendor.stand_at(assignment.until + _LATER)
    rest = PolygonRest(vendor.url, KEY, retries=config.retry_policy)
    wanted = _of_rest(rest, assignment)
    recorded = _compacted(lake, assignment)
    feed = simulated_time(vendor.url)
    conclude(lake, assignment, feed)
    gaps = GapLog(lake, assignment.dataset, assignment.session, "").read()
    left = repair(lake, config, assignment, rest, feed, tickers=TICKERS).left
    repaired = _compacted(lake, assignment)
    lost = wanted.keys() - repaired.values.keys()
    # What may change after the end of the recording is not held against it.
    settled_ms = to_ms(assignment.until - LATE - _MINUTE)
    unlike = {
        key
        for key, values in repaired.values.items()
        if key not in wanted or (key[1] <= settled_ms and values != wanted[key])
    }
    for outcome in outcomes:
        if outcome.recovered is not None:
            first, last = outcome.began - _MINUTE, outcome.recovered
            outcome.missed = _within(wanted.keys() - recorded.values.keys(), first, last)
            outcome.lost = _within(lost | unlike, first, last)
            outcome.doubled = _within(repaired.doubled, first, last)
    return Judged(
        minutes=len(wanted),
        lost=len(lost),
        unlike=len(unlike),
        doubled=repaired.doubled.total(),
        gaps=[gap.cause for gap in gaps],
        left=[f"{gap.cause}: {why}" for gap, why in left],
    )


def _within(keys: "set[_Key] | Counter[_Key]", first: datetime, last: datetime) -> int:
    return sum(first <= from_ms(start_ms) <= last for _, start_ms in keys)


def _of_rest(rest: PolygonRest, assignment: Assignment) -> dict[_Key, tuple[float, ...]]:
    last = assignment.until - _MINUTE - _PROMPT
    tables = [rest.aggregates(ticker, to_ms(assignment.start), to_ms(last)).table for ticker in TICKERS]
    return _minutes(pa.concat_tables(tables), assignment).values


def _compacted(lake: Lake, assignment: Assignment) -> _Minutes:
    return _minutes(compact(lake, assignment.dataset, assignment.session).table, assignment)


def _minutes(table: pa.Table, assignment: Assignment) -> _Minutes:
    first_ms, last_ms = to_ms(assignment.start), to_ms(assignment.until - _MINUTE - _PROMPT)
    keys = zip(table["ticker"].to_pylist(), table["ts"].cast(pa.int64()).to_pylist(), strict=True)
    values = zip(*(table[name].to_pylist() for name in _VALUES), strict=True)
    rows = [(key, row) for key, row in zip(keys, values, strict=True) if first_ms <= key[1] <= last_ms]
    return _Minutes(dict(rows), Counter(key for key, _ in rows) - Counter(dict(rows).keys()))
