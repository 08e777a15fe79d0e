"""The first chapter of `bellwether demo --stream`: a session arrives live, at 120x, and is watched from here.

The simulator replays the session from an hour before the open; Airflow needs a while to come up, so the recorders begin
late and what they missed is repaired. What the table says stands in the lake: leases, gaps and manifests.
"""

import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from bellwether.airflow_api import AirflowApi, Run, TaskInstance
from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.cli.stack import simulator_arguments
from bellwether.clock import SystemClock
from bellwether.consolidate.streamed import until_of
from bellwether.due import DUE, STREAMED, Due
from bellwether.errors import BellwetherError
from bellwether.lake import Lake
from bellwether.localstack import LocalStack
from bellwether.streaming.assignment import STREAMS
from bellwether.streaming.bookkeeping import RECONCILIATION_DATASET
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.lease import read_lease
from bellwether.streaming.simulated import ask_clock

SPEED: Final = 120
_STREAM, _REPAIR = "session_stream", "gap_repair"
_DISCOVERY = "options_discovery"
_LEAD = timedelta(hours=1)
_POLL_S = 1.0
_SCHEDULED_WITHIN_S = 20.0
# The day from the open until 20:16 takes six minutes, repairs a little longer.
_TIMEOUT_S = 900.0


def replaying(session: date) -> tuple[str, ...]:
    """Return the arguments of a simulator that replays a session."""
    begins = (get_calendar().hours(session).open - _LEAD).astimezone(NEW_YORK)
    return (*simulator_arguments(), "--session", str(session), "--at", f"{begins:%H:%M}", "--speed", str(SPEED))


def stream(stack: LocalStack, session: date, console: Console) -> list[Run]:
    """Have Airflow record a session, show how it fills, and return the runs once nothing more is to be heard.

    They go on until the daily pulls have landed, with which they compare what they heard.

    Raises
    ------
    BellwetherError
        It takes too long, or a part of the stack has ended.
    """
    api = stack.api
    with console.status("Waiting for the DAGs ..."):
        api.wait_for_dags([_DISCOVERY, _STREAM, _REPAIR])
    started = [_begin(api, dag_id, session, STREAMED) for dag_id in (_STREAM, _REPAIR)]
    discovered = False
    lake, deadline = Lake.open(str(stack.state.lake), simulated=True), time.monotonic() + _TIMEOUT_S
    with Live(console=console, auto_refresh=False) as live:
        while time.monotonic() < deadline:
            stack.ensure_complete()
            now = ask_clock(str(stack.state.simulator_url)).now_utc
            # Contracts are chosen by the opening price.
            if not discovered and now > get_calendar().hours(session).open + timedelta(minutes=1):
                _begin(api, _DISCOVERY, session, DUE["contracts"])
                discovered = True
            live.update(standing(lake, session, now), refresh=True)
            if all(is_heard(api.task_instances(run.dag_id, run.dag_run_id)) for run in started):
                return started
            time.sleep(_POLL_S)
    message = f"{session} is still being streamed after {_TIMEOUT_S:.0f} s"
    raise BellwetherError(message)


def _begin(api: AirflowApi, dag_id: str, session: date, due: Due) -> Run:
    """Unpause a DAG, and return its run of a session."""
    api.set_paused(dag_id, paused=False)
    return begun_by_itself(api, dag_id, session, due) or api.trigger(dag_id, str(session))


def begun_by_itself(api: AirflowApi, dag_id: str, session: date, due: Due) -> Run | None:
    """Wait for the run that Airflow makes of the newest session, once a DAG is unpaused, and return it."""
    deadline = time.monotonic() + _SCHEDULED_WITHIN_S
    while session == get_calendar().last_due(SystemClock().now(), due) and time.monotonic() < deadline:
        if runs := api.runs(dag_id, str(session)):
            return runs[-1]
        time.sleep(_POLL_S)
    return None


def compared(lake: Lake, session: date) -> list[str]:
    """Return in words how what was streamed compares with the daily pulls, a line for each dataset."""
    manifest = lake.manifest(RECONCILIATION_DATASET, session)
    counts = manifest.warnings if manifest else {}
    return [
        f"{dataset}: {counts[f'{dataset}_minutes']:,} minutes both streamed and pulled, "
        f"{counts[f'{dataset}_missing']} missing, {counts[f'{dataset}_extra']} extra, "
        f"{counts[f'{dataset}_changed']} changed"
        for dataset in STREAMS
        if f"{dataset}_minutes" in counts
    ]


def is_heard(tasks: Sequence[TaskInstance]) -> bool:
    """Return whether all tasks of a run are over but those that wait for the daily pulls."""
    waiting = ("reconcile", "intraday")
    heard = [task for task in tasks if task.task_id.rpartition(".")[2] not in waiting]
    return bool(heard) and all(task.is_over for task in heard)


def standing(lake: Lake, session: date, now: datetime) -> Table:
    """Return how far the streams of a session are, and the gold made of them, as a table."""
    clock = f"{now.astimezone(NEW_YORK):%H:%M}"
    table = Table("dataset", "state", "until", title=f"{session}, {clock} New York, at {SPEED}x")
    for name in ("rows", "gaps", "of them open", "seconds behind"):
        table.add_column(name, justify="right")
    for dataset in STREAMS:
        lease = read_lease(lake, dataset, session)
        if lease is None or lease.heartbeat is None:
            table.add_row(dataset, "not begun", *"-----")
            continue
        heartbeat, gaps = lease.heartbeat, GapLog(lake, dataset, session, "reader").read()
        table.add_row(
            dataset,
            heartbeat.state,
            f"{heartbeat.covered_utc.astimezone(NEW_YORK):%H:%M:%S}",
            f"{heartbeat.rows:,}",
            str(len(gaps)),
            str(sum(gap.closed_utc is None for gap in gaps)),
            "-" if heartbeat.lag_s is None else f"{heartbeat.lag_s:.1f}",
        )
    for dataset in ("minutes", "chain"):
        manifest = lake.manifest(dataset, session)
        if manifest is not None:
            until = until_of(manifest.inputs)
            state, clock = ("provisional", f"{until.astimezone(NEW_YORK):%H:%M:%S}") if until else ("final", "")
            table.add_row(dataset, state, clock, f"{manifest.rows:,}", "", "", "")
    return table
