"""3,000 option contracts x 1 session: what they cost in requests, tasks and memory, and what their ledger weighs.

The steps of `options_daily`, against the generated market, without Airflow: tasks are counted as the DAG maps them.
Fetching and publishing run in a process each, so that their memory is not that of the simulator.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from bellwether.config import Config
from bellwether.ingest.discovery import discover
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import publish_stage, validate_stage
from bellwether.ingest.plan import Batch, plan_session
from bellwether.lake import Lake, read
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import SimulatorConfig, running
from bellwether.sources.rest import PolygonRest
from tests.bench import BenchRow, apart, peak_memory_mb
from tests.builders import SESSION

_CONTRACTS = 3_000
_UNDERLYINGS = ("AAPL", "MSFT", "QQQ", "SPX", "SPY")
_OTHER_TASKS = 6  # plan, validate, publish, inputs_ready, announce, report
_MOST_CALLS, _MOST_TASKS, _MOST_MEMORY_MB = 3_100, 130, 500.0
_MOST_FOOTER_KB, _MOST_READ_MS = 1_000.0, 50.0


def run() -> list[BenchRow]:
    """Discover, capture and publish one session, and look at the file it came to."""
    config = _config()
    market = GeneratedMarket(seed=7, tickers=[name for name in _UNDERLYINGS if name != "SPX"])
    with tempfile.TemporaryDirectory() as folder, running(SimulatorConfig(market=market)) as simulator:
        lake = Lake.open(folder, simulated=True)
        rest = PolygonRest(simulator.url, "key-of-the-benchmark")
        discover(lake, config, rest, SESSION, stage_id="s1", run_id="bench")
        batches = plan_session(lake, config, rest, "options", SESSION, stage_id="s1")
        batches = batches[: _CONTRACTS // config.settings.ingest.batch_tickers]
        fetch_mb = apart(_fetch, folder, simulator.url, config, batches)
        publish_mb = apart(_publish, folder, config, batches)
        contracts, options = lake.manifest("contracts", SESSION), lake.manifest("options", SESSION)
        assert contracts is not None
        assert options is not None
        if len(options.coverage) != _CONTRACTS or not all(each.state.is_proven for each in options.coverage.values()):
            message = f"{len(options.coverage)} of {_CONTRACTS} contracts are in the ledger, or not all are proven"
            raise AssertionError(message)
        [file] = (Path(folder) / "clean" / "options").rglob("*.parquet")
        footer_kb = pq.read_metadata(file).serialized_size / 1024
        read_ms = min(_read_ms(folder) for _ in range(9))
    size = f"{_CONTRACTS:,} contracts x 1 session"
    return [
        _row(f"{size}: API calls", contracts.api_calls + options.api_calls, _MOST_CALLS, "calls"),
        _row(f"{size}: task instances", len(batches) + _OTHER_TASKS, _MOST_TASKS, "tasks"),
        _row(f"{size}: peak memory of fetching", fetch_mb, _MOST_MEMORY_MB, "MB"),
        _row(f"{size}: peak memory of validating and publishing", publish_mb, _MOST_MEMORY_MB, "MB"),
        _row(f"{size}: footer with the ledger", footer_kb, _MOST_FOOTER_KB, "kB"),
        _row(f"{size}: read one contract", read_ms, _MOST_READ_MS, "ms"),
    ]


def _config() -> Config:
    content = {"universe": list(_UNDERLYINGS), "contracts": {"strikes": "wide", "lookahead_days": 60}}
    return Config.model_validate({"sources": {"options": content}})


def _fetch(folder: str, url: str, config: Config, batches: Sequence[Batch]) -> float:
    lake, rest = Lake.open(folder, simulated=True), PolygonRest(url, "key-of-the-benchmark")
    return max(fetch_batch(lake, rest, config, batch).peak_memory_mb for batch in batches)


def _publish(folder: str, config: Config, batches: Sequence[Batch]) -> float:
    lake = Lake.open(folder, simulated=True)
    validate_stage(lake, config, batches)
    publish_stage(lake, config, "options", SESSION, stage_id="s1", run_id="bench")
    return peak_memory_mb()


def _read_ms(folder: str) -> float:
    started_s = time.process_time()
    read("options", SESSION, SESSION, ["O:SPY250703C00600000"], root=folder)
    return 1000 * (time.process_time() - started_s)


def _row(name: str, value: float, target: float, unit: str) -> BenchRow:
    return BenchRow(name, value, target, unit, value <= target)
