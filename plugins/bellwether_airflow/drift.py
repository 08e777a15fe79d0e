"""Deciding about drift: what differs is shown, somebody answers, and what waited is published.

    show -> decide -> settle -> inputs_ready -> announce
    settle -> report, which fails the run when something that was approved could not be published

A run belongs to one change, and holds no slot while it waits for its answer.
"""

from datetime import date
from typing import Any, Final

import pendulum
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.config import Config
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.announcing import announce
from bellwether_airflow.notifiers.alert import Alert
from bellwether_airflow.runs import TASK_DEFAULTS, refuse_unknown_params

log = get_logger(__name__)

DAG_ID: Final = "ops_drift"
APPROVE, AS_IT_IS, REJECT = "Approve", "Take as it is", "Reject"

_FORM = {
    "change": Param(
        "",
        type="string",
        minLength=3,
        title="Change",
        description="Its id: the digest of ops_health names it, and `bellwether drift list`.",
    )
}


def drift_dag(dag_id: str, doc_md: str) -> DAG:
    """Return the DAG that has somebody decide about a change.

    Parameters
    ----------
    dag_id
        Its id.
    doc_md
        The operator's page.
    """
    with DAG(
        dag_id=dag_id,
        schedule=None,
        start_date=pendulum.datetime(2003, 9, 10, tz="America/New_York"),
        # Nothing runs by itself, and a question should not lie in wait.
        is_paused_upon_creation=False,
        max_active_runs=100,
        params=_FORM,
        tags=["bellwether", "ops"],
        doc_md=doc_md,
        on_failure_callback=Alert("drift"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        decide = HITLOperator(
            task_id="decide",
            subject="Drift: {{ params.change }}",
            body="{{ ti.xcom_pull(task_ids='show') }}",
            options=[APPROVE, AS_IT_IS, REJECT],
            params={"reason": Param("", type="string", title="Reason", description="Wanted where it is rejected.")},
            # Asked again by a retry, and open for as long as it takes.
            retries=0,
            execution_timeout=None,
        )
        answer: Any = decide.output
        show() >> decide
        settled: Any = settle(answer)
        ready: Any = inputs_ready(settled)
        announce(ready)
        report(settled)
    return dag


@task
def show() -> str:
    """Return what whoever decides must know; skip what is decided already."""
    from bellwether.drift.ledger import find
    from bellwether.drift.report import page

    context = get_current_context()
    refuse_unknown_params(context, _FORM)
    lake, config = connections.lake(), Config.load()
    known = find(lake, context["params"]["change"])
    shown = page(lake, config, known)
    log.info(shown)
    if known.state in {"approved", "rejected"}:
        msg = f"{known.change_id} is {known.state} already"
        raise AirflowSkipException(msg)
    return shown


@task
def settle(answer: dict[str, Any]) -> dict[str, Any]:
    """Do as was answered; return the sessions published anew, and what could not be."""
    from bellwether.drift.approval import approve, reject
    from bellwether.drift.report import publish_drift
    from bellwether.ingest.release import release

    context = get_current_context()
    lake, config, change_id = connections.lake(), Config.load(), context["params"]["change"]
    user, reason = answer.get("responded_by_user") or {}, (answer.get("params_input") or {}).get("reason") or ""
    by = str(user.get("name") or user.get("id") or "somebody")
    [choice] = answer["chosen_options"]
    if choice == REJECT:
        settled = reject(lake, change_id, by=by, reason=reason or "no reason was given")
        published, problems = [], []
    else:
        settled = approve(lake, config, change_id, by=by, reason=reason, as_it_is=choice == AS_IT_IS)
        freed = release(lake, config, settled)
        published, problems = [session.isoformat() for session in freed.sessions], list(freed.problems)
    publish_drift(lake, config, settled.known.sessions, run_id=context["run_id"])
    log.info("settled", change=change_id, choice=choice, by=by, published=published, problems=problems)
    return {"dataset": settled.known.change.dataset, "published": published, "problems": problems}


@task.short_circuit
def inputs_ready(settled: dict[str, Any]) -> list[str]:
    """Go on with the sessions whose gold is to be built of what was published."""
    from bellwether.consolidate.readiness import in_reach, readiness

    lake, config = connections.lake(), Config.load()
    published = [date.fromisoformat(session) for session in settled["published"]]
    reach = sorted({each for session in published for each in in_reach(config, settled["dataset"], session)})
    return [session.isoformat() for session in reach if readiness(lake, config, session).announce]


@task(retries=0)
def report(settled: dict[str, Any]) -> None:
    """Fail the run where something that was approved could not be published."""
    if settled["problems"]:
        msg = f"approved, and yet not published: {'; '.join(settled['problems'])}"
        raise AirflowFailException(msg)


def ask_about(waiting: Any) -> None:  # noqa: ANN401 - a task's output
    """Have somebody decide about each change that waits, once; `waiting` comes to their ids."""
    TriggerDagRunOperator.partial(
        task_id="ask",
        trigger_dag_id=DAG_ID,
        skip_when_already_exists=True,
        map_index_template="{{ task.conf['change'] }}",
    ).expand_kwargs(waiting.map(_run_about))


def _run_about(change_id: str) -> dict[str, Any]:
    return {"trigger_run_id": f"drift__{change_id}", "conf": {"change": change_id}}
