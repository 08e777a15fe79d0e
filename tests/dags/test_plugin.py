"""How the plugin, the package and the library are laid out: what Airflow scans, and what importing costs."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.models.dagbag import DagBag

REPOSITORY = Path(__file__).parents[2]
HEAVY = (
    "aiohttp",
    "bellwether.calendar",
    "bellwether.incidents",
    "bellwether.ingest",
    "bellwether.lake",
    "bellwether.monitoring",
    "bellwether.localstack",
    "bellwether.quality",
    "bellwether.recovery.plan",
    "bellwether.recovery.work",
    "bellwether.simulator",
    "bellwether.sources",
    "duckdb",
    "exchange_calendars",
    "great_expectations",
    "msgspec",
    "numba",
    "numpy",
    "pandas",
    "pandas_ta",
    "polars",
    "polygon",
    "pyarrow",
)

DAG_FILE = """
import pendulum
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable, get_current_context, task
from bellwether.due import DUE
from bellwether_airflow.timetables import SessionMapper, SessionTimetable

READY = Asset("ready")

@task(outlets=[READY])
def say(*, dag_run, params):
    return [dag_run.partition_key, dag_run.partition_date.date().isoformat(), params["word"]]

SCHEDULE = SessionTimetable(DUE["equities"])

with DAG("sessions", schedule=SCHEDULE, start_date=pendulum.datetime(2025, 1, 1), params={"word": "hi"}):
    say()

with DAG("consumer", schedule=PartitionedAssetTimetable(assets=READY, default_partition_mapper=SessionMapper())):
    task(lambda: None, task_id="nothing")()
"""


def python(code: str) -> Any:
    """Run code in a fresh interpreter under this test run's Airflow; return what it prints last, as JSON."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def loaded(modules: list[str]) -> list[str]:
    return [name for name in HEAVY if any(module == name or module.startswith(f"{name}.") for module in modules)]


IMPORTED_EVERYWHERE = """
import bellwether_airflow.connections
import bellwether_airflow.provider_info as provider; provider.get_provider_info()
from bellwether.due import DUE
import bellwether_airflow.timetables as timetables; timetables.SessionTimetable(DUE["equities"]).summary
import bellwether_airflow.retry as retry; retry.BellwetherRetryPolicy()
import bellwether_airflow.waiting
import bellwether_airflow.notifiers.alert as alert; alert.Alert("equities")
import bellwether_airflow.drift as drift; drift.drift_dag("ops_drift", "### Page")
import bellwether_airflow.recovery as recovery; recovery.recovery_dag("ops_recover", "### Page")
import bellwether_airflow.restating as restating; restating.restatement_dag("ops_restate", "### Page")
import bellwether_airflow.incidents as incidents; incidents.incidents_dag("ops_incidents", "### Page")
import bellwether_airflow.verifying as verifying; verifying.verification_dag("ops_verify", "### Page")
import bellwether_airflow.drill as drill; drill.drill_dag("ops_drill", "### Page")
"""


def test_what_every_airflow_process_imports_loads_nothing_heavy() -> None:
    before = python("import airflow.sdk, sys, json; airflow.sdk.DAG; print(json.dumps(list(sys.modules)))")
    after = python(f"{IMPORTED_EVERYWHERE}\nimport sys, json; print(json.dumps(list(sys.modules)))")
    assert [name for name in loaded(after) if name not in loaded(before)] == []


def test_the_library_imports_no_airflow() -> None:
    library = REPOSITORY / "include" / "bellwether"
    offenders = []
    for path in library.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] in {"airflow", "bellwether_airflow"} for name in names):
                offenders.append(f"{path.relative_to(REPOSITORY)}:{node.lineno}")
    assert offenders == []


def test_airflow_scans_one_file_and_the_vendors_package_stays_itself() -> None:
    found = python(
        "import json, sys\n"
        "from airflow import plugins_manager\n"
        "timetables = sorted(plugins_manager.get_timetables_plugins())\n"
        "mappers = sorted(plugins_manager.get_partition_mapper_plugins())\n"
        "errors = plugins_manager.get_import_errors()\n"
        "import polygon\n"
        "print(json.dumps([timetables, mappers, errors, polygon.RESTClient.__module__, "
        "sorted({'timetables', 'retry', 'connections', 'hooks', 'polygon', 'bellwether_plugin'} & set(sys.modules))]))"
    )
    prefix = "bellwether_airflow.timetables."
    assert found == [
        [f"{prefix}SessionTimetable"],
        [f"{prefix}SessionMapper"],
        {},
        "polygon.rest",
        ["bellwether_plugin", "polygon"],
    ]


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DagBag:
    from airflow import settings

    (tmp_path / "sessions.py").write_text(DAG_FILE)
    monkeypatch.setattr(settings, "DAGS_FOLDER", str(tmp_path))
    bag = DagBag(dag_folder=str(tmp_path))
    assert bag.import_errors == {}
    return bag


@pytest.mark.parametrize("key", ["2025-11-28", "2025-07-03"])
def test_a_run_of_a_session_sees_its_key_and_date(run_session: Callable[..., Any], dags: DagBag, key: str) -> None:
    run = run_session(dags.dags["sessions"], key, {"word": "hello"})
    assert run.state == "success"
    assert (run.partition_key, run.partition_date.date().isoformat()) == (key, key)
    [instance] = run.get_task_instances()
    assert instance.xcom_pull(task_ids="say") == [key, key, "hello"]


def test_a_run_without_a_key_has_the_date_of_the_last_completed_session(
    run_session: Callable[..., Any], dags: DagBag
) -> None:
    dag = dags.dags["sessions"]
    run = run_session(dag, None)
    assert run.state == "success"
    assert run.partition_key is None
    assert run.partition_date == dag.timetable.resolve_partition_date(None)
