"""Many sessions recovered on a real Airflow: failed tasks cleared, lacking runs made, cancelled and resumed."""

from collections.abc import Iterator
from datetime import date

import pytest

from bellwether.airflow_api import Run
from bellwether.lake.coverage import record_failures
from bellwether.simulator.faults import Fault
from tests.builders import failed
from tests.e2e.support import PRODUCER, UNIVERSE, Producers, wait_until

RECOVERY = "ops_recover"
# Thanksgiving, the half day after it, and a weekend lie in between.
WEDNESDAY, HALF_DAY, MONDAY = date(2024, 11, 27), date(2024, 11, 29), date(2024, 12, 2)
# One more than run at a time.
OLDEST, *NEWER = LACKING = [date(2024, 12, day) for day in (6, 9, 10, 11)]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def quiet_simulator(operated: Producers) -> Iterator[None]:
    operated.simulator.faults.clear()
    operated.simulator.requests.clear()
    yield
    operated.simulator.faults.clear()


def recover(operated: Producers, start: date, end: date, **form: object) -> Run:
    return operated.api.trigger(RECOVERY, conf={"start": str(start), "end": str(end), **form})


def keys(operated: Producers, start: date, end: date) -> list[tuple[str | None, str, str]]:
    runs = operated.api.runs(PRODUCER, start=start, end=end)
    return sorted((run.partition_key, run.run_type, run.state) for run in runs)


def test_a_recovery_cancelled_halfway_lets_running_sessions_end_and_resumed_does_only_the_rest(
    operated: Producers,
) -> None:
    # Runs are under way for the seconds of a slow answer at least.
    operated.simulator.faults.add(Fault(kind="drip", ticker="AAPL", count=None))
    run_id = recover(operated, OLDEST, NEWER[-1], dry_run=False).dag_run_id
    wait_until(lambda: all("AAPL" in operated.asked(day) for day in NEWER), "not all runs that may do ask")

    operated.api.request("PATCH", f"dags/{RECOVERY}/dagRuns/{run_id}/taskInstances/recover/0", {"new_state": "failed"})
    assert operated.api.wait_for_run(RECOVERY, run_id).state == "failed"
    begun = [run for run in operated.backfilled(OLDEST, NEWER[-1]) if run.session != OLDEST]
    assert {operated.api.wait_for_run(PRODUCER, run.dag_run_id).state for run in begun} == {"success"}
    operated.simulator.faults.clear()
    cancelled = [(str(OLDEST), "backfill", "failed")]
    ended = [(str(day), "backfill", "success") for day in NEWER]
    assert keys(operated, OLDEST, NEWER[-1]) == cancelled + ended

    operated.api.clear(RECOVERY, run_id, ["recover"], only_failed=False)
    assert operated.api.wait_for_run(RECOVERY, run_id).state == "success"
    resumed = [(str(OLDEST), "backfill", "success")]
    assert keys(operated, OLDEST, NEWER[-1]) == cancelled + resumed + ended
    for day in LACKING:
        assert sorted(map(str, operated.asked(day))) == list(UNIVERSE)


def test_a_failed_session_is_cleared_and_one_without_a_run_backfilled_over_a_holiday_and_a_half_day(
    operated: Producers,
) -> None:
    operated.simulator.faults.add(Fault(kind="cut_json", ticker="QQQ", session=HALF_DAY, count=None))
    assert operated.trigger(str(HALF_DAY)).state == "failed"
    # As a backfill from the command line leaves it, of which Airflow knows nothing.
    record_failures(operated.lake, "equities", WEDNESDAY, failed(UNIVERSE))
    operated.simulator.faults.clear()
    operated.simulator.requests.clear()

    started = recover(operated, WEDNESDAY, MONDAY, mode="failed", dry_run=False)
    over = operated.api.wait_for_run(RECOVERY, started.dag_run_id)
    assert over.state == "success"
    assert over.note is not None
    assert "**2 sessions, 2 runs, 5 API calls, " in over.note
    assert [operated.asked(HALF_DAY), sorted(map(str, operated.asked(WEDNESDAY)))] == [["QQQ"], list(UNIVERSE)]
    assert operated.asked(MONDAY) == []
    assert keys(operated, WEDNESDAY, MONDAY) == [
        (str(WEDNESDAY), "backfill", "success"),
        (str(HALF_DAY), "manual", "success"),
    ]
    for session in (WEDNESDAY, HALF_DAY):
        manifest = operated.lake.manifest("equities", session)
        assert manifest is not None
        assert manifest.blocking == []
