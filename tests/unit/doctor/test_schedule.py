"""Sessions the ledger lacks, and which of them Airflow will never run."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from bellwether.airflow_api import Run
from bellwether.calendar import get_calendar
from bellwether.doctor.finding import Level
from bellwether.doctor.ledger import Account
from bellwether.doctor.schedule import Gaps, Schedule, gaps, judge

DUE = get_calendar().sessions(date(2026, 11, 9), date(2026, 11, 20))


def run(session: date | None, kind: str = "scheduled", state: str = "success", **changes: object) -> Run:
    return Run("equities_daily", f"{kind}__{session}", kind, state, session and str(session), **changes)


def account(incomplete: Sequence[date], **changes: Any) -> Account:
    return replace(Account("equities_daily", DUE, ("equities",), incomplete), **changes)


def test_a_backfill_ahead_of_the_first_catchup_leaves_a_hole_with_its_command() -> None:
    """As on a real Airflow: a backfill of the second week, then the first unpause of a DAG that catches up."""
    schedule = Schedule("equities_daily", [run(session, "backfill") for session in DUE[5:]], date(2026, 11, 23))
    [finding] = judge(account(DUE[:5]), schedule)
    assert finding.level is Level.PROBLEM
    assert "2026-11-09, 2026-11-10, 2026-11-11, 2026-11-12, 2026-11-13 lack" in finding.says
    assert finding.advice == (
        "airflow backfill create --dag-id equities_daily --from-date 2026-11-09 --to-date 2026-11-13"
    )


def test_each_gap_is_sorted_by_what_will_become_of_it() -> None:
    runs = [
        run(DUE[1], state="failed"),
        run(DUE[2], state="failed"),
        run(DUE[2], "backfill", state="running"),
        run(None, "manual", partition_date=datetime(2026, 11, 12, 5, tzinfo=UTC)),
        run(None, "manual", partition_date=None),
    ]
    schedule = Schedule("equities_daily", runs, DUE[4])
    assert gaps(DUE[:6], schedule) == Gaps(never=(DUE[0],), failed=(DUE[1], DUE[3]), coming=(DUE[2], DUE[4], DUE[5]))
    levels = [finding.level for finding in judge(account(DUE[:6]), schedule)]
    assert levels == [Level.PROBLEM, Level.PROBLEM, Level.WARNING]


def test_where_no_run_is_to_come_none_is_waited_for() -> None:
    assert gaps(DUE, Schedule("equities_daily", [], None)).never == tuple(DUE)


def test_keys_of_another_timetable_are_passed_over() -> None:
    odd = Run("equities_daily", "x", "manual", "success", "banana")
    assert gaps(DUE[:1], Schedule("equities_daily", [odd], None)).never == (DUE[0],)


def test_a_complete_ledger_is_well_whatever_ran() -> None:
    [finding] = judge(account([]), Schedule("equities_daily", [], None))
    assert finding.level is Level.OK
    assert "all 10 sessions" in finding.says


def test_without_airflow_the_command_line_fills_the_gap() -> None:
    [finding] = judge(account(DUE[2:4]), None)
    assert finding.level is Level.UNKNOWN
    assert finding.advice == "bellwether backfill equities --start 2026-11-11 --end 2026-11-12"


def test_before_the_first_session_nothing_lacks() -> None:
    assert [finding.level for finding in judge(Account("equities_daily"), None)] == [Level.OK]


def test_many_sessions_are_counted_instead_of_named() -> None:
    [finding] = judge(account(DUE), None)
    assert "2026-11-18 and 2 more" in finding.says


def test_what_no_session_waits_for_is_no_problem_but_named() -> None:
    runs = [run(DUE[1], state="failed")]
    found = judge(account(DUE[:2], is_required=False), Schedule("equities_daily", runs, DUE[-1]))
    assert [finding.level for finding in found] == [Level.WARNING, Level.WARNING]
    assert all("no session waits for them" in finding.says for finding in found)


def test_what_can_never_be_had_is_told_apart_from_what_a_backfill_fills() -> None:
    lost, left = judge(account(DUE[:2], lost={DUE[0]}), Schedule("equities_daily", [], None))
    assert (lost.level, left.level) == (Level.WARNING, Level.PROBLEM)
    assert "2026-11-09 lack for ever: the vendor shows the present alone" in lost.says
    assert "2026-11-09" not in left.says.partition(": ")[2]
    assert left.advice.endswith("--from-date 2026-11-10 --to-date 2026-11-10")


def test_several_datasets_of_a_dag_are_filled_together() -> None:
    [finding] = judge(account(DUE[:1], lacking=("splits", "rates")), None)
    assert finding.advice == "bellwether backfill splits --start 2026-11-09 --end 2026-11-09, likewise rates"
