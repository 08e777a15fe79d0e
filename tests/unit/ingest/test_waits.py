"""Which errors are waited out, and until when."""

from datetime import UTC, date, datetime, timedelta

import pytest

from bellwether.config import RetryPolicies
from bellwether.errors import NotPublishedYet, RateLimited, ServerError, VendorError
from bellwether.ingest.waits import wait_until

URL = "https://api.polygon.io/v2"
NOW = datetime(2025, 11, 29, 1, 15, tzinfo=UTC)  # 20:15 New York on the half day, the minute it is due
HALF_DAY = date(2025, 11, 28)


def until(error: VendorError, now: datetime = NOW, session: date = HALF_DAY) -> datetime | None:
    return wait_until(error, RetryPolicies(), dataset="equities", session=session, now=now)


@pytest.mark.parametrize(
    ("retry_after_s", "wait"),
    [
        (None, None),
        (0.0, None),
        (60.0, None),
        (60.5, timedelta(seconds=60.5)),
        (7200.0, timedelta(hours=2)),
    ],
)
def test_a_rate_limit_is_waited_out_when_it_asks_for_more_than_a_minute(
    retry_after_s: float | None, wait: timedelta | None
) -> None:
    found = until(RateLimited("slow down", url=URL, retry_after_s=retry_after_s))
    assert found == (None if wait is None else NOW + wait)


@pytest.mark.parametrize(
    ("now", "session", "expected"),
    [
        pytest.param("2025-11-28T22:00", HALF_DAY, "2025-11-29T01:15", id="before it is due: when it is due"),
        pytest.param("2025-11-29T01:15", HALF_DAY, "2025-11-29T05:00", id="due: the end of the day in New York"),
        pytest.param("2025-07-02T00:15", date(2025, 7, 1), "2025-07-02T04:00", id="the same in summer"),
        pytest.param("2025-11-29T05:00", HALF_DAY, "2025-11-29T06:00", id="the day has ended: in an hour"),
        pytest.param("2025-12-03T09:30", HALF_DAY, "2025-12-03T10:30", id="days later: in an hour"),
    ],
)
def test_data_not_published_yet_are_asked_for_when_they_can_exist(now: str, session: date, expected: str) -> None:
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, expected)]
    assert until(NotPublishedYet("before end of day", url=URL), moments[0], session) == moments[1]


@pytest.mark.parametrize("error", [NotPublishedYet, ServerError])
def test_any_error_that_names_a_long_wait_is_waited_out(error: type[VendorError]) -> None:
    assert until(error("later", url=URL, retry_after_s=600)) == NOW + timedelta(minutes=10)


def test_other_errors_are_not_waited_out() -> None:
    assert until(ServerError("oops", url=URL)) is None


def test_contracts_are_due_after_the_open_and_whatever_comes_later_at_the_end_of_the_day() -> None:
    error = NotPublishedYet("before end of day", url=URL)
    for now, expected in (("2025-07-01T13:31", "2025-07-01T13:50"), ("2025-07-01T13:50", "2025-07-02T04:00")):
        moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, expected)]
        found = wait_until(error, RetryPolicies(), dataset="contracts", session=date(2025, 7, 1), now=moments[0])
        assert found == moments[1]
