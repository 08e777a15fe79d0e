"""The ledger against the schedule: which sessions lack, and which of them Airflow will never run by itself.

The ledger judges completeness, not the run list. Airflow's schedule only moves on: a backfill ahead of the
first catchup moves it past the sessions before, and no run of theirs is ever made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bellwether.airflow_api import Run
from bellwether.doctor.finding import Finding, ok, problem, unknown, warning
from bellwether.doctor.ledger import Account

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
        session = run.session
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


def judge(account: Account, schedule: Schedule | None) -> list[Finding]:
    """Return what lacks in the ledger of a DAG, and how it is filled.

    Parameters
    ----------
    account
        What the ledger says.
    schedule
        What Airflow will do; None where none could be asked.
    """
    check = f"ledger {account.dag_id}"
    if not account.due:
        return [ok(check, "nothing was captured yet, and no session is owed")]
    span = f"{account.due[0]} to {account.due[-1]}"
    if not account.incomplete:
        return [ok(check, f"{span}: all {len(account.due)} sessions are complete")]
    what = f"{span}, {', '.join(account.lacking)}"
    findings = []
    if account.lost:
        says = f"{what}: {_named(sorted(account.lost))} lack for ever: the vendor shows the present alone"
        findings.append(warning(check, says, "see that the DAG is not paused when its next session is due"))
    left = [session for session in account.incomplete if session not in account.lost]
    if left and schedule is None:
        says = f"{what}: not complete are {_named(left)}; whether a run will come nobody could tell"
        findings.append(unknown(check, says, _by_command_line(account.lacking, left)))
    elif schedule is not None:
        findings += _judge_gaps(check, what, gaps(left, schedule), schedule.dag_id, is_required=account.is_required)
    return findings


def _judge_gaps(check: str, what: str, found: Gaps, dag_id: str, *, is_required: bool) -> list[Finding]:
    serious, spared = (problem, "") if is_required else (warning, "; no session waits for them")
    findings = []
    if found.never:
        says = f"{what}: {_named(found.never)} lack, have no run, and Airflow will never make one by itself{spared}"
        findings.append(serious(check, says, _by_backfill(dag_id, found.never)))
    if found.failed:
        says = f"{what}: {_named(found.failed)} are incomplete though their runs are over{spared}"
        findings.append(serious(check, says, "read the red task, mend the cause, clear the run with its failed tasks"))
    if found.coming:
        says = f"{what}: {_named(found.coming)} wait for runs that are under way or will come"
        findings.append(warning(check, says, f"see that {dag_id} is not paused"))
    return findings


def sessions_run(runs: Sequence[Run]) -> set[date]:
    """Return the sessions that runs are of."""
    return {run.session for run in runs if run.session}


def _named(sessions: Sequence[date]) -> str:
    shown = ", ".join(map(str, sessions[:_MOST_NAMED]))
    more = len(sessions) - _MOST_NAMED
    return shown + (f" and {more} more" if more > 0 else "")


def _by_backfill(dag_id: str, sessions: Sequence[date]) -> str:
    # Runs that exist are left alone, so one range over all holes does.
    return f"airflow backfill create --dag-id {dag_id} --from-date {sessions[0]} --to-date {sessions[-1]}"


def _by_command_line(datasets: Sequence[str], sessions: Sequence[date]) -> str:
    first, *others = datasets
    command = f"bellwether backfill {first} --start {sessions[0]} --end {sessions[-1]}"
    return f"{command}, likewise {', '.join(others)}" if others else command
