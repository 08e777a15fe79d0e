"""Repair against the simulator: whatever was missed, the live rows end as what REST has, value for value.

Simulated time is driven. A session of minutes is recorded with something missing, then repaired.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.cli.main import main
from bellwether.clock import SimulatedClock
from bellwether.config import Config, RetryPolicies, RetryRule
from bellwether.config.settings import StreamingSettings
from bellwether.lake import Coverage, Lake, Universe, paths
from bellwether.lake.coverage import store_universe, stored_universe
from bellwether.simulator.faults import Fault
from bellwether.simulator.feed.feed import FeedConfig
from bellwether.simulator.feed.replay import Script
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.assignment import Assignment, whole_session
from bellwether.streaming.batches import Batches, BatchRecord, Writer
from bellwether.streaming.client import Endpoint, stream_url
from bellwether.streaming.compact import compact
from bellwether.streaming.feedtime import FeedTime, to_ms
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.recorder import Recorder
from bellwether.streaming.repair import Round, repair
from bellwether.streaming.rows import LIVE_BARS, LIVE_VALUES
from tests.recordings import leave

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


async def overflown(simulator: RunningSimulator, lake: Lake) -> None:
    is_room, write = Event(), Batches.write

    def held(*arguments: Any) -> None:
        is_room.wait(10)
        write(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("bellwether.streaming.recorder._MOST_WAITING_BYTES", 2000)
        patched.setattr(Batches, "write", held)
        async with recording(simulator, lake):
            await advance(simulator, 20)
            is_room.set()
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
        (overflown, "overflow"),
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
    assert {gap.cause for gap in missed} - {"silent"} == {cause}  # what found no room was not heard
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


def test_of_a_stream_as_far_behind_as_rest_nothing_more_is_waited_for(
    market: GeneratedMarket, lake: Lake, config: Config
) -> None:
    clock = SimulatedClock(START, speed=0)
    with running(SimulatorConfig(market, clock=clock, plan=PLANS["delayed"])) as simulator:
        log = GapLog(lake, "equities", DAY, "recorder")
        log.end(log.open(START, ALL, "late_start", START, ""), HOURS.open + timedelta(minutes=5))
        run(advance(simulator, 30))
        feed = feed_time(simulator).delayed()
        assert feed.now() == HOURS.open + timedelta(minutes=15)
        assert len(repair(lake, config, ASSIGNMENT, rest(simulator), feed).closed) == 1
        assert live(lake, last=HOURS.open + timedelta(minutes=4)) == archived(
            simulator, last=HOURS.open + timedelta(minutes=4)
        )


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


def test_a_minute_that_rest_has_not_keeps_the_gap_open_until_rest_cannot_be_behind_any_more(
    simulator: RunningSimulator, lake: Lake, config: Config
) -> None:
    gap = run(left_with_a_gap(simulator, lake, config))
    first = gap.start_utc.replace(second=0) - timedelta(minutes=15)
    known = {row["ts"] for row in archived(simulator, first=first) if row["ticker"] == "SPY"}
    unknown = next(ts for n in range(15) if (ts := first + timedelta(minutes=n)) not in known)
    heard(lake, archived(simulator)[-1] | {"ts": unknown, "arrived_utc": gap.start_utc})
    in_mid_session = replace(ASSIGNMENT, until=simulator.feed.now())
    done = repair(lake, config, in_mid_session, rest(simulator), feed_time(simulator))
    assert why(done) == "SPY: 1 recorded minutes that REST has not"
    assert set(gaps(lake)[0].filled) == {"AAPL"}
    [closed] = repaired(simulator, lake, config).closed
    assert closed.evidence.endswith("; 1 minutes that were heard it has not")
    # Whether it is to be, the daily pull tells.
    assert unknown in [row["ts"] for row in live(lake, first=first) if row["ticker"] == "SPY"]


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


def test_a_round_reads_what_was_recorded_once_for_however_many_tickers(
    simulator: RunningSimulator, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(left_with_a_gap(simulator, lake, config))
    monkeypatch.setattr("bellwether.streaming.repair._MOST_TICKERS", 1)
    read, rounds = Batches.read, []

    def counted(batches: Batches) -> Iterator[tuple[str, pa.Table]]:
        rounds.append(batches)
        return read(batches)

    monkeypatch.setattr(Batches, "read", counted)
    assert len(repaired(simulator, lake, config).closed) == 1
    assert len(rounds) == 1
    assert live(lake) == archived(simulator)


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


def test_the_command_closes_what_it_can_and_lists_the_rest(
    market: GeneratedMarket, lake: Lake, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a recorder that was killed nothing but its files is left; the session is over since."""
    whole = whole_session("equities", DAY)
    clock = SimulatedClock(whole.until + timedelta(minutes=10), speed=0)
    with running(SimulatorConfig(market, clock=clock, plan=PLANS["realtime"])) as simulator:
        command = ["repair", "equities", "--session", str(DAY), "--lake", lake.root, "--url", simulator.url]
        assert main(command) == 2
        assert "nobody recorded equities of 2024-07-03" in " ".join(capsys.readouterr().err.split())
        heard(lake, archived(simulator)[0] | {"arrived_utc": HOURS.open + timedelta(minutes=2)})
        leave(lake, "equities", DAY, HOURS.open, state="killed")
        assert main(command) == 1
        assert "It is still being recorded, or was a moment ago" in " ".join(capsys.readouterr().err.split())
        leave(lake, "equities", DAY, HOURS.open, state="stopped")
        simulator.faults.add(Fault(kind="not_found", ticker="AAPL", count=2))
        assert main(command) == 1
        told = " ".join(capsys.readouterr().err.split())
        assert "crash (AAPL: NotFound: Ticker not found)" in told
        assert "equities 2024-07-03: 0 gaps closed, 1 open" in told
        simulator.faults.clear()
        assert main(command) == 0
        assert "1 gaps closed, 0 open" in capsys.readouterr().err
        daily = [rest(simulator).aggregates(t, to_ms(HOURS.open), to_ms(HOURS.close)).table for t in TICKERS]
        assert live(lake, last=HOURS.close) == pa.concat_tables(daily).select(COLUMNS).to_pylist()
        manifest = lake.manifest("equities_live", DAY)
        assert manifest is not None
        assert {known.state for known in manifest.coverage.values()} == {Coverage.COMPLETE}
        assert lake.sessions("gaps") == [DAY]


# --- whom


@pytest.fixture
def by_rule(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", '{"rule": "active", "types": ["CS"]}')
    return Config.load()


def late(lake: Lake, minutes: float = 5, symbols: Sequence[str] = ALL) -> Gap:
    """Have a gap from the session's start until so many minutes after it."""
    log = GapLog(lake, "equities", DAY, "recorder")
    return log.end(log.open(START, symbols, "late_start", START, ""), HOURS.open + timedelta(minutes=minutes))


def minutes_of(ticker: str, lake: Lake, until: float) -> list[dict[str, Any]]:
    rows = live(lake, last=HOURS.open + timedelta(minutes=until))
    return [row for row in rows if row["ticker"] == ticker]


def minutes_at_rest(ticker: str, simulator: RunningSimulator, until: float) -> list[dict[str, Any]]:
    return [row for row in archived(simulator, last=HOURS.open + timedelta(minutes=until)) if row["ticker"] == ticker]


def warrant(lake: Lake, ticker: str, at: float) -> None:
    """Have somebody heard of whom the universe knows nothing."""
    ts = HOURS.open + timedelta(minutes=at)
    prices = dict.fromkeys(("open", "high", "low", "close", "vwap"), 1.0)
    heard(lake, {"ticker": ticker, "ts": ts, **prices, "volume": 5.0, "arrived_utc": ts + timedelta(minutes=1)})


def test_whom_a_rule_means_is_asked_where_no_plan_has_settled_it_though_nobody_was_heard(
    simulator: RunningSimulator, lake: Lake, by_rule: Config
) -> None:
    late(lake)
    before = Universe(("SPY",), origin="rule", spec_hash=by_rule.universe("equities").hash)
    store_universe(lake, "equities", get_calendar().previous(DAY), before)
    run(advance(simulator, 16))
    [gap] = repaired(simulator, lake, by_rule).closed
    assert set(gap.filled) == {"AAPL"}
    assert minutes_of("AAPL", lake, 4) == minutes_at_rest("AAPL", simulator, 4) != []
    assert stored_universe(lake, "equities", DAY) is None  # to settle it is for the session's plan


def test_while_nobody_can_say_whom_a_rule_means_its_gap_stays_open(
    simulator: RunningSimulator, lake: Lake, by_rule: Config
) -> None:
    late(lake)
    run(advance(simulator, 16))
    simulator.faults.add(Fault(kind="server_error", path="/v3/reference", count=None))
    assert why(repaired(simulator, lake, by_rule)).startswith("nobody knows whom the universe means: ServerError: ")
    assert gaps(lake)[0].closed_utc is None


def test_who_is_first_heard_after_a_gap_was_closed_is_filled_in_it_too(
    simulator: RunningSimulator, lake: Lake, by_rule: Config
) -> None:
    late(lake)
    run(advance(simulator, 16))
    assert len(repaired(simulator, lake, by_rule).closed) == 1
    heard(lake, minutes_at_rest("SPY", simulator, 14)[-1] | {"arrived_utc": simulator.feed.now()})
    simulator.faults.add(Fault(kind="server_error", ticker="SPY"))
    assert why(repaired(simulator, lake, by_rule)).startswith("SPY: ServerError: ")
    done = repaired(simulator, lake, by_rule)
    assert (done.closed, done.left) == ((), ())
    assert minutes_of("SPY", lake, 4) == minutes_at_rest("SPY", simulator, 4) != []
    assert set(gaps(lake)[0].filled) == {"AAPL", "SPY"}
    assert repaired(simulator, lake, by_rule) == Round((), (), 0)


def test_a_name_that_is_no_ticker_is_left_out_and_told_of_as_such(
    simulator: RunningSimulator, lake: Lake, config: Config
) -> None:
    late(lake)
    run(advance(simulator, 16))
    warrant(lake, "XYZ.WS.A", 3)
    [gap] = repaired(simulator, lake, config).closed
    assert set(gap.filled) == set(TICKERS)
    assert gap.evidence.endswith("not asked for, being no tickers: 'XYZ.WS.A'")


@pytest.mark.parametrize(
    ("kind", "state"), [("not_found", "unknown_ticker"), ("not_entitled", "not_entitled")], ids=str
)
def test_what_rest_refuses_of_a_ticker_that_is_not_required_is_a_state_and_holds_nobody_back(
    simulator: RunningSimulator, lake: Lake, config: Config, kind: Any, state: str
) -> None:
    late(lake)
    run(advance(simulator, 16))
    warrant(lake, "AAA", 3)  # asked for first
    simulator.faults.add(Fault(kind=kind, ticker="AAA", count=None))
    [gap] = repaired(simulator, lake, config).closed
    assert {ticker: found.refused for ticker, found in gap.filled.items()} == {"AAA": state, "AAPL": "", "SPY": ""}
    assert f"it tells nothing of AAA ({state})" in gap.evidence
    assert len(minutes_of("AAA", lake, 4)) == 1  # what was heard stands


# --- values of indices


INDEX = Assignment(dataset="indices", session=DAY, start=START, until=END)


def valued(lake: Lake, *values: tuple[datetime, float]) -> None:
    """Record values of an index."""
    rows = [
        {
            "ticker": "I:VIX",
            "ts": at.replace(second=0, microsecond=0),
            **dict.fromkeys(("open", "high", "low", "close"), price),
            "arrived_utc": at,
            "arrival": number,
            "value_utc": at,
        }
        for number, (at, price) in enumerate(values)
    ]
    record = BatchRecord(rows=len(rows), last_arrival=len(rows) - 1, covered_ms=0)
    table = pa.Table.from_pylist(rows, schema=LIVE_VALUES)
    Batches(lake, "indices", DAY).write(Writer("run", 1, 4711), 1, table, record)


def index_gap(lake: Lake, start: datetime, end: datetime) -> None:
    log = GapLog(lake, "indices", DAY, "recorder")
    log.end(log.open(start, ALL, "dropped", start, ""), end)


def index_minutes(lake: Lake) -> dict[datetime, tuple[float, ...]]:
    rows = compact(lake, "indices", DAY).table.to_pylist()
    return {row["ts"]: (row["open"], row["high"], row["low"], row["close"]) for row in rows}


def test_the_minute_in_which_a_gap_ends_is_not_folded_from_the_values_after_it(
    simulator: RunningSimulator, lake: Lake, config: Config
) -> None:
    at = HOURS.open + timedelta(minutes=5)
    index_gap(lake, at - timedelta(minutes=2), at + timedelta(seconds=30))
    valued(lake, (at + timedelta(seconds=40), 99.0), (at + timedelta(seconds=61), 99.0))
    run(advance(simulator, 15.8))
    done = repair(lake, config, INDEX, rest(simulator), feed_time(simulator))
    assert why(done) == "REST knows all of it from 09:46:00 New York on"
    run(advance(simulator, 16))
    assert len(repair(lake, config, INDEX, rest(simulator), feed_time(simulator)).closed) == 1
    [row] = rest(simulator).aggregates("I:VIX", to_ms(at), to_ms(at)).table.to_pylist()
    assert index_minutes(lake)[at] == (row["open"], row["high"], row["low"], row["close"])


def test_a_minute_that_only_values_tell_of_and_rest_has_not_stands_and_closes_the_gap(
    simulator: RunningSimulator, lake: Lake, config: Config
) -> None:
    at = HOURS.open + timedelta(minutes=5)
    run(advance(simulator, 17))
    first, last = at - timedelta(minutes=17), at
    known = rest(simulator).aggregates("I:VIX", to_ms(first), to_ms(last)).table["ts"].to_pylist()
    moments = [first + timedelta(minutes=n) for n in range(16)]
    unknown = next((ts for ts in moments if ts not in known), None)
    assert unknown is not None
    index_gap(lake, at - timedelta(minutes=2), at)
    valued(lake, (unknown + timedelta(seconds=20), 13.0), (at + timedelta(minutes=2), 13.0))
    assert len(repair(lake, config, INDEX, rest(simulator), feed_time(simulator)).closed) == 1
    assert index_minutes(lake)[unknown] == (13.0,) * 4
