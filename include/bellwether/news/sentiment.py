"""How an article sounds for a ticker: the vendor's judgement where there is one, else an extractor's, else a reason.

An extractor is anything with a name that turns text into a score; `LexiconExtractor` is the one that needs no
network and no model. A missing score is null, never zero: zero is the score of a neutral article.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from typing import Final, Literal, Protocol

from bellwether.news.language import language_of
from bellwether.news.terms import PHRASES, TERMS
from bellwether.news.text import DESCRIPTION_CHARS, TITLE_CHARS, clean_text
from bellwether.sources.rows import Article, Insight

Label = Literal["positive", "neutral", "negative"]
Reason = Literal["not_english", "no_text"]

VENDOR_SCORES: Final[dict[Label, float]] = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}
THRESHOLD: Final = 0.05
"""Scores nearer to zero are neutral: the bound that VADER's authors give."""

_SCORED_CHARS: Final = 1_000
"""The library compares words pairwise, so its time grows with the square of the text; what matters comes first."""


@dataclass(frozen=True)
class Score:
    """A score from -1, bad for holders of the share, to 1, and its label."""

    score: float
    label: Label


class SentimentExtractor(Protocol):
    """Turns text into a score."""

    @property
    def name(self) -> str:
        """What stands in `sentiment_source`: method and version, as everything that changes a score changes it."""
        ...

    def extract(self, text: str, language: str) -> Score | Reason:
        """Return the score of a clean text, or why there is none.

        Parameters
        ----------
        text
            Clean text; may be empty.
        language
            Its ISO 639 code.
        """
        ...


@dataclass(frozen=True)
class Sentiment:
    """What the columns `sentiment*` hold of one article and ticker."""

    score: float | None
    label: Label | None
    source: str
    reasoning: str | None = None


class _Analyzer(Protocol):
    lexicon: dict[str, float]

    def polarity_scores(self, text: str) -> dict[str, float]: ...


class LexiconExtractor:
    """VADER's rules and lexicon, with what words mean in financial news (`bellwether.news.terms`).

    Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", 2014.
    """

    @cached_property
    def name(self) -> str:
        """`lexicon:vader-` and the library's version, then a hash of our terms: changed terms are another source."""
        terms = [*TERMS.items(), *((pattern.pattern, token) for pattern, token in PHRASES)]
        digest = sha256(repr(sorted(map(str, terms))).encode()).hexdigest()
        return f"lexicon:vader-{version('vaderSentiment')}+{digest[:8]}"

    def extract(self, text: str, language: str) -> Score | Reason:
        """Return the score of an English text, or why there is none.

        Parameters
        ----------
        text
            Clean text; its first 1,000 characters are scored.
        language
            Its ISO 639 code.
        """
        if not text:
            return "no_text"
        if language != "en":
            return "not_english"
        score = float(self._analyzer.polarity_scores(_with_terms_joined(text[:_SCORED_CHARS]))["compound"])
        return Score(score, label_of(score))

    @cached_property
    def _analyzer(self) -> _Analyzer:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - only where scored

        analyzer: _Analyzer = SentimentIntensityAnalyzer()
        analyzer.lexicon.update({_joined(term): valence for term, valence in TERMS.items()})
        return analyzer


def label_of(score: float) -> Label:
    """Return the label of a score between -1 and 1.

    Parameters
    ----------
    score
        Neutral within 0.05 of zero.
    """
    if score >= THRESHOLD:
        return "positive"
    return "negative" if score <= -THRESHOLD else "neutral"


def text_of(article: Article) -> str:
    """Return what of an article is scored: clean title and description.

    Parameters
    ----------
    article
        As the vendor sent it.
    """
    title = clean_text(article.title, TITLE_CHARS)
    description = clean_text(article.description or "", DESCRIPTION_CHARS)
    return " ".join(filter(None, (title, description)))


def sentiments_of(article: Article, tickers: Iterable[str], extractor: SentimentExtractor) -> dict[str, Sentiment]:
    """Return the sentiment of an article for each ticker.

    Parameters
    ----------
    article
        As the vendor sent it. Of two insights for one ticker the first counts.
    tickers
        Whom to judge it for. The extractor is asked once at most: it judges the text, not the ticker.
    extractor
        Who judges where the vendor does not.
    """
    insights = insights_of(article)
    judged: Sentiment | None = None
    answer = {}
    for ticker in tickers:
        insight = insights.get(ticker)
        if insight and insight.sentiment:
            reasoning = clean_text(insight.sentiment_reasoning or "", DESCRIPTION_CHARS) or None
            # A word that was let pass since has no score.
            score = VENDOR_SCORES.get(insight.sentiment)
            answer[ticker] = Sentiment(score, insight.sentiment, "vendor", reasoning)
        else:
            judged = judged or _judged(text_of(article), extractor)
            answer[ticker] = judged
    return answer


def insights_of(article: Article) -> dict[str, Insight]:
    """Return the vendor's insights by ticker, the first of each.

    Parameters
    ----------
    article
        As the vendor sent it.
    """
    return {insight.ticker: insight for insight in reversed(article.insights or [])}


def _judged(text: str, extractor: SentimentExtractor) -> Sentiment:
    found = extractor.extract(text, language_of(text))
    if isinstance(found, Score):
        return Sentiment(found.score, found.label, extractor.name)
    return Sentiment(None, None, f"none:{found}")


def _joined(term: str) -> str:
    return term.replace(" ", "_")


# The library looks words up one by one: what means something as a whole becomes one word. Longest first.
_PHRASE: Final = re.compile(
    rf"\b(?:{'|'.join(re.escape(term) for term in sorted(TERMS, key=len, reverse=True) if ' ' in term)})\b",
    re.IGNORECASE,
)


def _with_terms_joined(text: str) -> str:
    for pattern, token in PHRASES:
        text = pattern.sub(token, text)
    return _PHRASE.sub(lambda match: _joined(match[0]), text)
