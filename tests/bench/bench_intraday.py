"""A round of provisional gold at 15:59, after one at 15:54: its streams compacted, its gold built, judged, swapped in.

500 equities, each printing in nine of ten minutes from 04:00 on and changed now and then; and the chain of
`bench_gold`, 3,000 contracts in every minute. A round runs in a process of its own, as in Airflow, imports included,
and the next is five minutes later.
"""

import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate.grid import session_grid
from bellwether.consolidate.intraday import build_so_far
from bellwether.lake import Lake, paths, read
from bellwether.schemas import TIMESTAMP
from bellwether.streaming.batches import Batches, BatchRecord, Writer
from bellwether.streaming.rows import LIVE_BARS
from tests.bench import BenchRow, apart, peak_memory_mb
from tests.bench.bench_gold import publish_inputs
from tests.builders import SESSION
from tests.unit.consolidate.market import walk

_TICKERS = [*(f"T{number:03d}" for number in range(499)), "SPY"]
_CHANGED = 20  # of so many bars one is broadcast again
_HOURS = get_calendar().hours(SESSION)
_EARLIER, _AT = (_HOURS.close - timedelta(minutes=minutes) for minutes in (6, 1))
_MINUTE = timedelta(minutes=1)
_MOST_S, _MOST_MB = 60.0, 2_000.0


def run() -> list[BenchRow]:
    """Do two rounds of both scenes."""
    return [*_scene("500 equities", _equities), *_scene("chain of 1.17 million prints", _chain)]


def _scene(what: str, prepare: Callable[[str], float]) -> list[BenchRow]:
    with tempfile.TemporaryDirectory() as folder:
        apart(prepare, folder)
        apart(_stream, folder, _HOURS.pre_open, _EARLIER)
        peak_mb = apart(_round_mb, folder)
        apart(_stream, folder, _EARLIER, _AT)
        cpu_s = apart(_round_s, folder)
    name = f"provisional round, {what}"
    return [
        BenchRow(name, cpu_s, _MOST_S, "CPU s", cpu_s < _MOST_S),
        BenchRow(f"{name}: peak memory", peak_mb, _MOST_MB, "MB", peak_mb < _MOST_MB),
    ]


def _equities(folder: str) -> float:
    bars = walk(session_grid(SESSION, extended=True), _TICKERS, silent=0.1)
    return _keep(folder, "equities", bars)


def _chain(folder: str) -> float:
    publish_inputs(folder)
    lake = Lake.open(Path(folder))
    for dataset in ("equities", "options"):
        prints = _keep(folder, dataset, read(dataset, SESSION, SESSION, root=folder))
        lake.storage.delete(paths.partition(dataset, SESSION))
    return prints


def _keep(folder: str, dataset: str, bars: pa.Table) -> float:
    """Put the bars of the whole session aside, by time: each minute is broadcast at its end."""
    pq.write_table(bars.sort_by("ts"), Path(folder) / f"{dataset}.parquet")
    return float(len(bars))


def _stream(folder: str, start: datetime, until: datetime) -> float:
    """Record what is over between two instants, a file a minute for what is new and one for what is changed."""
    lake = Lake.open(Path(folder), simulated=True)
    count = 0
    with patch("os.fsync"):  # of a thousand files, which are not what is measured
        for path in sorted(Path(folder).glob("*.parquet")):
            bars = pq.read_table(path)
            ts = bars["ts"].to_numpy()
            batches = Batches(lake, path.stem, SESSION)
            for minute in range(int((start - _HOURS.pre_open) / _MINUTE), int((until - _HOURS.pre_open) / _MINUTE)):
                first = np.datetime64((_HOURS.pre_open + minute * _MINUTE).replace(tzinfo=None), "ms")
                rows = bars.slice(*_between(ts, first))
                for half, table in enumerate((rows, rows.take(np.arange(0, len(rows), _CHANGED)))):
                    if len(table):
                        _write(batches, 2 * minute + half + 1, table, first + np.timedelta64(1, "m"))
                        count += len(table)
    return float(count)


def _between(ts: "np.ndarray[tuple[int], np.dtype[np.datetime64]]", first: np.datetime64) -> tuple[int, int]:
    begin, end = np.searchsorted(ts, [first, first + np.timedelta64(1, "m")])
    return int(begin), int(end - begin)


def _write(batches: Batches, number: int, table: pa.Table, over: np.datetime64) -> None:
    arrived_ms = int(over.astype("datetime64[ms]").astype(np.int64))
    rows = table.drop_columns(["transactions"])
    if number % 2 == 0:
        rows = rows.set_column(rows.column_names.index("volume"), "volume", pc.add(rows["volume"], 1.0))
    arrived = pa.repeat(pa.scalar(arrived_ms + number % 2, pa.int64()), len(rows)).cast(TIMESTAMP)
    rows = rows.append_column("arrived_utc", arrived).append_column("arrival", pa.array(np.arange(len(rows))))
    record = BatchRecord(rows=len(rows), last_arrival=len(rows) - 1, covered_ms=arrived_ms)
    batches.write(Writer("bench", 1, 1), number, rows.select(LIVE_BARS.names).cast(LIVE_BARS), record)


def _round_s(folder: str) -> float:
    _round(folder)
    return time.process_time()


def _round_mb(folder: str) -> float:
    _round(folder)
    return peak_memory_mb()


def _round(folder: str) -> None:
    lake = Lake.open(Path(folder))
    config = Config.model_validate({"sources": {"equities": {"universe": _TICKERS}}})
    so_far = build_so_far(lake, config, SESSION, stage_id="bench", run_id="bench")
    assert so_far.minutes is not None
    assert so_far.minutes.run_id == "bench"
