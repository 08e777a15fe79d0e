"""A real Airflow records real minutes at 120x, is broken off and killed meanwhile, and ends with every value.

The archive's sessions are broadcast and answered by one simulator on one clock. Each is joined in the middle: what was
before, what was missed while nobody listened, and what a killed recorder never heard is for `gap_repair` to fill.
"""

import json
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from bellwether.airflow_api import Run, TaskInstance
from bellwether.calendar import NEW_YORK
from bellwether.clock import SimulatedClock
from bellwether.lake import Lake, read
from bellwether.localstack import LocalStack
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.bars import Bars
from bellwether.simulator.faults import Fault
from bellwether.simulator.feed.points import CLOSE_CODES
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.records import Listing
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.lease import read_lease
from tests.e2e.support import prepare_home, wait_until

STREAM, REPAIR = "session_stream", "gap_repair"
VIX = "I:VIX"
SPEED = 120.0
COLUMNS = ["ticker", "ts", "open", "high", "low", "close", "volume", "vwap"]

pytestmark = pytest.mark.timeout(420)


@dataclass(frozen=True)
class Scene:
    """A session of the archive and what befalls it.

    Attributes
    ----------
    begins
        When, New York time, the recorders start.
    killed
        When the recorder of equities is killed.
    passed_over
        When it is killed for the last time; its host is away until 20:10.
    disconnects
        How often the connection of equities breaks off.
    """

    session: date
    ticker: str
    begins: time
    killed: tuple[time, ...]
    passed_over: time
    disconnects: int

    def at(self, moment: time) -> datetime:
        return datetime.combine(self.session, moment, NEW_YORK)

    def faults(self) -> list[Fault]:
        """Return the seeded disconnects, each of another kind, between the beginning and the last kill."""
        draw = random.Random(self.session.toordinal())
        begin, end = self.at(self.begins) + timedelta(minutes=5), self.at(self.passed_over) - timedelta(minutes=10)
        moments = sorted(begin + draw.random() * (end - begin) for _ in range(self.disconnects))
        return [
            Fault(kind="close", path="/stocks", since_utc=moment, code=draw.choice(CLOSE_CODES))
            if draw.random() < 0.5
            else Fault(kind=draw.choice(("abort", "torn_frame")), path="/stocks", since_utc=moment)
            for moment in moments
        ]


AAPL = Scene(date(2014, 6, 6), "AAPL", time(13, 50), (time(14, 20),), time(16, 5), disconnects=10)
SPY = Scene(date(2013, 10, 8), "SPY", time(15, 20), (), time(16, 5), disconnects=3)


class RealStocksAndVix(ArchiveMarket):
    """The archive, with a generated volatility index beside its stocks."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        days = sorted([AAPL.session, SPY.session])
        self._generated = GeneratedMarket(seed=3, tickers=["SPY"], start=days[0], end=days[-1])

    def has_ticker(self, ticker: str) -> bool:
        return ticker == VIX or super().has_ticker(ticker)

    def bars(self, ticker: str, day: date) -> Bars:
        return self._generated.bars(ticker, day) if ticker == VIX else super().bars(ticker, day)

    def listings(self, day: date) -> Iterator[Listing]:
        yield from (listing for listing in super().listings(day) if listing.ticker != VIX)
        yield Listing(ticker=VIX, name=VIX, market="indices", active=True)


@pytest.fixture(scope="module")
def market(archive: Path) -> RealStocksAndVix:
    return RealStocksAndVix(archive)


@pytest.fixture(scope="module")
def simulator(market: RealStocksAndVix) -> Iterator[RunningSimulator]:
    standing = SimulatedClock(SPY.at(time(3, 0)), speed=0)
    with running(SimulatorConfig(market, clock=standing, plan=PLANS["realtime"])) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def stack(simulator: RunningSimulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    home = tmp_path_factory.mktemp("airflow")
    env = prepare_home(home)
    env["BELLWETHER__SOURCES__EQUITIES__UNIVERSE"] = json.dumps(["AAPL", "SPY"])
    with LocalStack(home, lake=home / "lake", polygon_url=simulator.url, env=env) as stack:
        stack.api.wait_for_dags([STREAM, REPAIR])
        for dag_id in (STREAM, REPAIR):
            stack.api.set_paused(dag_id, paused=False)
        yield stack


@pytest.mark.parametrize("scene", [SPY, AAPL], ids=lambda scene: scene.ticker)
def test_what_is_compacted_equals_the_archive_value_for_value(
    scene: Scene, stack: LocalStack, simulator: RunningSimulator, market: RealStocksAndVix
) -> None:
    key, lake = str(scene.session), Lake.open(stack.home / "lake", simulated=True)
    simulator.faults.clear()
    for fault in scene.faults():
        simulator.faults.add(fault)
    # The clock goes forward alone, so the earlier session comes first.
    simulator.feed.follow(SimulatedClock(scene.at(scene.begins), SPEED))
    streamed, repaired = stack.api.trigger(STREAM, key), stack.api.trigger(REPAIR, key)

    for moment in scene.killed:
        wait_for(simulator, scene.at(moment))
        kill_recorder(stack, streamed)
    wait_for(simulator, scene.at(scene.passed_over))
    kill_recorder(stack, streamed)
    simulator.feed.follow(SimulatedClock(scene.at(time(20, 10)), SPEED))

    assert stack.api.wait_for_run(STREAM, streamed.dag_run_id, timeout_s=180).state == "success"
    assert stack.api.wait_for_run(REPAIR, repaired.dag_run_id, timeout_s=180).state == "success"
    for dataset, ticker in (("equities", scene.ticker), ("indices", VIX)):
        gaps = GapLog(lake, dataset, scene.session, "reader").read()
        assert [gap for gap in gaps if gap.closed_utc is None] == []
        assert live(lake, dataset, scene.session) == expected(market, dataset, ticker, scene.session)
    causes = [gap.cause for gap in GapLog(lake, "equities", scene.session, "reader").read()]
    assert causes.count("crash") == len(scene.killed) + 1
    assert sum(fault.kind in FEED_KINDS for fault in scene.faults()) == scene.disconnects
    assert all(fault not in simulator.faults.faults for fault in scene.faults()), "not every disconnect struck"
    assert "late_start" in causes


FEED_KINDS = ("close", "abort", "torn_frame")


def wait_for(simulator: RunningSimulator, moment: datetime) -> None:
    """Wait until the feed's clock says so; by itself it does, at 120x."""
    wait_until(lambda: simulator.feed.now() >= moment, f"the feed's clock did not reach {moment}", timeout_s=120)


def recorder_of(stack: LocalStack, run: Run) -> TaskInstance:
    [task] = [each for each in stack.api.task_instances(STREAM, run.dag_run_id) if each.task_id == "equities.stream"]
    return task


def kill_recorder(stack: LocalStack, run: Run) -> None:
    """Kill the process that records equities as the kernel does, when it records."""
    session, lake = date.fromisoformat(str(run.partition_key)), Lake.open(stack.home / "lake", simulated=True)

    def is_listening() -> bool:
        lease = read_lease(lake, "equities", session)
        task = recorder_of(stack, run)
        is_its_own = lease is not None and task.pid is not None and lease.writer.endswith(f"p{task.pid}")
        return is_its_own and lease.heartbeat is not None and lease.heartbeat.state == "listening"

    wait_until(is_listening, "nobody records equities")
    pid = recorder_of(stack, run).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def live(lake: Lake, dataset: str, session: date) -> list[dict[str, object]]:
    table = read(f"{dataset}_live", session, session, lake=lake)
    return table.select([name for name in COLUMNS if name in table.column_names]).to_pylist()


def expected(market: RealStocksAndVix, dataset: str, ticker: str, session: date) -> list[dict[str, object]]:
    """Return what the archive has of a session, all 24 hours of it, as rows."""
    bars = market.bars(ticker, session)
    columns = {name: bars._asdict()[name] for name in COLUMNS[2:] if dataset == "equities" or name in COLUMNS[:6]}
    ts = pa.array(bars.start_ms).cast(pa.timestamp("ms", "UTC"))
    table = pa.table({"ts": ts, **{name: pa.array(each, from_pandas=True) for name, each in columns.items()}})
    return [{"ticker": ticker, **row} for row in table.to_pylist()]
