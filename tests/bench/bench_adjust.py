"""What readers compute from minutes: split adjustment and coarser bars, in CPU seconds."""

import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.lake.adjust import adjust_for_splits
from bellwether.lake.rollup import roll_up
from bellwether.schemas import EQUITIES, SPLITS, TIMESTAMP
from tests.bench import BenchRow
from tests.builders import SESSION

_TICKERS = [f"T{number:03d}" for number in range(500)]
_ADJUST_S, _ROLL_UP_S = 0.5, 0.3


def run() -> list[BenchRow]:
    """Time 500 tickers with three splits each over 2,000 minutes, and one session of 390 minutes."""
    calendar = get_calendar()
    split_days = [calendar.previous(SESSION), SESSION, calendar.next(SESSION)]
    splits = [(ticker, day, 1.0, 7.0, f"{ticker} {day}") for day in split_days for ticker in _TICKERS]
    table = pa.Table.from_pylist([dict(zip(SPLITS.names, row, strict=True)) for row in splits], schema=SPLITS)
    million, session = _minutes(2000), _minutes(390)
    adjust_s = _cpu_s(lambda: adjust_for_splits(million, table, split_days[-1]))
    roll_up_s = max(_cpu_s(lambda every=every: roll_up(session, every)) for every in ("5min", "1h", "1d"))
    return [
        BenchRow("split adjustment, 1,000,000 bars", adjust_s, _ADJUST_S, "s CPU", adjust_s <= _ADJUST_S),
        BenchRow("roll-up, 500 x 390 minutes", roll_up_s, _ROLL_UP_S, "s CPU", roll_up_s <= _ROLL_UP_S),
    ]


def _minutes(count: int) -> pa.Table:
    """Return that many minutes of every ticker, the last ones of `SESSION`."""
    rows = len(_TICKERS) * count
    last_ms = int(get_calendar().hours(SESSION).close.timestamp()) * 1000
    ts = pa.array(np.tile(last_ms - 60_000 * np.arange(count, 0, -1), len(_TICKERS))).cast(TIMESTAMP)
    tickers = pa.array(_TICKERS).take(pa.array(np.repeat(np.arange(len(_TICKERS)), count)))
    price = np.round(100 + np.random.default_rng(0).random(rows), 2)
    columns = [tickers, ts, price, price + 1, price - 1, price, price, price, np.ones(rows, np.int64)]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=EQUITIES)


def _cpu_s(call: Callable[[], object]) -> float:
    call()
    started_s = time.process_time()
    call()
    return time.process_time() - started_s
