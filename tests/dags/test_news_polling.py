"""The polling of news in the DAG that streams: rounds without a slot between them, and what ends them."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.errors import StreamRefused
from bellwether.lake import Coverage, Lake, read
from bellwether.monitoring.alerts import Delivery, Message
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.streaming.lease import ask_to_stop
from bellwether.streaming.rounds import Again
from bellwether_airflow import news_polling, repeating
from bellwether_airflow.notifiers import reporting
from tests.dags.support import KEY, SESSION, UNIVERSE, events, states

HOURS = get_calendar().hours(SESSION)
AT = HOURS.close - timedelta(minutes=6)
PATH = "/v2/reference/news"
Run = Callable[..., Any]


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    """Return a vendor whose clock stands six minutes before the close; overrides the one of all other modules."""
    market = GeneratedMarket(seed=7, tickers=UNIVERSE, start=SESSION, end=SESSION)
    with running(SimulatorConfig(market, clock=SimulatedClock(AT, speed=0), plan=PLANS["realtime"])) as simulator:
        yield simulator


@pytest.fixture
def poll(lake_root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return `poll(try_number=1)`: what the task returns of a round."""
    Lake.open(lake_root, simulated=True)

    def once(try_number: int = 1) -> Any:
        context = {
            "dag": SimpleNamespace(dag_id="session_stream"),
            "dag_run": SimpleNamespace(partition_key=KEY, conf={}),
            "run_id": "run",
            "ti": SimpleNamespace(
                try_number=try_number, dag_id="session_stream", run_id="run", task_id="news.poll", map_index=-1
            ),
        }
        for module in (news_polling, news_polling.connections):
            monkeypatch.setattr(module, "get_current_context", lambda: context)
        return news_polling.poll.function()

    return once


def test_rounds_are_five_minutes_apart_and_the_last_one_is_at_the_close(
    poll: Callable[..., Any], simulator: RunningSimulator
) -> None:
    first = poll()
    assert (first.length, first.why[-18:]) == (timedelta(minutes=5), "until 19:54:00 UTC")
    simulator.feed.advance(AT + timedelta(minutes=5))
    assert poll().length == timedelta(minutes=1)
    simulator.feed.advance(HOURS.close)
    last = poll()
    assert last["rows"] > 20
    asked = [request.query["published_utc.gte"] for request in simulator.requests if request.path == PATH]
    assert asked == sorted(asked)
    assert len(asked) == 3


def test_a_run_polls_until_the_close_and_publishes_what_it_saw(
    dags: dict[str, Any],
    run_session: Run,
    lake_root: Path,
    simulator: RunningSimulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repeating, "SHORTEST_DEFERRAL", timedelta(0))
    waiting = threading.Event()
    wait = repeating.RepeatingOperator._wait

    def told(self: Any, again: Again) -> None:
        waiting.set()
        wait(self, again)

    def go_on() -> None:
        assert waiting.wait(60)
        simulator.feed.advance(HOURS.close)

    monkeypatch.setattr(repeating.RepeatingOperator, "_wait", told)
    driver = threading.Thread(target=go_on)
    driver.start()
    run = run_session(dags["session_stream"].partial_subset("news"), KEY)
    driver.join()
    assert (run.state, states(run)) == ("success", {f"news.{step}": "success" for step in ("wait", "poll", "compact")})
    assert events() == [("news_live", KEY)]
    lake = Lake.open(lake_root)
    rows = read("news_live", KEY, KEY, root=lake_root)
    assert rows.num_rows > 20
    # By the feed's time: known as it happened.
    assert {seen.date() for seen in rows["first_seen_utc"].to_pylist()} == {SESSION}
    assert lake.manifest("news_live", SESSION).coverage["*"].state == Coverage.COMPLETE
    told_of = read("heartbeats", KEY, KEY, root=lake_root).to_pylist()
    assert [(each["dataset"], each["state"]) for each in told_of] == [("news", "waiting"), ("news", "ended")]


def test_of_a_vendor_that_gives_no_answer_people_hear_once_and_the_next_round_goes_on(
    poll: Callable[..., Any], simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Message] = []

    def deliver(message: Message, _only: tuple[str, ...]) -> Delivery:
        told.append(message)
        return Delivery("sent")

    monkeypatch.setattr(reporting, "deliver", deliver)
    simulator.faults.add(Fault(kind="cut_json", path=PATH, count=None))
    for _ in range(2):
        assert isinstance(poll(), Again)
    simulator.faults.clear()
    assert isinstance(poll(), Again)
    [message] = told
    assert message.subject == "news_live 2025-07-01: stalled"
    assert "has read nothing for 15 minutes: stalled: " in message.body


def test_a_plan_without_news_is_no_failure_where_they_are_not_required(
    poll: Callable[..., Any], simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.faults.add(Fault(kind="not_entitled", path=PATH, count=None))
    with pytest.raises(AirflowSkipException, match="the vendor refuses news"):
        poll()
    monkeypatch.setenv("BELLWETHER__SOURCES__NEWS__REQUIRED", "true")
    assert Config.load().source("news").required
    with pytest.raises(StreamRefused):
        poll()


def test_stopped_by_way_of_the_lake_it_fails_and_a_new_try_goes_on(
    poll: Callable[..., Any], lake_root: Path, simulator: RunningSimulator
) -> None:
    poll()
    ask_to_stop(Lake.open(lake_root), "news", SESSION, "ada on desk")
    with pytest.raises(AirflowFailException, match=r"told to stop by ada on desk, .* clear this task to go on"):
        poll()
    assert isinstance(poll(try_number=2), Again)
