"""Articles as Arrow rows, one per article and ticker, and how a later answer joins what was published.

A row says when it was first seen, and everything in it was known then: whatever the vendor changes afterwards, be it
a word of the title or a judgement added, is a row of its own, the next version.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.news.language import language_of
from bellwether.news.sentiment import SentimentExtractor, insights_of, sentiments_of, text_of
from bellwether.news.text import DESCRIPTION_CHARS, NAME_CHARS, TITLE_CHARS, URL_CHARS, clean_line, clean_text
from bellwether.schemas import NEWS
from bellwether.sources.rows import Article
from bellwether.tickers import check_ticker

_CONTENT = ("published_utc", "title", "description", "author", "publisher", "article_url", "keywords")
_ORDER = ("ticker", "published_utc", "article_id", "version")


class NewsRows(NamedTuple):
    """The rows of an answer, as NEWS, and what gave none."""

    table: pa.Table
    without_tickers: int
    """Articles that name no ticker, or none that is well formed."""
    malformed_tickers: int
    """Names in articles' lists that are no equity tickers, however often an article repeats one."""


def news_rows(articles: Iterable[Article], first_seen: datetime, extractor: SentimentExtractor) -> NewsRows:
    """Return the rows of an answer, in order of ticker, time, article and version.

    Parameters
    ----------
    articles
        As the vendor sent them, in any order; repeated ones count once.
    first_seen
        When the answer was had; aware.
    extractor
        Who judges where the vendor does not.

    Raises
    ------
    ValueError
        `first_seen` is naive.
    """
    if first_seen.tzinfo is None:
        msg = f"first_seen has no time zone: {first_seen}"
        raise ValueError(msg)
    rows: list[dict[str, Any]] = []
    without_tickers = malformed = 0
    for article in articles:
        tickers = set(article.tickers)
        good = sorted(filter(_is_ticker, tickers))
        malformed += len(tickers) - len(good)
        without_tickers += not good
        if good:
            rows += _rows_of(article, good, first_seen, extractor)
    return NewsRows(_with_versions(pa.Table.from_pylist(rows, NEWS)), without_tickers, malformed)


def merge_versions(published: pa.Table, arriving: pa.Table) -> pa.Table:
    """Return what is known after an answer has arrived: every version of every article, each from when first seen.

    A union: in which order answers arrive, and how often, makes no difference. Nothing is ever taken away; an article
    that a later answer lacks stays. A text that returns to an earlier wording is that earlier version.

    Parameters
    ----------
    published, arriving
        Rows as NEWS. Versions are numbered anew, by first sight.
    """
    return _with_versions(pa.concat_tables([published, arriving]))


def _rows_of(
    article: Article, tickers: list[str], first_seen: datetime, extractor: SentimentExtractor
) -> Iterator[dict[str, Any]]:
    shared: dict[str, Any] = {
        "article_id": article.id,
        "published_utc": article.published_utc.astimezone(UTC),
        "title": clean_text(article.title, TITLE_CHARS),
        "description": clean_text(article.description or "", DESCRIPTION_CHARS) or None,
        "author": clean_text(article.author or "", NAME_CHARS) or None,
        "publisher": clean_text(article.publisher.name, NAME_CHARS),
        "article_url": clean_line(article.article_url, URL_CHARS),
        "keywords": [word for raw in article.keywords or [] if (word := clean_text(raw, NAME_CHARS))],
    }
    content = sha256(json.dumps([shared[name] for name in _CONTENT], default=str).encode())
    shared |= {"first_seen_utc": first_seen, "version": 1, "language": language_of(text_of(article))}
    insights = insights_of(article)
    for ticker, sentiment in sentiments_of(article, tickers, extractor).items():
        digest = content.copy()
        # The vendor's judgement is part of what it says; ours follows from the text and makes no version.
        if ticker in insights:
            digest.update(json.dumps([sentiment.label, sentiment.reasoning]).encode())
        yield shared | {
            "ticker": ticker,
            "sentiment": sentiment.score,
            "sentiment_label": sentiment.label,
            "sentiment_source": sentiment.source,
            "sentiment_reasoning": sentiment.reasoning,
            "content_hash": digest.hexdigest(),
        }


def _with_versions(table: pa.Table) -> pa.Table:
    """Of each article, ticker and content keep the row first seen; number them by that."""
    table = _first_of_each(table, ("article_id", "ticker", "content_hash"))
    table = _sorted(table, ("article_id", "ticker", "first_seen_utc", "content_hash"))
    place = np.arange(len(table))
    first = np.maximum.accumulate(np.where(_starts(table, ("article_id", "ticker")), place, 0))
    numbers = pa.array(place - first + 1, pa.int32())
    index = NEWS.get_field_index("version")
    return _sorted(table.set_column(index, NEWS.field(index), numbers), _ORDER).combine_chunks()


def _first_of_each(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    # The last two decide between rows seen at one instant and scored by two versions of an extractor.
    ordered = _sorted(table, (*key, "first_seen_utc", "sentiment_source", "sentiment"))
    return ordered.filter(pa.array(_starts(ordered, key)))


def _starts(ordered: pa.Table, key: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return where a row's key differs from that of the row before."""
    starts = np.ones(len(ordered), dtype=bool)
    if len(ordered) > 1:
        differ = [pc.not_equal(ordered[name].slice(1), ordered[name].slice(0, len(ordered) - 1)) for name in key]
        starts[1:] = np.logical_or.reduce([column.to_numpy() for column in differ])
    return starts


def _sorted(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in key])


def _is_ticker(name: str) -> bool:
    try:
        check_ticker(name)
    except ValueError:
        return False
    return True
