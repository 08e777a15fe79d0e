"""What a task can tell of the run it belongs to: its session, whether someone cleared it, who is to hear of it."""

import secrets
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowFailException

from bellwether.config import MOST_AIRFLOW_RETRIES
from bellwether.errors import ConfigError
from bellwether_airflow.notifiers.alert import note_failure
from bellwether_airflow.retry import BellwetherRetryPolicy, tries_since_clear

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow.sdk import Asset, Context
    from airflow.sdk.types import DagRunProtocol as DagRun

TASK_DEFAULTS: Final[dict[str, Any]] = {
    "owner": "bellwether",
    "on_failure_callback": note_failure,
    "retries": MOST_AIRFLOW_RETRIES,
    "retry_delay": timedelta(seconds=30),
    "retry_policy": BellwetherRetryPolicy(),
    "execution_timeout": timedelta(hours=2),
}
"""`default_args` of every DAG."""


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
        msg = "this run belongs to no session: trigger it with one as partition key, like 2025-11-28"
        raise AirflowFailException(msg)
    return run.partition_date.date()


def refuse_unknown_params(context: "Context", form: "Collection[str]") -> None:
    """Refuse what is not in the form: Airflow passes over it, and a misspelt `ticker` would run the whole universe.

    Raises
    ------
    ConfigError
        The run was given such a parameter.
    """
    unknown = sorted(set(context["dag_run"].conf or {}) - set(form))
    if unknown:
        msg = f"unknown parameter {', '.join(unknown)}; known: {' and '.join(form)}"
        raise ConfigError(msg)


def new_stage_id(run_id: str) -> str:
    """Return the name of a stage of the run, another one each time."""
    name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in run_id)[:100]
    return f"{name}-{secrets.token_hex(3)}"


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
