"""`bellwether demo`: real DAG runs publish and consolidate five sessions of a generated market, watched from here.

With `--stream` it is the last session alone, which arrives live before it is backfilled.

Every producer DAG is backfilled over the last five completed sessions through Airflow's REST API, and consolidation
follows by itself. What the table at the end says comes from the lake's manifests and the runs' own times, not from this
command.
"""

import argparse
import shutil
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bellwether.airflow_api import ApiError, Run, TaskInstance
from bellwether.calendar import get_calendar
from bellwether.cli.demo_stream import begun_by_itself, compared, replaying, stream
from bellwether.cli.excerpt import excerpt
from bellwether.cli.stack import demo_home, show_address, simulator_arguments
from bellwether.clock import SystemClock
from bellwether.config import Config
from bellwether.consolidate.readiness import readiness
from bellwether.due import DUE, UNTIL, Due
from bellwether.errors import BellwetherError
from bellwether.ingest.universe import owed_universe
from bellwether.lake import Coverage, Lake, Manifest
from bellwether.lake.coverage import session_coverage
from bellwether.localstack import AlreadyRunning, LocalStack, StackStateFile, StoppedElsewhere, stop
from bellwether.localstack.environment import project_root
from bellwether.producers import DATASETS_OF

_PREFERRED_PORT = 8080
_SESSIONS = 5
# By then every source of a session is due, whatever its own delay.
_DUE = Due("post_close", 60)
_CONSOLIDATION = "session_consolidate"
_GOLD = ("minutes", "chain")
_CAPTION = "seconds: the session's last run of the DAG, mostly waiting for the others that share this machine"
_TIMEOUT_S = 600.0
_POLL_S = 1.0

# The newest run of every (DAG, session) that should have one.
type SessionRuns = Mapping[tuple[str, str], Run | None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--stream", action="store_true", help="first watch the last session arrive live, at 120x")
    parser.add_argument("--detach", action="store_true", help="leave everything running; `bellwether down` ends it")


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when every run succeeded, 1 otherwise."""
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: with everything stopped
    began_s = time.monotonic()
    sessions = last_sessions()[-1:] if args.stream else last_sessions()
    stack = _fresh_stack(replaying(sessions[0]) if args.stream else simulator_arguments())
    with console.status("Starting the simulator and Airflow (some 15 seconds) ..."):
        stack.start()
    try:
        show_address(console, stack.state)
        root = str(stack.state.lake)
        streamed = stream(stack, sessions[0], console) if args.stream else []
        runs = _backfill(stack, sessions, console)
        runs = {**runs, **_consolidated(stack, root, config, sessions, console)}
        with console.status("Comparing what was streamed with the daily pulls ..."):
            ended = [stack.api.wait_for_run(run.dag_id, run.dag_run_id) for run in streamed]
        runs = {**runs, **{(run.dag_id, str(sessions[0])): run for run in ended}}
        if args.stream:
            console.print("\n".join(compared(Lake.open(root), sessions[0])), highlight=False)
        console.print(result_table(Lake.open(root), config, runs))
        for dataset in _GOLD:
            console.print(excerpt(root, dataset, sessions[-1]))
        failures = failed_runs(runs)
        console.print("\n".join(failures) or f"{len(runs)} runs, all well.", highlight=False)
        console.print(f"{time.monotonic() - began_s:.0f} s in all.", highlight=False)
        show_address(console, stack.state)
        if args.detach:
            console.print("It stays up; `make down` stops it.")
        else:
            console.print("Ctrl-C stops it.")
            _stay(stack)
        return 1 if failures else 0
    except ApiError:
        try:
            stack.ensure_complete()  # names what ended, where that is why Airflow does not answer
            raise
        finally:
            stack.stop()
    except BaseException:
        stack.stop()
        raise


def last_sessions() -> list[date]:
    """Return the last five completed sessions, ascending."""
    calendar = get_calendar()
    sessions = [calendar.last_due(SystemClock().now(), _DUE)]
    while len(sessions) < _SESSIONS:
        sessions.insert(0, calendar.previous(sessions[0]))
    return sessions


def expected_tasks(tasks: Iterable[TaskInstance], runs: int) -> int:
    """Return how many task instances `runs` runs will have, as far as those that began tell.

    A mapped task counts once until its run knows how many there are; a run not begun counts as the largest so far.
    """
    sizes: dict[str, int] = {}
    for task in tasks:
        sizes[task.dag_run_id] = sizes.get(task.dag_run_id, 0) + 1
    largest = max(sizes.values(), default=1)
    return sum(sizes.values()) + largest * max(0, runs - len(sizes))


def failed_runs(runs: SessionRuns) -> list[str]:
    """Return a line for every session of a DAG without a good run."""
    return [
        f"{dag_id} {session}: {run.state if run else 'there was no run'}"
        for (dag_id, session), run in runs.items()
        if run is None or run.state != "success"
    ]


def result_table(lake: Lake, config: Config, runs: SessionRuns) -> Table:
    """Return the closing table: one row per session and dataset, from the manifests and the runs."""
    table = Table("session", "dataset", "state", title="Published", caption=_CAPTION)
    for name in ("rows", "quarantined", "seconds"):
        table.add_column(name, justify="right")
    published = {**DATASETS_OF, _CONSOLIDATION: _GOLD}
    rows = sorted(
        (session, dataset, run) for (dag_id, session), run in runs.items() for dataset in published.get(dag_id, ())
    )
    for session, dataset, run in rows:
        state, manifest = _standing(lake, config, dataset, date.fromisoformat(session))
        table.add_row(
            session,
            dataset,
            state.value,
            f"{manifest.rows:,}" if manifest else "-",
            str(manifest.quarantined_rows) if manifest else "-",
            f"{run.duration:.1f}" if run and run.duration is not None else "-",
        )
    return table


def _standing(lake: Lake, config: Config, dataset: str, session: date) -> tuple[Coverage, Manifest | None]:
    if dataset in _GOLD:
        return readiness(lake, config, session).state, lake.manifest(dataset, session)
    known = session_coverage(lake, dataset, session, owed_universe(lake, config, dataset, session))
    return known.state, known.manifest


def _fresh_stack(simulator: Sequence[str]) -> LocalStack:
    """Return a stack without a past: the demo's database and lake of last time are removed."""
    home = demo_home()
    if (state := StackStateFile(home).read()) and state.is_up():
        raise AlreadyRunning(state)
    stop(home)
    shutil.rmtree(home.parent, ignore_errors=True)
    return LocalStack(home, lake=home.parent / "lake", simulator=simulator, port=_PREFERRED_PORT)


def _backfill(stack: LocalStack, sessions: Sequence[date], console: Console) -> SessionRuns:
    """Unpause the DAGs, backfill the producers, and return the sessions' runs when all are over."""
    api = stack.api
    with console.status("Waiting for the DAGs ..."):
        # One file per DAG, each named like its DAG.
        dags = api.wait_for_dags([file.stem for file in (project_root() / "dags").glob("*.py")])
    # A paused consumer would lose the events of the producers' runs for good.
    for dag in dags:
        if dag.has_tag("consumer"):
            api.set_paused(dag.dag_id, paused=False)
    # What can be captured at its own moment only has no past to backfill.
    producers = [dag.dag_id for dag in dags if dag.has_tag("producer") and _has_a_past(dag.dag_id)]
    for dag_id in producers:
        api.set_paused(dag_id, paused=False)
    for dag_id in producers:
        # A backfill leaves out what has a run by then; two runs of a session would get in each other's way.
        begun_by_itself(api, dag_id, sessions[-1], DUE[DATASETS_OF[dag_id][0]])
        api.backfill(dag_id, sessions[0], sessions[-1], max_active_runs=_SESSIONS)
    return _watch(stack, producers, sessions, console)


def _has_a_past(dag_id: str) -> bool:
    """Return whether earlier sessions can be captured: a snapshot is of its own moment."""
    return UNTIL.keys().isdisjoint(DATASETS_OF[dag_id])


def _watch(stack: LocalStack, producers: Sequence[str], sessions: Sequence[date], console: Console) -> SessionRuns:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    api, deadline = stack.api, time.monotonic() + _TIMEOUT_S
    wanted = [session.isoformat() for session in sessions]
    with Progress(*columns, console=console) as progress:
        bars = {dag_id: progress.add_task(f"{dag_id} tasks", total=None) for dag_id in producers}
        while time.monotonic() < deadline:
            stack.ensure_complete()
            # The schedule may have begun others: today's, perhaps, which is not published before midnight.
            runs = [run for dag_id in producers for run in api.runs(dag_id) if run.partition_key in wanted]
            ids = {run.dag_run_id for run in runs}
            for dag_id, bar in bars.items():
                tasks = [task for task in api.task_instances(dag_id, "~") if task.dag_run_id in ids]
                done = sum(task.is_over for task in tasks)
                progress.update(bar, completed=done, total=expected_tasks(tasks, len(sessions)))
            # A backfill's runs exist once it is accepted; to call it complete takes Airflow half a minute more.
            if all(run.is_over for run in runs):
                latest = {(run.dag_id, run.partition_key): run for run in runs}
                keys = [(dag_id, session) for dag_id in producers for session in wanted]
                return {key: latest.get(key) for key in keys}
            time.sleep(_POLL_S)
    message = f"the runs are not over after {_TIMEOUT_S:.0f} s"
    raise BellwetherError(message)


def _consolidated(
    stack: LocalStack, root: str, config: Config, sessions: Sequence[date], console: Console
) -> SessionRuns:
    """Wait until nothing is left to consolidate, and return each session's last run."""
    lake, deadline = Lake.open(root), time.monotonic() + _TIMEOUT_S
    with console.status("Consolidation ..."):
        while time.monotonic() < deadline:
            stack.ensure_complete()
            runs = stack.api.runs(_CONSOLIDATION)
            latest = {run.partition_key: run for run in runs}
            # Airflow takes a moment to start what was announced; of what failed nothing more is to come.
            awaited = [day for day in sessions if readiness(lake, config, day).announce]
            failed = [day for day in awaited if (run := latest.get(str(day))) and run.state == "failed"]
            if all(run.is_over for run in runs) and failed == awaited:
                return {(_CONSOLIDATION, str(day)): latest.get(str(day)) for day in sessions}
            time.sleep(_POLL_S)
    message = f"consolidation is not over after {_TIMEOUT_S:.0f} s"
    raise BellwetherError(message)


def _stay(stack: LocalStack) -> None:
    """Stay until Ctrl-C, or until somebody else ends the stack."""
    try:
        while True:
            stack.ensure_complete()
            time.sleep(_POLL_S)
    except StoppedElsewhere:
        return
    except KeyboardInterrupt:
        stack.stop()
