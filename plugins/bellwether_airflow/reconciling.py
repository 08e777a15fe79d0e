"""The task that compares what was streamed of a session with its daily pull, once that is published."""

from typing import TYPE_CHECKING

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.config import Config
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.repeating import repeating_task
from bellwether_airflow.runs import session_of

if TYPE_CHECKING:
    from bellwether.streaming.rounds import Again

log = get_logger(__name__)


# A compaction that another run has made is skipped, and as good.
@repeating_task(trigger_rule="none_failed")
def reconcile(dataset: str) -> "dict[str, float] | Again":
    """Publish how what was streamed and the daily pull differ, and return the totals."""
    from bellwether.streaming.bookkeeping import publish_reconciliation, wait_for_daily
    from bellwether.streaming.live import live

    context = get_current_context()
    lake, config, session = connections.lake(), Config.load(), session_of(context["dag_run"])
    if lake.manifest(live(dataset), session) is None:
        msg = f"nothing of {dataset} was recorded in {session}"
        raise AirflowSkipException(msg)
    if lake.manifest(dataset, session) is None:
        again = wait_for_daily(dataset, session, connections.feed_time().now())
        if again is None:
            msg = f"nobody published {dataset} of {session} within 20 hours of its end, so it is compared with nothing"
            raise AirflowSkipException(msg)
        return again
    done = publish_reconciliation(lake, config, session, run_id=context["run_id"])
    totals = done.totals[dataset].summary if done else {}
    log.info("reconciled", dataset=dataset, session=session.isoformat(), **totals)
    return totals
