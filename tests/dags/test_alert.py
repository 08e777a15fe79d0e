"""Who hears of a failed run, from whatever context Airflow hands over, and that nothing can fail by it."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from airflow import sdk

from bellwether.errors import LakeError, RateLimited
from bellwether.incidents.ledger import at_work
from bellwether.lake import Lake, paths
from bellwether.monitoring.alerts import Delivery, Message
from bellwether_airflow import connections
from bellwether_airflow.notifiers import channels
from bellwether_airflow.notifiers.alert import Alert, note_failure
from tests.sink import Sink, hanging_sink, running_sink

SCHEDULED = "scheduled__2025-07-01__aB3x"
DAG = sdk.DAG("equities_daily", schedule=None)
# Port 9 is nobody's; what follows it is a secret.
DEAD = "json://user:open-sesame@127.0.0.1:9/open-sesame?cto=1&rto=1"


@pytest.fixture(autouse=True)
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Return the lake that holds the incidents."""
    lake = Lake.open(tmp_path / "lake", simulated=True)
    monkeypatch.setattr(connections, "lake", lambda: lake)
    return lake


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as sink:
        yield sink


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return `connect(*addresses)`, which has the Connection `alerts` list them."""

    def connect(*addresses: str) -> None:
        config = [{"path": address} for address in addresses]
        connection = {"conn_type": "apprise", "extra": {"config": config}}
        monkeypatch.setenv("AIRFLOW_CONN_ALERTS", json.dumps(connection))

    return connect


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Have Airflow's database know of a killed batch that cost two of four tickers; return the tasks' states."""
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = {"plan": "success", "ingest_0": "success", "ingest_1": "failed", "report": "failed"}
    xcoms = {
        ("report", "failures"): {
            "planned": 4,
            "causes": {"nothing staged": {"count": 2, "tickers": ["QQQ", "SPY"], "example": "batch b001 is lost"}},
        },
        ("report", "failure"): "AirflowFailException",
    }

    def get_one(*, key: str, dag_id: str, task_id: str, run_id: str, map_index: int) -> Any:
        return xcoms.get((task_id, key))

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda dag_id, run_ids: {run_ids[0]: states})
    monkeypatch.setattr(BaseXCom, "get_one", get_one)
    return states


CONTEXTS = {
    "minimal, scheduled": {"dag": DAG, "run_id": SCHEDULED, "reason": "task_failure"},
    "minimal, by hand": {"dag": DAG, "run_id": "manual__2026-01-05T12:00:00+00:00__x", "reason": "task_failure"},
    "with the run's key": {
        "dag": DAG,
        "run_id": "manual__x",
        "reason": "task_failure",
        "dag_run": SimpleNamespace(partition_key="2025-07-01", partition_date=None),
        "ti": SimpleNamespace(task_id="report"),
    },
    "with the run's date": {
        "dag": DAG,
        "run_id": "manual__x",
        "reason": "task_failure",
        "dag_run": SimpleNamespace(partition_key=None, partition_date=datetime(2025, 7, 1, 4, tzinfo=UTC)),
    },
}


@pytest.mark.usefixtures("facts")
@pytest.mark.parametrize("name", CONTEXTS)
def test_one_message_names_session_numbers_cause_and_link(name: str, connect: Callable[..., None], sink: Sink) -> None:
    connect(sink.address)
    context: Any = dict(CONTEXTS[name])
    Alert("equities")(context)
    [message] = sink.messages
    session = "manual__2026-01-05T12:00:00+00:00__x" if "hand" in name else "2025-07-01"
    assert message["title"] == f"equities {session}: 2 of 4 tickers failed"
    assert "- killed (ingest[1]): " in message["message"]
    run_id = context.get("run_id", SCHEDULED).replace(":", "%3A").replace("+", "%2B")
    link, _, incident = message["message"].rpartition("\n\n")
    assert link.endswith(f"/dags/equities_daily/runs/{run_id}")
    assert incident.startswith("Incident equities.")
    assert message["type"] == "warning"


def test_several_datasets_of_one_run_are_told_together(
    monkeypatch: pytest.MonkeyPatch, connect: Callable[..., None], sink: Sink
) -> None:
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    steps = {"ingest_0": "failed", "report": "failed", "publish": "success"}
    tasks = {f"{dataset}.{step}": state for dataset in ("splits", "tickers") for step, state in steps.items()}
    tasks |= {"rates.ingest_0": "success", "rates.report": "success"}
    words = {"report": "AirflowFailException", "ingest": "Truncated: Input data was truncated"}
    causes = {
        "splits.report": {"Truncated": {"count": 1, "tickers": ["MSFT"], "example": "Truncated: Input data was"}},
        "tickers.report": {"Truncated": {"count": 1, "tickers": ["QQQ"], "example": "Truncated: Input data was"}},
        "rates.report": {},
    }

    def get_one(*, key: str, dag_id: str, task_id: str, run_id: str, map_index: int) -> Any:
        if key == "failure":
            return words[task_id.partition(".")[2]]
        return {"planned": 4, "causes": causes[task_id]}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda dag_id, run_ids: {run_ids[0]: tasks})
    monkeypatch.setattr(BaseXCom, "get_one", get_one)
    connect(sink.address)
    Alert("reference")(minimal())
    [message] = sink.messages
    assert message["title"] == "reference 2025-07-01: 2 of 12 tickers failed"
    assert "- Truncated (MSFT, QQQ): " in message["message"]
    assert message["type"] == "warning"


def test_numbers_from_before_a_clear_are_not_told(
    facts: dict[str, str | None], connect: Callable[..., None], sink: Sink
) -> None:
    connect(sink.address)
    facts["report"] = None
    Alert("equities")(minimal() | {"reason": "timed_out"})
    [message] = sink.messages
    assert message["title"] == "equities 2025-07-01: ingest[1] failed"
    assert "- timed out (the whole run)" in message["message"]


@pytest.mark.usefixtures("facts")
def test_a_run_that_fails_again_is_not_told_of_again_unless_it_has_grown(
    connect: Callable[..., None], sink: Sink, lake: Lake
) -> None:
    connect(sink.address)
    for _ in range(3):
        Alert("equities")(minimal())
    assert len(sink.messages) == 1
    [incident] = at_work(lake)
    assert (incident.last.failed, incident.last.planned, incident.updates) == (2, 4, 2)


@pytest.mark.usefixtures("facts")
def test_where_the_lake_cannot_be_written_people_are_told_all_the_same(
    connect: Callable[..., None], sink: Sink, told: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise LakeError("the disk is full")

    monkeypatch.setattr(connections, "lake", refuse)
    connect(sink.address)
    Alert("equities")(minimal())
    [message] = sink.messages
    assert message["title"] == "equities 2025-07-01: 2 of 4 tickers failed"
    assert "there is no incident of it, since the lake cannot be written" in told()


@pytest.mark.usefixtures("facts")
def test_a_sink_that_hangs_is_left_behind_and_tried_again_later(
    connect: Callable[..., None], sink: Sink, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWETHER__ALERTS__DELIVERY__TIMEOUT_S", "0.5")
    with hanging_sink() as address:
        connect(address, sink.address)
        started_s = time.monotonic()
        Alert("equities")(minimal())
        assert time.monotonic() - started_s < 3
    assert len(sink.messages) == 1
    [kept] = lake.storage.list(paths.outbox())
    stored = lake.storage.read(kept.key)
    assert stored is not None
    assert json.loads(stored.content)["refused"] == ["1 (json)"]


def test_severities_have_routes_and_the_others_hear_where_a_route_is_dead(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sink() as pager:
        config = [{"path": sink.address, "tag": "team"}, {"path": pager.address, "tag": ["pager"]}]
        monkeypatch.setenv("AIRFLOW_CONN_ALERTS", json.dumps({"conn_type": "apprise", "extra": {"config": config}}))
        monkeypatch.setenv("BELLWETHER__ALERTS__ROUTES", "{critical: [pager, team], error: [pager], warning: [team]}")
        for severity in ("warning", "error", "critical"):
            channels.deliver(Message(severity, "body", severity, frozenset()))
        assert [message["title"] for message in sink.messages] == ["warning", "critical"]
        assert [message["title"] for message in pager.messages] == ["error", "critical"]
        pager.status = 500
        delivery = channels.deliver(Message("error again", "body", "error", frozenset()))
        assert delivery.refused == ("2 (json)",)
        assert sink.messages[-1]["title"] == "error again"
        assert channels.deliver(Message("retried", "body", "error", frozenset()), delivery.refused).is_lost
        assert sink.messages[-1]["title"] == "error again"
        # Where neither the route nor the others took it, both are asked again.
        sink.status = 500
        nobody = channels.deliver(Message("nobody", "body", "error", frozenset()))
        assert nobody.refused == ("2 (json)", "1 (json)")
        sink.status = 200
        late = channels.deliver(Message("nobody, late", "body", "error", frozenset()), nobody.refused)
        assert (late.refused, sink.messages[-1]["title"]) == (("2 (json)",), "nobody, late")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Return a function that returns all that was logged, at every level, by Bellwether and by others."""
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as events:
        yield lambda: "\n".join([*map(str, events), *(record.getMessage() for record in caplog.records)])


def minimal() -> Any:
    return dict(CONTEXTS["minimal, scheduled"])


def test_without_a_connection_it_stands_in_the_log(told: Callable[[], str]) -> None:
    Alert("equities")(minimal())
    assert "ALERT equities 2025-07-01: the run failed (task_failure)" in told()
    assert told().count("there is no Connection for alerts") == 1


@pytest.mark.parametrize(
    ("address", "scheme"),
    [
        pytest.param(DEAD, "json", id="dead"),
        pytest.param("nonsense://open-sesame", "nonsense", id="unknown"),
        pytest.param("open-sesame", "unreadable", id="no address"),
    ],
)
def test_a_bad_sink_is_logged_without_its_address_and_the_others_hear(
    connect: Callable[..., None], sink: Sink, told: Callable[[], str], address: str, scheme: str
) -> None:
    connect(address, sink.address)
    Alert("equities")(minimal())
    assert f"'sink': 1, 'scheme': '{scheme}', 'problem': 'refused or not reached'" in told()
    assert "open-sesame" not in told()
    assert len(sink.messages) == 1


def test_a_sink_that_answers_with_an_error_is_logged(
    connect: Callable[..., None], sink: Sink, told: Callable[[], str]
) -> None:
    sink.status = 500
    connect(sink.address)
    Alert("equities")(minimal())
    assert "'sink': 1, 'scheme': 'json', 'problem': 'refused or not reached'" in told()


def test_a_sink_that_raises_is_logged_by_its_class(
    connect: Callable[..., None], sink: Sink, told: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(address: str, message: object) -> bool:
        raise OSError(address)

    monkeypatch.setattr(channels, "_send", send)
    connect(sink.address)
    Alert("equities")(minimal())
    assert "'sink': 1, 'scheme': 'json', 'problem': 'OSError'" in told()
    assert sink.address not in told()


@pytest.mark.parametrize("extra", ['{"config": "not json"}', '{"config": [{"url": "x"}]}', '{"config": 3}'])
def test_a_connection_that_makes_no_sense_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, told: Callable[[], str], extra: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ALERTS", json.dumps({"conn_type": "apprise", "extra": extra}))
    Alert("equities")(minimal())
    assert "ALERT equities 2025-07-01" in told()
    assert "the config of the Connection for alerts is no list of paths" in told()


def test_who_sends_a_message_is_told_what_became_of_it(
    connect: Callable[..., None], sink: Sink, told: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = Message("stalled", "It is only a drill.", "error", frozenset({"stalled"}))
    assert channels.tell(message, "ops_drill") == Delivery("in the log only: there is no Connection `alerts`")
    connect(sink.address)
    assert channels.tell(message, "ops_drill") == Delivery("sent to 1 sinks")
    connect(sink.address, DEAD)
    assert channels.tell(message, "ops_drill") == Delivery(
        "not taken by sink 2 (json): refused or not reached", ("2 (json)",)
    )
    monkeypatch.setenv("AIRFLOW_CONN_ALERTS", json.dumps({"conn_type": "apprise", "extra": '{"config": 3}'}))
    assert channels.tell(message, "ops_drill").is_lost
    assert "open-sesame" not in told()


def test_a_cause_airflow_cannot_be_asked_for_is_not_called_a_kill(
    facts: dict[str, str | None], connect: Callable[..., None], sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.bases.xcom import BaseXCom

    def get_one(**key: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(BaseXCom, "get_one", get_one)
    connect(sink.address)
    Alert("equities")(minimal())
    [message] = sink.messages
    assert "- unread (ingest[1]): Airflow did not say what it died of; see the task's log." in message["message"]


def test_a_context_that_makes_no_sense_raises_nothing(told: Callable[[], str]) -> None:
    Alert("equities")({})
    assert "the alert could not be made" in told()


def test_severity_and_waivers_keep_it_in_the_log_and_a_broken_file_does_not(
    connect: Callable[..., None],
    sink: Sink,
    told: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    lake: Lake,
) -> None:
    monkeypatch.setenv("BELLWETHER_CONFIG_DIR", str(tmp_path))
    connect(sink.address)
    waiver = "mute: [{dag_id: equities_daily, reason: the key is replaced, until: 2099-01-01}]"
    (tmp_path / "alerts.yaml").write_text(waiver)
    Alert("equities")(minimal())
    assert [each.told for each in at_work(lake)] == [None]
    assert "muted until 2099-01-01 by alerts.yaml: the key is replaced" in told()
    assert sink.messages == []
    (tmp_path / "alerts.yaml").write_text("mute: 3")
    Alert("equities")(minimal())
    assert "the configuration is wrong, so every alert is sent" in told()
    assert len(sink.messages) == 1


def test_a_task_leaves_what_it_died_of() -> None:
    left: dict[str, str] = {}
    ti = SimpleNamespace(xcom_push=lambda key, value: left.update({key: value}))
    note_failure({"ti": ti, "exception": RateLimited("slow down", url="https://x")})  # type: ignore[typeddict-item]
    assert left == {"failure": "RateLimited: slow down"}
    left.clear()
    note_failure({"ti": ti})  # type: ignore[typeddict-item]
    assert left == {}
