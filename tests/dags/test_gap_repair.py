"""The DAG that repairs: its graph, when its tasks look again, what it leaves in the lake, and its one deadline."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.errors import GapsLeft
from bellwether.lake import Lake, read
from bellwether.lake.manifest import Coverage
from bellwether.monitoring.alerts import describe
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.assignment import STREAMS, whole_session
from bellwether.streaming.bookkeeping import publish_streamed
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.rounds import Again
from bellwether_airflow import connections, repair
from tests.builders import bars
from tests.dags.support import KEY, SESSION, UNIVERSE, events, states
from tests.recordings import leave, miss, record

Run = Callable[..., Any]
UNTIL = whole_session("equities", SESSION).until
NOON = get_calendar().hours(SESSION).open + timedelta(hours=2, minutes=30)


def test_each_dataset_has_a_task_that_emits_what_it_filled_on_the_sessions_of_the_streams(dags: dict[str, Any]) -> None:
    dag = dags["gap_repair"]
    assert {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks} == {
        dataset: [f"{dataset}_live"] for dataset in STREAMS
    }
    assert dag.timetable.serialize() == dags["session_stream"].timetable.serialize()


def test_a_run_fills_what_was_missed_publishes_it_and_tells_of_it(
    dags: dict[str, Any], run_session: Run, lake_root: Path
) -> None:
    lake = Lake.open(lake_root, simulated=True)
    record(lake, bars("AAPL"), NOON, dataset="equities", session=SESSION)
    miss(lake, "equities", SESSION, NOON)
    leave(lake, "equities", SESSION, UNTIL)
    run = run_session(dags["gap_repair"].partial_subset("equities"), KEY)
    assert (run.state, states(run)) == ("success", {"equities": "success"})
    assert events() == [("equities_live", KEY)]
    manifest = lake.manifest("equities_live", SESSION)
    assert manifest is not None
    assert {ticker: known.state for ticker, known in manifest.coverage.items()} == dict.fromkeys(
        UNIVERSE, Coverage.COMPLETE
    )
    [gap] = read("gaps", KEY, KEY, root=lake_root).to_pylist()
    assert gap["closed_utc"] is not None


@pytest.fixture
def look(tmp_path: Path, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return `look(now, dataset="equities")`: what the task returns at a moment of the feed."""
    simulator.faults.clear()
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(UNIVERSE))
    lake = Lake.open(tmp_path, simulated=True)
    monkeypatch.setattr(connections, "lake", lambda: lake)
    monkeypatch.setattr(connections, "vendor", lambda: PolygonRest(simulator.url, "any-key-at-all"))
    context: dict[str, Any] = {"dag_run": SimpleNamespace(partition_key=KEY, conf={}), "run_id": "run"}
    monkeypatch.setattr(repair, "get_current_context", lambda: context)
    monkeypatch.setattr(repair, "emit", lambda *_: None)

    def at(now: datetime, dataset: str = "equities") -> Any:
        monkeypatch.setattr(connections, "feed_time", lambda: FeedTime(SimulatedClock(now, speed=0)))
        return repair.repair.function(dataset)

    return at


@pytest.mark.parametrize(
    ("now", "minutes"),
    [
        (whole_session("equities", SESSION).start - timedelta(minutes=8), 8),
        (NOON, 5),
        (UNTIL - timedelta(minutes=2), 3),
    ],
)
def test_while_the_session_goes_on_it_looks_again(
    look: Callable[..., Any], tmp_path: Path, now: datetime, minutes: int
) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    record(lake, bars("AAPL"), now, dataset="equities", session=SESSION)
    leave(lake, "equities", SESSION, now, state="killed")
    assert look(now).length == timedelta(minutes=minutes)


def test_of_who_records_nothing_it_looks_seldom_and_skips_in_the_end(look: Callable[..., Any], tmp_path: Path) -> None:
    # A plan without indices: the recorder had the lease, and was refused.
    lake = Lake.open(tmp_path, simulated=True)
    leave(lake, "indices", SESSION, NOON, state="stopped")
    miss(lake, "indices", SESSION, NOON, cause="refused")
    for dataset in ("equities", "indices"):
        assert look(NOON, dataset).length == timedelta(minutes=30)
        with pytest.raises(AirflowSkipException, match=f"nothing of {dataset} was recorded in 2025-07-01"):
            look(UNTIL, dataset)


def test_a_recorder_that_is_gone_for_good_is_ended_in_its_place_and_what_it_missed_filled(
    look: Callable[..., Any], tmp_path: Path
) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    record(lake, bars("AAPL"), NOON, dataset="equities", session=SESSION)
    leave(lake, "equities", SESSION, NOON, state="stopped")
    assert look(UNTIL).length == timedelta(minutes=5)  # REST may be behind
    assert look(UNTIL + timedelta(minutes=10))["gaps"] == 1
    [gap] = GapLog(lake, "equities", SESSION, "test").read()
    assert (gap.cause, gap.end_utc, set(gap.filled)) == ("crash", UNTIL, set(UNIVERSE))


def test_a_session_of_which_nothing_was_missed_is_skipped(look: Callable[..., Any], tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    record(lake, bars("AAPL"), NOON, dataset="equities", session=SESSION)
    leave(lake, "equities", SESSION, UNTIL)
    publish_streamed(lake, Config.load(), "equities", SESSION, run_id="the stream's")
    with pytest.raises(AirflowSkipException, match="nothing was to be filled"):
        look(UNTIL)


def test_what_is_open_after_the_deadline_fails_with_the_list_and_a_clear_goes_on(
    look: Callable[..., Any], simulator: RunningSimulator, tmp_path: Path
) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    record(lake, bars("AAPL"), NOON, dataset="equities", session=SESSION)
    miss(lake, "equities", SESSION, NOON, cause="crash")
    leave(lake, "equities", SESSION, UNTIL)
    simulator.faults.add(Fault(kind="not_entitled", ticker="SPY", count=None))
    why = (
        "1 gaps are open: 04:00:00 to 12:00:00, crash (SPY: NotEntitled: You are not entitled to this data. Please "
        "upgrade your plan at https://polygon.io/pricing)"
    )
    assert look(UNTIL + timedelta(minutes=28)) == Again(timedelta(minutes=2), why)
    with pytest.raises(GapsLeft) as raised:
        look(UNTIL + timedelta(minutes=30))
    assert describe(raised.value) == f"GapsLeft: equities of 2025-07-01: {why}"
    simulator.faults.clear()
    assert look(UNTIL + timedelta(hours=2))["gaps"] == 1
