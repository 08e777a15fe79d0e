"""The look back on the last sessions: a summary for people, a dataset, and what consolidation has not heard of.

    look -> announce
    drift -> ask (mapped over changes that wait for a decision)
    performance

An announcement is lost to a consumer that is paused, and with the metadata database; the lake is not. So gold that is
missing or stale although its inputs stand is announced again from here.
"""

from collections import Counter
from typing import Any

import pendulum
from airflow.sdk import DAG, Param, get_current_context, task

from bellwether.config import Config
from bellwether.due import LOOKED_AT, LOOKED_BACK
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.announcing import announce
from bellwether_airflow.drift import MOST_ASKED, ask
from bellwether_airflow.incidents import report_look_back
from bellwether_airflow.measuring import gauge_problems
from bellwether_airflow.notifiers.alert import Alert
from bellwether_airflow.runs import TASK_DEFAULTS, refuse_unknown_params, session_of
from bellwether_airflow.timetables import SessionTimetable

log = get_logger(__name__)

_FORM = {
    "sessions": Param(
        LOOKED_BACK,
        type="integer",
        minimum=1,
        maximum=2000,
        title="Sessions",
        description="How many sessions to look back on, up to that of the run.",
    )
}


def health_check(dag_id: str, doc_md: str) -> DAG:
    """Return the DAG that looks after the sessions.

    Parameters
    ----------
    dag_id
        Its name.
    doc_md
        The operator's page.
    """
    with DAG(
        dag_id=dag_id,
        schedule=SessionTimetable(LOOKED_AT),
        start_date=pendulum.datetime(2003, 9, 10, tz="America/New_York"),
        catchup=False,
        max_active_runs=1,
        params=_FORM,
        tags=["bellwether", "ops"],
        doc_md=doc_md,
        on_failure_callback=Alert("health"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        missed: Any = look()
        announce(missed)
        ask.expand(change=drift())
        performance()
    return dag


@task.short_circuit
def look() -> list[str]:
    """Write the summary and the dataset; return the sessions to announce."""
    from bellwether.monitoring.health import as_markdown, look_back, problems, publish_health
    from bellwether.monitoring.workers import workers

    context = get_current_context()
    refuse_unknown_params(context, _FORM)
    lake, config = connections.lake(), Config.load()
    health = look_back(lake, config, session_of(context["dag_run"]), context["params"]["sessions"])
    at_work = workers(lake, config.settings.streaming)
    summary = as_markdown(health, at_work)
    log.info(summary)
    context["ti"].xcom_push("summary", summary)
    publish_health(lake, config, health, run_id=context["run_id"])
    report_look_back(lake, config, health, at_work)
    gauge_problems(Counter((each.dataset, each.state) for each in problems(health, at_work)))
    return [session.isoformat() for session in health.to_announce]


@task
def performance() -> dict[str, int]:
    """Publish what tasks told of themselves since the last look; return how many sessions there are to tell of."""
    from bellwether.monitoring.costs import look_at_performance
    from bellwether.monitoring.health import sessions_until
    from bellwether.monitoring.performance import publish_performance, told_sessions

    context = get_current_context()
    lake, config = connections.lake(), Config.load()
    looked_at = sessions_until(session_of(context["dag_run"]), context["params"]["sessions"])
    found = look_at_performance(lake, config, looked_at)
    sessions = told_sessions(lake)
    publish_performance(lake, config, sessions, found.tries, run_id=context["run_id"])
    return {"sessions": len(sessions)}


@task
def drift() -> list[str]:
    """Tell how the last sessions differed from their contracts; return the ids of the changes that wait."""
    from bellwether.drift.ledger import known_changes
    from bellwether.drift.report import digest, publish_drift, sessions_seen, waiting
    from bellwether.monitoring.health import sessions_until

    context = get_current_context()
    lake, config = connections.lake(), Config.load()
    looked_at = sessions_until(session_of(context["dag_run"]), context["params"]["sessions"])
    changes = known_changes(lake, looked_at)
    told = digest(changes, looked_at)
    log.info(told or "every answer kept its contract")
    context["ti"].xcom_push("digest", told)
    publish_drift(lake, config, sessions_seen(changes, looked_at), run_id=context["run_id"])
    return waiting(changes)[:MOST_ASKED]
