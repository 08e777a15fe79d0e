"""What a connection is told as time goes by."""

import json
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from bellwether.calendar import NEW_YORK
from bellwether.simulator.feed.replay import Replay, Script
from bellwether.simulator.feed.topics import parse_topics
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.records import ContractQuery

MONDAY, TUESDAY, HALF_DAY = date(2024, 7, 1), date(2024, 7, 2), date(2024, 7, 3)
SCRIPT = Script(seed=7, late_share=0.1)


def at(day: date, hour: int, minute: int = 0, second: int = 0) -> int:
    return int(datetime.combine(day, time(hour, minute, second), NEW_YORK).timestamp()) * 1000


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3, tickers=["AAPL", "SPY"], start=TUESDAY, end=HALF_DAY)


def replay(market: GeneratedMarket, topics: str, now_ms: int, cluster: str = "stocks") -> Replay:
    subject = Replay(market, cluster, SCRIPT)
    subject.take(now_ms)
    subject.want(parse_topics(topics))
    return subject


def decoded(texts: Iterable[bytes]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in texts]


def test_steps_of_any_size_give_the_same_events(market: GeneratedMarket) -> None:
    start, end = at(TUESDAY, 9, 25), at(TUESDAY, 9, 40)
    whole = replay(market, "AM.*,A.SPY,T.AAPL", start).take(end)
    subject = replay(market, "AM.*,A.SPY,T.AAPL", start)
    parts = [text for now_ms in range(start, end + 1, 777) for text in subject.take(now_ms)] + subject.take(end)
    assert parts == whole
    assert len(whole) > 100


def test_it_tells_when_the_next_event_is_due(market: GeneratedMarket) -> None:
    subject = replay(market, "AM.SPY", at(TUESDAY, 9, 30))
    due_ms = subject.next_due_ms()
    assert due_ms is not None
    assert subject.take(due_ms - 1) == []
    assert len(subject.take(due_ms)) == 1


def test_without_topics_nothing_is_due(market: GeneratedMarket) -> None:
    subject = Replay(market, "stocks", SCRIPT)
    assert subject.take(at(TUESDAY, 12)) == []
    assert subject.next_due_ms() is None


def test_a_subscription_hears_nothing_of_before_but_the_days_sums_go_on(market: GeneratedMarket) -> None:
    start = at(TUESDAY, 12)
    told = decoded(replay(market, "AM.SPY", start).take(at(TUESDAY, 12, 3)))
    assert {event["s"] for event in told} >= {start, start + 60_000}
    morning = decoded(replay(market, "AM.SPY", at(TUESDAY, 4)).take(at(TUESDAY, 12, 3)))
    assert told == morning[-len(told) :]


def test_a_symbol_asked_for_twice_is_told_once(market: GeneratedMarket) -> None:
    span = at(TUESDAY, 10), at(TUESDAY, 10, 5)
    assert replay(market, "AM.SPY,AM.*", span[0]).take(span[1]) == replay(market, "AM.*", span[0]).take(span[1])


def test_topics_come_and_go_without_touching_the_others(market: GeneratedMarket) -> None:
    start, change, end = at(TUESDAY, 10), at(TUESDAY, 10, 5), at(TUESDAY, 10, 10)
    subject = replay(market, "AM.SPY", start)
    first = decoded(subject.take(change))
    subject.want(parse_topics("AM.SPY,AM.AAPL"))
    both = decoded(subject.take(end))
    subject.want(parse_topics("AM.AAPL"))
    last = decoded(subject.take(at(TUESDAY, 10, 15)))
    assert [{event["sym"] for event in part} for part in (first, both, last)] == [{"SPY"}, {"SPY", "AAPL"}, {"AAPL"}]
    alone = decoded(replay(market, "AM.SPY", start).take(end))
    assert [event for event in first + both if event["sym"] == "SPY"] == alone


def test_time_that_goes_back_begins_anew_there(market: GeneratedMarket) -> None:
    subject = replay(market, "AM.SPY", at(TUESDAY, 10))
    first = subject.take(at(TUESDAY, 10, 5))
    assert subject.take(at(TUESDAY, 10)) == []
    assert subject.take(at(TUESDAY, 10, 5)) == first


def test_a_night_is_passed_and_the_next_session_begins(market: GeneratedMarket) -> None:
    subject = replay(market, "AM.*", at(MONDAY, 12))  # a day that is not served
    days = {
        datetime.fromtimestamp(event["s"] / 1000, NEW_YORK).date()
        for event in decoded(subject.take(at(HALF_DAY + timedelta(days=3), 12)))
    }
    assert days == {TUESDAY, HALF_DAY}


@pytest.mark.parametrize(
    ("cluster", "topic"),
    [
        ("stocks", "AM.NONE"),
        ("stocks", "AM.I:VIX"),
        ("indices", "AM.SPY"),
        ("options", "AM.SPY"),
        ("stocks", "Q.SPY"),
        ("options", "Q.O:SPY990101C00000000"),
        ("options", "Q.SPY"),
    ],
)
def test_what_the_cluster_or_the_market_lacks_is_never_told(market: GeneratedMarket, cluster: str, topic: str) -> None:
    assert replay(market, topic, at(TUESDAY, 10), cluster).take(at(TUESDAY, 10, 10)) == []


def test_indices_are_told_by_minutes_and_by_values(market: GeneratedMarket) -> None:
    told = decoded(replay(market, "AM.*,V.I:VIX", at(TUESDAY, 10), "indices").take(at(TUESDAY, 10, 3)))
    assert {(event["ev"], event.get("sym") or event["T"]) for event in told} == {
        ("AM", "I:SPX"),
        ("AM", "I:VIX"),
        ("V", "I:VIX"),
    }


def test_quotes_are_those_the_market_has_at_the_end_of_each_minute(market: GeneratedMarket) -> None:
    query = ContractQuery("SPY", TUESDAY, expired=False, first=HALF_DAY, last=HALF_DAY)
    contract = next(iter(market.contracts(query)))
    told = decoded(replay(market, f"Q.{contract.ticker}", at(TUESDAY, 10), "options").take(at(TUESDAY, 10, 10)))
    assert 0 < len(told) <= 10
    for quote in told:
        moment = datetime.fromtimestamp(quote["t"] / 1000, NEW_YORK)
        bid, ask, bid_size, ask_size, _ = (column[0] for column in market.quotes("SPY", [contract], moment))
        assert (quote["bp"], quote["ap"], quote["bs"], quote["as"]) == (bid, ask, bid_size, ask_size)


def test_all_contracts_of_a_session_can_be_asked_for() -> None:
    market = GeneratedMarket(seed=3, tickers=["T0001"])
    told = decoded(replay(market, "AM.*", at(TUESDAY, 9, 30), "options").take(at(TUESDAY, 16, 30)))
    assert told
    assert all(event["sym"].startswith("O:") for event in told)
