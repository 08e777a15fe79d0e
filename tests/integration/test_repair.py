"""Repair against the simulator: whatever was missed, the live rows end as what REST has, value for value.

Simulated time is driven. A session of minutes is recorded with something missing, then repaired.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.config import Config, RetryPolicies, RetryRule
from bellwether.config.settings import StreamingSettings
from bellwether.lake import Lake, paths
from bellwether.schemas import LIVE_BARS
from bellwether.simulator.faults import Fault
from bellwether.simulator.feed.feed import FeedConfig
from bellwether.simulator.feed.replay import Script
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Batches, BatchRecord, Writer
from bellwether.streaming.client import Endpoint, stream_url
from bellwether.streaming.compact import compact
from bellwether.streaming.feedtime import FeedTime, to_ms
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.recorder import Recorder
from bellwether.streaming.repair import Round, repair

DAY = date(2024, 7, 3)
HOURS = get_calendar().hours(DAY)
START = HOURS.open + timedelta(seconds=5)
END = HOURS.open + timedelta(minutes=40)
TICKERS = ("AAPL", "SPY")
ASSIGNMENT = Assignment(dataset="equities", session=DAY, start=START, until=END)
COLUMNS = ["ticker", "ts", "open", "high", "low", "close", "volume", "vwap"]
KEY = "key-of-the-recorder"


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3, tickers=list(TICKERS), start=DAY, end=DAY)


@pytest.fixture
def simulator(market: GeneratedMarket) -> Iterator[RunningSimulator]:
    clock = SimulatedClock(START, speed=0)
    feed = FeedConfig(script=Script(seed=5, late_share=0.3))
    with running(SimulatorConfig(market, clock=clock, plan=PLANS["realtime"], feed=feed)) as simulator:
        yield simulator


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", simulated=True)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", '["AAPL", "SPY"]')
    return Config.load()


def feed_time(simulator: RunningSimulator) -> FeedTime:
    return FeedTime(simulator.feed, speed=1000, grace_s=0.1)


def recorder(
    simulator: RunningSimulator, lake: Lake, *, attempt: int = 1, symbols: Sequence[str] = TICKERS
) -> Recorder:
    return Recorder(
        lake,
        ASSIGNMENT,
        Writer("run", attempt, 4711),
        Endpoint(stream_url(simulator.url, "equities"), KEY),
        symbols=symbols,
        settings=StreamingSettings(batch_s=1, idle_s=120),
        feed=feed_time(simulator),
    )


async def advance(simulator: RunningSimulator, minutes: float) -> None:
    await asyncio.to_thread(simulator.feed.advance, HOURS.open + timedelta(minutes=minutes))


async def subscribed(simulator: RunningSimulator, tickers: Sequence[str] = TICKERS) -> None:
    await asyncio.to_thread(simulator.feed.wait_subscribed, *(f"AM.{ticker}" for ticker in tickers))


async def until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0.01)


@asynccontextmanager
async def recording(simulator: RunningSimulator, lake: Lake, **options: Any) -> AsyncIterator[Recorder]:
    """Record to the end of the assignment, or until the context ends; the recorder is subscribed when it begins."""
    it = recorder(simulator, lake, **options)
    task = asyncio.create_task(it.run())
    await subscribed(simulator, options.get("symbols", TICKERS))
    yield it
    it.stop()
    await task


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 20))


def rest(simulator: RunningSimulator) -> PolygonRest:
    once = RetryPolicies(default=RetryRule(attempts=1, base_s=0), errors={})
    return PolygonRest(simulator.url, "any-key-at-all", retries=once)


def repaired(simulator: RunningSimulator, lake: Lake, config: Config, **options: Any) -> Round:
    return repair(lake, config, ASSIGNMENT, rest(simulator), feed_time(simulator), **options)


def gaps(lake: Lake) -> list[Gap]:
    return GapLog(lake, "equities", DAY, "test").read()


def live(
    lake: Lake, first: datetime = HOURS.open, last: datetime = END - timedelta(minutes=17)
) -> list[dict[str, Any]]:
    """Return the rows of the minutes whose last broadcast was due by the end."""
    table = compact(lake, "equities", DAY).table
    return [row for row in table.select(COLUMNS).to_pylist() if first <= row["ts"] <= last]


def archived(
    simulator: RunningSimulator, first: datetime = HOURS.open, last: datetime = END - timedelta(minutes=17)
) -> list[dict[str, Any]]:
    """Return the same of REST."""
    found = [rest(simulator).aggregates(ticker, to_ms(first), to_ms(last)).table for ticker in TICKERS]
    return pa.concat_tables(found).select(COLUMNS).to_pylist()


# --- what was missed


async def dropped(simulator: RunningSimulator, lake: Lake) -> None:
    async with recording(simulator, lake):
        await advance(simulator, 5)
        simulator.faults.add(Fault(kind="abort", path="/stocks"))
        await advance(simulator, 12)
        await until(lambda: len(simulator.requests) > 1)
        await subscribed(simulator)
        await advance(simulator, 41)


async def came_late(simulator: RunningSimulator, lake: Lake) -> None:
    await advance(simulator, 8)
    async with recording(simulator, lake):
        await advance(simulator, 41)


async def crashed(simulator: RunningSimulator, lake: Lake) -> None:
    elsewhere = Lake.open(f"{lake.root}-before", simulated=True)
    async with recording(simulator, elsewhere):
        await advance(simulator, 6)
        await until(lambda: Batches(elsewhere, "equities", DAY).position() is not None)
        await advance(simulator, 9)
        shutil.copytree(elsewhere.root, lake.root, dirs_exist_ok=True)  # as a SIGKILL leaves it
    await asyncio.to_thread(simulator.feed.wait_until, lambda views: not views)
    async with recording(simulator, lake, attempt=2):
        await advance(simulator, 41)


async def joined(simulator: RunningSimulator, lake: Lake) -> None:
    async with recording(simulator, lake, symbols=["SPY"]) as it:
        await advance(simulator, 10)
        it.add(["AAPL"])
        await subscribed(simulator)
        await advance(simulator, 41)


async def refused(simulator: RunningSimulator, lake: Lake) -> None:
    log = GapLog(lake, "equities", DAY, "recorder")
    log.end(log.open(START, ["AAPL"], "refused", START, "not served: AM.AAPL"), END)
    async with recording(simulator, lake, symbols=["SPY"]):
        await advance(simulator, 41)


async def cut(simulator: RunningSimulator, lake: Lake) -> None:
    simulator.faults.add(Fault(kind="cut_frame", nth=4, count=6))
    async with recording(simulator, lake):
        await advance(simulator, 41)


@pytest.mark.parametrize(
    ("missing", "cause"),
    [
        (dropped, "dropped"),
        (came_late, "late_start"),
        (crashed, "crash"),
        (joined, "not_yet_discovered"),
        (refused, "refused"),
        (cut, "unreadable"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_was_missed_is_filled_and_its_gap_closed_with_what_rest_has(
    simulator: RunningSimulator,
    lake: Lake,
    config: Config,
    missing: Callable[[RunningSimulator, Lake], Coroutine[Any, Any, None]],
    cause: str,
) -> None:
    run(missing(simulator, lake))
    run(advance(simulator, 52))
    missed = gaps(lake)
    assert {gap.cause for gap in missed} == {cause}
    assert live(lake) != archived(simulator)
    asked_before = len(simulator.requests)
    done = repaired(simulator, lake, config)
    assert (len(done.closed), done.left) == (len(missed), ())
    assert live(lake) == archived(simulator)
    assert {gap.closed_utc for gap in gaps(lake)} == {simulator.feed.now()}
    assert len(simulator.requests) - asked_before - len(TICKERS) == len(gaps(lake)[0].filled)  # once, for all gaps
    assert all("and so have we" in gap.evidence for gap in gaps(lake))
    assert done.rows > 0
    assert repaired(simulator, lake, config) == Round((), (), 0)


async def left_with_a_gap(simulator: RunningSimulator, lake: Lake, config: Config) -> Gap:
    """Record with a gap that has ended, and return it ten minutes later."""
    await dropped(simulator, lake)
    await advance(simulator, 52)
    [gap] = gaps(lake)
    return gap


def why(done: Round) -> str:
    [(_, reason)] = done.left
    return reason


def test_a_gap_waits_until_rest_knows_all_of_it_and_longer_on_a_delayed_plan(
    market: GeneratedMarket, lake: Lake, config: Config
) -> None:
    delayed = "key-of-a-delayed-plan"
    clock = SimulatedClock(START, speed=0)
    plans = {KEY: PLANS["realtime"], delayed: PLANS["delayed"]}
    with running(SimulatorConfig(market, clock=clock, plans=plans)) as simulator:
        log = GapLog(lake, "equities", DAY, "recorder")
        log.end(log.open(START, ALL, "late_start", START, ""), HOURS.open + timedelta(minutes=5))
        once = RetryPolicies(default=RetryRule(attempts=1, base_s=0), errors={})
        vendor = PolygonRest(simulator.url, delayed, retries=once)

        def after(minutes: float) -> Round:
            run(advance(simulator, minutes))
            return repair(lake, config, ASSIGNMENT, vendor, feed_time(simulator))

        assert why(after(14.9)) == "REST knows all of it from 09:45:00 New York on"
        assert len(simulator.requests) == 0
        assert why(after(15)) == "REST knows all of it from 10:00:00 New York on"
        assert why(after(29.9)) == "REST knows all of it from 10:00:00 New York on"
        assert len(after(30).closed) == 1


def test_a_gap_that_lasts_is_not_asked_for(simulator: RunningSimulator, lake: Lake, config: Config) -> None:
    GapLog(lake, "equities", DAY, "recorder").open(START, ALL, "crash", START, "")
    assert why(repaired(simulator, lake, config)) == "nobody listens yet"
    assert not len(simulator.requests)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(kind="server_error", ticker="SPY", count=None), "SPY: ServerError: "),
        (Fault(kind="not_found", ticker="SPY", count=None), "SPY: NotFound: "),
        (Fault(kind="not_entitled", ticker="SPY", count=None), "SPY: NotEntitled: "),
        (Fault(kind="missing_results", ticker="SPY", count=None), "SPY: BadResponse: "),
        (Fault(kind="cut_body", ticker="SPY", count=None), "SPY: "),
    ],
    ids=lambda each: each.kind if isinstance(each, Fault) else "",
)
def test_an_error_of_rest_is_no_empty_answer_and_keeps_the_gap_open_with_its_reason(
    simulator: RunningSimulator, lake: Lake, config: Config, fault: Fault, reason: str
) -> None:
    run(left_with_a_gap(simulator, lake, config))
    simulator.faults.add(fault)
    done = repaired(simulator, lake, config)
    assert why(done).startswith(reason)
    [gap] = gaps(lake)
    assert (gap.closed_utc, set(gap.filled)) == (None, {"AAPL"})
    simulator.faults.clear()
    asked_before = len(simulator.requests)
    assert len(repaired(simulator, lake, config).closed) == 1
    assert len(simulator.requests) == asked_before + 1  # of whom it was filled is remembered
    assert live(lake) == archived(simulator)


def test_a_minute_that_rest_has_not_keeps_the_gap_open(simulator: RunningSimulator, lake: Lake, config: Config) -> None:
    gap = run(left_with_a_gap(simulator, lake, config))
    first = gap.start_utc.replace(second=0) - timedelta(minutes=15)
    known = {row["ts"] for row in archived(simulator, first=first) if row["ticker"] == "SPY"}
    unknown = next(ts for n in range(15) if (ts := first + timedelta(minutes=n)) not in known)
    heard(lake, archived(simulator)[-1] | {"ts": unknown, "arrived_utc": gap.start_utc})
    assert why(repaired(simulator, lake, config)) == "SPY: 1 recorded minutes that REST has not"
    assert set(gaps(lake)[0].filled) == {"AAPL"}


def heard(lake: Lake, row: dict[str, Any]) -> None:
    """Record a broadcast."""
    table = pa.Table.from_pylist([row | {"arrival": 10_000}], schema=LIVE_BARS)
    record = BatchRecord(rows=1, last_arrival=10_000, covered_ms=0)
    Batches(lake, "equities", DAY).write(Writer("run", 1, 4711), 10_000, table, record)


def test_who_is_told_to_repair_other_tickers_asks_for_those(
    simulator: RunningSimulator, lake: Lake, config: Config
) -> None:
    run(left_with_a_gap(simulator, lake, config))
    [gap] = repaired(simulator, lake, config, tickers=["SPY"]).closed
    assert set(gap.filled) == {"SPY"}


def test_two_repairs_at_once_close_each_gap_once_and_agree(
    simulator: RunningSimulator, lake: Lake, config: Config
) -> None:
    run(left_with_a_gap(simulator, lake, config))
    simulator.faults.add(Fault(kind="drip", pause_s=0.02, count=None))
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(repaired, simulator, lake, config) for _ in range(2)]
        done = [each.result(20) for each in both]
    assert sorted(len(each.closed) for each in done) == [0, 1]
    assert [each.left for each in done] == [(), ()]
    simulator.faults.clear()
    assert live(lake) == archived(simulator)
    names = [entry.key.name for entry in lake.storage.list(paths.gaps("equities", DAY))]
    assert len([name for name in names if name.endswith(".closed.json")]) == 1


@pytest.mark.parametrize(("owner", "step"), [(Batches, "write"), (GapLog, "fill"), (GapLog, "close")], ids=str)
def test_a_round_that_dies_is_done_again_and_closes_the_gap_with_the_same_counts(
    simulator: RunningSimulator, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch, owner: type, step: str
) -> None:
    run(left_with_a_gap(simulator, lake, config))
    undisturbed = Lake.open(shutil.copytree(lake.root, f"{lake.root}-2"))
    [expected] = repaired(simulator, undisturbed, config).closed
    take = getattr(owner, step)

    def take_and_die(*arguments: Any) -> None:
        if step != "close":
            take(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, step, take_and_die)
        with pytest.raises(KeyboardInterrupt):
            repaired(simulator, lake, config)
    assert gaps(lake)[0].closed_utc is None
    [gap] = repaired(simulator, lake, config).closed
    assert (gap.filled, gap.evidence) == (expected.filled, expected.evidence)
    assert live(lake) == archived(simulator)


def test_what_is_broadcast_after_the_answer_wins_over_it(
    simulator: RunningSimulator, lake: Lake, config: Config
) -> None:
    gap = run(left_with_a_gap(simulator, lake, config))
    repaired(simulator, lake, config)
    [row, *_] = live(lake, first=gap.start_utc)
    heard(lake, row | {"volume": row["volume"] + 7, "arrived_utc": simulator.feed.now()})
    [now, *_] = live(lake, first=gap.start_utc)
    assert now["volume"] == row["volume"] + 7


def test_what_was_broadcast_while_rest_may_have_been_behind_stands_and_closes_the_gap(
    simulator: RunningSimulator, lake: Lake, config: Config
) -> None:
    gap = run(left_with_a_gap(simulator, lake, config))
    [row, *_] = archived(simulator, first=gap.start_utc.replace(second=0))
    arrived_utc = simulator.feed.now() - timedelta(minutes=2)
    heard(lake, row | {"volume": row["volume"] + 7, "arrived_utc": arrived_utc})
    assert len(repaired(simulator, lake, config).closed) == 1
    [now, *_] = live(lake, first=row["ts"])
    assert now["volume"] == row["volume"] + 7
