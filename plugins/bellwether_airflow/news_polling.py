"""The task that polls a session's news in rounds, no slot held between them.

What a round leaves to the next is in the lake, so a try goes on where the one before was.
"""

import os
from typing import TYPE_CHECKING, Final

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.config import Config
from bellwether.errors import StreamRefused
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.repeating import repeating_task
from bellwether_airflow.retry import BellwetherRetryPolicy
from bellwether_airflow.runs import session_of
from bellwether_airflow.stalls import warn_of_stall

if TYPE_CHECKING:
    from bellwether.streaming.rounds import Again

log = get_logger(__name__)

NEWS: Final = "news"
_RETRIES: Final = 40


# What was first seen when cannot be had later: no backfill may hold the slots it needs.
@repeating_task(pool="snapshot_requests", retries=_RETRIES, retry_policy=BellwetherRetryPolicy(most=_RETRIES))
def poll() -> "Again | dict[str, int]":
    """Ask for what is new, until the session's close; return how much there is."""
    from bellwether.drift.reader import by_contracts
    from bellwether.news.sentiment import LexiconExtractor
    from bellwether.streaming.batches import Writer
    from bellwether.streaming.news import NewsPoller

    context = get_current_context()
    config, session = Config.load(), session_of(context["dag_run"])
    lake = connections.lake()
    poller = NewsPoller(
        lake,
        session,
        Writer(context["run_id"], context["ti"].try_number, os.getpid()),
        by_contracts(connections.vendor(), lake, config),
        feed=connections.feed_time(NEWS),
        settings=config.settings.streaming,
        extractor=LexiconExtractor(),
    )
    try:
        done = poller.poll()
    except StreamRefused as error:
        if config.source(NEWS).required:
            raise
        raise AirflowSkipException(str(error)) from error
    if poller.stop_request is not None:
        msg = f"told to stop by {poller.stop_request.by}, with everything on disk; clear this task to go on"
        raise AirflowFailException(msg)
    if done.has_stalled:
        warn_of_stall(NEWS, session, done.heartbeat, config, context["dag"].dag_id)
    return done.again or {"rows": done.heartbeat.rows, "files": done.heartbeat.seq}
