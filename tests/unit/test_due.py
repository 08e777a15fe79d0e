"""When sessions are due, and until when what cannot be had later can be captured."""

from datetime import UTC, date, datetime, timedelta

import pytest

from bellwether.calendar import get_calendar
from bellwether.due import DUE, UNTIL, Due, check_in_time, why_missed
from bellwether.errors import SnapshotMissed

SECOND = timedelta(seconds=1)
FULL, HALF = (get_calendar().hours(day) for day in (date(2025, 7, 1), date(2025, 7, 3)))


def test_a_bound_itself_is_named_without_minutes() -> None:
    assert str(Due("close", 0)) == "the close"
    assert str(Due("close", -10)) == "10 minutes before the close"


def test_a_chain_is_due_ten_minutes_before_the_close_of_half_days_too() -> None:
    assert DUE["options_snapshot"](FULL) == datetime(2025, 7, 1, 19, 50, tzinfo=UTC)
    assert DUE["options_snapshot"](HALF) == datetime(2025, 7, 3, 16, 50, tzinfo=UTC)


def test_a_chain_can_be_captured_until_the_close_and_never_after() -> None:
    for hours in (FULL, HALF):
        assert UNTIL["options_snapshot"](hours) == hours.close
        check_in_time("options_snapshot", hours, hours.close)
        with pytest.raises(SnapshotMissed, match=f"of {hours.session} cannot be had later: .* UTC, the close$"):
            check_in_time("options_snapshot", hours, hours.close + SECOND)


def test_what_the_vendor_keeps_is_never_too_late() -> None:
    assert why_missed("equities", FULL, FULL.close + timedelta(days=3650)) is None
