"""The DAG that streams: its graph, when its tasks wait, what becomes of one that is told to stop."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.errors import NotBroadcast, StreamError, StreamRefused
from bellwether.lake import Lake, read
from bellwether.monitoring.alerts import Delivery, Message
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.streaming.batches import Batches
from bellwether.streaming.bookkeeping import publish_streamed
from bellwether.streaming.client import Endpoint
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.lease import Heartbeat, StopRequest
from bellwether_airflow import connections, reconciling, sensors, streaming
from bellwether_airflow.notifiers import reporting
from bellwether_airflow.sensors import MarketOpenSensor
from tests.builders import bars, publish_bars
from tests.dags.support import KEY, SESSION, UNIVERSE, events, states
from tests.recordings import record as record_bars

DATASETS = ("equities", "options", "indices")
POLLED = "news"
STEPS = ("wait", "stream", "compact", "reconcile")
HALF_DAY = date(2025, 7, 3)
AT = get_calendar().hours(SESSION).post_close - timedelta(minutes=10)
Run = Callable[..., Any]


# --- the graph


def test_of_each_dataset_it_waits_records_compacts_and_reconciles_and_emits_what_it_had(dags: dict[str, Any]) -> None:
    dag = dags["session_stream"]
    for dataset in (*DATASETS, POLLED):
        names = ("wait", "poll", "compact") if dataset == POLLED else STEPS
        steps = [dag.get_task(f"{dataset}.{step}") for step in names]
        for step, following in pairwise(steps):
            assert step.downstream_task_ids - {"gold.intraday"} == {following.task_id}
        assert [asset.name for asset in steps[2].outlets] == [f"{dataset}_live"]
    assert len(dag.tasks) == len(DATASETS) * len(STEPS) + 3 + 1


def test_a_run_begins_ten_minutes_before_extended_hours_on_half_days_too(dags: dict[str, Any]) -> None:
    timetable = dags["session_stream"].timetable
    [run] = timetable.iter_partition_dagrun_infos(
        earliest=datetime(2025, 7, 3, tzinfo=UTC), latest=datetime(2025, 7, 6, tzinfo=UTC)
    )
    assert (run.partition_key, run.run_after) == (str(HALF_DAY), datetime(2025, 7, 3, 3, 50, tzinfo=NEW_YORK))


def test_a_stream_has_tries_for_a_day_of_restarts_a_pool_of_its_own_and_time(dags: dict[str, Any]) -> None:
    pool = json.loads((Path(__file__).parents[2] / "config/pools.json").read_text())["streams"]
    assert pool["slots"] == len(DATASETS)
    for dataset in DATASETS:
        stream = dags["session_stream"].get_task(f"{dataset}.stream")
        assert stream.pool == "streams"
        assert stream.retries >= 20
        assert timedelta(seconds=15) <= stream.retry_delay <= timedelta(seconds=30)
        assert stream.execution_timeout > timedelta(hours=17)


# --- the wait


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return `look(dataset, session, now, speed=1, resumed=False)`: what a sensor does at a moment of the feed."""
    lake = Lake.open(tmp_path, simulated=True)
    monkeypatch.setattr(connections, "lake", lambda: lake)

    def at(dataset: str, session: date, now: datetime, speed: float = 1, *, resumed: bool = False) -> None:
        monkeypatch.setattr(sensors, "_clock", SimulatedClock(now, speed=0))
        feed = FeedTime(SimulatedClock(now, speed=0), speed=speed)
        monkeypatch.setattr(connections, "feed_time", lambda *_: feed)
        sensor = MarketOpenSensor(task_id="wait", dataset=dataset)
        context: Any = {"dag_run": SimpleNamespace(partition_key=str(session))}
        if resumed:
            sensor.resume(context, now)
        else:
            sensor.execute(context)

    return at


@pytest.mark.parametrize(
    ("dataset", "session", "now", "speed", "real_s"),
    [
        ("equities", SESSION, datetime(2025, 7, 1, 3, 50, tzinfo=NEW_YORK), 1, 9 * 60),
        ("equities", HALF_DAY, datetime(2025, 7, 3, 3, 50, tzinfo=NEW_YORK), 1, 9 * 60),
        ("options", SESSION, datetime(2025, 7, 1, 3, 50, tzinfo=NEW_YORK), 60, 339),
        # Nobody knows the contracts: it looks again, but leaves its slot for no less than Airflow bears.
        ("options", SESSION, datetime(2025, 7, 1, 9, 30, tzinfo=NEW_YORK), 1, 300),
        ("options", SESSION, datetime(2025, 7, 1, 9, 30, tzinfo=NEW_YORK), 60, 10),
    ],
)
def test_until_it_can_begin_a_stream_is_deferred_as_long_as_the_feed_takes(
    look: Callable[..., None], dataset: str, session: date, now: datetime, speed: float, real_s: float
) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        look(dataset, session, now, speed)
    trigger = deferred.value.trigger
    assert isinstance(trigger, DateTimeTrigger)
    assert trigger.moment - now == timedelta(seconds=real_s)
    assert deferred.value.method_name == "resume"


def test_what_a_rehearsal_would_wait_for_some_seconds_begins_at_once(look: Callable[..., None]) -> None:
    look("equities", SESSION, datetime(2025, 7, 1, 3, 50, tzinfo=NEW_YORK), speed=60)


def test_after_its_wait_a_stream_begins_though_the_feeds_clock_stands_until_somebody_listens(
    look: Callable[..., None],
) -> None:
    look("equities", SESSION, datetime(2025, 7, 1, 0, 0, tzinfo=NEW_YORK), resumed=True)


def test_a_session_that_is_over_fails_a_required_dataset_and_skips_another(look: Callable[..., None]) -> None:
    over = datetime(2025, 7, 2, 9, 30, tzinfo=NEW_YORK)
    with pytest.raises(NotBroadcast, match="equities of 2025-07-01 are broadcast no more"):
        look("equities", SESSION, over)
    with pytest.raises(AirflowSkipException, match="indices of 2025-07-01 are broadcast no more"):
        look("indices", SESSION, over)


# --- the stream


class Told:
    """Stands for a recorder: it does as its class is told."""

    outcome: "BaseException | str" = "ended"
    stop_request: StopRequest | None = None

    def __init__(self, *_: object, acknowledge: Callable[[Heartbeat], object], **__: object) -> None:
        self.acknowledge = acknowledge
        self.stopped = asyncio.Event()

    def stop(self) -> None:
        self.stopped.set()

    async def add(self, symbols: list[str]) -> None: ...

    async def run(self) -> Heartbeat:
        beat = Heartbeat(
            at_utc=get_calendar().hours(SESSION).close,
            state="connecting",
            seq=3,
            rows=20,
            gaps=1,
            covered_utc=get_calendar().hours(SESSION).open,
            lag_s=None,
            quiet=0,
        )
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        if self.outcome == "stopped":
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(self.stopped.wait(), 5)
        await asyncio.to_thread(self.acknowledge, beat)
        return Heartbeat(**{name: getattr(beat, name) for name in beat.__struct_fields__} | {"state": self.outcome})


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return `record(dataset, outcome)`: what the task returns when its recorder ends so."""
    lake = Lake.open(tmp_path, simulated=True)
    monkeypatch.setattr(connections, "lake", lambda: lake)
    monkeypatch.setattr(connections, "feed_time", FeedTime)
    monkeypatch.setattr(connections, "stream", lambda _dataset: Endpoint("ws://127.0.0.1:9", "k"))
    monkeypatch.setattr("bellwether.streaming.recorder.Recorder", Told)
    monkeypatch.setattr(Told, "stop_request", None)

    def run(dataset: str, outcome: BaseException | str) -> Any:
        monkeypatch.setattr(Told, "outcome", outcome)
        context: dict[str, Any] = {
            "dag": SimpleNamespace(dag_id="session_stream"),
            "dag_run": SimpleNamespace(partition_key=KEY, conf={}),
            "run_id": "run",
            "ti": SimpleNamespace(try_number=1),
        }
        monkeypatch.setattr(streaming, "get_current_context", lambda: context)
        return streaming.stream.function(dataset)

    return run


def test_a_recording_that_came_to_its_end_hands_over_counts(record: Callable[..., Any]) -> None:
    assert record("equities", "ended") == {"rows": 20, "files": 3, "gaps": 1}


def test_a_stream_that_is_told_to_stop_has_the_recorder_do_so_and_is_tried_again(record: Callable[..., Any]) -> None:
    with pytest.raises(StreamError, match=r"told to stop at .* the next try goes on"):
        record("equities", "stopped")


def test_a_stream_that_somebody_stopped_by_way_of_the_lake_fails_and_is_not_tried_again(
    record: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Told, "stop_request", StopRequest(by="ada on desk", asked_utc=AT))
    with pytest.raises(AirflowFailException, match=r"told to stop by ada on desk, .* clear this task to go on"):
        record("equities", "stopped")


def test_one_that_came_to_its_end_all_the_same_has_succeeded(
    record: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Told, "stop_request", StopRequest(by="ada on desk", asked_utc=AT))
    assert record("equities", "ended")["rows"] == 20


def test_a_plan_without_such_a_stream_is_no_failure_where_it_is_not_required(record: Callable[..., Any]) -> None:
    with pytest.raises(AirflowSkipException, match="no such plan"):
        record("indices", StreamRefused("no such plan"))
    with pytest.raises(StreamRefused):
        record("equities", StreamRefused("no such plan"))


def test_nobody_to_listen_to_is_no_recording(record: Callable[..., Any]) -> None:
    with pytest.raises(AirflowSkipException, match="options of 2025-07-01: there is nobody to listen to"):
        record("options", "ended")


@pytest.mark.parametrize("error", [None, OSError("no network")])
def test_people_are_told_of_a_stream_that_stalled_and_it_goes_on_whether_that_works_or_not(
    record: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: OSError | None
) -> None:
    told: list[str] = []

    def deliver(message: Message, _only: tuple[str, ...]) -> Delivery:
        told.append(message.subject)
        if error:
            raise error
        return Delivery("sent")

    monkeypatch.setattr(reporting, "deliver", deliver)
    assert record("equities", "ended")["rows"] == 20
    assert told == ["equities_live 2025-07-01: stalled"]


# --- a run, from a simulator's broadcasts to the partition


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    """Return a vendor whose clock stands ten minutes before the end; overrides the one of all other modules."""
    market = GeneratedMarket(seed=7, tickers=UNIVERSE, start=SESSION, end=SESSION)
    with running(SimulatorConfig(market, clock=SimulatedClock(AT, speed=0), plan=PLANS["realtime"])) as simulator:
        yield simulator


def test_a_run_records_what_is_broadcast_until_the_end_and_publishes_it(
    dags: dict[str, Any],
    run_session: Run,
    lake_root: Path,
    simulator: RunningSimulator,
) -> None:
    def go_on() -> None:
        simulator.feed.wait_subscribed(*(f"AM.{ticker}" for ticker in UNIVERSE))
        simulator.feed.advance(AT + timedelta(minutes=27))

    # The daily pull may come before the stream is over.
    publish_bars(Lake.open(lake_root, simulated=True), [*UNIVERSE[1:], "NEVER"], SESSION)
    with ThreadPoolExecutor(1) as feed:
        feed.submit(go_on)
        run = run_session(dags["session_stream"].partial_subset("equities"), KEY)
    assert (run.state, states(run)) == ("success", {f"equities.{step}": "success" for step in STEPS})
    assert events() == [("equities_live", KEY)]
    lake = Lake.open(lake_root)
    batches = pa.concat_tables(part for _, part in Batches(lake, "equities", SESSION).read())
    published = read("equities_live", KEY, KEY, root=lake_root)
    assert {*zip(*batches.select(["ticker", "ts"]).to_pydict().values(), strict=True)} == {
        *zip(*published.select(["ticker", "ts"]).to_pydict().values(), strict=True)
    }
    assert set(published["ticker"].to_pylist()) == set(UNIVERSE)
    # It began long after the session did.
    assert [gap.cause for gap in GapLog(lake, "equities", SESSION, "test").read()] == ["late_start"]
    assert lake.manifest("equities_live", SESSION).blocking == []
    told = read("heartbeats", KEY, KEY, root=lake_root).to_pylist()
    assert ("equities", "ended") in {(beat["dataset"], beat["state"]) for beat in told}
    assert [row["cause"] for row in read("gaps", KEY, KEY, root=lake_root).to_pylist()] == ["late_start"]
    differences = read("reconciliation", KEY, KEY, root=lake_root)
    assert set(differences["ticker"].to_pylist()) == {*UNIVERSE[1:], "NEVER"}
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == "equities.reconcile"]
    totals = ti.xcom_pull(task_ids=ti.task_id)
    assert totals["missing"] + totals["extra"] + totals["changed"] == len(differences)


def test_until_the_daily_pull_is_published_the_comparison_is_deferred_for_twenty_hours_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, end = Lake.open(tmp_path, simulated=True), get_calendar().hours(SESSION).post_close + timedelta(minutes=16)
    monkeypatch.setattr(connections, "lake", lambda: lake)
    context: dict[str, Any] = {"dag_run": SimpleNamespace(partition_key=KEY, conf={}), "run_id": "run"}
    monkeypatch.setattr(reconciling, "get_current_context", lambda: context)

    def look(now: datetime) -> Any:
        monkeypatch.setattr(connections, "feed_time", lambda: FeedTime(SimulatedClock(now, speed=0)))
        return reconciling.reconcile.function("equities")

    with pytest.raises(AirflowSkipException, match="nothing of equities was recorded in 2025-07-01"):
        look(end)
    record_bars(lake, bars("AAPL"), end, dataset="equities", session=SESSION)
    publish_streamed(lake, Config.load(), "equities", SESSION, run_id="run")
    hours = get_calendar().hours(SESSION)
    assert look(hours.close).length == timedelta(hours=4, minutes=15)  # until they are due
    assert look(end + timedelta(hours=19)).length == timedelta(minutes=10)
    with pytest.raises(AirflowSkipException, match="nobody published equities of 2025-07-01 within 20 hours"):
        look(end + timedelta(hours=20))
    publish_bars(lake, ["AAPL"], SESSION)
    assert look(end)["minutes"] == 5
