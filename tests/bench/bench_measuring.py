"""What measuring adds to a task, in CPU seconds: one batch of a session's minutes, with what Airflow needs for a task.

What measuring takes is measured by itself, its thread included, with more spans than a batch has: a share that small is
lost in the noise of two batches compared. What it waits for the disk it waits beside the work; of the last word, after
Airflow knows how the task ended.
"""

import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median

from bellwether import meter
from bellwether.config import Config
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.plan import Batch
from bellwether.lake import Lake
from bellwether.meter import count, timed
from bellwether.monitoring.tries import Identity, Recording
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import SimulatorConfig, running
from bellwether.sources.rest import PolygonRest
from tests.bench import BenchRow

_SESSION = date(2025, 7, 1)
_TICKERS = tuple(f"T{number:02d}" for number in range(25))
_SPANS = 150  # a batch of 25 has some 70
_TURNS = 9
_AIRFLOW_S = 0.6  # of a task that does nothing: docs/architecture.md
_MOST_PERCENT, _MOST_US = 1.0, 10.0


def run() -> list[BenchRow]:
    """Fetch a batch again and again, and measure a task that does nothing but be measured."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(Path(folder), simulated=True)
        market = GeneratedMarket(tickers=list(_TICKERS))
        with running(SimulatorConfig(market=market)) as simulator:
            rest = PolygonRest(simulator.url, "key-of-the-benchmark")
            batch_s = median([_batch_s(lake, rest, turn) for turn in range(_TURNS)])
        measuring_s, span_us = zip(*(_measuring_s(lake, turn) for turn in range(_TURNS)), strict=True)
    task_s = batch_s + _AIRFLOW_S
    added = 100 * median(measuring_s) / task_s
    us = median(span_us)
    name = f"measuring a batch of {len(_TICKERS)} tickers that takes {task_s:.1f} s of CPU"
    return [
        BenchRow(name, added, _MOST_PERCENT, "% more CPU", added < _MOST_PERCENT),
        BenchRow("measuring one span and one amount", us, _MOST_US, "us", us < _MOST_US),
    ]


def _batch_s(lake: Lake, rest: PolygonRest, turn: int) -> float:
    batch = Batch(dataset="equities", session=_SESSION, stage_id=f"s{turn}", index=0, tickers=_TICKERS)
    started_s = time.thread_time()
    fetch_batch(lake, rest, Config.load(), batch)
    return time.thread_time() - started_s


def _measuring_s(lake: Lake, turn: int) -> tuple[float, float]:
    """Return how long it takes to measure a task, and one span of it, microseconds."""
    identity = Identity(
        dag_id="equities_daily",
        run_id=f"run-{turn}",
        task_id="ingest",
        map_index=0,
        try_number=1,
        dataset="equities",
        session=_SESSION,
    )
    started_s = time.process_time()
    recording = Recording(identity, meter.switch_on(), lake.clock.now)
    recording.tell(lake)
    begun_s = time.perf_counter()
    for _ in range(_SPANS):
        with timed("vendor_s"):
            count("api_calls")
    spent_s = time.perf_counter() - begun_s
    recording.end("success")
    meter.switch_off()
    return time.process_time() - started_s, 1e6 * spent_s / _SPANS
