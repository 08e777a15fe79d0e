"""The snapshot's DAG on a clock of the session: before the close a partition, after it a plain refusal."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock, SystemClock
from bellwether.lake import Coverage, Lake, read
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from tests.dags.support import KEY, SESSION, events, states
from tests.markets import ShortChains

CLOSE = get_calendar().hours(SESSION).close
AT_1550 = CLOSE - timedelta(minutes=10)
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    """Return a vendor of short chains; overrides the one of all other modules."""
    with running(SimulatorConfig(market=ShortChains(30, "AAPL", "SPY"))) as simulator:
        yield simulator


@pytest.fixture
def snapshot(lake_root: Path, dags: dict[str, Any]) -> Any:
    return dags["options_snapshot"]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Return what sets the clock of simulator, transport, timetable and lake, which runs on from there."""

    def set_clock(utc: datetime) -> None:
        clock = SimulatedClock(utc)
        monkeypatch.setattr(SystemClock, "now", lambda _self: clock.now())

    return set_clock


def test_at_1550_without_a_key_todays_chain_is_published_under_todays_key(
    snapshot: Any, run_session: Run, lake_root: Path, at: Callable[[datetime], None]
) -> None:
    at(AT_1550)
    run = run_session(snapshot, None)
    assert run.state == "success"
    # Equities are not there yet at 15:50: nothing is announced.
    assert (states(run)["publish"], states(run)["announce"]) == ("success", "skipped")
    assert events() == [("options_snapshot", KEY)]
    chain = read("options_snapshot", KEY, KEY, root=lake_root)
    assert set(chain["underlying"].to_pylist()) == {"AAPL", "SPY"}
    assert all(AT_1550 <= ts <= CLOSE for ts in chain["ts"].to_pylist())


def test_its_fetches_have_a_pool_that_no_backfill_fills(snapshot: Any, dags: dict[str, Any]) -> None:
    assert snapshot.get_task("ingest").pool == "snapshot_requests"
    assert dags["equities_daily"].get_task("ingest").pool == "vendor_requests"


def test_after_the_close_the_plan_fails_at_once_asks_for_nothing_and_the_session_is_missing(
    snapshot: Any,
    run_session: Run,
    simulator: RunningSimulator,
    lake_root: Path,
    at: Callable[[datetime], None],
) -> None:
    at(CLOSE + timedelta(seconds=1))
    run = run_session(snapshot, KEY)
    found = states(run)
    assert run.state == "failed"
    assert [found[step] for step in ("plan", "ingest", "report")] == ["failed", "upstream_failed", "failed"]
    assert simulator.requests == []
    [plan] = [ti for ti in run.get_task_instances() if ti.task_id == "plan"]
    assert plan.try_number == 1
    # What the run's alert will tell.
    told = plan.xcom_pull(task_ids="plan", key="failure")
    assert told.startswith("SnapshotMissed: options_snapshot of 2025-07-01 cannot be had later")
    assert Lake.open(lake_root).manifest("options_snapshot", SESSION) is None
    assert events() == []


def test_a_wait_past_the_close_is_not_deferred_and_what_came_in_time_is_published(
    snapshot: Any,
    run_session: Run,
    simulator: RunningSimulator,
    lake_root: Path,
    at: Callable[[datetime], None],
) -> None:
    at(AT_1550)
    simulator.faults.add(Fault(kind="rate_limited", ticker="SPY", count=None, retry_after_s=900))
    run = run_session(snapshot, KEY)
    found = states(run)
    assert run.state == "failed"
    assert [found[step] for step in ("ingest[0]", "publish", "report")] == ["failed", "success", "failed"]
    manifest = Lake.open(lake_root).manifest("options_snapshot", SESSION)
    assert {ticker: known.state for ticker, known in manifest.coverage.items()} == {
        "AAPL": Coverage.COMPLETE,
        "SPY": Coverage.MISSING,
    }
    [report] = [ti for ti in run.get_task_instances() if ti.task_id == "report"]
    [cause] = report.xcom_pull(task_ids="report", key="failures")["causes"]
    assert cause == "SnapshotMissed"


def test_a_plan_without_snapshots_is_no_failure(
    snapshot: Any,
    run_session: Run,
    simulator: RunningSimulator,
    lake_root: Path,
    at: Callable[[datetime], None],
) -> None:
    at(AT_1550)
    simulator.faults.add(Fault(kind="not_entitled", count=None))
    assert run_session(snapshot, KEY).state == "success"
    manifest = Lake.open(lake_root).manifest("options_snapshot", SESSION)
    assert {known.state for known in manifest.coverage.values()} == {Coverage.NOT_ENTITLED}
    assert manifest.rows == 0
