"""Deciding about drift: what differs is shown, somebody answers, and what waited is published.

    show -> decide -> settle -> inputs_ready -> announce
    settle -> report, which fails the run when something that was approved could not be published

A run belongs to one change, and holds no slot while it waits for its answer. Of a change that is decided already,
whoever decided, `show` and `decide` are skipped, and `settle` finishes what the decision began.
"""

from datetime import date
from typing import TYPE_CHECKING, Any, Final, NoReturn

import pendulum
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DagRunTriggerException

from bellwether.config import Config
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.announcing import announce
from bellwether_airflow.notifiers.alert import Alert
from bellwether_airflow.runs import TASK_DEFAULTS, refuse_unknown_params

if TYPE_CHECKING:
    from airflow.sdk import Context

log = get_logger(__name__)

DAG_ID: Final = "ops_drift"
APPROVE, AS_IT_IS, REJECT = "Approve", "Take as it is", "Reject"
_ANSWERS: Final = "answers"
_REASON: Final = "Wanted where it is rejected."

MOST_ASKED: Final = 100
"""Changes that people are asked about in an evening, and at a time; Airflow maps a task over 1,024 at most."""

_FORM = {
    "change": Param(
        "",
        type="string",
        minLength=3,
        title="Change",
        description="Its id: the digest of ops_health names it, and `bellwether drift list`.",
    )
}


class Question(HITLOperator):
    """Asks with those of its answers that the change allows, which `show` found."""

    def execute(self, context: "Context") -> Any:  # noqa: ANN401 - as the operator's
        """Ask, and wait for the answer."""
        self.options = context["ti"].xcom_pull(task_ids="show", key=_ANSWERS)
        return super().execute(context)


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
        max_active_runs=MOST_ASKED,
        params=_FORM,
        tags=["bellwether", "ops"],
        doc_md=doc_md,
        on_failure_callback=Alert("drift"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        decide = Question(
            task_id="decide",
            subject="Drift: {{ params.change }}",
            body="{{ ti.xcom_pull(task_ids='show') }}",
            options=[APPROVE, AS_IT_IS, REJECT],
            # Without null among its types the form would not let anybody answer who leaves it empty.
            params={"reason": Param(None, type=["null", "string"], title="Reason", description=_REASON)},
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
    from bellwether.drift.approval import ways
    from bellwether.drift.ledger import contracts_in_force, find
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
    possible = ways(contracts_in_force(lake, config).get(known.change.dataset), known)
    offered = {APPROVE: possible.approved is not None, AS_IT_IS: possible.as_it_is is not None, REJECT: True}
    context["ti"].xcom_push(_ANSWERS, [answer for answer, is_possible in offered.items() if is_possible])
    return shown


@task(trigger_rule="none_failed")
def settle(answer: dict[str, Any] | None) -> dict[str, Any]:
    """Do as was answered, or finish what was decided before; return what was published anew, and what could not be."""
    from bellwether.drift.approval import approve, reject, resume
    from bellwether.drift.report import publish_drift
    from bellwether.ingest.release import release

    context = get_current_context()
    lake, config, change_id = connections.lake(), Config.load(), context["params"]["change"]
    if answer is None:  # nobody was asked
        choice, by = "decided before", ""
        settled = resume(lake, config, change_id)
    else:
        [choice] = answer["chosen_options"]
        user, reason = answer.get("responded_by_user") or {}, (answer.get("params_input") or {}).get("reason") or ""
        by = str(user.get("name") or user.get("id") or "somebody")
        if choice == REJECT:
            settled = reject(lake, change_id, by=by, reason=reason or "no reason was given")
        else:
            settled = approve(lake, config, change_id, by=by, reason=reason, as_it_is=choice == AS_IT_IS)
    freed = release(lake, config, settled)
    published = [session.isoformat() for session in freed.sessions]
    problems = list(freed.problems)
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


@task(map_index_template="{{ task.op_kwargs['change'] }}")
def ask(change: str) -> NoReturn:
    """Have somebody decide about a change; once, so skip where there is a run about it already."""
    # What `TriggerDagRunOperator` comes to: importing that costs every parse as much as all DAG files together.
    raise DagRunTriggerException(
        trigger_dag_id=DAG_ID,
        dag_run_id=f"drift__{change}",
        conf={"change": change},
        reset_dag_run=False,
        skip_when_already_exists=True,
        wait_for_completion=False,
        allowed_states=[],
        failed_states=[],
        poke_interval=0,
        deferrable=False,
    )
