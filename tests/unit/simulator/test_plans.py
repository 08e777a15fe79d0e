from datetime import UTC, date, datetime, timedelta

import pytest

from bellwether.simulator.answers import Refused
from bellwether.simulator.plans import OPEN, PLANS, Plan, RateLimiter

NOW = datetime(2024, 7, 2, 17, tzinfo=UTC)
TODAY = date(2024, 7, 2)


def refused(call: object, *arguments: object) -> str:
    try:
        call(*arguments)  # type: ignore[operator]
    except Refused as refusal:
        return refusal.kind
    return ""


@pytest.mark.parametrize(
    ("ticker", "asset"), [("SPY", "stocks"), ("O:SPY240719C00525000", "options"), ("I:VIX", "indices")]
)
def test_asset_classes_are_bought_one_by_one(ticker: str, asset: str) -> None:
    for owned in ("stocks", "options", "indices"):
        assert refused(Plan(classes=frozenset({owned})).check_class, ticker) == (
            "" if owned == asset else "not_entitled"
        )


@pytest.mark.parametrize(
    ("plan", "status", "behind", "today"),
    [
        (OPEN, "OK", timedelta(0), "before_end_of_day"),
        (PLANS["free"], "OK", timedelta(0), "before_end_of_day"),
        (PLANS["delayed"], "DELAYED", timedelta(minutes=15), ""),
        (PLANS["realtime"], "OK", timedelta(0), ""),
    ],
)
def test_how_far_behind_the_clock_a_plan_is(plan: Plan, status: str, behind: timedelta, today: str) -> None:
    assert (plan.status, NOW - plan.horizon(NOW)) == (status, behind)
    assert refused(plan.check_end, TODAY, NOW) == today
    assert refused(plan.check_end, date(2024, 7, 1), NOW) == ""


def test_history_ends_two_years_back_and_is_refused_or_clipped() -> None:
    free, clipped = PLANS["free"], PLANS["free-clipped"]
    oldest = TODAY - timedelta(days=730)
    assert free.first_day(oldest, NOW) == oldest
    assert refused(free.first_day, oldest - timedelta(days=1), NOW) == "outside_timeframe"
    assert clipped.first_day(date(2010, 1, 1), NOW) == oldest
    assert OPEN.first_day(date(2000, 1, 3), NOW) == date(2000, 1, 3)


def test_the_rate_is_a_sliding_window_per_key() -> None:
    now_s = 0.0
    limiter, free = RateLimiter(lambda: now_s), PLANS["free"]
    answers = []
    for moment_s in (0, 10, 20, 30, 40, 50, 59.9, 60, 60.1, 70):
        now_s = moment_s
        answers.append(refused(limiter.admit, "k", free))
    assert answers == ["", "", "", "", "", "rate_limited", "rate_limited", "", "rate_limited", ""]
    assert refused(limiter.admit, "other", free) == ""


def test_other_plans_have_no_rate() -> None:
    limiter = RateLimiter(lambda: 0.0)
    assert not any(refused(limiter.admit, "k", PLANS["realtime"]) for _ in range(1000))
