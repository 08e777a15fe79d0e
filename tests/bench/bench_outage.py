"""How long a task holds its slot while the vendor refuses everything: so long may other sources have to wait for it.

A whole batch against the simulator, by the retry policy as configured. Waits between tries are added up, not slept.
"""

import logging
import random
import tempfile
import time
from statistics import median

import structlog

from bellwether.config import Config
from bellwether.errors import VendorError
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.plan import Batch
from bellwether.lake import Lake
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket, universe
from bellwether.simulator.server import SimulatorConfig, running
from bellwether.sources.rest import PolygonRest
from tests.bench import BenchRow
from tests.builders import SESSION

_TICKERS = tuple(universe(25))
_ROUNDS = 15
_FAULTS = {
    "503": Fault(kind="server_error", status=503, count=None),
    "403, not entitled": Fault(kind="not_entitled", count=None),
    "429, come back in an hour": Fault(kind="rate_limited", retry_after_s=3600, count=None),
}


def run() -> list[BenchRow]:
    """Let a batch of the default size fail in each way."""
    config = Config.load()
    longest_s = config.retry_policy.patience_s  # what takes longer is to be waited for without a slot
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rows = []
    with running(SimulatorConfig(market=GeneratedMarket(tickers=_TICKERS))) as simulator:
        for name, fault in _FAULTS.items():
            simulator.faults.clear()
            simulator.faults.add(fault)
            held_s = median(_held_s(simulator.url, config, seed) for seed in range(_ROUNDS))
            label = f"slot held by {len(_TICKERS)} tickers while the vendor answers {name}"
            rows.append(BenchRow(label, held_s, longest_s, "s", held_s <= longest_s))
    structlog.reset_defaults()
    return rows


def _held_s(url: str, config: Config, seed: int) -> float:
    waits_s: list[float] = []
    policies = config.retry_policy
    jitter = random.Random(seed)
    rest = PolygonRest(
        url, "key-of-the-benchmark", retries=policies, patience_s=policies.patience_s, sleep=waits_s.append, rng=jitter
    )
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(folder, simulated=True)
        started_s = time.perf_counter()
        try:
            fetch_batch(lake, rest, config, Batch("equities", SESSION, "s1", 0, _TICKERS))
        except VendorError:
            return time.perf_counter() - started_s + sum(waits_s)
    message = "the vendor refused everything, and the batch did not fail"
    raise AssertionError(message)
