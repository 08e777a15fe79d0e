"""The news feed of a session: what is asked, whose article it is, and when each was first seen."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bellwether.calendar import get_calendar
from bellwether.errors import LakeError, NotFound
from bellwether.schemas import NEWS
from bellwether.sources.endpoints import NEWS as ENDPOINT
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.news import NewsFeed, left_out
from bellwether.sources.raw import RawPage, Request
from bellwether.tickers import WHOLE
from tests.unit.news.articles import Fixed

HOURS = get_calendar().hours(date(2025, 7, 7))  # a Monday; the Thursday before closed at 13:00, Friday was a holiday
OPENED, CLOSES = datetime(2025, 7, 3, 17, tzinfo=UTC), datetime(2025, 7, 7, 20, tzinfo=UTC)
WINDOW = {"published_utc.gte": OPENED, "published_utc.lte": CLOSES}
SEEN = datetime(2025, 7, 7, 21, tzinfo=UTC)
FEED = NewsFeed(Fixed())


def article(name: str, published: datetime, tickers: Sequence[str] = ("SPY",), **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "title": "Halverton tops estimates",
        "published_utc": published.isoformat().replace("+00:00", "Z"),
        "article_url": "https://wire.example.com/a",
        "tickers": list(tickers),
        "publisher": {"name": "Loopback Wire"},
    } | changes


def answer(*pages: Sequence[Mapping[str, Any]]) -> Listing[Any]:
    """Return the answer of pages that came ten minutes apart."""
    chain = ListingChain.asking(ENDPOINT, WINDOW)
    raw = []
    for number, articles in enumerate(pages):
        following = {"next_url": f"http://v{ENDPOINT.path}?cursor={number}"} if number < len(pages) - 1 else {}
        body = json.dumps(
            {"status": "OK", "request_id": "r", "count": len(articles), "results": articles} | following
        ).encode()
        chain.take(body, url="http://v")
        seen = SEEN + timedelta(minutes=10 * number)
        raw.append(RawPage(chain.request, "c", number, "http://v", 200, None, {}, seen, body))
    return chain.answer(tuple(raw), len(raw))


class Vendor:
    """Takes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def listing(self, *asked: Any, page_log: object) -> Listing[Any]:
        self.asked.append((*asked, page_log))
        return answer([])


def test_the_whole_feed_is_asked_for_from_the_close_before_to_the_close_once() -> None:
    vendor, page_log = Vendor(), object()
    [found] = FEED.ask(vendor, WHOLE, HOURS, page_log)  # type: ignore[arg-type]
    assert vendor.asked == [(ENDPOINT, WINDOW, page_log)]
    assert isinstance(found, Listing)


def test_an_article_at_the_instant_of_a_close_is_of_the_session_that_closes() -> None:
    found = answer([article("at the close before", OPENED), article("after", OPENED + timedelta(milliseconds=1))], [])
    assert FEED.rows(WHOLE, [found], HOURS)["article_id"].to_pylist() == ["after"]
    assert FEED.rows(WHOLE, [answer([article("at", CLOSES)])], HOURS).num_rows == 1
    before = get_calendar().hours(date(2025, 7, 3))
    assert FEED.rows(WHOLE, [found], before)["article_id"].to_pylist() == ["at the close before"]


def test_a_row_was_first_seen_when_its_page_came() -> None:
    found = answer([article("a", OPENED + timedelta(1))], [article("b", OPENED + timedelta(2), ["A", "SPY"])])
    rows = FEED.rows(WHOLE, [found], HOURS).select(["ticker", "article_id", "first_seen_utc"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("A", "b", SEEN + timedelta(minutes=10)),
        ("SPY", "a", SEEN),
        ("SPY", "b", SEEN + timedelta(minutes=10)),
    ]


def test_an_article_that_pages_repeat_was_seen_on_the_first() -> None:
    one, two = article("a", OPENED + timedelta(1)), article("b", OPENED + timedelta(2))
    rows = FEED.rows(WHOLE, [answer([one], [one, two])], HOURS)
    assert rows["article_id"].to_pylist() == ["a", "b"]
    assert rows["first_seen_utc"].to_pylist() == [SEEN, SEEN + timedelta(minutes=10)]


def test_no_articles_are_no_rows() -> None:
    assert FEED.rows(WHOLE, [answer([])], HOURS).equals(NEWS.empty_table())


def test_articles_without_tickers_and_malformed_tickers_are_counted_of_the_session_alone() -> None:
    found = answer(
        [article("other session's", OPENED, []), article("none", OPENED + timedelta(1), [])],
        [article("bad", OPENED + timedelta(1), ["../x", "X:BTCUSD"]), article("some", CLOSES, ["../x", "../x", "A"])],
    )
    assert left_out([found], HOURS) == {"articles_without_ticker": 2, "malformed_tickers": 3}


def test_only_requests_for_news_are_its_own() -> None:
    assert FEED.subject_of(answer([]).pages[0].request) == WHOLE
    with pytest.raises(ValueError, match="no request for news, but for splits"):
        FEED.subject_of(Request("splits", {}))


def test_a_stored_answer_holds_all_between_both_closes_or_is_refused() -> None:
    asked = dict(answer([]).pages[0].request.arguments)
    FEED.check_asked(Request("news", asked), HOURS)
    FEED.check_asked(Request("news", asked | {"published_utc.gte": "2025-07-01T00:00:00Z"}), HOURS)
    for narrower in (
        {"published_utc.gte": "2025-07-03T17:00:01Z"},
        {"published_utc.lte": "2025-07-07T19:59:59Z"},
        {"ticker": "SPY"},
    ):
        with pytest.raises(LakeError, match="while the session is 2025-07-03 17:00:00"):
            FEED.check_asked(Request("news", asked | narrower), HOURS)


def test_what_is_no_listing_is_no_answer_about_news() -> None:
    with pytest.raises(TypeError, match="NotFound"):
        FEED.rows(WHOLE, [NotFound("no such page", url="http://v", status=404)], HOURS)
