"""Until when an answer may revise a session, by the calendar and the settings."""

from datetime import UTC, date, datetime, timedelta

import pytest

from bellwether.config.settings import LateSettings
from bellwether.quality.late import Window, window


@pytest.mark.parametrize(
    ("session", "until"),
    [
        (date(2025, 7, 1), datetime(2025, 7, 8, 8, tzinfo=UTC)),  # Independence Day and a weekend between
        (date(2025, 11, 24), datetime(2025, 12, 1, 9, tzinfo=UTC)),  # Thanksgiving, a half day, a weekend
    ],
)
def test_a_session_may_be_revised_until_the_fourth_one_after_it_begins(session: date, until: datetime) -> None:
    assert window(LateSettings(), "equities", session) == Window(until_utc=until)


def test_each_dataset_may_have_a_window_of_its_own_or_none() -> None:
    settings = LateSettings(rest_sessions=1, rest_sessions_of={"options": 0, "indices": None})
    session = date(2025, 7, 1)
    assert window(settings, "equities", session).until_utc == datetime(2025, 7, 3, 8, tzinfo=UTC)
    assert window(settings, "options", session).until_utc == datetime(2025, 7, 2, 8, tzinfo=UTC)
    assert window(settings, "indices", session) == Window()


def test_articles_have_hours_and_what_depends_on_the_question_or_cannot_be_had_twice_has_no_window() -> None:
    assert window(LateSettings(), "news", date(2025, 7, 1)) == Window(of_a_row=timedelta(hours=24))
    assert window(LateSettings(), "contracts", date(2025, 7, 1)) == Window()
    assert window(LateSettings(), "options_snapshot", date(2025, 7, 1)) == Window()


def test_a_session_whose_window_ends_beyond_the_calendar_may_be_revised() -> None:
    assert window(LateSettings(rest_sessions=100_000), "equities", date(2025, 7, 1)) == Window()
