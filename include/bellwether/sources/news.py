"""News: one walk of the whole feed per session, from the close of the session before to its own.

Weekends and holidays belong to the session that follows them, so nothing falls between two sessions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.due import SPANS
from bellwether.errors import LakeError
from bellwether.news.rows import news_rows, tickers_of
from bellwether.news.sentiment import SentimentExtractor
from bellwether.quality.reasons import WarningName
from bellwether.schemas import FORMS, NEWS
from bellwether.sources import endpoints
from bellwether.sources.listing import Listing
from bellwether.sources.raw import Request
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import Article
from bellwether.sources.source import Answer
from bellwether.sources.walk import PageLog
from bellwether.tickers import WHOLE

_FROM, _TO = "published_utc.gte", "published_utc.lte"


@dataclass(frozen=True)
class NewsFeed:
    """Every article about any ticker that appeared after one close and until the next: a `Source`.

    Attributes
    ----------
    extractor
        Who judges where the vendor does not.
    """

    extractor: SentimentExtractor
    dataset: str = "news"

    def ask(self, rest: PolygonRest, subject: str, hours: SessionHours, page_log: PageLog) -> Iterator[Answer]:
        """Ask for the feed between both closes, both included: `gte` is a bound no vendor understands otherwise."""
        del subject
        yield listed(rest, *SPANS[self.dataset](hours), page_log)

    def subject_of(self, request: Request) -> str:
        """Return `WHOLE`; `ValueError` for what asks for no news."""
        if request.endpoint != endpoints.NEWS.name:
            msg = f"no request for news, but for {request.endpoint}"
            raise ValueError(msg)
        return WHOLE

    def check_asked(self, request: Request, hours: SessionHours) -> None:
        """Refuse an answer that does not hold all that appeared between the session's closes; `LakeError`."""
        first, last = SPANS[self.dataset](hours)
        asked = [datetime.fromisoformat(request.arguments[name]) for name in (_FROM, _TO)]
        if asked[0] > first or asked[1] < last or request.arguments.keys() > {_FROM, _TO}:
            msg = f"asked for {dict(request.arguments)}, while the session is {first} to {last}"
            raise LakeError(msg)

    def rows(self, subject: str, answers: Sequence[Answer], hours: SessionHours) -> pa.Table:
        """Return the rows of every article; one that appeared as the session before closed was that session's."""
        del subject
        pages = (news_rows(articles, seen, self.extractor) for articles, seen in _pages(answers, hours))
        return pa.concat_tables([NEWS.empty_table(), *pages]).sort_by(
            [(name, "ascending") for name in FORMS["news"].key]
        )


def listed(rest: PolygonRest, first: datetime, last: datetime, page_log: PageLog | None = None) -> Listing[Article]:
    """Return every article published from one instant to another, both included, in that order; `VendorError`."""
    return rest.listing(endpoints.NEWS, {_FROM: first, _TO: last}, page_log=page_log)


def left_out(answers: Sequence[Answer], hours: SessionHours) -> dict[str, int]:
    """Return what of the answers becomes no row, counted by `WarningName`."""
    without_ticker = malformed = 0
    for articles, _ in _pages(answers, hours):
        for good, others in map(tickers_of, articles):
            without_ticker += not good
            malformed += len(others)
    return {WarningName.ARTICLES_WITHOUT_TICKER.value: without_ticker, WarningName.MALFORMED_TICKERS.value: malformed}


def _pages(answers: Sequence[Answer], hours: SessionHours) -> Iterator[tuple[list[Article], datetime]]:
    """Yield the session's articles of each page, and when the page came."""
    after, until = SPANS["news"](hours)
    for answer in answers:
        if not isinstance(answer, Listing):
            msg = f"not an answer about news: {type(answer).__name__}"
            raise TypeError(msg)
        following = iter(answer.rows)
        for page, count in zip(answer.pages, answer.rows_by_page, strict=True):
            articles = [article for article in islice(following, count) if after < article.published_utc <= until]
            yield articles, page.received_utc
