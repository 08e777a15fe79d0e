"""The DAG that recovers others: its form and dry run in process, its waits against a stub of Airflow's API."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from airflow.sdk.exceptions import ParamValidationError, TaskDeferred

from bellwether.airflow_api import ApiError, Backfill, Run
from bellwether.errors import NotRecovered
from bellwether.lake import Lake, read
from bellwether.producers import DAG_OF
from bellwether.quarantine import release
from bellwether.quarantine.standing import Row, Selection, State, find
from bellwether.recovery.work import Errand, Work
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator
from bellwether_airflow import connections
from bellwether_airflow.recovery import RecoverOperator
from bellwether_airflow.triggers import RunsOver
from tests.dags.support import KEY, SESSION, events, states

RANGE = {"start": "2025-07-01", "end": "2025-07-06"}


@pytest.fixture
def recover(lake_root: Path, airflow_database: None, dags: dict[str, Any]) -> Callable[..., Any]:
    """Return `recover(**form)`: one run of the DAG in this process."""

    def run(**form: object) -> Any:
        return dags["ops_recover"].test(run_conf=form)

    return run


class Api:
    """Stands for Airflow's API: one run of one session, in the states given, one after the other."""

    def __init__(self, *run_states: str, down: bool = False) -> None:
        self.left: Iterator[str] = iter(run_states)
        self.state = ""
        self.down = down
        self.told: list[object] = []

    def is_paused(self, dag_id: str) -> bool:
        return False

    def backfills(self, dag_id: str) -> list[Backfill]:
        return []

    def runs(self, dag_id: str, **window: date) -> list[Run]:
        if self.down:
            self.down = False
            message = "no answer"
            raise ApiError(message)
        self.state = next(self.left, self.state)
        began = datetime(2025, 7, 9, tzinfo=UTC)
        return [Run(dag_id, "r", "backfill", self.state, KEY, start_date=began)] if self.state else []

    def backfill(self, dag_id: str, start: date, end: date, **how: object) -> Backfill:
        self.told.append(("backfill", dag_id, start, end, how))
        return Backfill(7, dag_id, datetime(2025, 7, 9, tzinfo=UTC))

    def cancel_backfill(self, backfill_id: int) -> None:
        self.told.append(("cancel", backfill_id))
        if self.down:
            message = "completed already"
            raise ApiError(message, 409)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Api]:
    def use(*run_states: str, down: bool = False) -> Api:
        stub = Api(*run_states, down=down)
        monkeypatch.setattr(connections, "airflow", lambda: stub)
        return stub

    return use


# --- the form and the plan


def test_it_runs_dry_unless_told_otherwise_and_shows_what_it_would_do(
    recover: Callable[..., Any], simulator: RunningSimulator, lake_root: Path
) -> None:
    run = recover(**RANGE)
    assert (run.state, states(run)["plan"], states(run)["recover"]) == ("success", "success", "skipped")
    [plan] = [ti for ti in run.get_task_instances() if ti.task_id == "plan"]
    page = plan.xcom_pull(task_ids="plan", key="page")
    assert page.startswith("### Recovery of equities: missing, newest first\n\n**3 sessions, 3 runs, 12 API calls, ")
    # The day before the holiday is a half day.
    assert "| 2025-07-03 (half day) | equities_daily | all 4 missing | 4 |" in page
    assert simulator.requests == []
    assert Lake.open(lake_root, simulated=True).sessions("equities") == []


def test_the_plan_knows_what_is_there_and_the_plans_rate_limit(
    recover: Callable[..., Any],
    run_session: Callable[..., Any],
    dag: Any,
    monkeypatch: pytest.MonkeyPatch,
    simulator: RunningSimulator,
) -> None:
    run_session(dag, KEY)
    extra = {"environment": "simulated", "requests_per_minute": 5}
    connection = {"conn_type": "polygon", "host": simulator.url, "password": "k" * 8, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_POLYGON_DEFAULT", json.dumps(connection))
    run = recover(**RANGE, budget=4)
    [plan] = [ti for ti in run.get_task_instances() if ti.task_id == "plan"]
    page = plan.xcom_pull(task_ids="plan", key="page")
    assert "**1 session, 1 run, 4 API calls, 48 seconds at 5 requests a minute.**" in page
    assert "- equities_daily 2025-07-02: beyond the budget of 4 API calls" in page
    assert str(SESSION) not in page.split("#### Built again")[0]


def test_without_a_connection_to_airflow_a_real_run_fails_before_it_begins(recover: Callable[..., Any]) -> None:
    assert states(recover(**RANGE, dry_run=False))["plan"] == "failed"


def test_a_misspelt_parameter_fails_the_plan(recover: Callable[..., Any]) -> None:
    assert states(recover(dataset="equities"))["plan"] == "failed"


@pytest.mark.parametrize(
    "form",
    [
        {"datasets": ["equites"]},
        {"datasets": []},
        {"mode": "all"},
        {"start": "last week"},
        {"last": 0},
        {"budget": 0},
        {"order": "random"},
        {"dry_run": "perhaps"},
    ],
    ids=str,
)
def test_a_bad_form_is_refused(dags: dict[str, Any], form: dict[str, object]) -> None:
    with pytest.raises(ParamValidationError):
        dags["ops_recover"].params.update(form)


def test_the_form_offers_every_dataset(dags: dict[str, Any]) -> None:
    schema = dags["ops_recover"].params.get_param("datasets").schema
    assert schema["examples"] == schema["items"]["enum"] == list(DAG_OF)


# --- carrying it out


@pytest.fixture
def go(lake_root: Path, dags: dict[str, Any]) -> Callable[..., Any]:
    """Return `go(touched=None)`: what the task of one DAG does, at first (or cleared) or after a wait."""
    work = Work("equities_daily", datetime(2025, 7, 8, tzinfo=UTC), (Errand(SESSION),), newest_first=True)
    operator = RecoverOperator(task_id="recover", work=msgspec.to_builtins(work))
    kept: dict[str, Any] = {}
    store = SimpleNamespace(get=kept.get, set=kept.__setitem__)
    context = {"params": dags["ops_recover"].params.dump() | RANGE, "task_state_store": store}
    return lambda touched=None: (
        operator.execute(context) if touched is None else operator.resume(context, None, touched)
    )


def test_it_opens_a_backfill_and_leaves_its_slot_until_the_runs_are_over(
    go: Callable[..., Any], api: Callable[..., Api]
) -> None:
    airflow = api("", "success")
    with pytest.raises(TaskDeferred) as left:
        go()
    how = {"conf": {}, "again": True, "backwards": True}
    assert airflow.told == [("backfill", "equities_daily", SESSION, SESSION, how)]
    waited = {"dag_id": "equities_daily", "start": KEY, "end": KEY, "backfill_id": 7}
    assert left.value.trigger.serialize() == ("bellwether_airflow.triggers.RunsOver", {"wait": waited})
    touched = json.loads(json.dumps(left.value.kwargs["touched"]))
    assert go(touched) == {"dag_id": "equities_daily", "recovered": 1}


def test_cleared_while_its_backfill_is_open_it_can_still_be_told_to_cancel_it(
    go: Callable[..., Any], api: Callable[..., Api]
) -> None:
    airflow = api("", "running")
    for _ in range(2):
        with pytest.raises(TaskDeferred) as left:
            go()
        asyncio.run(left.value.trigger.on_kill())
    assert [told[0] for told in airflow.told] == ["backfill", "cancel", "cancel"]


def test_a_session_that_fails_again_fails_the_task_and_is_named(
    go: Callable[..., Any], api: Callable[..., Api]
) -> None:
    api("failed")
    with pytest.raises(NotRecovered, match="1 sessions of equities_daily failed again: 2025-07-01"):
        go({"sessions": [KEY], "backfill_id": 7})


def look(trigger: RunsOver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellwether_airflow.triggers._FIRST_LOOK_S", 0)
    monkeypatch.setattr("bellwether_airflow.triggers._LOOK_AGAIN_S", 0)

    async def first() -> None:
        async for event in trigger.run():
            assert event.payload is None
            return

    asyncio.run(first())


def test_the_trigger_fires_once_the_runs_are_over_though_airflow_is_down_for_a_while(
    api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = api("running", "running", "success", down=True)
    look(RunsOver({"dag_id": "d", "start": KEY, "end": KEY, "backfill_id": 7}), monkeypatch)
    assert (airflow.state, airflow.told) == ("success", [])


@pytest.mark.parametrize(("backfill_id", "down"), [(7, False), (7, True), (None, False)])
def test_ending_the_task_that_waits_cancels_its_backfill(
    api: Callable[..., Api], backfill_id: int | None, down: bool
) -> None:
    airflow = api("running", down=down)
    asyncio.run(RunsOver({"dag_id": "d", "start": KEY, "end": KEY, "backfill_id": backfill_id}).on_kill())
    assert airflow.told == ([("cancel", 7)] if backfill_id else [])


# --- the Connection


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "127.0.0.1", "port": 8080}, "http://127.0.0.1:8080"),
        ({"host": "https://airflow.example"}, "https://airflow.example"),
        ({"host": "airflow.example", "schema": "https", "port": 443}, "https://airflow.example:443"),
        ({"port": 8080}, "http://localhost:8080"),
    ],
)
def test_the_connection_names_airflow_as_http_connections_do(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object], url: str
) -> None:
    connection = {"conn_type": "http", "login": "admin", "password": "word"} | fields
    monkeypatch.setenv("AIRFLOW_CONN_AIRFLOW_API", json.dumps(connection))
    seen: list[Any] = []
    monkeypatch.setattr("bellwether.airflow_api.AirflowApi", lambda *given: seen.append(given) or SimpleNamespace())
    connections.airflow()
    assert seen == [(url, "admin", "word")]


# --- rows in quarantine


@pytest.fixture
def conflict(lake_root: Path, run_session: Callable[..., Any], dag: Any, simulator: RunningSimulator) -> list[Row]:
    """Return the two rows of one minute of SPY that contradict each other."""
    simulator.faults.add(Fault(kind="conflicting_duplicate", ticker="SPY", session=SESSION))
    run_session(dag, KEY)
    simulator.requests.clear()
    rows = find(Lake.open(lake_root, simulated=True), Selection(datasets=("equities",)))
    assert len(rows) == 2
    return rows


def page_of(run: Any) -> str:
    [plan] = [ti for ti in run.get_task_instances() if ti.task_id == "plan"]
    page: str = plan.xcom_pull(task_ids="plan", key="page")
    return page


def test_a_dry_run_shows_the_rows_in_quarantine_and_what_could_not_be_released(
    conflict: list[Row], recover: Callable[..., Any], lake_root: Path
) -> None:
    run = recover(action="release", start=KEY, end=KEY)
    assert states(run) == {"plan": "success"} | dict.fromkeys(
        ("recover", "settle", "inputs_ready", "announce", "all_settled"), "skipped"
    )
    page = page_of(run)
    assert all(row.row_id in page for row in conflict)
    assert "they are of one key: release one of them" in page
    lake = Lake.open(lake_root, simulated=True)
    assert {row.state for row in find(lake, Selection(datasets=("equities",)))} == {State.OPEN}


def test_a_release_is_published_without_a_request_and_announces_its_session(
    conflict: list[Row], recover: Callable[..., Any], lake_root: Path, simulator: RunningSimulator
) -> None:
    chosen, other = conflict
    before = events().count(("session_ready", KEY))
    run = recover(action="release", rows=[chosen.row_id], reason="the tape has it", dry_run=False)
    assert states(run) == {"recover": "skipped"} | dict.fromkeys(
        ("plan", "settle", "inputs_ready", "announce", "all_settled"), "success"
    )
    assert simulator.requests == []
    assert events().count(("session_ready", KEY)) == before + 1
    lake = Lake.open(lake_root, simulated=True)
    assert {row.row_id: row.state for row in find(lake, Selection(datasets=("equities",)))} == {
        chosen.row_id: State.RELEASED,
        other.row_id: State.OPEN,
    }
    [told] = read("quarantine_audit", SESSION, SESSION, root=lake_root).to_pylist()
    assert (told["reason"], told["decided_by"]) == ("the tape has it", "dag_test")


def test_what_somebody_decided_otherwise_meanwhile_fails_the_run_after_the_others_are_announced(
    conflict: list[Row], recover: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = release.settle
    left_out = ("equities.2025-07-02.0123456789ab was discarded by bob",)
    monkeypatch.setattr(release, "settle", lambda *args, **named: replace(settle(*args, **named), left_out=left_out))
    before = events().count(("session_ready", KEY))
    run = recover(action="release", rows=[conflict[0].row_id], reason="the tape has it", dry_run=False)
    assert (run.state, states(run)["announce"], states(run)["all_settled"]) == ("failed", "success", "failed")
    assert events().count(("session_ready", KEY)) == before + 1


def test_what_cannot_be_released_fails_the_run_and_changes_nothing(
    conflict: list[Row], recover: Callable[..., Any], lake_root: Path
) -> None:
    before = Lake.open(lake_root).manifest("equities", SESSION)
    run = recover(action="release", start=KEY, end=KEY, reason="all of them", dry_run=False)
    assert (run.state, states(run)["settle"]) == ("failed", "failed")
    assert Lake.open(lake_root).manifest("equities", SESSION) == before
