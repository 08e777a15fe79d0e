"""500 tickers x 1 session through a real Airflow: how many task instances it takes, and how much memory.

A local stack of its own, on free ports, against the generated market. Unpausing the DAG makes the schedule
start the run of the last completed session; that is the run measured. Everything waits with a timeout, and
the stack is stopped whatever happens.
"""

import json
import tempfile
import time
from pathlib import Path

from bellwether.airflow_api import AirflowApi, Run, TaskInstance
from bellwether.lake import Lake
from bellwether.localstack import LocalStack
from bellwether.simulator.market import universe
from tests.bench import BenchRow

_DAG_ID = "equities_daily"
_TICKERS = universe(500)
_MOST_TASKS, _MOST_MEMORY_MB = 30, 400.0
_MOST_SECONDS = 240.0  # wall-clock, so only a limit of sanity: on a busy machine the same run takes half as long again
_TIMEOUT_S = 420.0
_POLL_S = 0.5


def run() -> list[BenchRow]:
    """Let the schedule capture one session and read the figures from Airflow's REST API."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        stack = LocalStack(
            Path(folder) / "airflow",
            lake=lake,
            simulator=["--generate", "--tickers", str(len(_TICKERS))],
            env={"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": json.dumps(_TICKERS)},
        )
        with stack:
            finished, tasks = _capture(stack.api)
            fetched = [task for task in tasks if task.task_id == "ingest"]
            memory_mb = max(_summary(stack.api, task)["peak_memory_mb"] for task in fetched)
        _check_whole(Lake.open(lake), finished)
    assert finished.duration is not None
    size = f"{len(_TICKERS)} tickers x 1 session"
    return [
        _row(f"{size}: task instances", len(tasks), _MOST_TASKS, "tasks"),
        _row(f"{size}: peak memory of an ingest task", memory_mb, _MOST_MEMORY_MB, "MB"),
        _row(f"{size}: duration of the run", finished.duration, _MOST_SECONDS, "s"),
    ]


def _capture(api: AirflowApi) -> tuple[Run, list[TaskInstance]]:
    api.wait_for_dags([_DAG_ID])
    api.set_paused(_DAG_ID, paused=False)
    deadline = time.monotonic() + _TIMEOUT_S
    while not (runs := api.runs(_DAG_ID)):
        if time.monotonic() > deadline:
            message = f"the schedule started no run of {_DAG_ID} within {_TIMEOUT_S:.0f} s"
            raise TimeoutError(message)
        time.sleep(_POLL_S)
    finished = api.wait_for_run(_DAG_ID, runs[0].dag_run_id, timeout_s=deadline - time.monotonic())
    tasks = api.task_instances(_DAG_ID, finished.dag_run_id)
    if finished.state != "success":
        states = sorted(f"{task.task_id}[{task.map_index}] {task.state}" for task in tasks)
        message = f"the run of {finished.partition_key} ended as {finished.state}: {', '.join(states)}"
        raise RuntimeError(message)
    return finished, tasks


def _summary(api: AirflowApi, task: TaskInstance) -> dict[str, float]:
    """Return what an ingest task handed over: `BatchSummary` as JSON."""
    path = f"dags/{_DAG_ID}/dagRuns/{task.dag_run_id}/taskInstances/{task.task_id}/xcomEntries/return_value"
    query = {"map_index": task.map_index, "deserialize": "true"}
    summary: dict[str, float] = json.loads(api.request("GET", path, query=query))["value"]
    return summary


def _check_whole(lake: Lake, finished: Run) -> None:
    """Refuse figures of a run that left a ticker out."""
    [session] = lake.sessions("equities")
    manifest = lake.manifest("equities", session)
    assert manifest is not None
    complete = [ticker for ticker, known in manifest.coverage.items() if known.state == "complete"]
    if len(complete) != len(_TICKERS) or session.isoformat() != finished.partition_key:
        message = f"{len(complete)} of {len(_TICKERS)} tickers of {finished.partition_key} are complete in {session}"
        raise AssertionError(message)


def _row(name: str, value: float, target: float, unit: str) -> BenchRow:
    return BenchRow(name, value, target, unit, value <= target)
