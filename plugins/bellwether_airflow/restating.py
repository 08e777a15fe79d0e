"""The DAG that fetches sessions again once they are over, and tells what the vendor says otherwise by then.

    plan -> repull (mapped over DAGs and sessions) -> compare -> report

What is fetched again is a run of the session's own DAG, which announces the session where it differs by more than is
tolerated; here it is begun, waited for without a slot, and compared.
"""

from typing import TYPE_CHECKING, Any, NoReturn

import pendulum
from airflow.sdk import DAG, BaseOperator, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.config import Config
from bellwether.due import RESTATED_AT
from bellwether.logging import get_logger
from bellwether.restatement.names import Pull
from bellwether_airflow import connections
from bellwether_airflow.notifiers.alert import Alert
from bellwether_airflow.runs import TASK_DEFAULTS, refuse_unknown_params, session_of
from bellwether_airflow.timetables import SessionTimetable
from bellwether_airflow.triggers import RunsOver

if TYPE_CHECKING:
    from airflow.sdk import Context

log = get_logger(__name__)


def restatement_dag(dag_id: str, doc_md: str) -> DAG:
    """Return the DAG.

    Parameters
    ----------
    dag_id
        Its id.
    doc_md
        The operator's page.
    """
    with DAG(
        dag_id=dag_id,
        schedule=SessionTimetable(RESTATED_AT),
        start_date=pendulum.datetime(2003, 9, 10, tz="America/New_York"),
        catchup=False,
        max_active_runs=1,
        tags=["bellwether", "ops"],
        doc_md=doc_md,
        on_failure_callback=Alert("restatement"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        planned: Any = plan()
        pulled: Any = RepullOperator.partial(
            task_id="repull", map_index_template="{{ task.pull['dag_id'] }} {{ task.pull['session'] }}"
        ).expand(pull=planned)
        compare(pulled.output) >> report(planned, pulled.output)
    return dag


@task
def plan() -> list[dict[str, Any]]:
    """Return what is to be fetched again: of the sessions before, what is published and not of a paused DAG."""
    import msgspec

    from bellwether.restatement.pulls import due_pulls, without_paused

    context = get_current_context()
    refuse_unknown_params(context, ())
    due = due_pulls(connections.lake(), Config.load(), session_of(context["dag_run"]))
    pulls = without_paused(connections.airflow(), due)
    if left := sorted({pull.dag_id for pull in due} - {pull.dag_id for pull in pulls}):
        log.info("paused, so left out", dags=left)
    return [dict(msgspec.to_builtins(pull)) for pull in pulls]


class RepullOperator(BaseOperator):
    """Has a session fetched again by a run of its own DAG, and waits for that without a slot.

    Parameters
    ----------
    pull
        A `bellwether.restatement.names.Pull` as a dictionary.
    """

    def __init__(self, *, pull: dict[str, Any], **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's interface
        super().__init__(**kwargs)
        self.pull = pull

    def execute(self, context: "Context") -> NoReturn:
        """Begin the run; after a clear, that which was begun, where it failed."""
        from bellwether.restatement.pulls import begin

        pull = _pull(self.pull)
        begin(connections.airflow(), pull)
        log.info("fetching again", dag_id=pull.dag_id, run_id=pull.run_id)
        self._until_over(pull)

    def resume(self, context: "Context", event: None = None) -> dict[str, Any]:
        """Return how the run ended, with the pull; wait on where it was begun anew meanwhile."""
        pull = _pull(self.pull)
        run = connections.airflow().run(pull.dag_id, pull.run_id)
        if not run.is_over:
            self._until_over(pull)
        if run.state != "success":
            log.warning("the run failed, and tells why itself", dag_id=pull.dag_id, run_id=pull.run_id)
        return {**self.pull, "state": run.state}

    def _until_over(self, pull: Pull) -> NoReturn:
        import msgspec

        from bellwether.recovery.work import Wait

        wait = Wait(pull.dag_id, pull.session, pull.session)
        self.defer(trigger=RunsOver(msgspec.to_builtins(wait)), method_name="resume")


@task(trigger_rule="all_done")
def compare(pulled: list[dict[str, Any]] | None) -> str:
    """Publish what changed, row by row, and return a summary; skip where nothing was fetched again."""
    from bellwether.restatement.pulls import dataset_of
    from bellwether.restatement.report import as_markdown, publish_restatements

    context = get_current_context()
    if not pulled:
        msg = "nothing was fetched again"
        raise AirflowSkipException(msg)
    lake, config, states = connections.lake(), Config.load(), [(_pull(each), each["state"]) for each in pulled]
    for session in sorted({pull.session for pull, _ in states}):
        publish_restatements(lake, config, session, run_id=context["run_id"])
    told = [(dataset_of(pull), pull.session, pull.sessions_later, state) for pull, state in states]
    summary = as_markdown(lake, config, told)
    log.info(summary)
    return summary


@task(trigger_rule="all_done", retries=0)
def report(planned: list[dict[str, Any]] | None, pulled: list[dict[str, Any]] | None) -> None:
    """Fail the run where something could not be fetched again at all; of what failed its own run tells."""
    if planned is None:
        msg = "the plan failed; its log says why"
        raise AirflowFailException(msg)
    done = {_pull(each).run_id for each in pulled or ()}
    if lacking := sorted(_pull(each).run_id for each in planned if _pull(each).run_id not in done):
        msg = f"not fetched again, and not compared: {', '.join(lacking)}; clear their task `repull`"
        raise AirflowFailException(msg)


def _pull(each: dict[str, Any]) -> Pull:
    import msgspec

    return msgspec.convert({name: value for name, value in each.items() if name != "state"}, Pull)
