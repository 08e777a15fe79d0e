"""The task that keeps the gold of the session so far: its rounds, when they end, and what of them people hear."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.consolidate.intraday import SoFar
from bellwether.errors import InputsChanged, LakeError
from bellwether.lake import Lake, Manifest
from bellwether.monitoring.alerts import Delivery, Message
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.streaming.batches import Writer
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.heard import streams_end
from bellwether.streaming.lease import EXPIRES_AFTER, Lease
from bellwether.streaming.rounds import Again
from bellwether_airflow import connections, intraday
from bellwether_airflow.notifiers import reporting
from tests.builders import bars
from tests.dags.support import KEY, SESSION, UNIVERSE, events, states
from tests.recordings import leave, record

HOURS = get_calendar().hours(SESSION)
NOON = HOURS.open + timedelta(hours=2, minutes=30)
OVER = streams_end(SESSION)
GOLD = Manifest(
    dataset="minutes",
    session=SESSION,
    revision="9f3c",
    publication_id="p",
    stage_id="",
    run_id="r",
    published_utc=NOON,
    rows=600,
    coverage={},
    schema_version=2,
    code_version="0",
    config_hash="",
    provenance="provisional",
)
BUILT = SoFar(GOLD, is_settled=False, why="600 rows until 12:00 New York")
LANDED = SoFar(GOLD, is_settled=True, why="the daily pulls have landed")
NOTHING = SoFar(None, is_settled=False, why="no minute of it is over")
Go = Callable[..., Any]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    lake = Lake.open(tmp_path, simulated=True)
    monkeypatch.setattr(connections, "lake", lambda: lake)
    return lake


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Return what people are told."""
    messages: list[Message] = []

    def deliver(message: Message, _only: tuple[str, ...]) -> Delivery:
        messages.append(message)
        return Delivery("sent")

    monkeypatch.setattr(reporting, "deliver", deliver)
    return messages


@pytest.fixture
def go(lake: Lake, told: list[Message], monkeypatch: pytest.MonkeyPatch) -> Go:
    """Return `go(outcome, now)`: what the task returns at a moment of the feed when a round comes to this."""

    def a_round(outcome: SoFar | Exception, now: datetime = NOON) -> Any:
        def build(*_: object, **__: object) -> SoFar:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        context = {
            "dag": SimpleNamespace(dag_id="session_stream"),
            "dag_run": SimpleNamespace(partition_key=KEY, conf={}),
            "run_id": "run",
        }
        monkeypatch.setattr("bellwether.consolidate.intraday.build_so_far", build)
        monkeypatch.setattr(intraday, "get_current_context", lambda: context)
        monkeypatch.setattr(connections, "feed_time", lambda: FeedTime(SimulatedClock(now, speed=0)))
        return intraday.intraday.function()

    return a_round


def test_it_begins_with_the_equities_and_neither_waits_for_a_stream_nor_keeps_one_waiting(dags: dict[str, Any]) -> None:
    dag = dags["session_stream"]
    task = dag.get_task("gold.intraday")
    assert (task.upstream_task_ids, task.downstream_task_ids) == ({"equities.wait"}, set())
    assert (task.pool, list(task.outlets)) == ("consolidate", [])


def test_rounds_go_on_until_the_daily_pulls_have_landed(go: Go) -> None:
    assert go(NOTHING) == Again(timedelta(minutes=5), NOTHING.why)
    assert go(BUILT) == Again(timedelta(minutes=5), BUILT.why)
    assert go(LANDED) == {"rows": 600, "provenance": "provisional"}


def test_the_last_round_is_the_one_after_all_streams_are_over(go: Go, lake: Lake) -> None:
    lease = Lease(lake, "equities", SESSION, Writer("run", 1, 10))
    lease.take(OVER)
    assert go(BUILT, OVER) == Again(EXPIRES_AFTER, BUILT.why)
    assert go(BUILT, OVER + EXPIRES_AFTER) == {"rows": 600, "provenance": "provisional"}


def test_streams_that_brought_nothing_leave_nothing_to_build(go: Go) -> None:
    with pytest.raises(AirflowSkipException, match="no minute of it is over"):
        go(NOTHING, OVER)


@pytest.mark.parametrize("minutes", ["0", "null"])
def test_it_is_skipped_where_the_settings_say_never(go: Go, monkeypatch: pytest.MonkeyPatch, minutes: str) -> None:
    monkeypatch.setenv("BELLWETHER__STREAMING__INTRADAY_EVERY_MIN", minutes)
    with pytest.raises(AirflowSkipException, match=r"intraday_every_min of .* says never"):
        go(BUILT)


def test_a_round_that_fails_ends_nothing_and_three_in_a_row_are_told_of_once(go: Go, told: list[Message]) -> None:
    full = LakeError("no space left")
    for _ in range(2):
        assert isinstance(go(full), Again)
    assert isinstance(go(BUILT), Again)
    assert told == []
    for _ in range(5):
        assert isinstance(go(full), Again)
    [message] = told
    assert message.subject == f"minutes {KEY}: provisional gold stands still"
    assert "3 rounds in a row" in message.body
    assert "LakeError: no space left" in message.body


def test_a_message_that_cannot_be_delivered_ends_nothing(go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_message: Message, _only: tuple[str, ...]) -> Delivery:
        raise OSError

    monkeypatch.setattr(reporting, "deliver", refuse)
    for _ in range(4):
        assert isinstance(go(ValueError("a bug")), Again)


def test_a_round_that_is_overtaken_is_no_failure(go: Go, told: list[Message]) -> None:
    for now in (NOON, NOON, NOON, OVER):
        assert isinstance(go(InputsChanged("published anew"), now), Again)
    assert told == []


def test_only_the_last_round_fails_the_task(go: Go) -> None:
    with pytest.raises(LakeError):
        go(LakeError("no space left"), OVER)


# --- a run, from what was streamed of a session to its gold


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    """Return a vendor at which the session's streams are over; overrides the one of all other modules."""
    market = GeneratedMarket(seed=7, tickers=UNIVERSE, start=SESSION, end=SESSION)
    with running(SimulatorConfig(market, clock=SimulatedClock(OVER, speed=0))) as simulator:
        yield simulator


def test_a_run_builds_provisional_gold_and_its_asset_is_not_emitted(
    dags: dict[str, Any], run_session: Go, lake_root: Path
) -> None:
    lake = Lake.open(lake_root, simulated=True)
    record(lake, bars("SPY", SESSION, 390), OVER, dataset="equities", session=SESSION)
    leave(lake, "equities", SESSION, OVER)
    run = run_session(dags["session_stream"].partial_subset("gold.intraday"), KEY)
    assert (run.state, states(run)) == ("success", {"equities.wait": "success", "gold.intraday": "success"})
    assert events() == []
    minutes = lake.manifest("minutes", SESSION)
    assert minutes is not None
    assert (minutes.rows, minutes.is_provisional, minutes.run_id) == (390, True, run.run_id)
