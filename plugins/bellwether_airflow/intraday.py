"""The task of `session_stream` that keeps the gold of the session so far: one round every few minutes of the feed.

A round that fails is told of in the log, and to people after three in a row; neither the other rounds nor the streams
mind. Only the last one, after the streams, fails the task. Provisional gold emits no asset: who waits for `minutes`
waits for the final ones.
"""

from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.config import Config
from bellwether.errors import InputsChanged
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.repeating import repeating_task
from bellwether_airflow.runs import new_stage_id, session_of
from bellwether_airflow.stalls import warn

if TYPE_CHECKING:
    from datetime import date

    from bellwether.lake import Lake
    from bellwether.streaming.rounds import Again

log = get_logger(__name__)

_TOLD_AFTER = 3


@repeating_task(pool="consolidate")
def intraday() -> "Again | dict[str, Any]":
    """Build provisional gold of the session so far, until its daily pulls have landed or its streams are over."""
    from bellwether.consolidate.intraday import build_so_far, forget_failures, next_round
    from bellwether.streaming.heard import are_over

    context, config = get_current_context(), Config.load()
    if not config.settings.streaming.intraday_every_min:
        msg = "intraday_every_min of settings.yaml says never"
        raise AirflowSkipException(msg)
    lake, feed, session = connections.lake(), connections.feed_time(), session_of(context["dag_run"])
    # Asked before the round, so that the last one has everything.
    is_last = are_over(lake, session, feed.now())
    run_id = context["run_id"]
    try:
        so_far = build_so_far(lake, config, session, stage_id=new_stage_id(run_id), run_id=run_id)
        forget_failures(lake, session)
    except InputsChanged as error:
        return next_round(config, session, feed.now(), str(error))
    except Exception as error:
        if is_last:
            raise
        log.exception("this round failed; what was published before stands")
        _note(lake, session, error)
        return next_round(config, session, feed.now(), "this round failed")
    if not (so_far.is_settled or is_last):
        return next_round(config, session, feed.now(), so_far.why)
    if so_far.minutes is None:
        raise AirflowSkipException(so_far.why)
    log.info(so_far.why)
    return {"rows": so_far.minutes.rows, "provenance": so_far.minutes.provenance}


def _note(lake: "Lake", session: "date", error: Exception) -> None:
    """Count a failed round, and tell people once when there are several in a row."""
    from bellwether.consolidate.inputs import RECORDER
    from bellwether.consolidate.intraday import count_failure
    from bellwether.monitoring.alerts import compose_failing_rounds

    why = f"{type(error).__name__}: {error}"
    try:
        if count_failure(lake, session, why) == _TOLD_AFTER:
            message = compose_failing_rounds(session, _TOLD_AFTER, why)
            warn(message, RECORDER, session, get_current_context()["dag"].dag_id)
    except Exception:  # what cannot be counted must not end the rounds
        log.exception("the failure could not be told of")
