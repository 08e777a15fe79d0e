"""20 sessions x 500 tickers through a real Airflow, beside a bare script that does the same: what Airflow costs.

CPU time of every process of the stack from the backfill's request to its last run, idle loops included, against
that of one process which calls the library's steps in turn without Airflow and without Great Expectations. A task
may add 1.0 s and each run of the suite 4 s. The simulator serves both and is left out of both.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import psutil

from bellwether.calendar import get_calendar
from bellwether.lake import Lake
from bellwether.localstack import LocalStack, StackState
from bellwether.simulator.market import universe
from tests.bench import BenchRow

_DAG_ID = "equities_daily"
_TICKERS = universe(500)
_SESSIONS = get_calendar().sessions(date(2025, 10, 1), date(2025, 10, 31))[:20]
_TASK_S, _SUITE_S = 1.0, 4.0
_TIMEOUT_S = 1500.0
_POLL_S = 2.0

# The steps of the DAG in one process; what the gate let pass is published without the suite.
_BARE = """
import sys
from datetime import date
import pyarrow as pa
from bellwether.config import Config
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import publish_stage
from bellwether.ingest.plan import plan_session
from bellwether.lake import Lake
from bellwether.lake.stage import Stage, ValidatedRecord
from bellwether.sources.rest import PolygonRest

root, url, *sessions = sys.argv[1:]
config, lake = Config.load(), Lake.open(root, simulated=True)
rest = PolygonRest(url, "key-of-the-benchmark")
for session in map(date.fromisoformat, sessions):
    batches = plan_session(lake, config, rest, "equities", session, stage_id="bare")
    stage = Stage(lake, "equities", session, "bare")
    tables, coverage = [], {}
    for batch in batches:
        fetch_batch(lake, rest, config, batch)
        table, record = stage.read_batch(batch.index)
        tables.append(table)
        coverage |= record.coverage
    record = ValidatedRecord(coverage=coverage, api_calls=0, raw={}, timings_s={})
    stage.write_validated(pa.concat_tables(tables), record)
    publish_stage(lake, config, "equities", session, stage_id="bare", run_id="bare")
"""


def run() -> list[BenchRow]:
    """Capture the sessions both ways from one simulator and compare; the lakes must hold the same revisions."""
    settings = {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": json.dumps(_TICKERS)}
    with tempfile.TemporaryDirectory() as folder:
        lake, bare_lake = Path(folder) / "lake", Path(folder) / "bare"
        simulator = ["--generate", "--tickers", str(len(_TICKERS))]
        with LocalStack(Path(folder) / "airflow", lake=lake, simulator=simulator, env=settings) as stack:
            bare_s = _bare(bare_lake, str(stack.state.simulator_url), settings)
            airflow_s, tasks, runs = _capture(stack)
        _check_equal(Lake.open(lake), Lake.open(bare_lake))
    budget_s = bare_s + tasks * _TASK_S + runs * _SUITE_S
    size = f"{len(_SESSIONS)} sessions x {len(_TICKERS)} tickers"
    return [
        BenchRow(f"{size}: tasks per session", tasks / runs, 30, "tasks", tasks <= 30 * runs),
        BenchRow(f"{size}: bare script", bare_s, budget_s, "s CPU", bare_s > 0),
        BenchRow(f"{size}: all of Airflow", airflow_s, budget_s, "s CPU", airflow_s <= budget_s),
    ]


def _bare(lake: Path, url: str, settings: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", _BARE, str(lake), url, *map(str, _SESSIONS)]
    subprocess.run(command, env=os.environ | settings, check=True, capture_output=True, timeout=_TIMEOUT_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _capture(stack: LocalStack) -> tuple[float, int, int]:
    """Backfill the sessions; return the CPU seconds of Airflow's processes, the task instances and the runs."""
    api = stack.api
    api.wait_for_dags([_DAG_ID])
    deadline = time.monotonic() + _TIMEOUT_S
    before_s = _cpu_s(stack.state)
    api.set_paused(_DAG_ID, paused=False)  # starts the run of the last completed session too
    api.backfill(_DAG_ID, _SESSIONS[0], _SESSIONS[-1], max_active_runs=3)
    while len(runs := api.runs(_DAG_ID)) <= len(_SESSIONS) or not all(each.is_over for each in runs):
        if time.monotonic() > deadline:
            message = f"the backfill is not over after {_TIMEOUT_S:.0f} s"
            raise TimeoutError(message)
        time.sleep(_POLL_S)
    spent_s = _cpu_s(stack.state) - before_s
    if failed := [each.dag_run_id for each in runs if each.state != "success"]:
        message = f"runs failed: {failed}"
        raise RuntimeError(message)
    return spent_s, len(api.task_instances(_DAG_ID, "~")), len(runs)


def _cpu_s(state: StackState) -> float:
    """Return the CPU time of the stack's sessions but the simulator's; that of ended children stands with parents."""
    leaders = {record.pid for record in state.processes if record.name != "simulator"}
    total_s = 0.0
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) in leaders:
                spent = process.cpu_times()
                total_s += spent.user + spent.system + spent.children_user + spent.children_system
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue  # ended while we looked; its parent has its time
    return total_s


def _check_equal(lake: Lake, bare: Lake) -> None:
    """Refuse figures of runs that did not do the same."""
    for session in _SESSIONS:
        ours, theirs = lake.manifest("equities", session), bare.manifest("equities", session)
        if ours is None or theirs is None or ours.revision != theirs.revision:
            message = f"Airflow and the bare script published different rows of {session}"
            raise AssertionError(message)
