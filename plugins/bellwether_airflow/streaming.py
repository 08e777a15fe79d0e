"""The DAG that streams a session, a group of tasks for each dataset.

    wait -> stream -> compact -> reconcile, of news wait -> poll -> compact

`stream` is one process that records until the evening. Whatever ends it before, it ends with everything on disk, and
its next try goes on from the files: they are the truth, and nothing about a stream is kept in Airflow. XCom carries
counts.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import pendulum
from airflow.sdk import DAG, TaskGroup, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.config import Config
from bellwether.due import STREAMED
from bellwether.errors import StreamError, StreamRefused
from bellwether.lifeline import die_with_parent
from bellwether.logging import get_logger
from bellwether_airflow import connections
from bellwether_airflow.assets import BROADCAST, NEWS_LIVE
from bellwether_airflow.intraday import intraday
from bellwether_airflow.news_polling import NEWS, poll
from bellwether_airflow.notifiers.alert import Alert
from bellwether_airflow.reconciling import reconcile
from bellwether_airflow.retry import BellwetherRetryPolicy
from bellwether_airflow.runs import TASK_DEFAULTS, emit, session_of
from bellwether_airflow.sensors import MarketOpenSensor
from bellwether_airflow.stalls import warn_of_stall
from bellwether_airflow.timetables import SessionTimetable

if TYPE_CHECKING:
    from bellwether.streaming.feedtime import FeedTime
    from bellwether.streaming.lease import Heartbeat
    from bellwether.streaming.recorder import Recorder

log = get_logger(__name__)

_ASSETS: Final = {**BROADCAST, NEWS: NEWS_LIVE}

# Restarts, deploys, outages of Airflow and kills all use up a try, over sixteen hours.
_RETRIES = 40


def session_stream(dag_id: str, doc_md: str) -> DAG:
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
        tags=["bellwether", "stream", *_ASSETS],
        doc_md=doc_md,
        on_failure_callback=Alert("stream"),
        default_args=TASK_DEFAULTS,
    ) as dag:
        for dataset, asset in _ASSETS.items():
            with TaskGroup(dataset):
                waited = MarketOpenSensor(task_id="wait", dataset=dataset)
                streamed = poll() if dataset == NEWS else stream(dataset)
                compacted = compact.override(outlets=[asset])(dataset)
                waited >> streamed >> compacted
                # What news had, its daily pull takes over.
                if dataset != NEWS:
                    compacted >> reconcile(dataset)
        with TaskGroup("gold"):
            dag.get_task("equities.wait") >> intraday()
    return dag


@task(
    pool="streams",
    retries=_RETRIES,
    retry_delay=timedelta(seconds=20),
    retry_policy=BellwetherRetryPolicy(most=_RETRIES),
    execution_timeout=timedelta(hours=24),
)
def stream(dataset: str) -> dict[str, int]:
    """Record until the session's end; return how much."""
    from bellwether.streaming.assignment import whole_session
    from bellwether.streaming.batches import Writer
    from bellwether.streaming.heartbeats import Teller
    from bellwether.streaming.pulse import Pulse
    from bellwether.streaming.recorder import Recorder
    from bellwether.streaming.symbols import symbols_of

    die_with_parent()
    context = get_current_context()
    lake, config, feed = connections.lake(), Config.load(), connections.feed_time()
    assignment = whole_session(dataset, session_of(context["dag_run"]))
    known = partial(symbols_of, lake, config, dataset, assignment.session)
    symbols = known()
    if not symbols:
        msg = f"{dataset} of {assignment.session}: there is nobody to listen to"
        raise AirflowSkipException(msg)
    writer, settings = Writer(context["run_id"], context["ti"].try_number, os.getpid()), config.settings.streaming
    teller = Teller(
        lake,
        assignment,
        writer,
        Pulse(assignment.start, settings),
        on_due=_log,
        on_stall=lambda beat: warn_of_stall(dataset, assignment.session, beat, config, context["dag"].dag_id),
    )
    recorder = Recorder(
        lake,
        assignment,
        writer,
        connections.stream(dataset),
        symbols=symbols,
        settings=settings,
        feed=feed,
        acknowledge=teller,
    )
    try:
        last = asyncio.run(_record(recorder, feed, known))
    except StreamRefused as error:
        if config.source(dataset).required:
            raise
        raise AirflowSkipException(str(error)) from error
    teller.tell(last)
    if recorder.stop_request is not None and last.state != "ended":
        msg = f"told to stop by {recorder.stop_request.by}, with everything on disk; clear this task to go on"
        raise AirflowFailException(msg)
    if last.state != "ended":
        msg = f"told to stop at {last.at_utc:%H:%M:%S} UTC, with everything on disk; the next try goes on"
        raise StreamError(msg)
    return {"rows": last.rows, "files": last.seq, "gaps": last.gaps}


# Where the plan has no such stream, there may be rows of before it was refused.
@task(trigger_rule="none_failed")
def compact(dataset: str) -> dict[str, int]:
    """Make one partition of what was recorded; skip when another run has made the same."""
    from bellwether.streaming.bookkeeping import publish_streamed

    context = get_current_context()
    session = session_of(context["dag_run"])
    published = publish_streamed(connections.lake(), Config.load(), dataset, session, run_id=context["run_id"])
    if published is None:
        msg = f"nothing of {dataset} was recorded in {session}"
        raise AirflowSkipException(msg)
    # A try that died after the swap finds its own publication in force: it must succeed, or its event is lost.
    if not published.changed and published.manifest.run_id != context["run_id"]:
        msg = f"nothing changed: revision {published.manifest.revision[:12]} stands"
        raise AirflowSkipException(msg)
    emit(_ASSETS[dataset], context)
    return {"rows": published.manifest.rows, **published.manifest.warnings}


async def _record(recorder: "Recorder", feed: "FeedTime", known: Callable[[], Sequence[str] | None]) -> "Heartbeat":
    from bellwether.streaming.symbols import follow

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, recorder.stop)
    following = asyncio.create_task(follow(recorder, feed, known))
    try:
        return await recorder.run()
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def _log(heartbeat: "Heartbeat") -> None:
    log.info(
        heartbeat.state,
        at=f"{heartbeat.at_utc:%H:%M:%S} UTC",
        covered=f"{heartbeat.covered_utc:%H:%M:%S} UTC",
        rows=heartbeat.rows,
        file=heartbeat.seq,
        gaps=heartbeat.gaps,
        quiet=heartbeat.quiet,
        lag_s=heartbeat.lag_s,
    )
