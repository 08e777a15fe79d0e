"""A vendor without a network: answers bars, errors or nothing per ticker, and counts what it was asked."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.errors import NotFound, VendorError
from bellwether.lake import Lake
from bellwether.sources.aggregates import Aggregates
from bellwether.sources.raw import RawPage, Request
from bellwether.sources.walk import PageLog
from bellwether.universe.spec import TickerList, UniverseSpec
from tests.builders import SESSION, bars, bars_body
from tests.windows import NEVER_LATE

NOT_FOUND = b'{"status":"NOT_FOUND","message":"no such ticker"}'

UNIVERSE = ("AAPL", "MSFT", "QQQ", "SPY")


def with_universe(config: Config, rule: UniverseSpec | None = None, **named: tuple[str, ...]) -> Config:
    """Return the configuration with a rule, or with another list of tickers by role."""
    source = config.sources.equities.model_copy(update={"universe": rule or TickerList(**named)})
    return config.model_copy(update={"sources": config.sources.model_copy(update={"equities": source})})


class FakeVendor:
    """Stands where `PolygonRest` does; by default every ticker has five bars."""

    def __init__(self) -> None:
        self.errors: dict[str, VendorError] = {}
        self.tables = {}
        self.asked: Counter[str] = Counter()
        self.on_ask: Callable[[Any], object] = lambda _page_log: None

    def reading(self, _take: object) -> "FakeVendor":
        return self

    def aggregates(self, ticker: str, from_ms: int, to_ms: int, *, page_log: PageLog | None) -> Aggregates:
        self.on_ask(page_log)
        self.asked[ticker] += 1
        table = self.tables.get(ticker, bars(ticker))
        page = RawPage(
            request=Request("aggregates", {"ticker": ticker, "from_ms": str(from_ms), "to_ms": str(to_ms)}),
            chain_id=f"c-{ticker}",
            number=0,
            url=f"http://vendor/{ticker}/{from_ms}/{to_ms}",
            http_status=200,
            request_id=f"r-{ticker}",
            headers={},
            received_utc=datetime(2025, 7, 10, tzinfo=UTC) + timedelta(milliseconds=self.asked.total()),
            body=bars_body(ticker, table),
        )
        error = self.errors.get(ticker)
        if isinstance(error, NotFound) and not error.pages:
            error.pages = (replace(page, http_status=404, body=NOT_FOUND),)
        if error is not None:
            raise error
        return Aggregates(ticker, table, (page,), "OK", 1)


@pytest.fixture
def vendor() -> FakeVendor:
    return FakeVendor()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(
        tmp_path / "lake", simulated=True, clock=SimulatedClock(datetime(2025, 7, 10, tzinfo=UTC), speed=1)
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    env = NEVER_LATE | {
        "BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, MSFT, QQQ, SPY]",
        "BELLWETHER__INGEST__BATCH_TICKERS": "2",
    }
    return Config.load(tmp_path, env)


@pytest.fixture
def session() -> object:
    return SESSION
