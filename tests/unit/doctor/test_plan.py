"""Freshness, history and rate limit, read off answers."""

from datetime import date, timedelta

import pytest

from bellwether.calendar import get_calendar
from bellwether.doctor.entitlement import Result, Verdict
from bellwether.doctor.finding import Level
from bellwether.doctor.plan import (
    MOST_HISTORY_CALLS,
    Depth,
    Freshness,
    candidates,
    freshness,
    judge_depth,
    judge_freshness,
    judge_rate,
    looks_free,
    measure_depth,
    rate,
)
from tests.unit.doctor.answers import NOW, included

TODAY = date(2025, 7, 1)
REFUSED = Result(Verdict.NOT_INCLUDED, "timeframe")
NOT_YET = Result(Verdict.NOT_YET, "before end of day")
UNKNOWN = Result(Verdict.UNKNOWN, "ServerError")


@pytest.mark.parametrize(
    ("bars", "today", "fresh"),
    [
        pytest.param(included(status="DELAYED"), None, Freshness.DELAYED, id="it says so"),
        pytest.param(included(), NOT_YET, Freshness.END_OF_DAY, id="not before the end of the day"),
        pytest.param(included(), REFUSED, Freshness.END_OF_DAY, id="today is not in the plan"),
        pytest.param(included(), included(last=NOW - timedelta(minutes=1)), Freshness.REAL_TIME, id="a minute ago"),
        pytest.param(included(), included(last=NOW - timedelta(minutes=16)), Freshness.DELAYED, id="16 minutes ago"),
        pytest.param(included(), None, Freshness.UNKNOWN, id="the market is closed"),
        pytest.param(included(), included(0), Freshness.UNKNOWN, id="no bar today"),
        pytest.param(included(), UNKNOWN, Freshness.UNKNOWN, id="no answer"),
        pytest.param(UNKNOWN, NOT_YET, Freshness.END_OF_DAY, id="only today's was answered"),
    ],
)
def test_freshness_is_read_off_the_answers(bars: Result, today: Result | None, fresh: Freshness) -> None:
    assert freshness(bars, today, NOW) is fresh
    assert (judge_freshness(fresh).level is Level.UNKNOWN) == (fresh is Freshness.UNKNOWN)


@pytest.mark.parametrize("answered", range(8))
@pytest.mark.parametrize("beyond", [REFUSED, included(0)], ids=["refused", "clipped"])
def test_history_is_found_in_three_calls_wherever_it_ends(answered: int, beyond: Result) -> None:
    sessions = candidates(TODAY)
    asked = []

    def ask(session: date) -> Result:
        asked.append(session)
        return included() if session in sessions[:answered] else beyond

    depth = measure_depth(ask, sessions)
    assert depth.reaches == (sessions[answered - 1] if answered else None)
    assert depth.stops == (sessions[answered] if answered < len(sessions) else None)
    assert len(asked) <= MOST_HISTORY_CALLS
    assert looks_free(depth, TODAY) == (answered <= 2)


def test_candidates_are_sessions_within_what_the_plans_reach() -> None:
    sessions = candidates(TODAY)
    assert sessions == sorted(sessions, reverse=True)
    assert all(get_calendar().is_session(session) for session in sessions)
    assert sessions[1] == date(2023, 7, 10)  # 1 July 2023 and a week: a Saturday
    assert sessions[-1] == date(2003, 9, 10)


def test_a_search_that_breaks_off_claims_nothing() -> None:
    depth = measure_depth(lambda _: UNKNOWN, candidates(TODAY))
    assert depth.why_unknown == "ServerError"
    assert not looks_free(depth, TODAY)
    assert judge_depth(depth).level is Level.UNKNOWN


@pytest.mark.parametrize(
    ("depth", "level", "words"),
    [
        (Depth(date(2003, 9, 10), None), Level.OK, "all of it"),
        (Depth(date(2023, 7, 10), date(2020, 7, 8)), Level.OK, "2023-07-10 at least, and not to 2020-07-08"),
        (Depth(None, date(2024, 7, 8)), Level.WARNING, "less than a year"),
    ],
)
def test_history_is_told(depth: Depth, level: Level, words: str) -> None:
    finding = judge_depth(depth)
    assert finding.level is level
    assert words in finding.says


FREE_DEPTH = Depth(date(2023, 7, 10), date(2020, 7, 8))
LONG = Depth(date(2003, 9, 10), None)


@pytest.mark.parametrize(
    ("limit", "fresh", "was_refused", "depth", "level", "in_force"),
    [
        pytest.param(5, Freshness.END_OF_DAY, False, FREE_DEPTH, Level.OK, 5, id="free, and set"),
        pytest.param(None, Freshness.END_OF_DAY, False, FREE_DEPTH, Level.WARNING, 5, id="free, and not set"),
        pytest.param(None, Freshness.UNKNOWN, False, FREE_DEPTH, Level.WARNING, 5, id="perhaps free, and not set"),
        pytest.param(None, Freshness.REAL_TIME, True, LONG, Level.WARNING, 5, id="refused, and not set"),
        pytest.param(None, Freshness.DELAYED, False, FREE_DEPTH, Level.OK, None, id="paid: delayed"),
        pytest.param(None, Freshness.END_OF_DAY, False, LONG, Level.OK, None, id="long history"),
        pytest.param(7, Freshness.REAL_TIME, False, LONG, Level.WARNING, 7, id="slower than the plan"),
    ],
)
def test_the_limit_is_compared_with_what_the_plan_seems_to_be(
    limit: int | None, fresh: Freshness, was_refused: bool, depth: Depth, level: Level, in_force: int | None
) -> None:
    known = rate(limit, fresh, depth, TODAY, was_refused=was_refused)
    finding = judge_rate(known, fresh)
    assert finding.level is level
    assert bool(finding.advice) == (level is Level.WARNING)
    assert known.in_force == in_force
