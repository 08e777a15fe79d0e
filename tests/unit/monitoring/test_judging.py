"""What is said of the performance of tasks, at each threshold, just under it and just over it."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec
import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.config.settings import PerformanceSettings
from bellwether.monitoring.judging import (
    Judge,
    bursts,
    is_empty_for_once,
    is_overrun,
    is_slower,
    session_medians,
    standstill,
)
from bellwether.monitoring.tries import TryRecord
from tests.tries import BEGAN, SESSION, met, running, tried

SETTINGS = PerformanceSettings()
SECOND = timedelta(seconds=1)
STALE = timedelta(minutes=15)
WAIT = timedelta(hours=1)
CONFIG = Config.load(None, {})


def sessions_until(last: date, number: int) -> list[date]:
    found = [last]
    while len(found) < number:
        found.insert(0, get_calendar().previous(found[0]))
    return found


def judge(*tries: TryRecord, now_after: timedelta = timedelta(hours=1)) -> Judge:
    by_session: dict[date, list[TryRecord]] = {}
    for each in tries:
        by_session.setdefault(each.identity.session, []).append(each)
    return Judge(CONFIG, BEGAN + now_after, by_session)


@pytest.mark.parametrize(("silent", "said"), [(STALE - SECOND, ""), (STALE, "stale"), (STALE + SECOND, "stale")])
def test_a_task_of_which_nothing_was_heard_for_15_minutes_is_stale(silent: timedelta, said: str) -> None:
    assert standstill(running(SECOND), SETTINGS, BEGAN + SECOND + silent, WAIT) == said


@pytest.mark.parametrize(("still", "said"), [(STALE - SECOND, ""), (STALE, "hung"), (STALE + SECOND, "hung")])
def test_a_task_that_lives_and_has_done_nothing_for_15_minutes_hangs(still: timedelta, said: str) -> None:
    heard = SECOND + still
    assert standstill(running(heard, moved=SECOND), SETTINGS, BEGAN + heard, WAIT) == said


@pytest.mark.parametrize(("silent", "said"), [(WAIT + STALE - SECOND, ""), (WAIT + STALE, "stale")])
def test_what_is_deferred_may_be_silent_for_as_long_as_it_may_wait(silent: timedelta, said: str) -> None:
    deferred = tried(state="deferred", ended_utc=None)
    assert standstill(deferred, SETTINGS, deferred.heard_utc + silent, WAIT) == said


@pytest.mark.parametrize(
    "record",
    [
        tried(),
        tried(state="failed"),
        running(SECOND, dag_id="session_stream", task_id="equities.stream"),
        running(SECOND, dag_id="gap_repair", task_id="equities"),
        running(SECOND, dag_id="session_stream", task_id="gold.intraday"),
    ],
)
def test_what_is_over_or_paced_by_the_feed_neither_is_stale_nor_hangs(record: TryRecord) -> None:
    assert standstill(record, SETTINGS, BEGAN + timedelta(days=1), WAIT) == ""


@pytest.mark.parametrize(
    ("duration_s", "median_s", "over"),
    [
        (199.9, 100.0, False),
        (200.0, 100.0, False),
        (200.1, 100.0, True),
        (31.0, 1.0, False),  # by 30 s: nobody is to be told of seconds
        (31.1, 1.0, True),
        (500.0, None, False),  # too little history
    ],
)
def test_an_overrun_is_more_than_twice_the_median_and_noticeable(
    duration_s: float, median_s: float | None, over: bool
) -> None:
    assert is_overrun(duration_s, median_s, SETTINGS) is over


@pytest.mark.parametrize(("history", "usual_s"), [(4, None), (5, 60.0), (6, 60.0)])
def test_the_median_needs_five_sessions_before(history: int, usual_s: float | None) -> None:
    *before, last = sessions_until(SESSION, history + 1)
    slow = tried(last, duration_s=121.0)
    found = judge(*(tried(session) for session in before), slow)
    assert found.median_s(slow) == usual_s
    assert found.verdict(slow) == ("overrun" if usual_s else "")


def test_a_session_counts_once_however_many_batches_it_has_and_only_by_what_succeeded() -> None:
    tries = [tried(map_index=n, duration_s=seconds) for n, seconds in enumerate((10.0, 20.0, 90.0))]
    tries += [tried(map_index=3, state="failed", duration_s=900.0), tried(map_index=4, state="skipped", duration_s=0.1)]
    tries += [tried(dag_id="session_stream", task_id="equities.stream", dataset="equities_live", duration_s=60_000.0)]
    assert session_medians(tries) == {("equities_daily", "ingest", "equities"): 20.0}


def test_a_task_still_running_is_an_overrun_as_soon_as_it_is_one() -> None:
    *before, last = sessions_until(SESSION, 6)
    late = running(timedelta(minutes=3), session=last, duration_s=180.0)
    found = judge(*(tried(session) for session in before), late, now_after=timedelta(minutes=3))
    assert found.verdict(late) == "overrun"
    # Of a stream the length is the session's, at 120x a half-hour, at 1x sixteen hours.
    stream = {"dag_id": "session_stream", "task_id": "equities.stream", "dataset": "equities_live"}
    slow = tried(last, duration_s=60_000.0, **stream)
    assert judge(*(tried(session, duration_s=500.0, **stream) for session in before), slow).verdict(slow) == ""


@pytest.mark.parametrize(
    ("factor", "sessions", "slower"),
    [(1.5, 20, False), (1.501, 20, True), (3.0, 9, False), (3.0, 10, True)],
)
def test_slow_by_and_by_is_the_newest_five_sessions_beside_the_oldest_five(
    factor: float, sessions: int, slower: bool
) -> None:
    half = sessions // 2
    medians_s = [100.0] * half + [100.0 * factor] * (sessions - half)
    assert is_slower(medians_s, SETTINGS) is slower


def test_a_single_slow_session_is_no_trend() -> None:
    assert not is_slower([100.0] * 19 + [1000.0], SETTINGS)
    assert not is_slower([1.0] * 10 + [20.0] * 10, SETTINGS)  # by less than 30 s


@pytest.mark.parametrize(
    ("times_s", "found"),
    [
        ([n * 30.0 for n in range(9)], []),  # nine
        ([*(n * 30.0 for n in range(9)), 299.9], [(10, 299.9)]),
        ([*(n * 30.0 for n in range(9)), 300.0], [(10, 300.0)]),
        ([0.0, *(1 + n * 30.0 for n in range(8)), 300.1], []),
        ([n * 30.0 for n in range(12)], [(12, 330.0)]),
        ([*(n * 30.0 for n in range(10)), 570.0], [(11, 570.0)]),  # 300 s after the one before: the same burst
        ([*(n * 30.0 for n in range(10)), 570.1], [(10, 270.0)]),
        ([*(float(n) for n in range(10)), *(2000.0 + n for n in range(10))], [(10, 9.0), (10, 2009.0)]),
    ],
)
def test_ten_errors_within_five_minutes_are_a_burst(times_s: Sequence[float], found: list[tuple[int, float]]) -> None:
    times = [BEGAN + timedelta(seconds=seconds) for seconds in times_s]
    seen = bursts(times, SETTINGS, BEGAN + timedelta(days=1))
    assert [(each.count, (each.last_utc - BEGAN).total_seconds()) for each in seen] == found


@pytest.mark.parametrize(("quiet_s", "is_over"), [(299.9, False), (300.0, True), (300.1, True)])
def test_a_burst_has_ended_when_nothing_came_for_five_minutes(quiet_s: float, is_over: bool) -> None:
    times = [BEGAN] * 10
    [burst] = bursts(times, SETTINGS, BEGAN + timedelta(seconds=quiet_s))
    assert burst.ended_utc == (BEGAN if is_over else None)


def test_a_burst_is_of_one_cause_across_tasks_and_recovers_when_something_succeeds() -> None:
    five = {"RateLimited": met(*range(5), words="slow down")}
    tries = [tried(map_index=n, state="failed", errors=five) for n in range(2)]
    tries += [tried(map_index=2, state="failed", errors={"ServerError": met(*range(9))})]  # another cause, one too few
    [lasting] = judge(*tries, now_after=timedelta(minutes=5)).findings(SESSION)
    assert (lasting.kind, lasting.cause, lasting.dataset) == ("error burst", "rate_limit", "equities")
    assert "10 errors since 2025-07-02 00:15:00 UTC, lasting: 10 RateLimited; first: slow down" in lasting.why
    [ended] = judge(*tries).findings(SESSION)
    assert (ended.recovered_utc, "last 2025-07-02 00:15:04 UTC" in ended.why) == (None, True)
    again = tried(map_index=0, try_number=2)
    [recovered] = judge(*tries, again).findings(SESSION)
    assert recovered.recovered_utc == again.ended_utc
    elsewhere = tried(dataset="options")
    [other] = judge(*tries, elsewhere).findings(SESSION)
    assert other.recovered_utc is None


def test_the_end_of_a_burst_too_long_to_keep_is_known() -> None:
    kept = met(*(n / 10 for n in range(500)))
    longer = msgspec.structs.replace(kept, count=5000, last_utc=BEGAN + timedelta(minutes=4))
    long = tried(state="failed", errors={"ServerError": longer})
    [found] = judge(long, now_after=timedelta(minutes=8)).findings(SESSION)
    assert "lasting" in found.why


def test_overruns_and_trends_are_told_of_the_last_session_and_standstills_of_all() -> None:
    sessions = sessions_until(SESSION, 12)
    usual = [tried(session) for session in sessions[:6]]
    slow = [tried(session, duration_s=200.0, vendor_s=150.0) for session in sessions[6:]]
    dead = running(SECOND, session=sessions[2], task_id="publish", map_index=-1)
    found = judge(*usual, *slow, dead).findings(SESSION)
    assert [(each.kind, each.session, each.cause) for each in found] == [
        ("stale", sessions[2], "ours"),
        ("overrun", SESSION, "vendor"),
        ("slower", SESSION, "vendor"),
    ]
    assert "equities_daily.publish, try 1" in found[0].why
    assert "took 200 s, usually 60 s; most of it waiting for the vendor" in found[1].why
    assert "equities_daily.ingest takes 200 s, 11 sessions ago it took 60 s" in found[2].why


def test_a_task_that_hangs_while_it_waits_for_the_vendor_is_the_vendors_doing() -> None:
    hung = running(timedelta(minutes=20), moved=SECOND, doing="vendor for 1199 s")
    [found] = judge(hung, now_after=timedelta(minutes=20)).findings(SESSION)
    assert (found.kind, found.cause) == ("hung", "vendor")
    assert found.why.endswith("has done nothing since 2025-07-02 00:15:01 UTC (vendor for 1199 s)")


@pytest.mark.parametrize(
    ("rows", "before", "said"),
    [
        (0, [5, 7], True),
        (0, [5, 0], False),  # it happens
        (0, [None, 5], True),  # what is not published says nothing
        (0, [], True),
        (1, [5], False),
        (None, [5], False),
    ],
)
def test_no_data_is_what_never_was_before(rows: int | None, before: list[int | None], said: bool) -> None:
    assert is_empty_for_once(rows, before) is said
