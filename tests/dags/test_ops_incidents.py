"""The sweep, run in process: what it notes as healed, tells, and writes down; and what the look back opens for it."""

from collections.abc import Callable
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from airflow.models.dag import DagModel
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.utils.session import create_session

from bellwether.calendar import get_calendar
from bellwether.clock import SystemClock
from bellwether.due import OVERDUE
from bellwether.errors import Blame
from bellwether.incidents.incident import Run as IncidentRun
from bellwether.incidents.incident import healed
from bellwether.incidents.ledger import at_work, change, report
from bellwether.lake import Lake, read
from bellwether.monitoring.alerts import Delivery, Message
from bellwether_airflow import incidents
from bellwether_airflow.notifiers import reporting
from tests.builders import publish_bars
from tests.dags.support import KEY, SESSION, UNIVERSE
from tests.incidents import TurnedClock, found

Run = Callable[..., Any]
NEXT = date(2025, 7, 2)
DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the subjects of what people are told."""
    subjects: list[str] = []

    def deliver(message: Message, _only: tuple[str, ...]) -> Delivery:
        subjects.append(message.subject)
        return Delivery("sent")

    for module in (incidents, reporting):
        monkeypatch.setattr(module, "deliver", deliver)
    return subjects


def swept(dags: dict[str, Any]) -> dict[str, Any]:
    run = dags["ops_incidents"].test(logical_date=None)
    assert run.state == "success"
    [ti] = run.get_task_instances()
    return dict(ti.xcom_pull(task_ids="sweep"))


def test_a_publication_heals_and_is_told_and_written_down(
    dags: dict[str, Any], airflow_database: None, lake_root: Path, told: list[str]
) -> None:
    lake = Lake.open(lake_root, simulated=True)
    report(lake, found())
    assert swept(dags) == {"healed": [], "overdue": [], "messages": 1, "delivered_late": 0}
    publish_bars(lake, UNIVERSE)
    mended = [f"equities.{SESSION}.vendor"]
    assert swept(dags) == {"healed": mended, "overdue": [], "messages": 1, "delivered_late": 0}
    assert told == [f"equities {SESSION}: 1 of 8 tickers failed", f"equities {SESSION}: healed"]
    [row] = read("incidents", SESSION, SESSION, root=lake_root).to_pylist()
    assert (row["state"], row["healed_by"]) == ("healed", "run run-s0")


def test_what_somebody_else_saw_healed_is_told_and_written_down_as_over(
    dags: dict[str, Any], airflow_database: None, lake_root: Path, told: list[str]
) -> None:
    lake = Lake.open(lake_root, simulated=True)
    report(lake, found())
    swept(dags)
    [incident] = at_work(lake)
    change(lake, incident.incident_id, lambda each: healed(each, "the look back", each.updated_utc))
    assert swept(dags)["messages"] == 1
    assert at_work(lake) == []
    [row] = read("incidents", SESSION, SESSION, root=lake_root).to_pylist()
    assert (row["state"], row["healed_by"]) == ("healed", "the look back")


def test_a_run_that_turned_green_heals_what_it_had_reported(
    dags: dict[str, Any], run_session: Run, lake_root: Path, told: list[str]
) -> None:
    lake = Lake.open(lake_root, simulated=True)
    run = run_session(dags["ops_health"], KEY, {"sessions": 1})
    assert run.state == "success"
    report(lake, found("health", blame=Blame.OURS, run=IncidentRun("ops_health", run.run_id)))
    report(lake, found("recovery", blame=Blame.OURS, run=IncidentRun("ops_recover", "manual__gone")))
    assert swept(dags)["healed"] == [f"health.{SESSION}.ours"]


def test_a_session_that_no_run_was_made_for_is_opened_by_the_look_back_and_healed_by_whatever_publishes_it(
    dags: dict[str, Any], run_session: Run, lake_root: Path, told: list[str]
) -> None:
    lake = Lake.open(lake_root, simulated=True)
    publish_bars(lake, UNIVERSE)
    for _ in range(2):
        assert run_session(dags["ops_health"], str(NEXT), {"sessions": 2}).state == "success"
    # Gold of the first session was announced by the same look; that of the second waits for its input.
    assert [each.incident_id for each in at_work(lake)] == [f"equities.{NEXT}.ours"]
    assert told == []
    assert swept(dags)["messages"] == 1
    assert told == [f"health {NEXT}: 1 not as they should be"]
    publish_bars(lake, UNIVERSE, NEXT)
    assert swept(dags)["healed"] == [f"equities.{NEXT}.ours"]


def test_what_no_run_publishes_is_overdue_unless_its_dag_is_paused_and_is_told_once(
    dags: dict[str, Any], airflow_database: None, lake_root: Path, told: list[str]
) -> None:
    publish_bars(Lake.open(lake_root, simulated=True, clock=TurnedClock()), UNIVERSE)
    assert swept(dags)["overdue"] == []  # it is paused
    last = get_calendar().last_due(SystemClock().now(), OVERDUE["equities"])
    incident = f"equities.{last}.ours"
    with create_session() as session:
        session.get(DagModel, "equities_daily").is_paused = False
    assert [swept(dags)["overdue"] for _ in range(2)] == [[incident], []]
    assert told == [f"equities {last}: overdue"]


@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE])
def test_a_dag_that_is_not_there_is_not_awaited_and_whether_it_is_has_to_be_known(
    monkeypatch: pytest.MonkeyPatch, status: HTTPStatus
) -> None:
    def refuse(dag_id: str) -> None:  # as a task hears it from its supervisor
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status.value}))

    monkeypatch.setattr(RuntimeTaskInstance, "get_dag", refuse)
    # Airflow remembers a DAG whose file is gone, and knows nothing of one that is not parsed yet.
    assert not incidents._is_awaited(DAGS, "taken_out")
    if status is HTTPStatus.NOT_FOUND:
        assert not incidents._is_awaited(DAGS, "equities_daily")
    else:
        with pytest.raises(AirflowRuntimeError):
            incidents._is_awaited(DAGS, "equities_daily")
