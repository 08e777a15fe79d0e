"""Articles for tests, and an extractor that answers what it is told."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from bellwether.news.sentiment import Reason, Score
from bellwether.sources.rows import Article, Insight, Publisher

PUBLISHED = datetime(2025, 7, 1, 14, 30, tzinfo=UTC)


def article(**changes: Any) -> Article:
    values: dict[str, Any] = {
        "id": "a1",
        "title": "Halverton tops estimates",
        "published_utc": PUBLISHED,
        "article_url": "https://wire.example.com/a1",
        "tickers": ["HLV"],
        "publisher": Publisher(name="Loopback Wire"),
    }
    return Article(**values | changes)


def insight(ticker: str, sentiment: Any, reasoning: str | None = None) -> Insight:
    return Insight(ticker=ticker, sentiment=sentiment, sentiment_reasoning=reasoning)


class Fixed:
    """Answers one thing and counts how often each text was asked for."""

    name = "fixed-1"

    def __init__(self, answer: Score | Reason = Score(0.5, "positive")) -> None:  # noqa: B008 - frozen
        self.answer = answer
        self.asked: Counter[str] = Counter()

    def extract(self, text: str, language: str) -> Score | Reason:
        self.asked[text] += 1
        return self.answer
