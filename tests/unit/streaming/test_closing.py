"""The end of a session's streams: who says that it has come, and until when gaps may be open."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.errors import GapsLeft
from bellwether.lake import Lake
from bellwether.streaming.assignment import whole_session
from bellwether.streaming.closing import DEADLINE, conclude, in_words, is_recorded, next_look
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.gaps import Gap, GapLog
from bellwether.streaming.lease import read_lease
from tests.builders import SESSION, bars
from tests.recordings import leave, miss, record

ASSIGNMENT = whole_session("equities", SESSION)
UNTIL = ASSIGNMENT.until
NOON = ASSIGNMENT.start + timedelta(hours=8)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True, clock=SimulatedClock(UNTIL, speed=0))


def concluded(lake: Lake, seconds: float = 0) -> bool:
    return conclude(lake, ASSIGNMENT, FeedTime(SimulatedClock(UNTIL + timedelta(seconds=seconds), speed=0)))


def at(now: datetime, speed: float = 1) -> FeedTime:
    return FeedTime(SimulatedClock(now, speed=0), speed=speed)


def gaps(lake: Lake) -> list[Gap]:
    return GapLog(lake, "equities", SESSION, "test").read()


def test_a_recording_that_came_to_its_end_is_left_as_it_is(lake: Lake) -> None:
    leave(lake, "equities", SESSION, UNTIL)
    before = read_lease(lake, "equities", SESSION)
    assert concluded(lake)
    assert (read_lease(lake, "equities", SESSION), gaps(lake)) == (before, [])


def test_before_its_end_nothing_is_over(lake: Lake) -> None:
    leave(lake, "equities", SESSION, NOON, state="stopped")
    assert not concluded(lake, -1)
    assert gaps(lake) == []


def test_what_a_recorder_that_is_gone_did_not_hear_is_a_gap_until_the_end(lake: Lake) -> None:
    record(lake, bars("AAPL"), NOON, dataset="equities", session=SESSION)
    leave(lake, "equities", SESSION, NOON, state="stopped")
    assert concluded(lake)
    [gap] = gaps(lake)
    assert (gap.cause, gap.start_utc, gap.end_utc) == ("crash", NOON - timedelta(minutes=1), UNTIL)
    assert concluded(lake)
    assert len(gaps(lake)) == 1


def test_a_gap_that_a_recorder_left_open_ends_with_the_session(lake: Lake) -> None:
    record(lake, bars("AAPL"), NOON, dataset="equities", session=SESSION)
    miss(lake, "equities", SESSION, None, cause="stopped")
    leave(lake, "equities", SESSION, NOON, state="stopped")
    assert concluded(lake)
    assert [(gap.cause, gap.end_utc) for gap in gaps(lake)] == [("stopped", UNTIL)]


def test_whoever_still_holds_the_lease_ends_it_himself(tmp_path: Path) -> None:
    clock = SimulatedClock(UNTIL, speed=0)
    lake = Lake.open(tmp_path, simulated=True, clock=clock)
    leave(lake, "equities", SESSION, UNTIL - timedelta(seconds=20), state="killed")
    assert not concluded(lake)
    later = Lake.open(tmp_path, simulated=True, clock=SimulatedClock(UNTIL + timedelta(seconds=80), speed=0))
    assert concluded(later, 80)
    assert [gap.cause for gap in gaps(lake)] == ["late_start"]


@pytest.mark.parametrize(
    ("environment", "is_concerned"), [({}, True), ({"BELLWETHER__SOURCES__EQUITIES__REQUIRED": "false"}, False)]
)
def test_a_stream_that_was_refused_concerns_nobody_unless_it_is_required_or_something_was_heard(
    lake: Lake, environment: dict[str, str], is_concerned: bool
) -> None:
    config = Config.load(None, environment)
    assert not is_recorded(lake, config, "equities", SESSION)
    leave(lake, "equities", SESSION, NOON, state="stopped")
    assert is_recorded(lake, config, "equities", SESSION)  # it listened, and heard nothing
    miss(lake, "equities", SESSION, NOON, cause="refused")
    assert is_recorded(lake, config, "equities", SESSION) == is_concerned
    record(lake, bars("AAPL"), NOON, dataset="equities", session=SESSION)
    assert is_recorded(lake, config, "equities", SESSION)


def test_the_last_look_is_at_the_deadline_and_then_what_is_open_is_an_error(lake: Lake) -> None:
    left = [(miss(lake, "equities", SESSION, NOON, cause="refused", symbols=["SPY"]), "no such ticker")]
    words = "1 gaps are open: 04:00:00 to 12:00:00, refused of SPY (no such ticker)"
    again = next_look(ASSIGNMENT, at(UNTIL + timedelta(minutes=27)), is_recorded=True, left=left)
    assert (again.length, again.why) == (timedelta(minutes=3), words)
    with pytest.raises(GapsLeft, match="equities of 2025-07-01: 1 gaps are open: 04:00:00 to 12:00:00"):
        next_look(ASSIGNMENT, at(UNTIL + DEADLINE), is_recorded=True, left=left)
    with pytest.raises(GapsLeft, match="somebody still records it"):
        next_look(ASSIGNMENT, at(UNTIL + DEADLINE), is_recorded=True, left=[])


def test_however_fast_the_feed_runs_there_are_two_minutes_to_fill_what_is_open(lake: Lake) -> None:
    assert next_look(ASSIGNMENT, at(UNTIL + DEADLINE, speed=120), is_recorded=True, left=[]).length > timedelta(0)
    with pytest.raises(GapsLeft):
        next_look(ASSIGNMENT, at(UNTIL + timedelta(hours=4), speed=120), is_recorded=True, left=[])


def test_a_gap_in_words_says_when_in_new_york_and_that_it_lasts(lake: Lake) -> None:
    assert in_words(miss(lake, "equities", SESSION, None)) == "04:00:00 to now, dropped"
