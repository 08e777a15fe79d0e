"""A real Airflow records real minutes at 120x, is broken off and killed meanwhile, and ends with every value.

The archive's sessions are broadcast and answered by one simulator on one clock. Each is joined in the middle: what was
before, what was missed while nobody listened, and what a killed recorder never heard is for `gap_repair` to fill.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path

import pytest

from bellwether.calendar import NEW_YORK
from bellwether.clock import SimulatedClock
from bellwether.lake import read
from bellwether.localstack import LocalStack
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.bars import Bars
from bellwether.simulator.faults import Fault
from bellwether.simulator.feed.points import CLOSE_CODES
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.records import Listing
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from tests.e2e.support import prepare_home, wait_until
from tests.realtime import REPAIR, STREAM, gaps_of, kill_recorder, live_rows, pull_daily, rows_of, wait_for_success

VIX = "I:VIX"
UNIVERSE = json.dumps(["AAPL", "SPY"])
SPEED = 120.0

pytestmark = pytest.mark.timeout(420)


@dataclass(frozen=True)
class Scene:
    """A session of the archive and what befalls it.

    Attributes
    ----------
    begins
        When, New York time, the recorders start.
    disconnects
        How often the connection of equities breaks off before each time that its recorder is killed. After the last
        time nobody records until 20:10, of indices neither.
    """

    session: date
    ticker: str
    begins: time
    disconnects: tuple[int, ...]

    def at(self, moment: time) -> datetime:
        return datetime.combine(self.session, moment, NEW_YORK)


SPY = Scene(date(2013, 10, 8), "SPY", time(13, 30), (3,))
AAPL = Scene(date(2014, 6, 6), "AAPL", time(11, 30), (5, 5))


class RealStocksAndVix(ArchiveMarket):
    """The archive, with a generated volatility index beside its stocks."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._generated = GeneratedMarket(seed=3, tickers=["SPY"], start=SPY.session, end=AAPL.session)

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
    env |= {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": UNIVERSE}
    env |= {"BELLWETHER__STREAMING__INTRADAY_EVERY_MIN": "0"}  # has tests of its own
    env["AIRFLOW__CORE__PARALLELISM"] = "7"
    with LocalStack(home, lake=home / "lake", polygon_url=simulator.url, env=env) as stack:
        stack.api.wait_for_dags([STREAM, REPAIR])
        for dag_id in (STREAM, REPAIR):
            stack.api.set_paused(dag_id, paused=False)
        yield stack


# The clock goes forward alone, so the earlier session comes first.
@pytest.mark.parametrize("scene", [SPY, AAPL], ids=lambda scene: scene.ticker)
def test_what_is_compacted_equals_the_archive_value_for_value(
    scene: Scene, stack: LocalStack, simulator: RunningSimulator, market: RealStocksAndVix
) -> None:
    draw = random.Random(scene.session.toordinal())
    simulator.feed.follow(SimulatedClock(scene.at(scene.begins), SPEED))
    runs = [stack.api.trigger(dag_id, str(scene.session)) for dag_id in (STREAM, REPAIR)]

    for disconnects in scene.disconnects:
        for _ in range(disconnects):
            kind, code = draw.choice(("close", "abort", "torn_frame")), draw.choice(CLOSE_CODES)
            break_off(simulator, Fault(kind=kind, code=code, path="/stocks"))
        kill_recorder(stack, runs[0])
    kill_recorder(stack, runs[0], "indices")
    simulator.feed.follow(SimulatedClock(scene.at(time(20, 10)), SPEED))
    pull_daily(stack, simulator, scene.session, UNIVERSE)

    for run in runs:
        wait_for_success(stack, run)
    for dataset, ticker in (("equities", scene.ticker), ("indices", VIX)):
        expected = rows_of(dataset, [(ticker, market.bars(ticker, scene.session))])
        assert live_rows(stack, dataset, scene.session) == expected
        assert [gap for gap in gaps_of(stack, dataset, scene.session) if gap.closed_utc is None] == []
    compared = read("reconciliation", str(scene.session), str(scene.session), root=stack.home / "lake")
    assert compared.to_pylist() == []
    causes = [gap.cause for gap in gaps_of(stack, "equities", scene.session)]
    # Who is killed while a lost connection's gap lasts is followed by `resumed`.
    taken_over = [cause for cause in causes if cause in {"crash", "resumed"}]
    assert (causes[0], len(taken_over)) == ("late_start", len(scene.disconnects))


def break_off(simulator: RunningSimulator, fault: Fault) -> None:
    """Have the connection of equities suffer a fault with its next frame, once it is there; return when it is gone."""
    simulator.feed.wait_until(lambda views: any(f"AM.{AAPL.ticker}" in view.topics for view in views))
    before = upgrades(simulator)
    simulator.faults.add(fault)
    wait_until(lambda: upgrades(simulator) > before, f"{fault.kind} did not make it connect again")


def upgrades(simulator: RunningSimulator) -> int:
    return sum(request.path == "/stocks" for request in simulator.requests)
