"""The recorder against the feed simulator: whatever breaks, what was broadcast is recorded, or in a gap.

Every fault of the simulator's has its test: what it costs, what is recorded of it, and what people are told.

Simulated time is driven; nothing sleeps but the recorder's own ticks.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.cli.main import main
from bellwether.clock import SimulatedClock
from bellwether.config.settings import StreamingSettings
from bellwether.errors import LakeError, LeaseHeld, StreamRefused
from bellwether.lake import Lake, paths
from bellwether.lake.local import LocalStorage
from bellwether.schemas import INDEX_BARS
from bellwether.simulator.faults import Chance, Fault
from bellwether.simulator.feed.broadcasts import broadcasts
from bellwether.simulator.feed.feed import FeedConfig
from bellwether.simulator.feed.points import FEED_TRANSIENT
from bellwether.simulator.feed.replay import Script
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import OPEN, PLANS, Plan
from bellwether.simulator.requestlog import key_id
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.streaming.assignment import Assignment, whole_session
from bellwether.streaming.batches import Batches, Writer
from bellwether.streaming.client import Endpoint, stream_url
from bellwether.streaming.compact import compact, compact_rows
from bellwether.streaming.feedtime import FeedTime, from_ms
from bellwether.streaming.gaps import Gap, GapLog
from bellwether.streaming.lease import Heartbeat, Lease, read_lease
from bellwether.streaming.pulse import Pulse
from bellwether.streaming.recorder import Recorder

DAY = date(2024, 7, 3)
HOURS = get_calendar().hours(DAY)
START = HOURS.open + timedelta(seconds=5)
SCRIPT = Script(seed=5, late_share=0.2)
TICKERS = ("AAPL", "SPY")
KEY, NEWER_KEY = "key-of-the-recorder", "key-of-the-newer-try"
ASSIGNMENT = Assignment(dataset="equities", session=DAY, start=START, until=HOURS.close)


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3, tickers=list(TICKERS), start=DAY, end=DAY)


@pytest.fixture
def simulator(market: GeneratedMarket) -> Iterator[RunningSimulator]:
    clock = SimulatedClock(START, speed=0)
    config = SimulatorConfig(market, clock=clock, plan=PLANS["realtime"], feed=FeedConfig(script=SCRIPT))
    with running(config) as simulator:
        yield simulator


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", simulated=True)


def recorder(
    simulator: RunningSimulator, lake: Lake, *, attempt: int = 1, run: str = "run", **options: Any
) -> Recorder:
    asked: Assignment = options.pop("asked", ASSIGNMENT)
    options.setdefault("acknowledge", operator(options.pop("told", [])))
    return Recorder(
        lake,
        asked,
        Writer(run, attempt, 4711),
        Endpoint(stream_url(simulator.url, asked.dataset), options.pop("key", KEY)),
        symbols=options.pop("symbols", TICKERS),
        settings=StreamingSettings(batch_s=1, idle_s=120, index_values=options.pop("index_values", False)),
        feed=options.pop("feed", None) or FeedTime(simulator.feed, speed=1000, grace_s=0.1),
        **options,
    )


@pytest.fixture
def told() -> list[str]:
    """Return the messages people get while a recorder runs; it is given to `recorder`."""
    return []


def operator(told: list[str]) -> Callable[[Heartbeat], None]:
    """Return what makes messages of heartbeats, as the DAG's task does."""
    pulse = Pulse(START, StreamingSettings())
    return lambda beat: told.append(beat.state) if pulse.take(beat).has_stalled else None


@asynccontextmanager
async def recording(simulator: RunningSimulator, lake: Lake, **options: Any) -> AsyncIterator[Recorder]:
    """Record until the context ends; the recorder is subscribed when it begins."""
    it = recorder(simulator, lake, **options)
    running = asyncio.create_task(it.run())
    await subscribed(simulator, options.get("symbols", TICKERS))
    yield it
    it.stop()
    await running


async def subscribed(simulator: RunningSimulator, tickers: Sequence[str] = TICKERS) -> None:
    await asyncio.to_thread(simulator.feed.wait_subscribed, *(f"AM.{ticker}" for ticker in tickers))


async def advance(simulator: RunningSimulator, minutes: float) -> None:
    await asyncio.to_thread(simulator.feed.advance, HOURS.open + timedelta(minutes=minutes))


async def until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0.01)


async def reconnected(simulator: RunningSimulator) -> None:
    await until(lambda: len(simulator.requests) > 1)
    await asyncio.to_thread(simulator.feed.wait_until, lambda views: [len(view.topics) for view in views] == [2])


async def gone(simulator: RunningSimulator) -> None:
    await asyncio.to_thread(simulator.feed.wait_until, lambda views: not views)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 20))


type Broadcast = tuple[str, int, float, float]


def broadcast(market: GeneratedMarket, until: datetime, since: datetime = START) -> dict[Broadcast, datetime]:
    """Return all that was broadcast of a recording's time: ticker, start, close and volume, and when it was due."""
    all_: dict[Broadcast, datetime] = {}
    for ticker in TICKERS:
        sent = broadcasts(market.bars(ticker, DAY), ticker, DAY, SCRIPT.seed, SCRIPT.late_share)
        rows = zip(
            sent.due_ms.tolist(),
            sent.start_ms.tolist(),
            sent.bars.close.tolist(),
            sent.bars.volume.tolist(),
            strict=True,
        )
        for due_ms, start_ms, close, volume in rows:
            if since < from_ms(due_ms) <= until:
                all_[ticker, start_ms, close, volume] = from_ms(due_ms)
    return all_


def recorded(lake: Lake) -> list[Broadcast]:
    rows = [row for _, table in Batches(lake, "equities", DAY).read() for row in table.to_pylist()]
    return bars(pa.Table.from_pylist(rows)) if rows else []


def parts(lake: Lake) -> list[pa.Table]:
    return [part for _, part in Batches(lake, "indices", DAY).read()]


def gaps(lake: Lake) -> list[Gap]:
    return GapLog(lake, "equities", DAY, "test").read()


def causes(lake: Lake) -> list[str]:
    return [gap.cause for gap in gaps(lake)]


def final(market: GeneratedMarket, now: datetime) -> list[Broadcast]:
    """Return the bars as the last broadcast of each minute left them."""
    last = {(each[0], each[1]): each for each, _ in sorted(broadcast(market, now).items(), key=lambda item: item[1])}
    return [last[key] for key in sorted(last)]


def bars(table: pa.Table) -> list[Broadcast]:
    rows = table.to_pylist()
    return [(row["ticker"], int(row["ts"].timestamp() * 1000), row["close"], row["volume"]) for row in rows]


def held_by(event: Event, write: Callable[..., None]) -> Callable[..., None]:
    def held(*args: Any) -> None:
        event.wait(10)
        write(*args)

    return held


def missed(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, asked: Assignment = ASSIGNMENT
) -> set[Broadcast]:
    """Return what was broadcast and not recorded, all of which must be in gaps; nothing else may be recorded."""
    everything = broadcast(market, simulator.feed.now(), asked.start)
    expected = {each: due for each, due in everything.items() if due <= asked.until}
    got = set(recorded(lake))
    assert got <= set(everything)
    lacking = set(expected) - got
    now = simulator.feed.now()
    holes = [(gap.start_utc, gap.end_utc or now, gap.symbols) for gap in gaps(lake)]
    for each in lacking:
        due = expected[each]
        assert any(s <= due <= e and (sym == ("*",) or each[0] in sym) for s, e, sym in holes), (each, due, holes)
    return lacking


def test_what_is_broadcast_is_recorded_once_with_every_change_of_a_minute(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket
) -> None:
    async def work() -> None:
        async with recording(simulator, lake):
            await advance(simulator, 30)

    run(work())
    assert not missed(simulator, lake, market)
    rows = recorded(lake)
    assert len(rows) == len(set(rows)) > 60
    assert len({row[:2] for row in rows}) < len(rows)
    assert causes(lake) == ["stopped"]


def test_a_session_that_was_heard_to_its_end_has_no_gap_and_its_last_silence_is_proven(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket
) -> None:
    async def work() -> Heartbeat:
        recording = asyncio.create_task(recorder(simulator, lake).run())
        await subscribed(simulator)
        await advance(simulator, 211)
        return await recording

    last = run(work())
    assert not missed(simulator, lake, market)
    assert (last.state, last.covered_utc, causes(lake)) == ("ended", ASSIGNMENT.until, [])


def ended_at(point: str) -> list[Fault]:
    """Return every way in which a connection may end at a point of its protocol."""
    closes = [Fault(kind="close", code=code, at=point, path="/stocks") for code in (1000, 1001, 1008, 1011)]
    return [Fault(kind="abort", at=point, path="/stocks"), *closes]


def test_what_comes_15_minutes_late_is_recorded_and_missed_by_a_time_that_is_as_late(
    lake: Lake, market: GeneratedMarket
) -> None:
    late = timedelta(minutes=15)
    clock = SimulatedClock(START + late, speed=0)
    config = SimulatorConfig(market, clock=clock, plan=PLANS["delayed"], feed=FeedConfig(script=SCRIPT))

    async def work(simulator: RunningSimulator) -> Heartbeat:
        feed = FeedTime(simulator.feed, speed=1000, grace_s=0.1).delayed()
        running = asyncio.create_task(recorder(simulator, lake, feed=feed).run())
        await subscribed(simulator)
        await advance(simulator, 45)
        simulator.faults.add(Fault(kind="abort", path="/stocks"))
        await advance(simulator, 50)
        await reconnected(simulator)
        await advance(simulator, 210)  # the close, with the last quarter of an hour still to be heard
        assert not running.done()
        await advance(simulator, 226)
        return await running

    with running(config) as simulator:
        last = run(work(simulator))
        assert missed(simulator, lake, market)
    [gap] = gaps(lake)
    assert (last.state, gap.cause) == ("ended", "dropped")
    assert gap.end_utc is not None
    assert gap.end_utc - gap.start_utc <= timedelta(minutes=9)


@pytest.mark.parametrize("fault", ended_at("frame"), ids=lambda fault: f"{fault.kind} {fault.code}")
def test_a_connection_that_ends_while_streaming_is_made_again_and_what_was_missed_is_a_gap(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str], fault: Fault
) -> None:
    async def work() -> None:
        async with recording(simulator, lake, told=told):
            await advance(simulator, 5)
            simulator.faults.add(fault)
            await advance(simulator, 12)
            await reconnected(simulator)
            await advance(simulator, 20)

    run(work())
    assert missed(simulator, lake, market)
    assert (causes(lake), told) == (["dropped" if fault.kind == "abort" else "closed", "stopped"], [])
    first = gaps(lake)[0]
    assert first.start_utc >= HOURS.open + timedelta(minutes=3)
    assert first.end_utc is not None
    assert first.end_utc <= HOURS.open + timedelta(minutes=15)


@pytest.mark.parametrize("point", ["connected", "auth", "authenticated", "subscribe"])
def test_a_connection_that_ends_before_it_streams_is_made_again_with_all_topics(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str], point: str
) -> None:
    faults = ended_at(point)
    for nth, fault in enumerate(faults, start=1):
        simulator.faults.add(msgspec.structs.replace(fault, nth=nth))

    async def work() -> None:
        async with recording(simulator, lake, told=told):
            await advance(simulator, 3)

    run(work())
    assert not missed(simulator, lake, market)
    assert (len(simulator.requests), told) == (len(faults) + 1, [])
    (gap, _) = gaps(lake)
    assert "; meanwhile " in gap.evidence


def test_a_frame_torn_in_the_middle_is_missed_and_in_a_gap(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str]
) -> None:
    simulator.faults.add(Fault(kind="torn_frame", nth=5))

    async def work() -> None:
        async with recording(simulator, lake, told=told):
            await advance(simulator, 10)
            await reconnected(simulator)
            await advance(simulator, 12)

    run(work())
    assert missed(simulator, lake, market)
    assert (causes(lake), told) == (["dropped", "stopped"], [])


@pytest.mark.parametrize("kind", ["duplicate", "reorder", "huge_frame"])
def test_frames_that_come_twice_late_or_huge_lose_and_double_nothing(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str], kind: str
) -> None:
    simulator.faults.add(Fault(kind=kind, nth=3))

    async def work() -> None:
        async with recording(simulator, lake, told=told):
            await advance(simulator, 10)

    run(work())
    assert not missed(simulator, lake, market)
    twice = len(recorded(lake)) - len(set(recorded(lake)))
    assert twice == (1 if kind == "duplicate" else 0)  # every arrival is kept
    assert bars(compact(lake, "equities", DAY).table) == final(market, simulator.feed.now())
    assert (causes(lake), told, len(simulator.requests)) == (["stopped"], [], 1)


@pytest.mark.parametrize(("kind", "is_lost"), [("garbage", False), ("cut_frame", True)])
def test_what_cannot_be_read_is_a_gap_with_its_beginning_and_takes_nothing_else_with_it(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str], kind: str, *, is_lost: bool
) -> None:
    simulator.faults.add(Fault(kind=kind, nth=4))

    async def work() -> None:
        async with recording(simulator, lake, told=told):
            await advance(simulator, 10)

    run(work())
    assert bool(missed(simulator, lake, market)) == is_lost
    assert (causes(lake), told) == (["unreadable", "stopped"], [])
    assert '"ev":"AM"' in gaps(lake)[0].evidence
    assert len(simulator.requests) == 1


async def go_on_until_reconnected(simulator: RunningSimulator, minutes: int) -> None:
    while len(simulator.requests) < 2:
        minutes += 1
        await advance(simulator, minutes)
        await asyncio.sleep(0.02)
    await reconnected(simulator)
    await advance(simulator, minutes + 5)


@pytest.mark.parametrize(
    "fault",
    [Fault(kind="mute", nth=6), Fault(kind="stall", nth=6, pause_s=20_000)],
    ids=lambda fault: f"{fault.kind} {fault.code}",
)
def test_a_connection_that_falls_silent_is_replaced(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str], fault: Fault
) -> None:
    simulator.faults.add(fault)

    async def work() -> None:
        async with recording(simulator, lake, told=told):
            await go_on_until_reconnected(simulator, 5)

    run(work())
    assert missed(simulator, lake, market)
    assert (causes(lake), told) == (["mute", "stopped"], [])


def test_a_connection_that_is_merely_quiet_is_asked_and_kept(simulator: RunningSimulator, lake: Lake) -> None:
    async def work() -> Heartbeat:
        it = recorder(simulator, lake, symbols=["NONE"])
        recording = asyncio.create_task(it.run())
        await subscribed(simulator, ["NONE"])
        for minutes in range(5, 50, 5):
            await advance(simulator, minutes)
            await asyncio.sleep(0.12)
        it.stop()
        return await recording

    last = run(work())
    assert len(simulator.requests) == 1
    assert causes(lake) == ["silent", "stopped"]
    # What it answered covers, as rows would have.
    assert HOURS.open + timedelta(minutes=30) < last.covered_utc <= HOURS.open + timedelta(minutes=50)


def test_a_late_answer_to_the_key_is_waited_for(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str]
) -> None:
    simulator.faults.add(Fault(kind="late_auth", pause_s=10))

    async def work() -> None:
        it = recorder(simulator, lake, told=told)
        recording = asyncio.create_task(it.run())
        await asyncio.to_thread(simulator.feed.wait_until, bool)
        await advance(simulator, 1)
        await subscribed(simulator)
        await advance(simulator, 5)
        it.stop()
        await recording

    run(work())
    missed(simulator, lake, market)
    assert (causes(lake), told, len(simulator.requests)) == (["late_start", "stopped"], [], 1)
    assert recorded(lake)


@pytest.mark.parametrize(
    ("fault", "evidence"),
    [
        (Fault(kind="mute", at="subscribe"), "2 topics not acknowledged, AM.AAPL first within 15 s"),
        (Fault(kind="mute", at="auth"), "2 topics not acknowledged, AM.AAPL first within 15 s"),
        (Fault(kind="stall", at="connected", pause_s=3600), "2 topics not acknowledged, AM.AAPL first within 15 s"),
        (Fault(kind="late_auth", pause_s=3600), "2 topics not acknowledged, AM.AAPL first within 15 s"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.at}" if isinstance(fault, Fault) else "",
)
def test_topics_that_are_not_acknowledged_in_time_are_asked_for_on_another_connection(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str], fault: Fault, evidence: str
) -> None:
    simulator.faults.add(fault)

    async def work() -> None:
        recording = asyncio.create_task((it := recorder(simulator, lake, told=told)).run())
        await asyncio.to_thread(simulator.feed.wait_until, bool)
        await go_on_until_reconnected(simulator, 0)
        it.stop()
        await recording

    run(work())
    missed(simulator, lake, market)
    assert recorded(lake)
    assert (causes(lake), told) == (["unanswered", "stopped"], [])
    assert gaps(lake)[0].evidence == evidence


@pytest.mark.parametrize("index_values", [False, True])
def test_an_index_is_recorded_by_its_minutes_and_where_asked_for_its_values_fold_to_the_same(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, *, index_values: bool
) -> None:
    asked = Assignment(dataset="indices", session=DAY, start=START, until=HOURS.close)

    async def work() -> None:
        it = recorder(simulator, lake, asked=asked, symbols=["I:VIX"], index_values=index_values)
        recording = asyncio.create_task(it.run())
        await subscribed(simulator, ["I:VIX"])
        await advance(simulator, 60)
        it.stop()
        await recording

    run(work())
    table = compact(lake, "indices", DAY).table
    served = market.bars("I:VIX", DAY)
    first = int(HOURS.open.timestamp()) * 1000
    is_heard = (served.start_ms >= first) & (served.start_ms < first + 59 * 60_000)
    assert table.schema == INDEX_BARS
    assert table["close"].to_pylist()[: is_heard.sum()] == served.close[is_heard].tolist()
    assert is_heard.sum() == 59
    assert [gap.cause for gap in GapLog(lake, "indices", DAY, "test").read()] == ["stopped"]
    recorded = pa.concat_tables(parts(lake), promote_options="default")
    recorded = recorded.append_column("writer", pa.repeat("a", len(recorded)))
    assert ("value_utc" in recorded.column_names) == index_values
    if index_values:
        values = recorded.filter(pc.is_valid(recorded["value_utc"]))
        assert compact_rows(values, INDEX_BARS, DAY).table.slice(1, 58) == table.slice(1, 58)


@pytest.mark.parametrize("plan", [PLANS["realtime"], OPEN])
def test_a_refused_key_or_plan_ends_the_recording_at_once(market: GeneratedMarket, lake: Lake, plan: Plan) -> None:
    clock = SimulatedClock(START + timedelta(minutes=1), speed=0)
    plans = {KEY: plan} if plan is OPEN else {"key-of-another": plan}
    with running(SimulatorConfig(market, clock=clock, plans=plans)) as simulator:
        with pytest.raises(StreamRefused, match="refuses the key"):
            run(recorder(simulator, lake).run())
        assert len(simulator.requests) == 1
        assert causes(lake) == ["late_start"]
        assert gaps(lake)[0].lasts


def test_a_key_that_is_refused_in_mid_session_ends_the_recording_at_once_with_what_had_come(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket
) -> None:
    simulator.faults.add(Fault(kind="auth_failed", nth=2))

    async def work() -> None:
        recording = asyncio.create_task(recorder(simulator, lake).run())
        await subscribed(simulator)
        await advance(simulator, 5)
        simulator.faults.add(Fault(kind="abort"))
        await advance(simulator, 8)
        with pytest.raises(StreamRefused, match="refuses the key"):
            await recording

    run(work())
    assert missed(simulator, lake, market)
    assert recorded(lake)
    assert len(simulator.requests) == 2
    assert causes(lake) == ["dropped"]
    assert gaps(lake)[0].lasts


def test_of_a_feed_that_is_out_of_reach_for_a_quarter_of_an_hour_people_are_told_once(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str]
) -> None:
    async def work() -> None:
        async with recording(simulator, lake, told=told):
            await advance(simulator, 5)
            simulator.faults.add(Fault(kind="close", at="connected", count=None))
            simulator.faults.add(Fault(kind="abort"))
            await advance(simulator, 14)
            assert not told
            await advance(simulator, 25)
            await until(lambda: bool(told))
            await advance(simulator, 45)
            simulator.faults.clear()
            await reconnected(simulator)
            await advance(simulator, 50)

    run(work())
    assert missed(simulator, lake, market)
    assert told == ["connecting"]
    assert causes(lake) == ["dropped", "stopped"]


@pytest.mark.parametrize("point", ["authenticated", "subscribe"])
def test_one_connection_too_many_is_waited_out_without_a_storm(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str], point: str
) -> None:
    simulator.faults.add(Fault(kind="max_connections", at=point, count=2))

    async def work() -> None:
        async with recording(simulator, lake, told=told):
            await until(lambda: len(simulator.requests) >= 3)
            await reconnected(simulator)
            await advance(simulator, 5)

    run(work())
    assert not missed(simulator, lake, market)
    assert (causes(lake), told) == (["max_connections", "stopped"], [])
    assert len(simulator.requests) == 3


def test_a_recorder_that_was_killed_is_gone_on_from_where_its_files_end(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, tmp_path: Path
) -> None:
    crashed = tmp_path / "crashed"

    async def work() -> None:
        async with recording(simulator, lake):
            await advance(simulator, 10)
            await until(lambda: len(recorded(lake)) >= 18)
            await advance(simulator, 12)
            shutil.copytree(lake.root, crashed)  # as a SIGKILL leaves it
        await gone(simulator)
        await advance(simulator, 20)
        async with recording(simulator, Lake.open(crashed), attempt=2):
            await advance(simulator, 30)

    run(work())
    resumed = Lake.open(crashed)
    assert missed(simulator, resumed, market)
    assert causes(resumed) == ["crash", "stopped"]
    names = [entry.key.name for entry in resumed.storage.list(paths.live("equities", DAY))]
    numbers = [int(name.rpartition("~")[2].removesuffix(".parquet")) for name in names]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert {name.partition("~p")[0] for name in names} == {"run~t1", "run~t2"}


def test_a_recorder_that_was_stopped_is_gone_on_from_its_gap(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket
) -> None:
    async def work() -> Heartbeat:
        async with recording(simulator, lake):
            await advance(simulator, 10)
        await gone(simulator)
        await advance(simulator, 20)
        async with recording(simulator, lake, attempt=2):
            await advance(simulator, 200)
        await gone(simulator)
        await advance(simulator, 215)
        return await recorder(simulator, lake, attempt=3).run()

    last = run(work())
    assert missed(simulator, lake, market)
    assert causes(lake) == ["stopped", "resumed", "stopped"]
    assert not any(gap.lasts for gap in gaps(lake))
    assert (last.state, last.covered_utc) == ("ended", ASSIGNMENT.until)


def test_of_one_run_the_newer_try_takes_over_and_the_older_one_ends(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket
) -> None:
    async def work() -> None:
        older = asyncio.create_task(recorder(simulator, lake).run())
        await subscribed(simulator)
        await advance(simulator, 10)
        # What the older one has heard and not written when it loses the lease would be a gap.
        await until(lambda: set(recorded(lake)) == set(broadcast(market, simulator.feed.now(), ASSIGNMENT.start)))
        with pytest.raises(LeaseHeld, match="recorded by run~t1"):
            await recorder(simulator, lake, run="another", key="key-of-another-run").run()
        it = recorder(simulator, lake, attempt=2, key=NEWER_KEY)
        newer = asyncio.create_task(it.run())
        await newest_listens(simulator)
        await advance(simulator, 13)
        with pytest.raises(LeaseHeld, match="recorded by run~t2"):
            await older
        await advance(simulator, 20)
        it.stop()
        await newer

    run(work())
    assert not missed(simulator, lake, market)
    assert bars(compact(lake, "equities", DAY).table) == final(market, simulator.feed.now())
    assert causes(lake)[0] == "crash"
    assert causes(lake)[-1] == "stopped"


async def newest_listens(simulator: RunningSimulator) -> None:
    newest = key_id(NEWER_KEY)
    await asyncio.to_thread(
        simulator.feed.wait_until, lambda views: any(view.key == newest and view.topics for view in views)
    )


def test_a_try_that_is_told_to_stop_when_a_newer_one_has_taken_over_leaves_no_gap_open(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket
) -> None:
    async def work() -> Heartbeat:
        it = recorder(simulator, lake)
        older = asyncio.create_task(it.run())
        await subscribed(simulator)
        await advance(simulator, 10)
        now = simulator.feed.now()
        await until(lambda: bool(recorded(lake)) and renewed(lake).at_utc == now)
        newer = asyncio.create_task(recorder(simulator, lake, attempt=2, key=NEWER_KEY).run())
        await newest_listens(simulator)
        it.stop()  # before it looks at the lease again
        with pytest.raises(LeaseHeld, match="recorded by run~t2"):
            await older
        await advance(simulator, 211)
        return await newer

    assert run(work()).state == "ended"
    missed(simulator, lake, market)
    assert (causes(lake), [gap.lasts for gap in gaps(lake)]) == (["crash"], [False])


def test_while_no_batch_can_be_written_the_lease_is_renewed_and_its_loss_is_noticed(
    simulator: RunningSimulator, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        msg = "its quota is used up"
        raise LakeError(msg)

    async def work() -> None:
        running = asyncio.create_task(recorder(simulator, lake).run())
        await subscribed(simulator)
        monkeypatch.setattr(Batches, "write", refuse)
        minutes = 1.0
        while renewed(lake).at_utc < HOURS.open + timedelta(minutes=5):
            minutes += 0.5
            await advance(simulator, minutes)
            await asyncio.sleep(0.01)
        assert renewed(lake).state == "cannot write: its quota is used up"
        Lease(lake, "equities", DAY, Writer("run", 2, 1)).take(simulator.feed.now())
        while not running.done():
            minutes += 0.5
            await advance(simulator, minutes)
            await asyncio.sleep(0.01)
        with pytest.raises(LeaseHeld, match="recorded by run~t2"):
            await running

    run(work())


def renewed(lake: Lake) -> Heartbeat:
    record = read_lease(lake, "equities", DAY)
    assert record is not None
    return record.heartbeat or Heartbeat(
        at_utc=START, state="", seq=0, rows=0, gaps=0, covered_utc=START, lag_s=None, quiet=0
    )


@pytest.mark.parametrize("seed", range(3))
def test_faults_of_all_kinds_by_chance_lose_and_double_nothing_that_is_not_in_a_gap(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, seed: int
) -> None:
    simulator.faults.take(Chance(rate=0.05, seed=seed, kinds=FEED_TRANSIENT))

    async def work() -> None:
        it = recorder(simulator, lake)
        recording = asyncio.create_task(it.run())
        for minutes in range(2, 80, 2):
            await advance(simulator, minutes)
            await asyncio.sleep(0.02)
        it.stop()
        await recording

    run(work())
    lacking = missed(simulator, lake, market)
    compacted = {row[:2]: row for row in bars(compact(lake, "equities", DAY).table)}
    wanted = {row[:2]: row for row in final(market, simulator.feed.now())}
    assert {key for key in wanted if compacted.get(key) != wanted[key]} <= {each[:2] for each in lacking}
    assert recorded(lake)


def test_the_command_records_a_session_to_its_end_and_says_what_it_missed(
    market: GeneratedMarket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimulatedClock(HOURS.pre_open - timedelta(minutes=5), speed=0)
    feed = FeedConfig(script=SCRIPT, paced_by_readers=True)
    arguments = ["stream", "--session", str(DAY), "--lake", str(tmp_path / "lake"), "--url"]
    with running(SimulatorConfig(market, clock=clock, plan=PLANS["realtime"], feed=feed)) as simulator:
        assert main([*arguments, simulator.url]) == 0
        lake = Lake.open(tmp_path / "lake")
        assert not missed(simulator, lake, market, whole_session("equities", DAY))
        assert "equities 2024-07-03: ended, " in capsys.readouterr().err
        assert main([*arguments, simulator.url]) == 2
        assert "the next open is that of session 2024-07-05, 2024-07-05 04:00 New York" in " ".join(
            capsys.readouterr().err.split()
        )


def test_what_the_inbox_has_no_room_for_is_a_gap(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwether.streaming.recorder._MOST_WAITING_BYTES", 2000)
    full = Event()
    monkeypatch.setattr(Batches, "write", held_by(full, Batches.write))

    async def work() -> None:
        async with recording(simulator, lake):
            await advance(simulator, 20)
            full.set()
            await advance(simulator, 25)

    run(work())
    assert missed(simulator, lake, market)
    assert causes(lake) == ["overflow", "stopped"]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Return the room on the disk: while it is not set, nothing can be written."""
    room, write = Event(), LocalStorage.write
    room.set()

    def refusing(self: LocalStorage, key: PurePosixPath, content: bytes) -> None:
        if not room.is_set():
            msg = "the disk is full"
            raise LakeError(msg)
        write(self, key, content)

    monkeypatch.setattr(LocalStorage, "write", refusing)
    return room


async def go_on_until_told(simulator: RunningSimulator, told: list[str]) -> None:
    for minutes in range(6, 60):
        await advance(simulator, minutes)
        await asyncio.sleep(0.01)
        if told:
            return


def test_a_disk_that_is_full_in_mid_session_loses_nothing_and_is_told_of_once(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket, told: list[str], disk: Event
) -> None:
    async def work() -> None:
        async with recording(simulator, lake, told=told):
            await advance(simulator, 5)
            disk.clear()
            await go_on_until_told(simulator, told)
            disk.set()
            await advance(simulator, 70)
            await until(lambda: set(recorded(lake)) == set(broadcast(market, simulator.feed.now())))

    run(work())
    assert not missed(simulator, lake, market)
    assert told == ["cannot write: the disk is full"]
    assert causes(lake) == ["stopped"]
    assert bars(compact(lake, "equities", DAY).table) == final(market, simulator.feed.now())
    assert not list(Path(lake.root).rglob(".*"))


def test_what_comes_while_the_disk_is_full_waits_within_bounds_and_the_rest_is_a_gap(
    simulator: RunningSimulator,
    lake: Lake,
    market: GeneratedMarket,
    disk: Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bellwether.streaming.recorder._MOST_WAITING_BYTES", 4000)

    async def work() -> None:
        async with recording(simulator, lake):
            await advance(simulator, 5)
            await until(lambda: len(recorded(lake)) >= 8)
            disk.clear()
            await advance(simulator, 40)
            disk.set()
            await advance(simulator, 45)

    run(work())
    assert missed(simulator, lake, market)
    assert causes(lake) == ["overflow", "stopped"]
    assert len(recorded(lake)) > 16


def test_symbols_join_without_a_new_connection_and_what_they_missed_is_a_gap_of_theirs(
    simulator: RunningSimulator, lake: Lake, market: GeneratedMarket
) -> None:
    async def work() -> None:
        async with recording(simulator, lake, symbols=["SPY"]) as it:
            await advance(simulator, 10)
            it.add(["SPY", "AAPL"])
            await subscribed(simulator)
            await advance(simulator, 20)

    run(work())
    lacking = missed(simulator, lake, market)
    assert {each[0] for each in lacking} == {"AAPL"}
    assert len(simulator.requests) == 1
    assert [(gap.cause, gap.symbols) for gap in gaps(lake)] == [
        ("not_yet_discovered", ("AAPL",)),
        ("stopped", ("*",)),
    ]
