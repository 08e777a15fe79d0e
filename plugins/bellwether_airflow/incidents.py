"""The sweep over incidents: what healed, what is overdue, what waited to be told, what a sink did not take.

    sweep, every few minutes

It is the one place that notes healing, by what stands in the lake and in Airflow, so that no data task has to.
"""

from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import DAG, get_current_context, task

from bellwether.config import Config
from bellwether_airflow import connections
from bellwether_airflow.notifiers.alert import Alert, dag_url
from bellwether_airflow.notifiers.channels import deliver
from bellwether_airflow.runs import TASK_DEFAULTS

if TYPE_CHECKING:
    from bellwether.incidents.incident import Run
    from bellwether.lake import Lake
    from bellwether.monitoring.health import Health
    from bellwether.monitoring.workers import Worker

_EVERY = timedelta(minutes=5)


def incidents_dag(dag_id: str, doc_md: str) -> DAG:
    """Return the DAG that sweeps over the incidents.

    Parameters
    ----------
    dag_id
        Its id.
    doc_md
        The operator's page.
    """
    with DAG(
        dag_id=dag_id,
        schedule=_EVERY,
        start_date=pendulum.datetime(2025, 1, 1, tz="UTC"),
        catchup=False,
        # Paused, it would leave people without the word they were promised.
        is_paused_upon_creation=False,
        max_active_runs=1,
        tags=["bellwether", "ops"],
        doc_md=doc_md,
        on_failure_callback=Alert("incidents"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        sweep()
    return dag


# The next run is a few minutes away.
@task(retries=0, execution_timeout=timedelta(minutes=10))
def sweep() -> dict[str, Any]:
    """Note what healed and what is overdue, tell it, try again what was not delivered; return how much of each."""
    from bellwether.incidents.board import tell
    from bellwether.incidents.healing import heal, heal_own
    from bellwether.incidents.incident import Run
    from bellwether.incidents.ledger import at_work, report
    from bellwether.incidents.outbox import deliver_again
    from bellwether.incidents.overdue import overdue
    from bellwether.incidents.table import publish_incidents

    context = get_current_context()
    lake, config = connections.lake(), Config.load()
    healed = heal(lake, config, _is_green)
    concerned = {each.last.session for each in at_work(lake)}  # also those that are closed by being told
    messages = tell(lake, config.alerts, deliver, is_sweep=True)
    delivered = deliver_again(lake, config.alerts.delivery, deliver)
    publish_incidents(lake, config, concerned, run_id=context["run_id"])
    # What stands in the lake may be unreadable: what had to be told and written down has been by then.
    is_awaited = partial(_is_awaited, Path(context["dag"].fileloc).parent)
    late = [report(lake, each) for each in overdue(lake, config, at_work(lake), is_awaited=is_awaited, url_of=dag_url)]
    if late:
        messages += tell(lake, config.alerts, deliver, is_sweep=True)
        publish_incidents(lake, config, {each.last.session for each in late}, run_id=context["run_id"])
    heal_own(lake, Run(context["dag"].dag_id, context["run_id"]))
    return {
        "healed": [each.incident_id for each in healed],
        "overdue": [each.incident_id for each in late],
        "messages": len(messages),
        "delivered_late": delivered,
    }


def report_look_back(lake: "Lake", config: Config, health: "Health", at_work: "list[Worker]") -> None:
    """Open incidents of what is unhealthy and nobody told of; the sweep tells of what has not healed until then."""
    from bellwether.incidents import ledger
    from bellwether.incidents.found import of_look_back
    from bellwether.incidents.healing import heal_what_is_gone
    from bellwether.incidents.table import publish_incidents
    from bellwether.monitoring.health import problems

    context = get_current_context()
    unhealthy = problems(health, at_work)
    heal_what_is_gone(lake, health, unhealthy)
    known = ledger.at_work(lake)
    found = of_look_back(lake, health, unhealthy, known, dag_id=context["dag"].dag_id)
    for each in found:
        ledger.report(lake, each)
    sessions = {each.session for each in health.standings}
    publish_incidents(
        lake, config, [each for each in sessions if ledger.of_session(lake, each)], run_id=context["run_id"]
    )


def _is_green(run: "Run") -> bool:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance  # noqa: PLC0415

    count = RuntimeTaskInstance.get_dr_count(dag_id=run.dag_id, run_ids=[run.run_id], states=["success"])
    return bool(count)


def _is_awaited(dags: Path, dag_id: str) -> bool:
    """Whether a DAG is there, a file of its name in the folder `dags`, and not paused."""
    from airflow.sdk.exceptions import AirflowRuntimeError  # noqa: PLC0415
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance  # noqa: PLC0415

    # Of a DAG whose file was taken out Airflow answers as if it were there.
    if not (dags / f"{dag_id}.py").is_file():
        return False
    try:
        return not RuntimeTaskInstance.get_dag(dag_id).is_paused
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") == HTTPStatus.NOT_FOUND:  # not parsed yet
            return False
        raise
