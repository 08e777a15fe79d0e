"""The DAG that drills: its form, whom it tells, and what makes it fail; the drill itself is the library's."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.drill.faults import FAULTS
from bellwether.drill.names import DEFAULT
from bellwether.drill.report import Judged, Outcome, Report
from bellwether.drill.request import Request
from bellwether.monitoring.alerts import STALLED, Delivery, Message
from bellwether_airflow import drill as module
from tests.dags.support import states

SESSION = date(2025, 7, 3)
OPEN = get_calendar().hours(SESSION).open
MESSAGE = Message("[drill] equities_live: stalled", "It is only a drill.", "error", frozenset({STALLED}))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the subjects of what is sent to people."""
    told: list[str] = []

    def tell(message: Message, dag_id: str) -> Delivery:
        told.append(f"{dag_id}: {message.subject}")
        return Delivery("sent")

    monkeypatch.setattr(module, "tell", tell)
    return told


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Return what is to be drilled; instead, one message is sent and a fault did not recover where it is `mute`."""
    asked: list[Request] = []

    def play(request: Request, _config: object, *, tell: Callable[[Message], Delivery], url: str, **_: Any) -> Report:
        asked.append(request)
        assert "/dags/ops_drill/runs/" in url
        tell(MESSAGE)
        outcome = Outcome("abort", FAULTS["abort"], began=OPEN, causes=("dropped",))
        if "mute" not in request.faults:
            outcome.recovered = OPEN + timedelta(minutes=2)
        return Report(
            session=request.session,
            speed=request.speed,
            start=OPEN,
            until=OPEN + timedelta(minutes=30),
            outcomes=[outcome],
            judged=Judged(minutes=120, lost=0, unlike=0, doubled=0, gaps=["dropped"], left=[]),
            unplayed=[],
            real_s=15,
            log=[],
        )

    monkeypatch.setattr("bellwether.drill.play.drill", play)
    monkeypatch.setattr(module, "_clock", SimulatedClock(datetime(2025, 7, 5, 12, tzinfo=UTC), speed=0))
    return asked


@pytest.fixture
def drill(airflow_database: None, dags: dict[str, Any]) -> Callable[..., Any]:
    """Return `drill(**form)`: one run of the DAG in this process."""

    def run(**form: object) -> Any:
        return dags["ops_drill"].test(run_conf=form)

    return run


def report_of(run: Any) -> str:
    [task] = run.get_task_instances()
    return str(task.xcom_pull(task_ids="play", key="report"))


def test_the_form_as_it_comes_replays_the_last_completed_session_and_tells_people(
    drill: Callable[..., Any], asked: list[Request], told: list[str]
) -> None:
    run = drill(faults=["abort"])
    assert states(run) == {"play": "success"}
    assert asked == [Request(session=SESSION, speed=120, minutes=30, faults=("abort",))]
    assert told == ["ops_drill: [drill] equities_live: stalled"]
    assert "| abort | the connection is reset | dropped |" in report_of(run)


def test_messages_stay_in_the_log_where_the_form_says_so(
    drill: Callable[..., Any], asked: list[Request], told: list[str]
) -> None:
    run = drill(faults=["abort"], session="2024-07-03", speed=60, minutes=10, send_alerts=False)
    assert run.state == "success"
    assert asked == [Request(session=date(2024, 7, 3), speed=60, minutes=10, faults=("abort",))]
    assert told == []


def test_what_went_wrong_fails_the_task_and_stands_in_its_report(
    drill: Callable[..., Any], asked: list[Request], told: list[str]
) -> None:
    run = drill()
    assert asked[0].faults == DEFAULT
    assert states(run) == {"play": "failed"}
    assert "- abort: it did not recover" in report_of(run)


def test_a_misspelt_parameter_fails_before_anything_starts(
    drill: Callable[..., Any], asked: list[Request], told: list[str]
) -> None:
    assert states(drill(fault=["abort"])) == {"play": "failed"}
    assert asked == []


@pytest.mark.parametrize("form", [{"faults": ["flood"]}, {"faults": []}, {"speed": 0}, {"minutes": 1000}])
def test_a_form_that_cannot_be_played_is_refused(drill: Callable[..., Any], form: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        drill(**form)
