"""The DAG that fills what streams missed: one task for each dataset, a round every five minutes until none is open.

What a round leaves to the next stands in the lake.
"""

from typing import TYPE_CHECKING

import pendulum
from airflow.sdk import DAG, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.config import Config
from bellwether.due import STREAMED
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.assets import BROADCAST
from bellwether_airflow.notifiers.alert import Alert
from bellwether_airflow.repeating import repeating_task
from bellwether_airflow.runs import TASK_DEFAULTS, emit, session_of
from bellwether_airflow.timetables import SessionTimetable

if TYPE_CHECKING:
    from bellwether.streaming.rounds import Again

log = get_logger(__name__)


def repair_dag(dag_id: str, doc_md: str) -> DAG:
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
        schedule=SessionTimetable(STREAMED),
        start_date=pendulum.datetime(2003, 9, 10, tz="America/New_York"),
        catchup=False,
        # A rehearsal by hand must not keep the next session waiting.
        max_active_runs=2,
        tags=["bellwether", "stream", *BROADCAST],
        doc_md=doc_md,
        on_failure_callback=Alert("repair"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        for dataset, asset in BROADCAST.items():
            repair.override(task_id=dataset, outlets=[asset])(dataset)
    return dag


@repeating_task()
def repair(dataset: str) -> "dict[str, int] | Again":
    """Close what gaps can be closed by now; at the end of the session, return how many there were."""
    from bellwether.streaming.assignment import whole_session
    from bellwether.streaming.bookkeeping import publish_streamed
    from bellwether.streaming.closing import conclude, is_recorded, next_look
    from bellwether.streaming.gaps import GapLog
    from bellwether.streaming.repair import repair as repair_once

    context = get_current_context()
    lake, config, feed = connections.lake(), Config.load(), connections.feed_time()
    assignment = whole_session(dataset, session_of(context["dag_run"]))
    is_over = conclude(lake, assignment, feed)
    if not is_recorded(lake, config, dataset, assignment.session):
        if is_over:
            msg = f"nothing of {dataset} was recorded in {assignment.session}"
            raise AirflowSkipException(msg)
        return next_look(assignment, feed, is_recorded=False, left=())
    done = repair_once(lake, config, assignment, connections.vendor(), feed)
    for gap, why in done.left:
        log.info("open", cause=gap.cause, start=gap.start_utc.isoformat(), why=why)
    if done.closed or done.rows:
        publish_streamed(lake, config, dataset, assignment.session, run_id=context["run_id"])
    if done.left or not is_over:
        return next_look(assignment, feed, is_recorded=True, left=done.left)
    published = publish_streamed(lake, config, dataset, assignment.session, run_id=context["run_id"])
    if published is None or published.manifest.run_id != context["run_id"]:
        msg = f"{dataset} of {assignment.session}: nothing was to be filled that is not published by another run"
        raise AirflowSkipException(msg)
    emit(BROADCAST[dataset], context)
    gaps = GapLog(lake, dataset, assignment.session, "").read()
    return {"gaps": len(gaps), "rows": published.manifest.rows}
