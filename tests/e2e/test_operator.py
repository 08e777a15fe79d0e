"""What an operator does through Airflow's REST API, and what comes of it: runs, partitions, events, consolidation."""

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest

from bellwether.airflow_api import ApiError, Run
from bellwether.calendar import get_calendar
from bellwether.clock import SystemClock
from bellwether.due import DUE
from bellwether.lake import Coverage, Manifest, paths, read
from bellwether.simulator.faults import Fault
from tests.e2e.support import PRODUCER, UNIVERSE, Producers, wait_until

# Thanksgiving, the half day after it, and a weekend lie in between.
WEDNESDAY, HALF_DAY, MONDAY = date(2025, 11, 26), date(2025, 11, 28), date(2025, 12, 1)
SESSION = date(2025, 7, 1)
DRIFT = "ops_drift"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def quiet_simulator(operated: Producers) -> None:
    operated.simulator.faults.clear()
    operated.simulator.requests.clear()


@pytest.fixture(scope="module")
def scheduled(operated: Producers) -> Run:
    """Return the run Airflow made by itself, once it is over."""
    wait_until(lambda: any(run.run_type == "scheduled" for run in operated.api.runs(PRODUCER)), "nothing is scheduled")
    [run] = [run for run in operated.api.runs(PRODUCER) if run.run_type == "scheduled"]
    return operated.api.wait_for_run(PRODUCER, run.dag_run_id)


@pytest.fixture(scope="module")
def captured(operated: Producers) -> Run:
    """Capture SESSION as the vendor first has it: SPY lacks half of its bars, which nothing betrays."""
    operated.simulator.faults.add(Fault(kind="clipped_history", ticker="SPY", session=SESSION, count=None))
    return operated.trigger(str(SESSION))


def manifest_of(operated: Producers, session: date) -> Manifest:
    manifest = operated.lake.manifest("equities", session)
    assert manifest is not None, session
    return manifest


def prints(operated: Producers, sessions: Iterable[date]) -> dict[date, tuple[int, int]]:
    """Return what tells whether a partition's file was touched: its inode and its time of modification."""
    stats = {session: (operated.lake_root / paths.partition("equities", session)).stat() for session in sessions}
    return {session: (stat.st_ino, stat.st_mtime_ns) for session, stat in stats.items()}


def heard(operated: Producers, session: date) -> tuple[int, int, list[str]]:
    """Return the numbers of `equities` and `session_ready` events of a session, and the revisions consumed."""
    events = [len(operated.events(asset, str(session))) for asset in ("equities", "session_ready")]
    return events[0], events[1], [revision for key, revision in operated.consumed() if key == str(session)]


def test_unpaused_it_captures_the_last_completed_session(operated: Producers, scheduled: Run) -> None:
    last = get_calendar().last_due(SystemClock().now(), DUE["equities"])
    assert (scheduled.partition_key, scheduled.state) == (str(last), "success")
    assert f"scheduled__{last}__" in scheduled.dag_run_id


def test_with_a_key_that_session_is_captured_and_announced(operated: Producers, captured: Run) -> None:
    assert (captured.partition_key, captured.state) == (str(SESSION), "success")
    assert set(operated.states(captured).values()) == {"success"}
    assert {"b000 AAPL..MSFT", "b001 QQQ..SPY"} <= operated.states(captured).keys()
    manifest = manifest_of(operated, SESSION)
    assert manifest.run_id == captured.dag_run_id
    assert {known.state for known in manifest.coverage.values()} == {Coverage.COMPLETE}
    assert heard(operated, SESSION) == (1, 1, [manifest.revision])


def test_narrowed_to_tickers_only_these_are_replaced(operated: Producers, captured: Run) -> None:
    before, rows = manifest_of(operated, SESSION), read("equities", SESSION, SESSION, root=operated.lake_root)
    run = operated.trigger(str(SESSION), tickers=["SPY"])
    assert run.state == "success"
    assert operated.asked(SESSION) == ["SPY"]
    after = manifest_of(operated, SESSION)
    assert {t for t in UNIVERSE if after.coverage[t] != before.coverage[t]} == {"SPY"}
    assert after.coverage["SPY"].stage_id == after.stage_id != before.stage_id
    assert after.coverage["SPY"].rows > before.coverage["SPY"].rows
    others = [ticker for ticker in UNIVERSE if ticker != "SPY"]
    kept = read("equities", SESSION, SESSION, others, root=operated.lake_root)
    assert kept.to_pylist() == [row for row in rows.to_pylist() if row["ticker"] != "SPY"]
    assert heard(operated, SESSION) == (2, 2, [before.revision, after.revision])


@pytest.mark.parametrize(
    ("params", "asked"), [({}, []), ({"force": True}, list(UNIVERSE))], ids=["plain", "fetched again"]
)
def test_rerun_of_a_good_date_changes_nothing_and_tells_nobody(
    operated: Producers, captured: Run, params: dict[str, bool], asked: list[str]
) -> None:
    before, untouched, told = manifest_of(operated, SESSION), prints(operated, [SESSION]), heard(operated, SESSION)
    run = operated.trigger(str(SESSION), **params)
    assert run.state == "success"
    assert sorted(map(str, operated.asked(SESSION))) == asked
    states = operated.states(run)
    assert (states["publish"], states["announce"]) == ("skipped", "skipped")
    assert manifest_of(operated, SESSION) == before
    assert prints(operated, [SESSION]) == untouched
    assert heard(operated, SESSION) == told


def test_without_a_key_it_is_the_last_completed_session(operated: Producers, scheduled: Run) -> None:
    session = date.fromisoformat(str(scheduled.partition_key))
    events, announcements, consumed = heard(operated, session)
    operated.simulator.faults.add(Fault(kind="duplicate_bar", ticker="SPY"))
    run = operated.trigger(force=True)
    assert (run.state, run.partition_key) == ("success", None)
    assert run.partition_date is not None
    assert run.partition_date.date() == session
    assert sorted(map(str, operated.asked(session))) == list(UNIVERSE)
    manifest = manifest_of(operated, session)
    assert (manifest.run_id, manifest.coverage["SPY"].duplicates_dropped) == (run.dag_run_id, 1)
    # The partition was published anew, with the rows consolidation knows already.
    assert heard(operated, session) == (events + 1, announcements, consumed)


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        pytest.param("2025-11-27", "nearest: 2025-11-26, 2025-11-28", id="holiday"),
        pytest.param("2025-11-29", "nearest: 2025-11-28, 2025-12-01", id="weekend"),
        pytest.param("banana", "give an XNYS trading day as YYYY-MM-DD", id="banana"),
        pytest.param("2099-01-05", "lies outside the known XNYS sessions", id="far future"),
        pytest.param("next", "the last one due is {last}", id="not over yet"),
    ],
)
def test_a_bad_key_is_refused_with_what_is_allowed(operated: Producers, key: str, allowed: str) -> None:
    last = get_calendar().last_due(SystemClock().now(), DUE["equities"])
    key = str(get_calendar().next(last)) if key == "next" else key
    runs = operated.api.runs(PRODUCER)
    with pytest.raises(ApiError) as refusal:
        operated.api.trigger(PRODUCER, key)
    assert refusal.value.status == 400
    assert allowed.format(last=last) in str(refusal.value)
    assert operated.api.runs(PRODUCER) == runs


@pytest.mark.parametrize(
    ("params", "allowed"),
    [
        pytest.param({"tickers": ["spy"]}, "'spy' does not match '^[A-Z]", id="lower case"),
        pytest.param({"tickers": ["../SPY"]}, "'../SPY' does not match '^[A-Z]", id="path"),
        pytest.param({"tickers": "SPY"}, "'SPY' is not of type 'array'", id="no list"),
        pytest.param({"force": "perhaps"}, "'perhaps' is not of type 'boolean'", id="no yes or no"),
    ],
)
def test_a_bad_form_is_refused_with_what_is_allowed_for_runs_and_for_backfills(
    operated: Producers, params: dict[str, object], allowed: str
) -> None:
    with pytest.raises(ApiError) as refusal:
        operated.api.trigger(PRODUCER, str(SESSION), params)
    assert (refusal.value.status, allowed in str(refusal.value)) == (400, True)
    wait_until(lambda: operated.open_backfills() == 0, "an earlier backfill is still open")
    with pytest.raises(ApiError) as refusal:
        operated.api.backfill(PRODUCER, SESSION, SESSION, conf=params)
    assert (refusal.value.status, allowed in str(refusal.value)) == (422, True)


@pytest.fixture(scope="module")
def over_a_holiday(operated: Producers) -> list[Run]:
    """Backfill from the day before Thanksgiving to the Monday after, QQQ failing for good on the half day."""
    operated.simulator.faults.add(Fault(kind="cut_json", ticker="QQQ", session=HALF_DAY, count=None))
    return operated.backfill(WEDNESDAY, MONDAY)


def test_backfill_over_a_holiday_and_a_half_day_makes_runs_of_sessions_only(
    operated: Producers, over_a_holiday: list[Run]
) -> None:
    assert [run.partition_key for run in over_a_holiday] == [str(day) for day in (WEDNESDAY, HALF_DAY, MONDAY)]
    assert [run.state for run in over_a_holiday] == ["success", "failed", "success"]
    for session in (WEDNESDAY, HALF_DAY, MONDAY):
        hours = get_calendar().hours(session)
        spy = read("equities", session, session, ["SPY"], root=operated.lake_root)["ts"].to_pylist()
        regular = sum(hours.open <= start < hours.close for start in spy)
        assert 0.9 * hours.expected_minutes() < regular <= hours.expected_minutes()
    assert get_calendar().hours(HALF_DAY).expected_minutes() == 210


def test_a_failed_date_is_cleared_and_succeeds_while_the_others_stay_untouched(
    operated: Producers, over_a_holiday: list[Run]
) -> None:
    [_, failed, _] = over_a_holiday
    states = operated.states(failed)
    assert {name for name, state in states.items() if state == "failed"} == {"b001 QQQ..SPY", "report"}
    assert (states["publish"], states["announce"]) == ("success", "skipped")
    partial = manifest_of(operated, HALF_DAY)
    assert partial.blocking == ["QQQ"]
    assert heard(operated, HALF_DAY) == (1, 0, [])
    others = prints(operated, [WEDNESDAY, MONDAY])

    operated.api.clear(PRODUCER, failed.dag_run_id, [("ingest", 1)], only_failed=False)
    healed = operated.api.wait_for_run(PRODUCER, failed.dag_run_id)
    assert healed.state == "success"
    assert operated.asked(HALF_DAY) == ["QQQ"]
    assert set(operated.states(healed).values()) == {"success"}
    whole = manifest_of(operated, HALF_DAY)
    assert whole.blocking == []
    assert whole.rows - whole.coverage["QQQ"].rows == partial.rows
    assert heard(operated, HALF_DAY) == (2, 1, [whole.revision])
    assert prints(operated, [WEDNESDAY, MONDAY]) == others
    for session in (WEDNESDAY, MONDAY):
        assert heard(operated, session) == (1, 1, [manifest_of(operated, session).revision])


def test_clearing_the_failed_tasks_alone_never_shows_as_good_a_session_that_lacks_a_ticker(operated: Producers) -> None:
    session = date(2025, 7, 2)
    operated.simulator.faults.add(Fault(kind="cut_json", ticker="QQQ", session=session, count=None))
    failed = operated.trigger(str(session))
    operated.simulator.faults.clear()
    # Leaves out `validate` and `publish`, which succeeded with what there was.
    assert sorted(operated.api.clear(PRODUCER, failed.dag_run_id, only_failed=True)) == ["ingest", "report"]
    assert operated.api.wait_for_run(PRODUCER, failed.dag_run_id).state == "failed"
    assert manifest_of(operated, session).blocking == ["QQQ"]
    operated.simulator.requests.clear()
    operated.api.clear(PRODUCER, failed.dag_run_id, ["validate"], only_failed=False)
    assert operated.api.wait_for_run(PRODUCER, failed.dag_run_id).state == "success"
    assert operated.asked(session) == []
    assert heard(operated, session) == (2, 1, [manifest_of(operated, session).revision])


def test_a_ticker_outside_the_universe_fails_the_run_and_the_log_names_the_universe(
    operated: Producers, captured: Run
) -> None:
    untouched = prints(operated, [SESSION])
    run = operated.trigger(str(SESSION), tickers=["SPY", "ZZZ"])
    assert run.state == "failed"
    assert operated.asked(SESSION) == []
    assert "ZZZ; it holds AAPL, MSFT, QQQ, SPY" in operated.api.log(PRODUCER, run.dag_run_id, "plan")
    assert prints(operated, [SESSION]) == untouched


def test_drift_is_asked_about_and_an_approval_by_rest_publishes_what_waited_without_a_request(
    operated: Producers,
) -> None:
    session = date(2025, 7, 8)
    operated.simulator.faults.add(Fault(kind="renamed", field="v", to="vol", ticker="SPY", session=session, count=None))
    assert operated.trigger(str(session)).state == "failed", "a required ticker is held back"
    assert manifest_of(operated, session).coverage["SPY"].state is Coverage.QUARANTINED
    assert heard(operated, session) == (1, 0, [])
    operated.simulator.faults.clear()
    operated.simulator.requests.clear()

    asked = operated.api.trigger(DRIFT, conf={"change": "equities.v.renamed.vol"}).dag_run_id
    wait_until(lambda: waiting(operated, asked) != [], "nobody is asked")
    [question] = waiting(operated, asked)
    assert question["options"] == ["Approve", "Reject"]
    assert "+ v: {aliases: [vol]," in question["body"]
    with pytest.raises(ApiError) as refusal:
        answer(operated, asked, "Take as it is")
    assert refusal.value.status == 400
    answer(operated, asked, "Approve")
    assert operated.api.wait_for_run(DRIFT, asked).state == "success"
    assert operated.asked(session) == []
    whole = manifest_of(operated, session)
    assert {known.state for known in whole.coverage.values()} == {Coverage.COMPLETE}
    assert heard(operated, session)[1:] == (1, [whole.revision])
    [row] = read("drift", session, session, root=operated.lake_root).to_pylist()
    assert (row["state"], row["decided_by"]) == ("approved", operated.stack.state.username)
    with pytest.raises(ApiError) as refusal:
        answer(operated, asked, "Reject")
    assert refusal.value.status == 409


def waiting(operated: Producers, run_id: str) -> list[dict[str, Any]]:
    """Return the questions of a run that wait for an answer."""
    query = {"response_received": False, "state": "awaiting_input"}
    content = json.loads(operated.api.request("GET", f"dags/{DRIFT}/dagRuns/{run_id}/hitlDetails", query=query))
    return list(content["hitl_details"])


def answer(operated: Producers, run_id: str, option: str) -> None:
    body = {"chosen_options": [option], "params_input": {"reason": "a new name"}}
    place = f"dags/{DRIFT}/dagRuns/{run_id}/taskInstances/decide/-1/hitlDetails"
    operated.api.request("PATCH", place, body)
