"""What a first backfill costs."""

import pytest

from bellwether.doctor.cost import Cost, human_time, judge
from bellwether.doctor.finding import Level

COST = Cost(tickers=500, sessions=504, bytes_each=30_000, is_measured=False)


def test_calls_minutes_and_disk_come_from_tickers_times_sessions() -> None:
    assert COST.calls == 252_000
    assert COST.bytes == 7.56e9
    assert COST.seconds(5, 0.0) == 252_000 * 12
    assert COST.seconds(None, 0.08) == 2520


@pytest.mark.parametrize(
    ("limit", "call_s", "words"),
    [
        (5, 0.1, "252,000 API calls, 35 days at 5 a minute, 7.56 GB (assumed: 30 KB each)"),
        (None, 0.08, "at least 42 minutes"),
        (None, None, "how long is not known"),
    ],
)
def test_the_estimate_is_told_as_one(limit: int | None, call_s: float | None, words: str) -> None:
    says = judge(COST, "2023-07-03 to 2025-07-01", limit, call_s).says
    assert words in says
    assert "estimates" in says


def test_a_rule_that_never_was_resolved_has_no_estimate() -> None:
    assert judge(None, "", 5, None).level is Level.UNKNOWN


@pytest.mark.parametrize(
    ("seconds", "words"), [(119, "119 seconds"), (120, "2 minutes"), (9000, "2.5 hours"), (864_000, "10 days")]
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert human_time(seconds) == words
