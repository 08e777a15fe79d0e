"""A plan carried out through Airflow, bit by bit: each call looks at what stands, does one thing, and says what for.

Nothing is remembered but whom this execution has touched: runs that began since the plan say what is done, the ledger
says what others did meanwhile. So an execution that was killed, cancelled or cleared goes on where it was.

A session without a run, or whose last one ended well, gets a new run by a backfill; of one whose run failed, the failed
tasks are cleared with all that follows them, which turns that run green.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime

import msgspec

from bellwether.airflow_api import AirflowApi, ApiError, Run, TaskInstance
from bellwether.calendar import get_calendar
from bellwether.errors import NotRecovered
from bellwether.producers import DATASETS_OF
from bellwether.recovery.plan import Plan

# What a cancellation leaves running: cleared runs go on, of a backfill only those that have begun.
_MOST_CLEARED = 10
_MOST_BACKFILLED = 60
_CONFLICT = 409


class Errand(msgspec.Struct, frozen=True):
    """A session to run again, with the form of its run; see `bellwether.recovery.plan.Step`."""

    session: date
    tickers: tuple[str, ...] = ()
    force: bool = False

    @property
    def conf(self) -> dict[str, object]:
        """The run's form."""
        tickers: dict[str, object] = {"tickers": list(self.tickers)} if self.tickers else {}
        return tickers | ({"force": True} if self.force else {})


class Work(msgspec.Struct, frozen=True):
    """What is to be done of one DAG; small enough to travel between tasks.

    Attributes
    ----------
    dag_id
        The DAG.
    planned_utc
        When it was planned: runs that began later count as done by it.
    errands
        In their order.
    newest_first
        What their order is.
    """

    dag_id: str
    planned_utc: datetime
    errands: tuple[Errand, ...]
    newest_first: bool


class Wait(msgspec.Struct, frozen=True):
    """What is waited for: that all runs from `start` to `end` are over, or without these, all backfills of the DAG.

    Attributes
    ----------
    backfill_id
        The backfill that made the runs, which a cancellation ends.
    """

    dag_id: str
    start: date | None = None
    end: date | None = None
    backfill_id: int | None = None


class Touched(msgspec.Struct, frozen=True):
    """What one execution has done so far: the sessions it ran again, and the last backfill it opened."""

    sessions: frozenset[date] = frozenset()
    backfill_id: int | None = None


class Progress(msgspec.Struct, frozen=True):
    """Where an execution stands.

    Attributes
    ----------
    done, failed
        Sessions that are over, well or not.
    left
        Those still to be run again, or under way.
    wait
        What to wait for before going on; None when all is over.
    touched
        To be given to the next call.
    says
        What was just done, for the log.
    """

    done: tuple[date, ...]
    failed: tuple[date, ...]
    left: tuple[date, ...]
    wait: Wait | None
    touched: Touched
    says: str = ""


def works(plan: Plan, planned_utc: datetime) -> list[Work]:
    """Return what a plan makes to do, by DAG; those that others build on come first."""
    errands: dict[str, list[Errand]] = {}
    for step in plan.steps:
        errands.setdefault(step.dag_id, []).append(Errand(step.session, step.tickers, step.force))
    return [
        Work(dag_id, planned_utc, tuple(errands[dag_id]), plan.request.newest_first)
        for dag_id in DATASETS_OF
        if dag_id in errands
    ]


def is_over(api: AirflowApi, wait: Wait) -> bool:
    """Return whether what is waited for has come."""
    if wait.start is None:
        return not _is_backfilling(api, wait.dag_id)
    return all(run.is_over for run in api.runs(wait.dag_id, start=wait.start, end=wait.end))


def go_on(api: AirflowApi, work: Work, touched: Touched, is_settled: Callable[[date], bool]) -> Progress:
    """Look at what stands of a piece of work, and do the next thing.

    Parameters
    ----------
    api
        Airflow.
    work
        The piece of work.
    touched
        Of the call before; at first an empty one.
    is_settled
        Whether the ledger says that nothing is left to do of a session; asked only of sessions nobody ran since.

    Raises
    ------
    NotRecovered
        The DAG is paused: its runs would be queued for ever.
    ApiError
        Airflow refused.
    """
    runs = _latest_runs(api, work)
    done: list[date] = []
    failed: list[date] = []
    active: list[date] = []
    pending: list[Errand] = []
    for errand in work.errands:
        session, run = errand.session, runs.get(errand.session)
        if run is not None and not run.is_over:
            active.append(session)
        elif run is not None and run.state == "success" and _is_since(run, work):
            done.append(session)
        elif session in touched.sessions:
            # Failed again, or ended by somebody before it began.
            failed.append(session)
        elif not errand.conf and is_settled(session):
            done.append(session)
        else:
            pending.append(errand)
    progress = Progress(tuple(done), tuple(failed), (*active, *(errand.session for errand in pending)), None, touched)
    if active:
        wait = Wait(work.dag_id, min(active), max(active), touched.backfill_id)
        return msgspec.structs.replace(progress, wait=wait)
    return _next(api, work, pending, runs, progress) if pending else progress


def _next(
    api: AirflowApi, work: Work, pending: Sequence[Errand], runs: dict[date, Run], progress: Progress
) -> Progress:
    if api.is_paused(work.dag_id):
        msg = f"{work.dag_id} is paused, so none of its runs would start; unpause it, then clear this task"
        raise NotRecovered(msg)
    cleared = []
    for errand in pending[:_MOST_CLEARED]:
        tasks = _to_clear(api, work, errand, runs)
        if tasks is None:
            break
        api.clear(work.dag_id, runs[errand.session].dag_run_id, tasks, only_failed=False)
        cleared.append(errand.session)
    if cleared:
        return _waiting(work, progress, cleared, None, "cleared the failed tasks of")
    if _is_backfilling(api, work.dag_id):
        return msgspec.structs.replace(
            progress, wait=Wait(work.dag_id), says=f"another backfill of {work.dag_id} is open; waiting until it closes"
        )
    row = _row(api, work, pending, runs)
    sessions = [errand.session for errand in row]
    try:
        opened = api.backfill(
            work.dag_id, min(sessions), max(sessions), conf=row[0].conf, again=True, backwards=work.newest_first
        )
    except ApiError as error:
        if error.status != _CONFLICT:
            raise
        return msgspec.structs.replace(progress, wait=Wait(work.dag_id), says=str(error))
    return _waiting(work, progress, sessions, opened.id, f"backfill {opened.id} runs")


def _waiting(work: Work, progress: Progress, sessions: Sequence[date], backfill_id: int | None, says: str) -> Progress:
    return msgspec.structs.replace(
        progress,
        wait=Wait(work.dag_id, min(sessions), max(sessions), backfill_id),
        touched=Touched(progress.touched.sessions | set(sessions), backfill_id),
        says=f"{says} {len(sessions)} sessions, {min(sessions)} to {max(sessions)}",
    )


def _row(api: AirflowApi, work: Work, pending: Sequence[Errand], runs: dict[date, Run]) -> list[Errand]:
    """Return the first errands that one backfill can do: sessions in a row, of one form, none with tasks to clear."""
    calendar = get_calendar()
    row = [pending[0]]
    for errand in pending[1:_MOST_BACKFILLED]:
        low, high = sorted((row[-1].session, errand.session))
        if calendar.next(low) != high or errand.conf != row[0].conf or _to_clear(api, work, errand, runs) is not None:
            break
        row.append(errand)
    return row


def _to_clear(api: AirflowApi, work: Work, errand: Errand, runs: dict[date, Run]) -> list[str | tuple[str, int]] | None:
    """Return which tasks of a session's failed run to clear; None where a new run is needed."""
    run = runs.get(errand.session)
    if run is None or run.state != "failed" or (errand.conf and not _is_since(run, work)):
        return None
    # Cleared, a run of a cancelled backfill would be queued for ever.
    if run.run_type == "backfill" and any(each.holds_up(errand.session) for each in api.backfills(work.dag_id)):
        return None
    tasks = api.task_instances(work.dag_id, run.dag_run_id)
    failed = [task for task in tasks if task.state == "failed" and _step(task) != "report"]
    # What the suite refused has to be fetched anew.
    if not failed or any(_step(task) == "validate" for task in failed):
        return None
    return [task.task_id if task.map_index < 0 else (task.task_id, task.map_index) for task in failed]


def _is_backfilling(api: AirflowApi, dag_id: str) -> bool:
    return any(backfill.is_open for backfill in api.backfills(dag_id))


def _step(task: TaskInstance) -> str:
    return task.task_id.rpartition(".")[2]


def _latest_runs(api: AirflowApi, work: Work) -> dict[date, Run]:
    sessions = [errand.session for errand in work.errands]
    found: dict[date, Run] = {}
    for run in sorted(api.runs(work.dag_id, start=min(sessions), end=max(sessions)), key=_began):
        if run.session is not None:
            found[run.session] = run
    return found


def _began(run: Run) -> tuple[bool, float]:
    # What is not over is the newest; what was ended before it began says nothing beside others.
    return (not run.is_over, run.start_date.timestamp() if run.start_date else 0.0)


def _is_since(run: Run, work: Work) -> bool:
    return run.start_date is not None and run.start_date >= work.planned_utc
