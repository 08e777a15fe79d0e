"""Articles as Arrow rows, one per article and ticker.

A row says when it was first seen, and everything in it was known then: whatever the vendor changes afterwards, be it
a word of the title or a judgement added, is a row of its own, the next version (`bellwether.news.versions`).
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pyarrow as pa

from bellwether.news.language import language_of
from bellwether.news.sentiment import SentimentExtractor, insights_of, sentiments_of, text_of
from bellwether.news.text import DESCRIPTION_CHARS, NAME_CHARS, TITLE_CHARS, URL_CHARS, clean_line, clean_text
from bellwether.news.versions import number_versions
from bellwether.schemas import KEYWORD_SEPARATOR, NEWS
from bellwether.sources.rows import Article
from bellwether.universe.spec import malformed_among

_CONTENT = ("published_utc", "title", "description", "author", "publisher", "article_url", "keywords")


def news_rows(articles: Iterable[Article], first_seen: datetime, extractor: SentimentExtractor) -> pa.Table:
    """Return the rows of an answer, one per article and ticker, in order of ticker, time, article and version.

    Parameters
    ----------
    articles
        As the vendor sent them, in any order; repeated ones count once. A time finer than milliseconds becomes null.
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
    # Rounded up: at no instant does a row say of itself that it was known and was not.
    first_seen += timedelta(microseconds=-first_seen.microsecond % 1000)
    rows = [
        row
        for article in articles
        if (tickers := tickers_of(article)[0])
        for row in _rows_of(article, tickers, first_seen, extractor)
    ]
    return number_versions(pa.Table.from_pylist(rows, NEWS))


def tickers_of(article: Article) -> tuple[list[str], list[str]]:
    """Return the tickers that an article names, and the names in its list that are no equity tickers; sorted.

    Parameters
    ----------
    article
        As the vendor sent it. However often it repeats a name, it counts once.
    """
    named = sorted(set(article.tickers))
    malformed = malformed_among(named)
    return [name for name in named if name not in malformed], list(malformed)


def _rows_of(
    article: Article, tickers: list[str], first_seen: datetime, extractor: SentimentExtractor
) -> Iterator[dict[str, Any]]:
    shared: dict[str, Any] = {
        "article_id": article.id,
        "published_utc": _in_whole_ms(article.published_utc.astimezone(UTC)),
        "title": clean_text(article.title, TITLE_CHARS),
        "description": clean_text(article.description or "", DESCRIPTION_CHARS) or None,
        "author": clean_text(article.author or "", NAME_CHARS) or None,
        "publisher": clean_text(article.publisher.name, NAME_CHARS),
        "article_url": clean_line(article.article_url, URL_CHARS),
        "keywords": KEYWORD_SEPARATOR.join(filter(None, map(_clean_keyword, article.keywords or []))),
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


def _in_whole_ms(published: datetime) -> datetime | None:
    """Return a time that the column holds exactly; Arrow would cut off the rest. None, a null key, is quarantined."""
    return None if published.microsecond % 1000 else published


def _clean_keyword(raw: str) -> str:
    return clean_text(raw.replace(KEYWORD_SEPARATOR, " "), NAME_CHARS)
