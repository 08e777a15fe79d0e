"""What comparing a restated session row by row costs, on one core, beside a merge and a comparison in pandas.

1.2 million bars of 1,250 tickers, of which 1 % changed, some came and some went: the places of rows shift.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa

from bellwether.quality.difference import difference, measure
from bellwether.schemas import EQUITIES
from tests.bench import BenchRow

_TICKERS, _MINUTES = 1_250, 960
_MOST_S, _LEAST_TIMES = 2.0, 5.0
_ROUNDS = 5
_KEY = ["ticker", "ts"]
_VALUES = ["open", "high", "low", "close", "volume", "vwap", "transactions"]


def run() -> list[BenchRow]:
    """Measure a difference, and how many times as long pandas takes for the same."""
    before, after = _session()
    frames = before.to_pandas(), after.to_pandas()
    threads = pa.cpu_count()
    pa.set_cpu_count(1)
    try:
        ours_s, found = _timed(lambda: measure(difference(before, after, "equities")))
        theirs_s, counted = _timed(lambda: _with_pandas(*frames))
    finally:
        pa.set_cpu_count(threads)
    if (found.changed, found.added, found.removed) != counted:
        message = f"pandas counts {counted}, and not {(found.changed, found.added, found.removed)}"
        raise AssertionError(message)
    times = theirs_s / ours_s
    return [
        BenchRow("restatement, difference of 1.2 M rows", ours_s, _MOST_S, "s", ours_s < _MOST_S),
        BenchRow("restatement, pandas over ours", times, _LEAST_TIMES, "times as long", times >= _LEAST_TIMES),
    ]


def _session() -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(7)
    rows = _TICKERS * _MINUTES
    close = np.round(100 + rng.normal(0, 1, rows), 2)
    start = np.datetime64("2025-07-01T08:00", "ms")
    table = pa.table(
        {
            "ticker": np.repeat([f"T{number:04d}" for number in range(_TICKERS)], _MINUTES),
            "ts": pa.array(np.tile(start + np.arange(_MINUTES) * np.timedelta64(60_000, "ms"), _TICKERS)).cast(
                EQUITIES.field("ts").type
            ),
            "open": close,
            "high": close + 0.05,
            "low": close - 0.05,
            "close": close,
            "volume": rng.integers(100, 10_000, rows).astype(float),
            "vwap": close,
            "transactions": rng.integers(1, 100, rows),
        },
        schema=EQUITIES,
    )
    moved = np.where(rng.random(rows) < 0.01, np.round(close * 1.0002, 4), close)
    restated = table.set_column(5, EQUITIES.field("close"), pa.array(moved))
    return (
        table.filter(pa.array(rng.random(rows) > 0.0005)).combine_chunks(),
        restated.filter(pa.array(rng.random(rows) > 0.0005)).combine_chunks(),
    )


def _with_pandas(before: pd.DataFrame, after: pd.DataFrame) -> tuple[int, int, int]:
    """Merge and compare, as one would in a notebook."""
    both = before.merge(after, on=_KEY, how="outer", suffixes=("", "_after"), indicator=True)
    paired = both[both["_merge"] == "both"]
    differs = np.zeros(len(paired), bool)
    for name in _VALUES:
        old, new = paired[name], paired[f"{name}_after"]
        differs |= ((old != new) & ~(old.isna() & new.isna())).to_numpy()
    _ = (paired["close_after"] - paired["close"]).abs().max(), (paired["volume_after"] - paired["volume"]).sum()
    return int(differs.sum()), int((both["_merge"] == "right_only").sum()), int((both["_merge"] == "left_only").sum())


def _timed[Found](step: Callable[[], Found]) -> tuple[float, Found]:
    """Return the median CPU seconds of a step, and what it returned."""
    spent_s = []
    for _ in range(_ROUNDS):
        started_s = time.process_time()
        found = step()
        spent_s.append(time.process_time() - started_s)
    return median(spent_s), found
