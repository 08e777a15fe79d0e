"""What holds for every DAG of the project, checked so that a new one cannot forget it."""

import json
from pathlib import Path
from typing import Any

import pytest

from bellwether_airflow.notifiers.alert import Alert, note_failure
from bellwether_airflow.retry import BellwetherRetryPolicy

REPOSITORY = Path(__file__).parents[2]
FILES = sorted((REPOSITORY / "dags").glob("*.py"))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def found(request: pytest.FixtureRequest, dags: dict[str, Any]) -> list[Any]:
    """Return the DAG of one file, in a list."""
    return [dags[request.param.stem]]


def test_every_file_holds_one_dag_of_its_name(found: list[Any]) -> None:
    assert [Path(dag.fileloc).stem for dag in found] == [dag.dag_id for dag in found]


def test_every_dag_has_owner_tags_and_an_operators_page(found: list[Any]) -> None:
    for dag in found:
        assert dag.doc_md.startswith("### ")
        assert "bellwether" in dag.tags
        assert {task.owner for task in dag.tasks} == {"bellwether"}


def test_every_pool_named_in_a_dag_is_in_pools_json(found: list[Any]) -> None:
    pools = json.loads((REPOSITORY / "config/pools.json").read_text())
    named = {task.pool for dag in found for task in dag.tasks}
    assert named <= {"default_pool", *pools}
    # A task that waits for the vendor or an approval holds no slot meanwhile; a DAG under recovery does.
    assert [name for name, pool in pools.items() if pool["include_deferred"]] == ["recovery"]


def test_every_dag_tells_of_its_failed_runs_and_no_task_does_so_by_itself(found: list[Any]) -> None:
    for dag in found:
        assert isinstance(dag.on_failure_callback, Alert)
        # Tasks leave what they died of, for the one alert to tell.
        assert [
            task.task_id for task in dag.tasks if task.on_failure_callback not in (note_failure, [note_failure])
        ] == []


def test_no_dag_has_a_deadline_since_airflow_clears_no_run_while_one_is_pending(found: list[Any]) -> None:
    # 3.3.2 answers 500 to every clearing of such a run: its `_recalculate_dagrun_queued_at_deadlines` takes the
    # interval, which is kept as a dictionary, for a number of seconds.
    assert [dag.dag_id for dag in found if dag.deadline] == []


def test_every_task_is_retried_by_the_projects_policy(found: list[Any]) -> None:
    for dag in found:
        assert all(isinstance(task.retry_policy, BellwetherRetryPolicy) for task in dag.tasks)
