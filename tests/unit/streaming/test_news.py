"""Polling news: what a round asks for, what it writes, what it does when the vendor does not answer."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.config.settings import StreamingSettings
from bellwether.errors import LeaseHeld, NotEntitled, RateLimited, ServerError, StreamRefused, VendorError
from bellwether.lake import Coverage, Lake, paths, read
from bellwether.sources.endpoints import NEWS as ENDPOINT
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import RawPage
from bellwether.streaming.batches import Batches, Writer
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.lease import ask_to_stop, read_lease
from bellwether.streaming.live import publish_live
from bellwether.streaming.news import NewsPoller, Round
from bellwether.streaming.rounds import Again
from tests.unit.news.articles import Fixed
from tests.unit.sources.test_news import article
from tests.unit.streaming.feeds import Hand

DAY = date(2025, 7, 7)  # a Monday; the Thursday before closed at 13:00, Friday was a holiday
HOURS = get_calendar().hours(DAY)
OPENED = datetime(2025, 7, 3, 17, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Judge(Fixed):
    """An extractor of a name that the rules know."""

    name = "lexicon:fixed-1"


class Vendor:
    """Lists what was published until its clock's now; one that is fast, what is dated later, too."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.articles: list[dict[str, Any]] = []
        self.error: VendorError | None = None
        self.asked: list[Mapping[str, datetime]] = []
        self.is_fast = False

    def listing(self, endpoint: Any, filters: Mapping[str, datetime], *, page_log: object) -> Listing[Any]:
        assert (endpoint, page_log) == (ENDPOINT, None)
        self.asked.append(filters)
        if self.error is not None:
            raise self.error
        chain = ListingChain.asking(endpoint, filters)
        first, last = filters.values()
        now = min(last, self.hand.moment)
        known = [
            each
            for each in self.articles
            if first <= datetime.fromisoformat(each["published_utc"]) <= (last if self.is_fast else now)
        ]
        body = json.dumps({"status": "OK", "request_id": "r", "count": len(known), "results": known}).encode()
        chain.take(body, url="http://v")
        page = RawPage(chain.request, "c", 0, "http://v", 200, "r", {}, self.hand.moment, body)
        return chain.answer((page,), 1)


class Passing:
    """A deadline that passes as it is looked at."""

    def __init__(self, hand: Hand, seconds: float) -> None:
        self._hand = hand
        self._seconds = seconds

    @property
    def is_over(self) -> bool:
        if self._seconds > 0:
            self._hand.move(self._seconds)
            self._seconds = 0
        return True


@pytest.fixture
def hand() -> Hand:
    hand = Hand()
    hand.moment = HOURS.open
    return hand


@pytest.fixture
def vendor(hand: Hand) -> Vendor:
    return Vendor(hand)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True)


type Poller = Callable[..., NewsPoller]


@pytest.fixture
def poller(lake: Lake, vendor: Any, hand: Hand) -> Poller:
    def make(run: str = "run", attempt: int = 1, pid: int = 1) -> NewsPoller:
        return NewsPoller(
            lake,
            DAY,
            Writer(run, attempt, pid),
            vendor,
            feed=FeedTime(hand),
            settings=StreamingSettings(),
            extractor=Judge(),
        )

    return make


def failure(kind: type[VendorError] = ServerError, **details: Any) -> VendorError:
    return kind("boom", url="http://v", **details)


def seen(lake: Lake) -> list[tuple[str, str, int, datetime]]:
    """Return article, ticker, version and first sight of all that is published live."""
    assert publish_live(lake, Config(), "news", DAY, run_id="r") is not None
    rows = read("news_live", DAY, DAY, root=lake.root).to_pylist()
    return [(row["article_id"], row["ticker"], row["version"], row["first_seen_utc"]) for row in rows]


def files(lake: Lake) -> int:
    return len(list(lake.storage.list(paths.live("news", DAY))))


def test_the_first_round_reads_the_whole_day_and_the_next_ones_from_before_the_newest_article(
    poller: Poller, vendor: Vendor, hand: Hand, lake: Lake
) -> None:
    vendor.articles = [
        article("as the session before closed", OPENED),
        article("on the holiday", OPENED + timedelta(days=1)),
        article("early", HOURS.open - 50 * MINUTE, ["A", "SPY"]),
    ]
    first = poller().poll()
    assert first.again == Again(timedelta(minutes=5), "3 rows until 13:30:00 UTC")
    assert (first.heartbeat.state, first.heartbeat.rows, first.heartbeat.covered_utc) == ("waiting", 3, HOURS.open)
    began = hand.moment
    hand.move(300)
    vendor.articles.append(article("new", began + MINUTE))
    poller(pid=2).poll()
    assert [asked["published_utc.gte"] for asked in vendor.asked] == [OPENED, HOURS.open - 80 * MINUTE]
    assert {asked["published_utc.lte"] for asked in vendor.asked} == {HOURS.close}
    assert seen(lake) == [
        ("early", "A", 1, began),
        ("on the holiday", "SPY", 1, began),
        ("early", "SPY", 1, began),
        ("new", "SPY", 1, hand.moment),
    ]


def test_an_article_dated_in_the_future_has_nothing_left_out(poller: Poller, vendor: Vendor, hand: Hand) -> None:
    began = hand.moment
    vendor.articles = [article("a1", began - MINUTE), article("dated too late", began + 120 * MINUTE)]
    vendor.is_fast = True
    poller().poll()
    hand.move(300)
    poller().poll()
    assert vendor.asked[-1]["published_utc.gte"] == began - 30 * MINUTE


def test_after_an_outage_of_hours_a_round_reads_back_to_where_the_files_end(
    poller: Poller, vendor: Vendor, hand: Hand, lake: Lake
) -> None:
    vendor.articles = [article("a1", HOURS.open - MINUTE)]
    poller().poll()
    vendor.articles += [article(f"m{minute}", HOURS.open + minute * MINUTE) for minute in range(1, 180)]
    hand.move(3 * 3600)
    poller(attempt=2).poll()
    assert len(seen(lake)) == 180


def test_what_was_written_is_not_written_again_and_a_change_is_a_version(
    poller: Poller, vendor: Vendor, hand: Hand, lake: Lake
) -> None:
    vendor.articles = [article("a1", HOURS.open - MINUTE)]
    began = hand.moment
    poller().poll()
    hand.move(300)
    poller().poll()
    assert files(lake) == 1
    vendor.articles = [article("a1", HOURS.open - MINUTE, title="Halverton falls")]
    poller().poll()
    assert seen(lake) == [("a1", "SPY", 1, began), ("a1", "SPY", 2, hand.moment)]


def test_two_pollers_at_once_come_to_the_same_as_one(poller: Poller, vendor: Vendor, hand: Hand, lake: Lake) -> None:
    vendor.articles = [article("a1", HOURS.open - MINUTE)]
    [one, other] = poller(pid=1), poller(pid=2)
    listing = vendor.listing

    def overtaken(*asked: Any, **options: Any) -> Listing[Any]:
        """Let the other do all of its round while this one waits for its answer."""
        answer = listing(*asked, **options)
        vendor.__dict__.pop("listing")
        hand.move(1)
        other.poll()
        return answer

    vendor.__dict__["listing"] = overtaken
    with pytest.raises(LeaseHeld):
        one.poll()
    assert files(lake) == 2
    assert [each[:3] for each in seen(lake)] == [("a1", "SPY", 1)]
    numbers = [writer for writer, _ in Batches(lake, "news", DAY).read()]
    assert numbers == ["run~t1~p1", "run~t1~p2"]


def test_another_run_is_refused_while_one_waits_between_its_rounds(poller: Poller, hand: Hand) -> None:
    poller().poll()
    hand.move(300)
    with pytest.raises(LeaseHeld, match="news of 2025-07-07 is recorded by run~t1~p1"):
        poller("another").poll()


def test_the_round_at_the_close_is_the_last_and_what_is_published_is_complete(
    poller: Poller, vendor: Vendor, hand: Hand, lake: Lake
) -> None:
    vendor.articles = [article("a1", HOURS.close), article("later", HOURS.close + MINUTE)]
    hand.moment = HOURS.close - 2 * MINUTE
    assert poller().poll().again == Again(timedelta(minutes=2), "0 rows until 19:58:00 UTC")
    hand.move(120)
    last = poller().poll()
    assert (last.again, last.heartbeat.state, last.heartbeat.covered_utc) == (None, "ended", HOURS.close)
    assert [each[0] for each in seen(lake)] == ["a1"]
    coverage = lake.manifest("news_live", DAY).coverage  # type: ignore[union-attr]
    assert {ticker: known.state for ticker, known in coverage.items()} == {"*": Coverage.COMPLETE}
    lease = read_lease(lake, "news", DAY)
    assert lease is not None
    assert lease.is_released


def test_what_polling_has_not_reached_yet_is_said_of_what_is_published(
    poller: Poller, vendor: Vendor, lake: Lake
) -> None:
    vendor.articles = [article("a1", HOURS.open - MINUTE)]
    poller().poll()
    published = publish_live(lake, Config(), "news", DAY, run_id="r")
    assert published is not None
    known = published.manifest.coverage["*"]
    assert (known.state, known.reason) == (Coverage.PARTIAL, "polled until 2025-07-07 13:30 UTC")


def test_a_round_without_an_answer_is_followed_by_another_which_misses_nothing(
    poller: Poller, vendor: Vendor, hand: Hand, lake: Lake
) -> None:
    vendor.articles = [article("a1", HOURS.open - MINUTE)]
    vendor.error = failure()
    failed = poller().poll()
    assert failed.heartbeat.state.startswith("stalled: boom")  # nothing was read since extended hours began
    assert failed.again is not None
    vendor.error = None
    hand.move(300)
    assert poller().poll().heartbeat.state == "waiting"
    assert len(seen(lake)) == 1


def test_people_are_told_once_when_nothing_was_read_for_a_quarter_of_an_hour(
    poller: Poller, vendor: Vendor, hand: Hand
) -> None:
    def rounds(count: int) -> list[bool]:
        found: list[Round] = []
        for _ in range(count):
            hand.move(300)
            found.append(poller().poll())
        return [each.has_stalled for each in found]

    poller().poll()
    vendor.error = failure()
    assert rounds(5) == [False, False, True, False, False]
    vendor.error = None
    assert rounds(1) == [False]
    vendor.error = failure()
    assert rounds(4) == [False, False, True, False]


def test_a_vendor_that_asks_to_wait_is_waited_for(poller: Poller, vendor: Vendor) -> None:
    vendor.error = failure(RateLimited, retry_after_s=900.0)
    again = poller().poll().again
    assert again is not None
    assert again.length == timedelta(minutes=15)


def test_a_plan_without_news_ends_it_with_a_sentence(poller: Poller, vendor: Vendor, lake: Lake) -> None:
    vendor.error = failure(NotEntitled)
    with pytest.raises(StreamRefused, match="the vendor refuses news: boom"):
        poller().poll()
    lease = read_lease(lake, "news", DAY)
    assert lease is not None
    assert lease.is_released


def test_a_vendor_that_stays_away_after_the_close_is_not_waited_for_for_ever(
    poller: Poller, vendor: Vendor, hand: Hand
) -> None:
    vendor.error = failure()
    hand.moment = HOURS.close + 14 * MINUTE
    assert poller().poll().again == Again(timedelta(minutes=5), str(vendor.error))
    hand.move(60)
    with pytest.raises(ServerError):
        poller().poll()


def test_a_bad_article_is_left_out_of_what_is_live(poller: Poller, vendor: Vendor, lake: Lake) -> None:
    vendor.articles = [article("a1", HOURS.open - MINUTE), article("untitled", HOURS.open - MINUTE, title="<p> </p>")]
    poller().poll()
    assert [each[0] for each in seen(lake)] == ["a1"]


def test_asked_to_stop_between_two_rounds_the_next_one_ends_it_but_a_new_try_goes_on(
    poller: Poller, vendor: Vendor, lake: Lake
) -> None:
    poller().poll()
    assert ask_to_stop(lake, "news", DAY, "ada on desk") is not None
    stopping = poller(pid=2)
    ended = stopping.poll()
    assert (ended.again, ended.heartbeat.state) == (None, "stopped")
    assert stopping.stop_request is not None
    assert stopping.stop_request.by == "ada on desk"
    assert len(vendor.asked) == 1
    assert poller(attempt=2).poll().heartbeat.state == "waiting"


def test_run_goes_round_until_the_close(poller: Poller, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    hand.moment = HOURS.close - 12 * MINUTE
    told: list[str] = []
    monkeypatch.setattr(FeedTime, "deadline", lambda _, seconds: Passing(hand, seconds))
    assert poller().run(lambda each: told.append(each.heartbeat.state)).state == "ended"
    assert told == ["waiting", "waiting", "waiting", "ended"]


def test_interrupted_it_ends_with_everything_on_disk(poller: Poller, vendor: Vendor, lake: Lake) -> None:
    vendor.articles = [article("a1", HOURS.open - MINUTE)]

    def interrupt(_: Round) -> None:
        raise KeyboardInterrupt

    assert poller().run(interrupt).state == "stopped"
    assert len(seen(lake)) == 1
