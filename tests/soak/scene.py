"""What the soak plays on: a lake, vendors that sent different data, and what the lake must hold for each mix of them.

Every market is captured once, undisturbed, in a lake of its own. A partition of the lake under test is then a mix:
of each ticker the rows of one market, all of them.
"""

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.lake import Lake, read
from bellwether.lake.revisions import revision_of
from bellwether.simulator.feed.feed import FeedConfig
from bellwether.simulator.feed.replay import Script
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import SimulatorConfig, running
from tests.windows import NEVER_LATE

DATASET = "equities"
UNIVERSE = ("AAPL", "MSFT", "QQQ", "SPY")
SEEDS = (1, 2, 3)
"""The markets, by their seeds: the same sessions, revised."""

FEED = FeedConfig(script=Script(seed=5, late_share=0.1))
_LONG_BEFORE = datetime(2025, 6, 1, tzinfo=UTC)

type Mix = Mapping[str, int]
"""The market of each ticker."""


@dataclass(frozen=True)
class Scene:
    """Where everything is.

    Attributes
    ----------
    home
        Folder of the lakes, the outbox and the fault points.
    urls
        A vendor's address for each market.
    feed_url
        The address of a vendor who broadcasts the first market, as fast as its clock is told to run.
    sessions
        The sessions played with.
    """

    home: Path
    urls: Mapping[int, str]
    feed_url: str
    sessions: tuple[date, ...]

    @property
    def root(self) -> Path:
        """The lake under test."""
        return self.home / "lake"

    @property
    def faults(self) -> Path:
        """Folder of the fault points (`bellwether.faultpoints`)."""
        return self.home / "faults"

    @property
    def outbox(self) -> Path:
        """The announcements made, a line each: what Airflow's table of events is."""
        return self.home / "outbox.jsonl"

    @property
    def consumed(self) -> Path:
        """What consolidation has acted upon, a line each."""
        return self.home / "consumed.jsonl"

    def undisturbed(self, seed: int) -> Path:
        """Return the lake into which one market was captured without a kill."""
        return self.home / f"undisturbed-{seed}"

    def expected(self, session: date, mix: Mix) -> pa.Table:
        """Return the rows a partition must hold."""
        tables = [read(DATASET, session, session, ticker, root=self.undisturbed(mix[ticker])) for ticker in sorted(mix)]
        return pa.concat_tables(tables).combine_chunks()

    def revisions(self, session: date) -> dict[str, dict[str, int]]:
        """Return the mix behind every revision that a partition with the whole universe can have."""
        rows = {seed: read(DATASET, session, session, root=self.undisturbed(seed)) for seed in SEEDS}
        parts = {
            (ticker, seed): table.filter(pc.equal(table["ticker"], ticker))
            for ticker in UNIVERSE
            for seed, table in rows.items()
        }
        mixes = (dict(zip(UNIVERSE, seeds, strict=True)) for seeds in itertools.product(SEEDS, repeat=len(UNIVERSE)))
        return {revision_of(pa.concat_tables([parts[pair] for pair in mix.items()])): mix for mix in mixes}

    def lake(self) -> Lake:
        """Open the lake under test."""
        return Lake.open(self.root, simulated=True)


def market(seed: int) -> GeneratedMarket:
    """Return the market of a seed."""
    return GeneratedMarket(seed=seed, tickers=UNIVERSE)


@contextmanager
def set_up(home: Path, sessions: int) -> Iterator[Scene]:
    """Make the folders, set the environment, and serve the markets while the context lasts.

    They are served by a process of their own, begun before anything else: this one must stay free of threads.
    """
    with _vendors() as (urls, feed_url):
        os.environ |= NEVER_LATE | {
            "BELLWETHER__SOURCES__EQUITIES__UNIVERSE": f"[{', '.join(UNIVERSE)}]",
            "BELLWETHER__INGEST__BATCH_TICKERS": "2",
            "BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S": "0",
            "BELLWETHER_FAULT_DIR": str(home / "faults"),
        }
        (home / "faults").mkdir()
        (home / "outbox.jsonl").touch()
        (home / "consumed.jsonl").touch()
        days = get_calendar().sessions(date(2025, 6, 16), date(2025, 7, 31))[:sessions]
        yield Scene(home, urls, feed_url, tuple(days))


@contextmanager
def _vendors() -> Iterator[tuple[dict[int, str], str]]:
    reading, writing = os.pipe()
    stop_reading, stop_writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(stop_writing)
        _serve(writing, stop_reading)
    os.close(writing)
    os.close(stop_reading)
    try:
        with os.fdopen(reading, "rb") as announced:
            yield msgspec.json.decode(announced.read(), type=tuple[dict[int, str], str])
    finally:
        os.close(stop_writing)
        os.waitpid(pid, 0)


def _serve(writing: int, stop_reading: int) -> None:
    try:
        with ExitStack() as vendors:
            urls = {seed: vendors.enter_context(running(SimulatorConfig(market(seed)))).url for seed in SEEDS}
            streamed = SimulatorConfig(
                market(SEEDS[0]), clock=SimulatedClock(_LONG_BEFORE, 0), plan=PLANS["realtime"], feed=FEED
            )
            feed_url = vendors.enter_context(running(streamed)).url
            with os.fdopen(writing, "wb") as announced:
                announced.write(msgspec.json.encode((urls, feed_url)))
            os.read(stop_reading, 1)  # until the soak closes it, or dies
    finally:
        os._exit(0)
