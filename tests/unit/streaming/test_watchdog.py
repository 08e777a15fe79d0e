"""Quiet or dead, by the feed's time."""

import pytest

from bellwether.streaming import feedtime
from bellwether.streaming.decode import decode
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.watchdog import Quiet, Verdict, Watchdog, least_lag_s
from tests.unit.streaming.feeds import NOON_MS, Hand, bar, frame


@pytest.fixture
def real_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the machine's seconds, in a list that a test changes."""
    seconds = [0.0]
    monkeypatch.setattr(feedtime.time, "monotonic", lambda: seconds[0])
    return seconds


def test_a_deadline_is_over_by_the_feeds_time_once_the_machine_had_a_moment(real_s: list[float]) -> None:
    hand = Hand()
    deadline = FeedTime(hand, speed=1000, grace_s=0.5).deadline(60)
    hand.move(61)
    assert not deadline.is_over
    real_s[0] = 0.5
    assert deadline.is_over
    deadline.restart()
    assert not deadline.is_over


def test_a_deadline_is_over_at_last_where_the_feeds_clock_stands(real_s: list[float]) -> None:
    deadline = FeedTime(Hand(), speed=1000).deadline(60)
    real_s[0] = 59
    assert not deadline.is_over
    real_s[0] = 60
    assert deadline.is_over


def test_a_silent_connection_is_asked_once_and_dead_when_it_does_not_answer() -> None:
    hand = Hand()
    watchdog = Watchdog(FeedTime(hand, grace_s=0), idle_s=120, answer_s=15)
    hand.move(119)
    assert watchdog.verdict() is Verdict.FINE
    hand.move(1)
    assert [watchdog.verdict(), watchdog.verdict()] == [Verdict.ASK, Verdict.FINE]
    hand.move(15)
    assert watchdog.verdict() is Verdict.DEAD


def test_an_answer_ends_the_silence() -> None:
    hand = Hand()
    watchdog = Watchdog(FeedTime(hand, grace_s=0), idle_s=120, answer_s=15)
    hand.move(120)
    assert watchdog.verdict() is Verdict.ASK
    watchdog.heard()
    assert watchdog.verdict() is Verdict.FINE
    hand.move(119)
    assert watchdog.verdict() is Verdict.FINE
    hand.move(1)
    assert watchdog.verdict() is Verdict.ASK


def test_symbols_are_quiet_beside_others_and_never_all_of_them() -> None:
    quiet = Quiet()
    quiet.heard(decode([frame(bar("SPY"), bar("HALT"))], 0).table)
    quiet.heard(decode([frame(bar("SPY", 20), arrived_s=21 * 60)], 0).table)
    assert quiet.since(NOON_MS + 21 * 60_000, 900) == {"HALT": 21 * 60 - 61}
    assert quiet.since(NOON_MS + 99 * 60_000, 900) == {}


def test_the_promptest_broadcast_says_how_far_behind_we_hear_and_proves_a_clock_that_is_slow() -> None:
    late = decode([frame(bar(minute=-10), bar(), arrived_s=61.5)], 0).table
    assert least_lag_s(late) == 1.5
    assert least_lag_s(decode([frame(bar(), arrived_s=57)], 0).table) == -3
    assert least_lag_s(late.slice(0, 0)) is None


def test_values_of_an_index_come_within_their_minute_and_say_nothing_of_a_lag() -> None:
    value = {"ev": "V", "val": 12.5, "T": "I:VIX", "t": NOON_MS + 15_000}
    assert least_lag_s(decode([frame(value, arrived_s=15.5)], 0).table) is None
    assert least_lag_s(decode([frame(value, bar("I:VIX"), arrived_s=61.5)], 0).table) == 1.5
