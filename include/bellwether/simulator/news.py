"""Articles of a generated market: some on every day, more on sessions and in business hours.

Texts are put together from parts. Most articles are about one to four tickers, some about none; older ones have no
insights; some are not in English, some have HTML entities in them, and some are corrected hours after they were
published, under the same id and time. A day is drawn alone, so any span can be read in either direction.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.simulator.bars import Ints
from bellwether.simulator.records import Article, Insight, Publisher
from bellwether.simulator.seeds import draw, identifier

_FIRST_DAY = date(2016, 1, 1)
_INSIGHTS_SINCE = date(2023, 1, 1)
_INSIGHT_SHARE = 0.8
_WITHOUT_TICKERS, _FOREIGN, _CORRECTED = 0.06, 0.06, 0.05  # shares of all articles
_PER_SESSION, _PER_REST_DAY = 40, 8
_BUSINESS_SHARE = 0.7  # of a day's articles, between 06:00 and 18:00 New York
_LISTED_TICKERS = 4
_SENTIMENTS = ("positive", "neutral", "negative")
_EVENTS = {
    "positive": (
        ("rises after orders beat expectations", "reported growing orders"),
        ("raises its outlook for the year", "expects more revenue than before"),
        ("wins a long-term supply contract", "signed a contract over several years"),
        ("gains as analysts raise price targets", "was upgraded by several analysts"),
        ("announces a larger buyback", "will return more cash to shareholders"),
    ),
    "neutral": (
        ("sets the date of its annual meeting", "made a formal announcement"),
        ("names a new chief financial officer", "changes its management as planned"),
        ("trades sideways ahead of earnings", "is previewed without a judgement"),
        ("presents at an industry conference", "repeated what it had said before"),
        ("completes the move of its headquarters", "finished a move announced last year"),
    ),
    "negative": (
        ("falls after weak guidance", "lowered its outlook"),
        ("faces questions from a regulator", "may pay for an inquiry in time and money"),
        ("recalls a product", "has to bear the cost of a recall"),
        ("slips as margins shrink", "earned less on each sale than a year ago"),
        ("loses a large customer", "will miss the revenue of a customer"),
    ),
}
_LEADS = ("", "Market update: ", "Before the bell: ", "Why ", "Explained: ", "Analysis: ")
_ENTITIES = (" &amp; what it means for investors", " &#8211; the details", " &quot;in a class of its own&quot;")
_FOREIGN_TITLES = (
    ("{} meldet Quartalszahlen über den Erwartungen", "Der Konzern erhöht die Prognose für das Gesamtjahr."),
    ("{} : les résultats dépassent les prévisions", "Le groupe relève ses objectifs pour l'année."),
    ("{} sube tras presentar resultados", "La compañía mejora sus previsiones para el año."),
    ("{}、通期見通しを上方修正", "会社は今年度の業績予想を引き上げた。"),
)
_MARKET_TITLES = (
    ("Futures little changed ahead of jobs report", "Investors wait for data on employment."),
    ("Treasury yields drift as traders weigh the next rate decision", "Bonds moved little in quiet trading."),
    ("What the calendar of earnings holds this week", "An overview of companies that report."),
    ("Oil steadies after two days of losses", "Crude recovered part of its decline."),
)
_KEYWORDS = ("markets", "earnings", "guidance", "analysts", "regulation", "dividends", "technology", "energy")
_AUTHORS = ("A. Rivera", "J. Lindqvist", "M. Okafor", "P. Tanaka", "S. Novak")
_HOUSES = tuple(
    Publisher(
        name,
        f"https://{host}/",
        f"https://s3.polygon.io/public/assets/news/logos/{host}.svg",
        f"https://s3.polygon.io/public/assets/news/favicons/{host}.ico",
    )
    for name, host in (
        ("Loopback Wire", "wire.example.com"),
        ("The Simulated Investor", "investor.example.com"),
        ("Generated Press Release", "press.example.com"),
    )
)


class _Day(NamedTuple):
    """A day's articles as numbers: second of the UTC day (ascending), and tickers (rows of distinct positions)."""

    second: Ints
    tickers: list[list[int]]


class News:
    """The articles about a market's tickers."""

    def __init__(self, seed: int, tickers: tuple[str, ...]) -> None:
        self._seed = seed
        self._tickers = tickers
        self._positions = {ticker: position for position, ticker in enumerate(tickers)}
        self._day = lru_cache(maxsize=8192)(self._draw_day)

    def between(
        self, first: datetime, last: datetime, ticker: str | None, *, newest_first: bool, as_of: datetime
    ) -> Iterator[Article]:
        """Yield the articles published from `first` to `last`, both included, in order of time; texts of `as_of`."""
        start, end = max(first.date(), _FIRST_DAY), last.date()
        wanted = None if ticker is None else self._positions.get(ticker, -1)
        for number in range((end - start).days + 1):
            day = end - timedelta(days=number) if newest_first else start + timedelta(days=number)
            drawn, midnight = self._day(day), datetime.combine(day, time(), UTC)
            rows = [row for row, about in enumerate(drawn.tickers) if wanted is None or wanted in about]
            for row in reversed(rows) if newest_first else rows:
                moment = midnight + timedelta(seconds=int(drawn.second[row]))
                if first <= moment <= last:
                    yield self._article(drawn, row, moment, as_of)

    def _article(self, day: _Day, row: int, moment: datetime, as_of: datetime) -> Article:
        about = [self._tickers[position] for position in day.tickers[row]]
        published = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        name = identifier(self._seed, "news", published, str(row))
        rng = draw(self._seed, "article", name)
        house, sentiment = _HOUSES[rng.integers(len(_HOUSES))], _SENTIMENTS[rng.integers(len(_SENTIMENTS))]
        title, description, foreign = self._text(rng, about, sentiment)
        # One judgement per ticker, not per article: the first is what the headline says, others are drawn.
        judgements = [sentiment, *(_SENTIMENTS[kind] for kind in rng.integers(len(_SENTIMENTS), size=_LISTED_TICKERS))]
        insights = [
            Insight(ticker, judged, _reason(rng, ticker, judged))
            for ticker, judged in zip(about, judgements, strict=False)
        ]
        judged = moment.date() >= _INSIGHTS_SINCE and not foreign and bool(about) and rng.random() < _INSIGHT_SHARE
        keywords = sorted({_KEYWORDS[word] for word in rng.integers(len(_KEYWORDS), size=3)})
        corrected = rng.random() < _CORRECTED
        if corrected and as_of >= moment + timedelta(hours=float(rng.uniform(1, 12))):
            title, description = f"CORRECTED: {title}", f"{description} An earlier version misstated a figure."
        return Article(
            id=name,
            publisher=house,
            title=title,
            author=_AUTHORS[rng.integers(len(_AUTHORS))],
            published_utc=published,
            article_url=f"{house.homepage_url}{name}",
            tickers=about,
            description=description if rng.random() < 0.85 else msgspec.UNSET,
            keywords=keywords if rng.random() < 0.7 else msgspec.UNSET,
            insights=insights if judged else msgspec.UNSET,
        )

    def _text(self, rng: np.random.Generator, about: list[str], sentiment: str) -> tuple[str, str, bool]:
        """Return title, description and whether they are not in English."""
        if not about:
            title, description = _MARKET_TITLES[rng.integers(len(_MARKET_TITLES))]
            return title, description, False
        if rng.random() < _FOREIGN:
            title, description = _FOREIGN_TITLES[rng.integers(len(_FOREIGN_TITLES))]
            return title.format(about[0]), description, True
        event, _ = _EVENTS[sentiment][rng.integers(len(_EVENTS[sentiment]))]
        title = f"{_LEADS[rng.integers(len(_LEADS))]}{about[0]} {event}"
        if rng.random() < 0.1:
            title += _ENTITIES[rng.integers(len(_ENTITIES))]
        others = f" Also mentioned: {', '.join(about[1:])}." if about[1:] else ""
        return title, f"{_reason(rng, about[0], sentiment)}{others}", False

    def _draw_day(self, day: date) -> _Day:
        rng = draw(self._seed, "news", day.isoformat())
        count = int(rng.poisson(_PER_SESSION if get_calendar().is_session(day) else _PER_REST_DAY))
        opening = datetime.combine(day, time(6), NEW_YORK).astimezone(UTC)
        in_business = rng.random(count) < _BUSINESS_SHARE
        business = opening.hour * 3600 + rng.integers(0, 12 * 3600, count)
        # No two in one second, so that time alone orders them.
        second = np.unique(np.where(in_business, business, rng.integers(0, 86_400, count)))
        count = len(second)
        most = min(_LISTED_TICKERS, len(self._tickers))
        drawn = rng.integers(0, len(self._tickers), (count, most)).tolist()
        lengths = np.where(rng.random(count) < _WITHOUT_TICKERS, 0, rng.integers(1, most + 1, count)).tolist()
        about = [list(dict.fromkeys(row[:length])) for row, length in zip(drawn, lengths, strict=True)]
        return _Day(second, about)


def _reason(rng: np.random.Generator, ticker: str, sentiment: str) -> str:
    _, reason = _EVENTS[sentiment][rng.integers(len(_EVENTS[sentiment]))]
    return f"{ticker} {reason}."
