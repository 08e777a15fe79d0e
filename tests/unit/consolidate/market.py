"""Minutes for the tests of consolidation: random walks with silent minutes, on a grid or as rows."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.consolidate.grid import MinuteGrid, Trades, rows_on_grid, session_grid, trades_on_grid
from bellwether.schemas import EQUITIES, TIMESTAMP

DAY = date(2025, 7, 2)
HALF_DAY = date(2025, 7, 3)
REAL_DAY = date(2014, 6, 6)


def walk(
    grid: MinuteGrid, tickers: Sequence[str], seed: int = 0, silent: float = 0.1, price: float = 100.0
) -> pa.Table:
    """Return bars of every ticker and minute but the share of `silent` ones."""
    rng = np.random.default_rng(seed)
    size = (len(tickers), len(grid))
    close = np.round(price * np.exp(np.cumsum(rng.normal(0, 1e-3, size), axis=1)), 2)
    spread = np.round(rng.exponential(price * 5e-4, (3, *size)), 2)
    open_ = close + spread[0] - spread[1]
    columns = {
        "ticker": np.repeat(tickers, len(grid)),
        "ts": pa.array(np.tile(grid.starts_ms, len(tickers))).cast(TIMESTAMP),
        "open": open_.ravel(),
        "high": (np.maximum(open_, close) + spread[2]).ravel(),
        "low": (np.minimum(open_, close) - spread[1]).ravel(),
        "close": close.ravel(),
        "volume": rng.integers(0, 1000, size).astype(float).ravel(),
        "vwap": close.ravel(),
        "transactions": np.ones(close.size, np.int64),
    }
    return pa.table(columns, schema=EQUITIES).filter(pa.array(rng.random(close.size) >= silent))


def placed(bars: pa.Table, tickers: Sequence[str], grid: MinuteGrid) -> Trades:
    """Return bars where they stand on the grid."""
    return trades_on_grid(bars, rows_on_grid(bars, tickers, grid))


def walked(tickers: int = 2, *, seed: int = 0, silent: float = 0.1, price: float = 100.0) -> tuple[Trades, MinuteGrid]:
    """Return a random market on a session and the one before."""
    grid = session_grid(DAY, warmup_sessions=1)
    names = [f"T{number}" for number in range(tickers)]
    return placed(walk(grid, names, seed, silent, price), names, grid), grid


def real_bars(archive: Path, name: str) -> pa.Table:
    """Return real bars in the lake's schema."""
    raw = pq.read_table(archive / f"{name}.parquet")
    columns = [raw["ticker"], raw["t"].cast(TIMESTAMP), *(raw[name] for name in ("o", "h", "l", "c", "v", "vw", "n"))]
    return pa.table(columns, schema=EQUITIES)
