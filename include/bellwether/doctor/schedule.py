"""The ledger against the schedule: which sessions lack, and which of them Airflow will never run by itself.

The ledger judges completeness, not the run list. Airflow's schedule only moves on: a backfill ahead of the
first catchup moves it past the sessions before, and no run of theirs is ever made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bellwether.calendar import NEW_YORK
from bellwether.doctor.finding import Finding, ok, problem, unknown, warning
from bellwether.localstack import Run

_MOST_NAMED = 8


@dataclass(frozen=True)
class Schedule:
    """What Airflow has done and will do of one DAG.

    Attributes
    ----------
    dag_id
        The DAG.
    runs
        All its runs.
    next_session
        The session of the next run it will make by itself; None where it will make none.
    """

    dag_id: str
    runs: Sequence[Run]
    next_session: date | None


@dataclass(frozen=True)
class Gaps:
    """Sessions the ledger does not call complete, by what will become of them.

    Attributes
    ----------
    never
        No run, and none will come.
    failed
        Runs that are over and left the session incomplete.
    coming
        Runs under way, or still to be made.
    """

    never: tuple[date, ...] = ()
    failed: tuple[date, ...] = ()
    coming: tuple[date, ...] = ()


def gaps(incomplete: Sequence[date], schedule: Schedule) -> Gaps:
    """Sort the incomplete sessions by what Airflow's runs say of them."""
    is_over: dict[date | None, bool] = {}
    for run in schedule.runs:
        session = _session_of(run)
        is_over[session] = is_over.get(session, True) and run.is_over
    never, failed, coming = [], [], []
    for session in incomplete:
        over = is_over.get(session)
        will_come = schedule.next_session is not None and session >= schedule.next_session
        if over:
            failed.append(session)
        elif over is None and not will_come:
            never.append(session)
        else:
            coming.append(session)
    return Gaps(tuple(never), tuple(failed), tuple(coming))


def judge(dataset: str, due: Sequence[date], incomplete: Sequence[date], schedule: Schedule | None) -> list[Finding]:
    """Return what lacks in the ledger, and how it is filled.

    Parameters
    ----------
    dataset
        What is looked at.
    due
        The sessions looked at, ascending.
    incomplete
        Those the ledger does not call complete, ascending.
    schedule
        What Airflow will do; None where none could be asked.
    """
    if not due:
        return [ok("ledger", f"{dataset}: no session is due yet")]
    span = f"{dataset}, {due[0]} to {due[-1]}"
    if not incomplete:
        return [ok("ledger", f"{span}: all {len(due)} sessions are complete")]
    if schedule is None:
        says = f"{span}: not complete are {_named(incomplete)}; whether a run will come nobody could tell"
        return [unknown("ledger", says, _by_command_line(dataset, incomplete))]
    found = gaps(incomplete, schedule)
    findings = []
    if found.never:
        says = f"{span}: {_named(found.never)} lack, have no run, and Airflow will never make one by itself"
        findings.append(problem("ledger", says, _by_backfill(schedule.dag_id, found.never)))
    if found.failed:
        says = f"{span}: {_named(found.failed)} are incomplete though their runs are over"
        findings.append(
            problem("ledger", says, "read the red task, mend the cause, clear the run with its failed tasks")
        )
    if found.coming:
        says = f"{span}: {_named(found.coming)} wait for runs that are under way or will come"
        findings.append(warning("ledger", says, f"see that {schedule.dag_id} is not paused"))
    return findings


def _session_of(run: Run) -> date | None:
    # A run that was triggered without a key has only the session's midnight.
    if run.partition_key is not None:
        try:
            return date.fromisoformat(run.partition_key)
        except ValueError:  # of a time when another timetable gave the keys
            return None
    return run.partition_date.astimezone(NEW_YORK).date() if run.partition_date else None


def _named(sessions: Sequence[date]) -> str:
    shown = ", ".join(map(str, sessions[:_MOST_NAMED]))
    more = len(sessions) - _MOST_NAMED
    return shown + (f" and {more} more" if more > 0 else "")


def _by_backfill(dag_id: str, sessions: Sequence[date]) -> str:
    # Runs that exist are left alone, so one range over all holes does.
    return f"airflow backfill create --dag-id {dag_id} --from-date {sessions[0]} --to-date {sessions[-1]}"


def _by_command_line(dataset: str, sessions: Sequence[date]) -> str:
    return f"bellwether backfill {dataset} --start {sessions[0]} --end {sessions[-1]}"
