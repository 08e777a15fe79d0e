"""A large day of news, 3,000 articles and one of them about 10,000 tickers: what its tasks take of memory.

The steps of `news_daily`, against a simulator that serves the generated market's articles of many days as those of one.
Real descriptions are some 500 characters long, several times what the market writes.
"""

import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from msgspec.structs import replace

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.due import SPANS
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import publish_stage, validate_stage
from bellwether.ingest.plan import Batch, plan_session
from bellwether.lake import Lake
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.records import Article, Insight
from bellwether.simulator.server import SimulatorConfig, running
from bellwether.sources.rest import PolygonRest
from tests.bench import BenchRow, apart, peak_memory_mb
from tests.builders import SESSION

_ARTICLES, _MOST_NAMED = 3_000, 10_000
_MOST_MEMORY_MB = 500.0


class _LargeDay(GeneratedMarket):
    """A market all of whose news appear within one session, in even steps."""

    def articles(
        self, first: datetime, last: datetime, ticker: str | None, *, newest_first: bool, as_of: datetime
    ) -> Iterator[Article]:
        after, until = SPANS["news"](get_calendar().hours(SESSION))
        written = super().articles(after - timedelta(days=365), after, ticker, newest_first=newest_first, as_of=as_of)
        for number, article in enumerate(islice(written, _ARTICLES), start=1):
            published = after + number * ((until - after) // _ARTICLES)
            if first <= published <= last:
                yield _as_real(article, published, names=_MOST_NAMED if number == _ARTICLES // 2 else 0)


def _as_real(article: Article, published: datetime, *, names: int) -> Article:
    """Return an article of another time and of a real one's length, about so many tickers more."""
    tickers = [f"T{number:04d}" for number in range(names)]
    text = article.description or article.title
    return replace(
        article,
        published_utc=f"{published.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        description=" ".join([text] * (500 // len(text) + 1)),
        tickers=[*article.tickers, *tickers],
        insights=[*(article.insights or ()), *(Insight(ticker, "neutral", text) for ticker in tickers)],
    )


def run() -> list[BenchRow]:
    """Fetch, validate and publish the day, each in a process of its own as the DAG's tasks do."""
    with tempfile.TemporaryDirectory() as folder, running(SimulatorConfig(market=_LargeDay(seed=7))) as simulator:
        lake = Lake.open(folder, simulated=True)
        rest = PolygonRest(simulator.url, "key-of-the-benchmark")
        batches = plan_session(lake, Config(), rest, "news", SESSION, stage_id="s1")
        fetch_mb = apart(_fetch, folder, simulator.url, batches)
        validate_mb = apart(_validate, folder, batches)
        publish_mb = apart(_publish, folder)
        manifest = lake.manifest("news", SESSION)
        assert manifest is not None
        if manifest.rows <= _ARTICLES + _MOST_NAMED or manifest.quarantined_rows:
            message = f"{manifest.rows} rows published and {manifest.quarantined_rows} refused: not the whole day"
            raise AssertionError(message)
    size = f"{_ARTICLES:,} articles, {manifest.rows:,} rows"
    return [
        _row(f"{size}: peak memory of fetching", fetch_mb),
        _row(f"{size}: peak memory of validating", validate_mb),
        _row(f"{size}: peak memory of publishing", publish_mb),
    ]


def _fetch(folder: str, url: str, batches: Sequence[Batch]) -> float:
    [batch] = batches
    return fetch_batch(
        Lake.open(folder, simulated=True), PolygonRest(url, "key-of-the-benchmark"), Config(), batch
    ).peak_memory_mb


def _validate(folder: str, batches: Sequence[Batch]) -> float:
    validate_stage(Lake.open(folder, simulated=True), Config(), batches)
    return peak_memory_mb()


def _publish(folder: str) -> float:
    publish_stage(Lake.open(folder, simulated=True), Config(), "news", SESSION, stage_id="s1", run_id="bench")
    return peak_memory_mb()


def _row(name: str, value: float) -> BenchRow:
    return BenchRow(name, value, _MOST_MEMORY_MB, "MB", value <= _MOST_MEMORY_MB)
