"""A session recorded from a feed, its gold built while it goes on, and then from the daily pulls.

Simulated time is driven; a second simulator of the same market, whose sessions are all over, brings the pulls.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.cli.main import main
from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.config.settings import StreamingSettings
from bellwether.consolidate.intraday import build_so_far
from bellwether.consolidate.readiness import readiness
from bellwether.consolidate.streamed import until_of
from bellwether.lake import Lake, paths, read
from bellwether.simulator.feed.feed import FeedConfig
from bellwether.simulator.feed.replay import Script
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.streaming.assignment import Assignment, whole_session
from bellwether.streaming.batches import Writer
from bellwether.streaming.client import Endpoint, stream_url
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.heard import heard_until
from bellwether.streaming.recorder import Recorder
from bellwether.streaming.symbols import symbols_of

DAY = date(2024, 7, 3)  # a half day
BEFORE = get_calendar().previous(DAY)
HOURS = get_calendar().hours(DAY)
START = HOURS.open + timedelta(seconds=5)
TICKERS = ("AAPL", "SPY")
STREAMED = ("equities", "options", "indices")
# Of what is not broadcast: transactions; and news, which nobody polled.
NOT_STREAMED = ("transactions", "news_counts", "news_minutes_since")


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3, tickers=list(TICKERS), start=BEFORE, end=DAY)


@pytest.fixture
def feed(market: GeneratedMarket) -> Iterator[RunningSimulator]:
    """Return the vendor of the day itself, whose clock goes as it is told."""
    clock, script = SimulatedClock(START, speed=0), FeedConfig(script=Script(seed=5, late_share=0.0))
    with running(SimulatorConfig(market, clock=clock, plan=PLANS["realtime"], feed=script)) as simulator:
        yield simulator


@pytest.fixture
def pull(market: GeneratedMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return `pull(session, *datasets)`: publishes what the vendor has of a session when it is over."""
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(TICKERS))
    monkeypatch.setenv("BELLWETHER__SOURCES__OPTIONS__UNIVERSE", '["SPY"]')
    monkeypatch.setenv("BELLWETHER__SOURCES__OPTIONS__CONTRACTS", "{lookahead_days: 5}")
    monkeypatch.setenv("BELLWETHER__LAKE__ROOT", str(tmp_path / "lake"))
    for name in ("POLYGON_API_KEY", "AIRFLOW_CONN_POLYGON_DEFAULT", "AIRFLOW_CONN_LAKE_DEFAULT"):
        monkeypatch.delenv(name, raising=False)
    with running(SimulatorConfig(market)) as simulator:

        def publish(session: date, *datasets: str) -> None:
            for dataset in datasets:
                day = ["--start", str(session), "--end", str(session)]
                command = (
                    ["discover", "--session", str(session)] if dataset == "contracts" else ["backfill", dataset, *day]
                )
                assert main([*command, "--url", simulator.url]) == 0

        yield publish


def clock(minutes: float) -> datetime:
    return HOURS.open + timedelta(minutes=minutes)


@asynccontextmanager
async def recording(feed: RunningSimulator, lake: Lake, config: Config) -> AsyncIterator[None]:
    """Record all streams of the session from its open on; they listen when this begins."""
    recorders, topics = [], []
    for dataset in STREAMED:
        symbols = symbols_of(lake, config, dataset, DAY)
        assert symbols
        until = whole_session(dataset, DAY).until
        recorders.append(
            Recorder(
                lake,
                Assignment(dataset=dataset, session=DAY, start=START, until=until),
                Writer("run", 1, 4711),
                Endpoint(stream_url(feed.url, dataset), "key-of-the-recorder"),
                symbols=symbols,
                settings=StreamingSettings(batch_s=1, idle_s=120),
                feed=FeedTime(feed.feed, speed=1000, grace_s=0.1),
            )
        )
        topics += [f"AM.{symbol}" for symbol in symbols]
    running = [asyncio.create_task(each.run()) for each in recorders]
    await asyncio.to_thread(feed.feed.wait_subscribed, *topics)
    yield
    for each in recorders:
        each.stop()
    await asyncio.gather(*running)


async def advance(feed: RunningSimulator, lake: Lake, minutes: int) -> None:
    """Let the session go on until half a minute later, and wait until the minutes before the last one are heard."""
    await asyncio.to_thread(feed.feed.advance, clock(minutes + 0.5))
    while (heard_until(lake, "equities", DAY) or START) < clock(minutes - 1):
        await asyncio.sleep(0.01)


def gold(lake: Lake) -> dict[str, pa.Table]:
    return {dataset: read(dataset, DAY, DAY, root=lake.root) for dataset in ("minutes", "chain")}


def over_by(table: pa.Table, until: datetime) -> pa.Table:
    last = pa.scalar(until - timedelta(minutes=1), table["ts"].type)
    known = table.filter(pc.less_equal(table["ts"], last))
    return known.select([name for name in known.column_names if name not in NOT_STREAMED]).combine_chunks()


def test_gold_of_the_session_so_far_is_that_of_the_daily_pulls_up_to_its_end(
    feed: RunningSimulator, pull: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull(BEFORE, "equities")
    pull(DAY, "splits", "dividends", "rates", "contracts")
    lake, config = Lake.open(tmp_path / "lake"), Config.load()
    rounds: list[tuple[datetime, datetime, dict[str, pa.Table]]] = []
    today = ["consolidate", "--session", "today", "--url", feed.url]

    def go_round(now: datetime) -> None:
        so_far = build_so_far(lake, config, DAY, stage_id=f"i{len(rounds)}", run_id="intraday")
        assert so_far.minutes is not None
        until = until_of(so_far.minutes.inputs)
        assert until is not None
        rounds.append((now, until, gold(lake)))

    async def session() -> None:
        assert await asyncio.to_thread(main, today) == 2
        assert "equities is not published" in capsys.readouterr().err
        async with recording(feed, lake, config):
            for minutes in (3, 40):
                await advance(feed, lake, minutes)
                await asyncio.to_thread(go_round, clock(minutes))
            await advance(feed, lake, 100)
            assert await asyncio.to_thread(main, today) == 0
            rounds.append((clock(100), until_of(lake.manifest("minutes", DAY).inputs), gold(lake)))

    asyncio.run(asyncio.wait_for(session(), 60))
    said = capsys.readouterr().out
    assert f"rows until {rounds[-1][1].astimezone(NEW_YORK):%H:%M} New York, provisional" in said
    assert "not final: equities is not published" in said
    assert [until > HOURS.open for _, until, _ in rounds] == [True] * 3
    for now, until, tables in rounds:
        assert until < now
        last = {dataset: pc.max(table["ts"]).as_py() for dataset, table in tables.items()}
        assert last["minutes"] == until - timedelta(minutes=1)
        assert last["chain"] is None or last["chain"] < until

    pull(DAY, *STREAMED)
    ready = readiness(lake, config, DAY)
    assert (ready.announce, ready.why) == (True, "gold is provisional: it was built from streams")
    assert main(["consolidate", "--session", str(DAY)]) == 0
    final = gold(lake)
    assert len(final["minutes"]) == 2 * 210
    assert len(final["chain"]) > 0
    assert not lake.manifest("minutes", DAY).is_provisional
    for _, until, tables in rounds:
        for dataset, table in tables.items():
            assert over_by(table, until).equals(over_by(final[dataset], until)), (dataset, until)
    # The last provisional revision is kept, and none before it.
    for dataset in ("minutes", "chain"):
        assert len(list(lake.storage.list(paths.revisions(dataset, DAY)))) == 1
