"""Which session a run is about."""

from datetime import date
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
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
