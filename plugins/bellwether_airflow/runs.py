"""What a task can tell of the run it belongs to: its session, whether someone cleared it, who is to hear of it."""

from datetime import date
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from bellwether_airflow.retry import tries_since_clear

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context
    from airflow.sdk.types import DagRunProtocol as DagRun


def session_of(run: "DagRun") -> date:
    """Return the session of a run.

    Raises
    ------
    AirflowFailException
        The run belongs to no session.
    """
    if run.partition_key is not None:
        return date.fromisoformat(run.partition_key)
    if run.partition_date is None:
        msg = "this run belongs to no session: trigger it with a partition key, or without one for the last session"
        raise AirflowFailException(msg)
    return run.partition_date.date()


def file_name(run_id: str) -> str:
    """Return a run's id as a part of a path."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in run_id)[:100]


def emit(asset: "Asset", context: "Context") -> None:
    """Have those who wait for an asset hear of the run's session."""
    # A run without a key emits no partition by itself, and partitioned consumers would not hear of it.
    if context["dag_run"].partition_key is None:
        context["outlet_events"][asset].add_partitions(session_of(context["dag_run"]).isoformat())


def was_cleared(context: "Context") -> bool:
    """Return whether someone cleared the running task: that gives it its retries back on top of those it had."""
    return bool(context["ti"].max_tries > (context["task"].retries or 0))


def is_first_try_after_clear(context: "Context") -> bool:
    """Return whether the running task was cleared and is tried for the first time since."""
    ti = context["ti"]
    return was_cleared(context) and tries_since_clear(ti.try_number, ti.max_tries, context["task"].retries) == 1
