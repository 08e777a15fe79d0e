"""The daily producer of reference data: four datasets in one DAG, each with steps, failures and events of its own."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from bellwether.lake import Coverage, Lake, read
from bellwether.producers import DATASETS_OF
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator
from bellwether_airflow.producers import PRODUCERS, _form
from tests.dags.support import KEY, SESSION, UNIVERSE, events, states

Run = Callable[..., Any]
DATASETS = DATASETS_OF["reference_daily"]
STEPS = ("plan", "ingest", "validate", "publish", "inputs_ready", "announce", "report")


@pytest.fixture
def dag(lake_root: Path, dags: dict[str, Any]) -> Any:
    """Return the daily producer of reference data."""
    return dags["reference_daily"]


def test_every_dataset_has_the_same_steps_in_a_group_of_its_name(dag: Any, dags: dict[str, Any]) -> None:
    assert {task.task_id for task in dag.tasks} == {f"{dataset}.{step}" for dataset in DATASETS for step in STEPS}
    assert {task.task_id for task in dags["equities_daily"].tasks} == set(STEPS)
    assert {dag.get_task(f"{dataset}.publish").pool for dataset in DATASETS} == {f"publish_{d}" for d in DATASETS}


def test_the_form_has_no_tickers_where_none_can_be_asked_for() -> None:
    assert list(_form([PRODUCERS["rates"]])) == ["force"]
    assert list(_form([PRODUCERS["rates"], PRODUCERS["splits"]])) == ["tickers", "force"]


def test_all_four_are_published_under_the_sessions_key_a_failure_holds_up_no_other_and_is_healed_by_name(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    simulator.faults.add(Fault(kind="cut_json", path="/v3/reference/splits", ticker="MSFT", count=None))
    run = run_session(dag, KEY)
    found = states(run)
    assert run.state == "failed"
    assert [found[f"splits.{step}"] for step in ("ingest[0]", "publish", "report")] == ["failed", "success", "failed"]
    assert {found[f"{dataset}.report"] for dataset in DATASETS if dataset != "splits"} == {"success"}
    # What the run's alert will tell.
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == "splits.report"]
    assert list(ti.xcom_pull(task_ids="splits.report", key="failures")["causes"]) == ["Truncated"]
    # Equities, which every session needs, are not there yet.
    assert {found[f"{dataset}.announce"] for dataset in DATASETS} == {"skipped"}
    assert sorted(events()) == sorted((dataset, KEY) for dataset in DATASETS)
    lake = Lake.open(lake_root)
    for dataset in ("splits", "dividends", "tickers"):
        coverage = lake.manifest(dataset, SESSION).coverage
        states_found = {
            ticker: known.state for ticker, known in coverage.items() if dataset != "splits" or ticker != "MSFT"
        }
        assert set(coverage) == set(UNIVERSE)
        assert set(states_found.values()) <= {Coverage.COMPLETE, Coverage.EMPTY}
    assert lake.manifest("splits", SESSION).coverage["SPY"].state == Coverage.EMPTY
    assert lake.manifest("splits", SESSION).blocking == ["MSFT"]
    tickers = read("tickers", KEY, KEY, root=lake_root)
    assert (tickers["ticker"].to_pylist(), set(tickers["active"].to_pylist())) == (UNIVERSE, {True})
    rates = read("rates", KEY, KEY, root=lake_root)
    assert set(lake.manifest("rates", SESSION).coverage) == {"*"}
    assert pc.min(rates["date"]).as_py() >= SESSION - timedelta(days=30)
    assert pc.max(rates["date"]).as_py() == date(2025, 6, 30)

    simulator.faults.clear()
    simulator.requests.clear()
    healed = run_session(dag, KEY, {"tickers": ["MSFT"]})
    found = states(healed)
    assert healed.state == "success"
    assert [found[f"{dataset}.publish"] for dataset in DATASETS] == ["success", "skipped", "skipped", "skipped"]
    assert [request.ticker for request in simulator.requests] == ["MSFT"] * 3
    assert lake.manifest("splits", SESSION).blocking == []
