"""What holds for every day and every instant, not only for the days somebody thought of."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.due import Bound, Due
from bellwether.errors import NotASession

CALENDAR = get_calendar()
DAYS = st.dates(CALENDAR.first + timedelta(days=10), CALENDAR.last - timedelta(days=10))
INSTANTS = st.integers(0, 26 * 365 * 24 * 60).map(lambda m: datetime(2000, 2, 1, tzinfo=UTC) + timedelta(minutes=m))


@given(DAYS)
def test_a_day_lies_between_its_neighbouring_sessions_and_none_is_skipped(day: date) -> None:
    before, after = CALENDAR.previous(day), CALENDAR.next(day)
    assert before < day < after
    inside = [day] if CALENDAR.is_session(day) else []
    assert CALENDAR.sessions(before, after) == [before, *inside, after]


@given(DAYS)
def test_a_key_is_parsed_back_to_its_session_or_refused_with_the_nearest_ones(day: date) -> None:
    if CALENDAR.is_session(day):
        assert CALENDAR.parse(day.isoformat()) == day
    else:
        with pytest.raises(NotASession, match=f"{CALENDAR.previous(day)}, {CALENDAR.next(day)}"):
            CALENDAR.parse(day.isoformat())


@given(st.text(max_size=12))
def test_no_text_but_a_date_is_ever_taken_for_a_session(text: str) -> None:
    with pytest.raises(NotASession):
        CALENDAR.parse(f"{text}x")


@given(DAYS.filter(CALENDAR.is_session))
def test_hours_are_in_order_on_the_exchange_date_whatever_the_offset(session: date) -> None:
    hours = CALENDAR.hours(session)
    assert hours.pre_open < hours.open < hours.close < hours.post_close
    for moment in (hours.pre_open, hours.open, hours.close, hours.post_close):
        assert moment.tzinfo is UTC
        assert moment.astimezone(NEW_YORK).date() == session
    # Half days close early; twice, on memorial days, the exchange opened late.
    assert hours.expected_minutes() <= 390
    assert hours.expected_minutes(extended=True) == 960


BOUNDS = st.sampled_from(["pre_open", "open", "close", "post_close"])


@given(INSTANTS, BOUNDS, st.integers(-240, 3000))
def test_the_last_session_due_is_due_and_the_next_is_not(now: datetime, bound: Bound, minutes: int) -> None:
    due = Due(bound, minutes)
    last = CALENDAR.last_due(now, due)
    assert due(CALENDAR.hours(last)) <= now
    assert due(CALENDAR.hours(CALENDAR.next(last))) > now


@given(INSTANTS, st.integers(0, 10_000))
def test_time_never_takes_a_session_that_is_due_back(now: datetime, later_minutes: int) -> None:
    due = Due("post_close", 0)
    assert CALENDAR.last_due(now, due) <= CALENDAR.last_due(now + timedelta(minutes=later_minutes), due)
