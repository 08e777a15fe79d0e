"""Sessions, hours and named odd days."""

from datetime import UTC, date, datetime

import pytest

from bellwether.calendar import NEW_YORK, get_calendar, midnight
from bellwether.due import Due
from bellwether.errors import NotASession

CALENDAR = get_calendar()

HOURS = [
    # session, open UTC, close UTC, pre-open UTC, half day, what makes it worth naming
    (date(2025, 7, 3), "13:30", "17:00", "08:00", True, "half day before Independence Day"),
    (date(2025, 11, 28), "14:30", "18:00", "09:00", True, "half day after Thanksgiving"),
    (date(2025, 12, 24), "14:30", "18:00", "09:00", True, "Christmas Eve"),
    (date(2025, 3, 7), "14:30", "21:00", "09:00", False, "Friday before clocks go forward"),
    (date(2025, 3, 10), "13:30", "20:00", "08:00", False, "Monday after clocks went forward"),
    (date(2025, 10, 31), "13:30", "20:00", "08:00", False, "Friday before clocks go back"),
    (date(2025, 11, 3), "14:30", "21:00", "09:00", False, "Monday after clocks went back"),
    (date(2025, 12, 31), "14:30", "21:00", "09:00", False, "last session of a year"),
    (date(2013, 10, 4), "13:30", "20:00", "08:00", False, "in the archive"),
]


@pytest.mark.parametrize(("session", "opens", "closes", "pre", "half", "why"), HOURS, ids=[row[-1] for row in HOURS])
def test_hours_of_named_sessions(session: date, opens: str, closes: str, pre: str, half: bool, why: str) -> None:
    hours = CALENDAR.hours(session)
    assert [f"{t:%H:%M}" for t in (hours.open, hours.close, hours.pre_open)] == [opens, closes, pre]
    assert {t.tzinfo for t in (hours.open, hours.close, hours.pre_open, hours.post_close)} == {UTC}
    assert hours.is_half_day is half
    assert hours.expected_minutes() == (210 if half else 390)
    assert hours.expected_minutes(extended=True) == 960


def test_extended_hours_end_at_20_new_york_which_in_winter_is_the_next_utc_day() -> None:
    hours = CALENDAR.hours(date(2025, 12, 31))
    assert hours.post_close == datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
    assert hours.post_close.astimezone(NEW_YORK).date() == hours.session


def test_half_day_session_closes_at_13_00_new_york() -> None:
    assert f"{CALENDAR.hours(date(2025, 11, 28)).close.astimezone(NEW_YORK):%H:%M}" == "13:00"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (date(2025, 1, 8), date(2025, 1, 10), [8, 10]),  # closed for a day of mourning
        (date(2025, 11, 26), date(2025, 12, 1), [26, 28, 1]),  # Thanksgiving and a weekend
        (date(2025, 12, 31), date(2026, 1, 2), [31, 2]),  # the year ends
        (date(2024, 12, 24), date(2024, 12, 26), [24, 26]),
        (date(2025, 6, 7), date(2025, 6, 8), []),
    ],
)
def test_sessions_leave_out_weekends_holidays_and_ad_hoc_closures(start: date, end: date, expected: list[int]) -> None:
    assert [day.day for day in CALENDAR.sessions(start, end)] == expected


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("2025-01-09", "not a trading session of XNYS; nearest: 2025-01-08, 2025-01-10"),
        ("2026-11-26", "nearest: 2026-11-25, 2026-11-27"),
        ("banana", "give an XNYS trading day as YYYY-MM-DD"),
        ("2026-13-01", "give an XNYS trading day as YYYY-MM-DD"),
        ("20261120", "give an XNYS trading day as YYYY-MM-DD"),
        ("2025-07-03\n", "give an XNYS trading day as YYYY-MM-DD"),
        ("1990-01-02", "outside the known XNYS sessions"),
    ],
)
def test_a_key_that_is_no_session_is_refused_saying_what_is_allowed(key: str, message: str) -> None:
    with pytest.raises(NotASession, match=message):
        CALENDAR.parse(key)


def test_previous_and_next_step_over_closures() -> None:
    assert CALENDAR.previous(date(2025, 1, 10)) == date(2025, 1, 8)
    assert CALENDAR.next(date(2025, 1, 8)) == date(2025, 1, 10)
    assert CALENDAR.parse("2025-07-03") == date(2025, 7, 3)


def test_the_session_on_or_before_a_day_is_known_years_ahead() -> None:
    assert CALENDAR.on_or_before(date(2025, 1, 8)) == date(2025, 1, 8)
    assert CALENDAR.on_or_before(date(2025, 1, 9)) == date(2025, 1, 8)  # a day of mourning
    assert CALENDAR.on_or_before(date(2025, 7, 6)) == date(2025, 7, 3)
    assert CALENDAR.on_or_before(date(2038, 4, 24)) == date(2038, 4, 22)  # Saturday after a Good Friday


def test_previous_and_next_end_where_the_calendar_ends() -> None:
    with pytest.raises(NotASession, match="before"):
        CALENDAR.previous(CALENDAR.first)
    with pytest.raises(NotASession, match="after"):
        CALENDAR.next(CALENDAR.last)


@pytest.mark.parametrize(
    ("now", "delay", "expected"),
    [
        ("2025-07-04T00:14:59", 15, date(2025, 7, 2)),  # one second before a half day's session is due
        ("2025-07-04T00:15:00", 15, date(2025, 7, 3)),
        ("2025-07-06T12:00:00", 15, date(2025, 7, 3)),  # holiday and weekend
        ("2025-12-02T00:59:00", 0, date(2025, 11, 28)),  # Monday evening in winter, extended hours still on
        ("2025-12-02T01:00:00", 0, date(2025, 12, 1)),
        ("2025-12-02T01:00:00", 60 * 72, date(2025, 11, 28)),  # a long delay, to the minute
        ("2025-12-02T01:00:00", 60 * 72 + 1, date(2025, 11, 26)),
    ],
)
def test_last_session_due(now: str, delay: int, expected: date) -> None:
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert CALENDAR.last_due(instant, Due("post_close", delay)) == expected


def test_days_begin_at_new_yorks_midnight_in_summer_and_winter() -> None:
    assert midnight(date(2025, 7, 1)) == datetime(2025, 7, 1, 4, tzinfo=UTC)
    assert midnight(date(2025, 11, 3)) == datetime(2025, 11, 3, 5, tzinfo=UTC)
