"""Articles of a generated market: some on every day, more on sessions, each about one to four tickers.

A day is drawn alone, so any span can be read in either direction. Older articles have no insights.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from bellwether.calendar import get_calendar
from bellwether.simulator.bars import Ints
from bellwether.simulator.records import Article, Insight, Publisher
from bellwether.simulator.seeds import draw, identifier

_FIRST_DAY = date(2016, 1, 1)
_INSIGHTS_SINCE = date(2023, 1, 1)
_INSIGHT_SHARE = 0.8
_PER_SESSION, _PER_REST_DAY = 40, 8
_LISTED_TICKERS = 4
_HEADLINES = (
    ("positive", "{} rises as orders beat expectations", "The article reports growing orders for {}."),
    ("positive", "Why analysts like {}", "Analysts raised their price targets for {}."),
    ("neutral", "What to know about {} before earnings", "The article previews {} without a judgement."),
    ("neutral", "{} announces date of annual meeting", "A formal announcement by {}."),
    ("negative", "{} falls after weak guidance", "{} lowered its outlook for the year."),
    ("negative", "Regulator questions {}", "An inquiry may cost {} time and money."),
)
_HOUSES = tuple(
    Publisher(
        name,
        f"https://{host}/",
        f"https://s3.polygon.io/public/assets/news/logos/{host}.svg",
        f"https://s3.polygon.io/public/assets/news/favicons/{host}.ico",
    )
    for name, host in (("Loopback Wire", "wire.example.com"), ("The Simulated Investor", "investor.example.com"))
)


class _Day(NamedTuple):
    """A day's articles as numbers: second of the day (ascending), kind, and tickers (rows of distinct positions)."""

    second: Ints
    kind: Ints
    tickers: list[list[int]]


class News:
    """The articles about a market's tickers."""

    def __init__(self, seed: int, tickers: tuple[str, ...]) -> None:
        self._seed = seed
        self._tickers = tickers
        self._positions = {ticker: position for position, ticker in enumerate(tickers)}
        self._day = lru_cache(maxsize=8192)(self._draw_day)

    def between(self, first: datetime, last: datetime, ticker: str | None, *, newest_first: bool) -> Iterator[Article]:
        """Yield the articles published from `first` to `last`, both included, in order of time."""
        start, end = max(first.date(), _FIRST_DAY), last.date()
        wanted = None if ticker is None else self._positions.get(ticker, -1)
        for number in range((end - start).days + 1):
            day = end - timedelta(days=number) if newest_first else start + timedelta(days=number)
            articles = self._articles(day, wanted)
            for moment, article in reversed(articles) if newest_first else articles:
                if first <= moment <= last:
                    yield article

    def _articles(self, day: date, wanted: int | None) -> list[tuple[datetime, Article]]:
        drawn = self._day(day)
        midnight = datetime.combine(day, time(), UTC)
        rows = [row for row, about in enumerate(drawn.tickers) if wanted is None or wanted in about]
        moments = [midnight + timedelta(seconds=int(drawn.second[row])) for row in rows]
        return [(moment, self._article(drawn, row, moment)) for row, moment in zip(rows, moments, strict=True)]

    def _article(self, day: _Day, row: int, moment: datetime) -> Article:
        about = [self._tickers[position] for position in day.tickers[row]]
        kind = int(day.kind[row])
        sentiment, title, reason = _HEADLINES[kind % len(_HEADLINES)]
        published = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        name = identifier(self._seed, "news", published, str(row))
        house = _HOUSES[kind % len(_HOUSES)]
        # One judgement per ticker, not per article: the first is what the headline says, others are neutral.
        insights = [
            Insight(ticker, "neutral" if place else sentiment, reason.format(ticker))
            for place, ticker in enumerate(about)
        ]
        judged = moment.date() >= _INSIGHTS_SINCE and kind % 100 < 100 * _INSIGHT_SHARE
        return Article(
            id=name,
            publisher=house,
            title=title.format(about[0]),
            author=house.name,
            published_utc=published,
            article_url=f"{house.homepage_url}{name}",
            tickers=about,
            description=reason.format(about[0]) if kind % 7 else msgspec.UNSET,
            keywords=["markets", "earnings"] if kind % 3 else msgspec.UNSET,
            insights=insights if judged else msgspec.UNSET,
        )

    def _draw_day(self, day: date) -> _Day:
        rng = draw(self._seed, "news", day.isoformat())
        count = int(rng.poisson(_PER_SESSION if get_calendar().is_session(day) else _PER_REST_DAY))
        second = np.sort(rng.integers(0, 86_400, count))
        most = min(_LISTED_TICKERS, len(self._tickers))
        drawn = rng.integers(0, len(self._tickers), (count, most)).tolist()
        lengths = rng.integers(1, most + 1, count).tolist()
        about = [list(dict.fromkeys(row[:length])) for row, length in zip(drawn, lengths, strict=True)]
        return _Day(second, rng.integers(0, 10_000, count), about)
