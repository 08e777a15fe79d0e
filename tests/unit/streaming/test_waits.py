"""When a stream may begin: by the feed's clock, on half days too, and not once the session is over."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from bellwether.calendar import NEW_YORK
from bellwether.config import Config
from bellwether.errors import NotASession, NotBroadcast
from bellwether.lake import Lake
from bellwether.streaming.batches import Writer
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.lease import Lease
from bellwether.streaming.waits import Wait, wait_of
from tests.unit.streaming.feeds import Hand

HALF_DAY, DAY = date(2024, 7, 3), date(2024, 7, 5)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True)


def new_york(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK)


def wait(lake: Lake, dataset: str, session: date, now: datetime) -> Wait | None:
    hand = Hand()
    hand.moment = now
    return wait_of(lake, Config(), dataset, session, FeedTime(hand))


@pytest.mark.parametrize(
    ("dataset", "session", "now", "minutes"),
    [
        ("equities", DAY, new_york(DAY, 3, 50), 9),
        # The half day's extended hours are as long as any.
        ("equities", HALF_DAY, new_york(HALF_DAY, 3, 50), 9),
        # From the evening before the holiday.
        ("equities", DAY, new_york(HALF_DAY, 20), 32 * 60 - 1),
        ("options", DAY, new_york(DAY, 3, 50), 5 * 60 + 39),
        ("indices", DAY, new_york(HALF_DAY, 20), 28 * 60 - 1),
    ],
)
def test_a_stream_begins_a_minute_before_its_datasets_hours(
    lake: Lake, dataset: str, session: date, now: datetime, minutes: int
) -> None:
    found = wait(lake, dataset, session, now)
    assert found is not None
    assert (found.length, found.is_early) == (timedelta(minutes=minutes), True)
    assert f"{dataset} of {session} are broadcast from {session} " in found.why


@pytest.mark.parametrize(
    ("dataset", "now"),
    [
        ("equities", new_york(HALF_DAY, 3, 59)),
        ("equities", new_york(HALF_DAY, 20, 15)),
        ("indices", new_york(HALF_DAY, 3, 50)),
    ],
)
def test_while_a_session_goes_on_a_stream_may_begin(lake: Lake, dataset: str, now: datetime) -> None:
    assert wait(lake, dataset, HALF_DAY, now) is None


def test_options_wait_for_their_contracts(lake: Lake) -> None:
    found = wait(lake, "options", DAY, new_york(DAY, 9, 30))
    assert found == Wait(timedelta(minutes=5), "nobody has published yet which options 2024-07-05 has", is_early=False)


def test_a_session_that_is_over_is_refused_unless_something_was_recorded_of_it(lake: Lake) -> None:
    late = new_york(DAY, 20, 16)
    with pytest.raises(NotBroadcast, match=r"equities of 2024-07-05 are broadcast no more: .* 2024-07-05 20:16"):
        wait(lake, "equities", DAY, late)
    Lease(lake, "equities", DAY, Writer("run", 1, 10)).take(late)
    assert wait(lake, "equities", DAY, late) is None


def test_a_holiday_is_no_session(lake: Lake) -> None:
    with pytest.raises(NotASession):
        wait(lake, "equities", date(2024, 7, 4), new_york(DAY, 4))
