"""The nightly proof that published sessions are what their evidence says.

    choose -> verify (mapped over sessions) -> report, which fails the run where something is not

Of what cannot be told, the report says why, and fails nobody.
"""

from datetime import date
from typing import Any

import pendulum
from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from bellwether.config import Config
from bellwether.due import SAMPLED, VERIFIED_AT
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.notifiers.alert import Alert
from bellwether_airflow.runs import TASK_DEFAULTS, refuse_unknown_params, session_of
from bellwether_airflow.timetables import SessionTimetable

log = get_logger(__name__)

_FORM = {
    "sessions": Param(
        [],
        type="array",
        items={"type": "string", "format": "date"},
        uniqueItems=True,
        title="Sessions",
        description="Which to verify; none: so many as below, drawn from all that are published up to the run's.",
    ),
    "sampled": Param(
        SAMPLED, type="integer", minimum=1, maximum=250, title="Sampled", description="How many are drawn."
    ),
}


def verification_dag(dag_id: str, doc_md: str) -> DAG:
    """Return the DAG that verifies published sessions.

    Parameters
    ----------
    dag_id
        Its name.
    doc_md
        The operator's page.
    """
    with DAG(
        dag_id=dag_id,
        schedule=SessionTimetable(VERIFIED_AT),
        start_date=pendulum.datetime(2003, 9, 10, tz="America/New_York"),
        catchup=False,
        max_active_runs=1,
        params=_FORM,
        tags=["bellwether", "ops"],
        doc_md=doc_md,
        on_failure_callback=Alert("verification"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        sessions: Any = choose()
        report(sessions, verify.expand(session=sessions))
    return dag


@task
def choose() -> list[str]:
    """Return the sessions to verify: those of the form, or a sample that the run's session decides."""
    from bellwether.calendar import get_calendar  # noqa: PLC0415 - loads exchange_calendars and pandas
    from bellwether.verify.session import sample

    context = get_current_context()
    refuse_unknown_params(context, _FORM)
    params = context["params"]
    if params["sessions"]:
        return [get_calendar().parse(day).isoformat() for day in sorted(params["sessions"])]
    chosen = sample(connections.lake(), session_of(context["dag_run"]), params["sampled"])
    return [session.isoformat() for session in chosen]


@task(map_index_template="{{ task.op_kwargs['session'] }}")
def verify(session: str) -> list[dict[str, Any]]:
    """Build a session again beside what is published, and compare; return what can be said of each dataset."""
    import msgspec

    from bellwether.verify.session import verify as verified

    outcomes = verified(connections.lake(), Config.load(), date.fromisoformat(session))
    return [msgspec.to_builtins(outcome) for outcome in outcomes]


@task(trigger_rule="all_done")
def report(sessions: list[str], outcomes: Any) -> None:  # noqa: ANN401 - a mapped task's outputs
    """Publish the outcomes; fail where something published is not what its evidence comes to.

    Raises
    ------
    NotReproduced
        Names session, dataset and the first difference.
    AirflowFailException
        A session was not verified at all: its own task says why.
    """
    import msgspec

    from bellwether.verify.outcome import Outcome
    from bellwether.verify.report import check, markdown, publish_verification

    context = get_current_context()
    lake, config = connections.lake(), Config.load()
    told = [each for each in outcomes or () if each is not None]
    found = [msgspec.convert(each, Outcome) for session in told for each in session]
    summary = markdown(found)
    log.info(summary)
    context["ti"].xcom_push("summary", summary)
    if found:
        publish_verification(lake, config, session_of(context["dag_run"]), found, run_id=context["run_id"])
    check(found)
    if len(told) < len(sessions):
        msg = f"of {len(sessions)} sessions {len(sessions) - len(told)} were not verified; see their tasks"
        raise AirflowFailException(msg)
