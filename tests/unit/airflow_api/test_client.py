"""The client against canned answers: no socket is opened."""

import json
from collections import deque
from datetime import UTC, date, datetime
from typing import Any

import pytest
import urllib3
from msgspec import structs

from bellwether.airflow_api import AirflowApi, ApiError, Backfill, DagSchedule
from bellwether.airflow_api import Run as AirflowRun
from bellwether.airflow_api.transport import refusal

TOKEN = (201, {"access_token": "secret-token"})
RUN = {
    "dag_id": "equities_daily",
    "dag_run_id": "backfill__2025-11-28__AbCd",
    "run_type": "backfill",
    "state": "success",
    "partition_key": "2025-11-28",
    "partition_date": "2025-11-28T05:00:00Z",
    "start_date": "2025-11-29T01:15:00.5Z",
    "end_date": "2025-11-29T01:15:30.5Z",
    "duration": 30.0,
    "note": None,
    "conf": {"ignored": True},
}


class Answers:
    """Stands for urllib3's pool: gives the canned answers in order, keeps what was asked."""

    def __init__(self, *answers: tuple[int, Any] | Exception) -> None:
        self.left = deque(answers)
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: dict[str, str] = {}

    def request(self, method: str, url: str, *, body: bytes | None, headers: dict[str, str]) -> urllib3.HTTPResponse:
        self.asked.append((method, url.removeprefix("http://airflow"), json.loads(body) if body else None))
        self.headers = headers
        answer = self.left.popleft()
        if isinstance(answer, Exception):
            raise answer
        status, content = answer
        return urllib3.HTTPResponse(json.dumps(content).encode(), status=status, preload_content=True)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    return pauses


def client(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, Any] | Exception) -> tuple[AirflowApi, Answers]:
    pool = Answers(*answers)
    monkeypatch.setattr("urllib3.PoolManager", lambda **_: pool)
    return AirflowApi("http://airflow", "admin", "word"), pool


def test_first_request_logs_in_and_later_ones_use_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    api, pool = client(monkeypatch, TOKEN, (200, RUN), (200, RUN))
    api.run("equities_daily", "a")
    api.run("equities_daily", "b")
    assert [path for _, path, _ in pool.asked] == [
        "/auth/token",
        "/api/v2/dags/equities_daily/dagRuns/a",
        "/api/v2/dags/equities_daily/dagRuns/b",
    ]
    assert pool.headers["Authorization"] == "Bearer secret-token"


def test_run_is_decoded_into_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    api, pool = client(monkeypatch, TOKEN, (200, RUN))
    run = api.trigger("equities_daily", "2025-11-28", {"tickers": ["SPY"]})
    assert pool.asked[1] == (
        "POST",
        "/api/v2/dags/equities_daily/dagRuns",
        {"logical_date": None, "partition_key": "2025-11-28", "conf": {"tickers": ["SPY"]}, "dag_run_id": None},
    )
    assert run.partition_key == "2025-11-28"
    assert run.partition_date == datetime(2025, 11, 28, 5, tzinfo=UTC)
    assert run.is_over


def test_run_ids_are_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    api, pool = client(monkeypatch, TOKEN, (200, {"task_instances": [], "total_entries": 0}))
    api.task_instances("d", "manual__2025-11-28T00:00:00+00:00")
    assert "manual__2025-11-28T00%3A00%3A00%2B00%3A00/taskInstances" in pool.asked[1][1]


def test_pages_are_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [(200, {"dag_runs": [RUN] * count, "total_entries": 250}) for count in (100, 100, 50)]
    api, pool = client(monkeypatch, TOKEN, *pages)
    assert len(api.runs("equities_daily", "2025-11")) == 250
    assert pool.asked[-1][1].endswith("?partition_key_prefix_pattern=2025-11&limit=100&offset=200")


def test_server_error_right_after_the_start_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    api, _ = client(monkeypatch, TOKEN, (500, {}), urllib3.exceptions.ProtocolError("reset"), (200, RUN))
    assert api.run("d", "r").state == "success"
    assert pauses == [0.5, 1.0]


def test_server_error_that_stays_is_raised(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    api, _ = client(monkeypatch, TOKEN, *[(503, {"detail": "database is locked"})] * 5)
    with pytest.raises(ApiError, match="HTTP 503: database is locked") as caught:
        api.run("d", "r")
    assert caught.value.status == 503
    assert len(pauses) == 4


def test_refusal_is_raised_at_once_in_airflows_words(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    api, _ = client(monkeypatch, TOKEN, (400, {"detail": "2026-11-26 is not a trading session"}))
    with pytest.raises(ApiError, match="2026-11-26 is not a trading session") as caught:
        api.trigger("d", "2026-11-26")
    assert caught.value.status == 400
    assert pauses == []


def test_expired_token_is_renewed(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    api, pool = client(monkeypatch, TOKEN, (401, {"detail": "expired"}), TOKEN, (200, RUN))
    api.run("d", "r")
    assert [path for _, path, _ in pool.asked].count("/auth/token") == 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"detail": "no such DAG"}', "no such DAG"),
        (b'{"detail": [{"loc": ["body"], "msg": "bad"}]}', '[{"loc": ["body"], "msg": "bad"}]'),
        (b"Internal Server Error", "Internal Server Error"),
        (b"[1]", "[1]"),
    ],
)
def test_reason_of_a_refusal(body: bytes, expected: str) -> None:
    assert refusal(body) == expected


def test_health_leaves_out_components_that_do_not_report(monkeypatch: pytest.MonkeyPatch) -> None:
    health = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "unhealthy"},
        "triggerer": {"status": None},
    }
    api, pool = client(monkeypatch, (200, health | {"dag_processor": None}))
    assert api.health() == {"metadatabase": "healthy", "scheduler": "unhealthy"}
    assert len(pool.asked) == 1


def test_backfill_covers_first_to_last_session(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"id": 7, "dag_id": "d", "created_at": "2025-12-01T00:00:00Z", "completed_at": None}
    api, pool = client(monkeypatch, TOKEN, (200, answer))
    assert api.backfill("d", date(2025, 11, 24), date(2025, 11, 28), conf={"force": True}).id == 7
    assert pool.asked[1][2] == {
        "dag_id": "d",
        "from_date": "2025-11-24T00:00:00Z",
        "to_date": "2025-11-28T00:00:00Z",
        "reprocess_behavior": "none",
        "run_backwards": False,
        "max_active_runs": 3,
        "dag_run_conf": {"force": True},
    }


def test_backfills_that_are_not_closed_are_open_and_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = {"id": 8, "dag_id": "d", "created_at": "2025-12-01T00:00:00Z", "completed_at": None}
    closed = opened | {"id": 7, "completed_at": "2025-12-01T00:05:00Z"}
    api, pool = client(
        monkeypatch, TOKEN, (200, {"backfills": [closed, opened], "total_entries": 2}), (200, opened), (200, opened)
    )
    assert [(backfill.id, backfill.is_open) for backfill in api.backfills("d")] == [(7, False), (8, True)]
    api.cancel_backfill(8)
    api.backfill("d", date(2025, 11, 24), date(2025, 11, 28), again=True, backwards=True)
    assert pool.asked[1][1] == "/api/v2/backfills?dag_id=d&limit=100&offset=0"
    assert pool.asked[2][:2] == ("PUT", "/api/v2/backfills/8/cancel")
    assert (pool.asked[3][2]["reprocess_behavior"], pool.asked[3][2]["run_backwards"]) == ("completed", True)


def test_a_cancelled_backfill_holds_up_the_sessions_of_its_range_for_ever() -> None:
    first, last = (datetime(2025, 11, day, tzinfo=UTC) for day in (24, 28))
    cancelled = Backfill(7, "d", last, completed_at=last, is_paused=True, from_date=first, to_date=last)
    held = [day for day in range(23, 30) if cancelled.holds_up(date(2025, 11, day))]
    assert held == [24, 25, 26, 27, 28]
    assert not structs.replace(cancelled, is_paused=False).holds_up(date(2025, 11, 24))


def test_runs_of_a_range_of_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    api, pool = client(monkeypatch, TOKEN, (200, {"dag_runs": [RUN], "total_entries": 1}))
    [run] = api.runs("d", start=date(2025, 11, 27), end=date(2025, 11, 30))
    asked = "partition_date_gte=2025-11-27&partition_date_lte=2025-11-30&limit=100&offset=0"
    assert pool.asked[1][1] == f"/api/v2/dags/d/dagRuns?{asked}"
    assert run.session == date(2025, 11, 28)


def test_a_run_without_a_key_has_the_session_of_its_midnight_and_one_of_a_foreign_key_none() -> None:
    run = AirflowRun("d", "r", "manual", "success", partition_date=datetime(2025, 11, 28, 5, tzinfo=UTC))
    assert run.session == date(2025, 11, 28)
    assert structs.replace(run, partition_key="week 48").session is None
    assert structs.replace(run, partition_date=None).session is None


def test_a_runs_note_and_a_dags_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    api, pool = client(monkeypatch, TOKEN, (200, RUN), (200, {"dag_id": "d", "is_paused": True, "tags": []}))
    api.set_note("d", "manual__2025-11-28T00:00:00+00:00", "**plan**")
    assert pool.asked[1] == (
        "PATCH",
        "/api/v2/dags/d/dagRuns/manual__2025-11-28T00%3A00%3A00%2B00%3A00",
        {"note": "**plan**"},
    )
    assert api.is_paused("d")


def test_waiting_for_dags_that_do_not_import_shows_their_tracebacks(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    errors = {"import_errors": [{"filename": "dags/bad.py", "stack_trace": "SyntaxError: invalid"}]}
    api, _ = client(monkeypatch, TOKEN, (200, {"dags": [], "total_entries": 0}), (200, errors))
    with pytest.raises(ApiError, match=r"dags/bad\.py: SyntaxError: invalid"):
        api.wait_for_dags(["bad"], timeout_s=0)


def test_waiting_for_a_run_in_vain_names_the_tasks_states(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    tasks = {"task_instances": [{"task_id": "plan", "dag_run_id": "r", "map_index": -1, "state": "running"}]}
    api, _ = client(monkeypatch, TOKEN, (200, RUN | {"state": "running"}), (200, tasks | {"total_entries": 1}))
    with pytest.raises(ApiError, match=r"still running.*'plan': 'running'"):
        api.wait_for_run("d", "r", timeout_s=0)


def test_clearing_named_tasks_takes_what_follows_along(monkeypatch: pytest.MonkeyPatch) -> None:
    api, pool = client(monkeypatch, TOKEN, (200, {"task_instances": [{"task_id": "ingest"}, {"task_id": "publish"}]}))
    assert api.clear("d", "r", [("ingest", 3)]) == ["ingest", "publish"]
    assert pool.asked[1][2] == {
        "dry_run": False,
        "dag_run_id": "r",
        "only_failed": True,
        "reset_dag_runs": True,
        "task_ids": [["ingest", 3]],
        "include_downstream": True,
    }


def test_pools_that_are_refused_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    api, _ = client(monkeypatch, TOKEN, (200, {"create": {"success": [], "errors": [{"error": "slots"}]}}))
    with pytest.raises(ApiError, match="pools were refused"):
        api.import_pools({"p": {"slots": -5}})


def test_tags_of_a_dag(monkeypatch: pytest.MonkeyPatch) -> None:
    dags = [{"dag_id": "equities_daily", "is_paused": True, "tags": [{"name": "producer", "dag_id": "equities_daily"}]}]
    api, _ = client(monkeypatch, TOKEN, (200, {"dags": dags, "total_entries": 1}))
    (dag,) = api.wait_for_dags(["equities_daily"])
    assert dag.has_tag("producer")
    assert not dag.has_tag("consumer")


def test_what_the_doctor_reads_is_decoded_and_secrets_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"connection_id": "polygon_default", "conn_type": "polygon", "host": "h", "password": "***"}
    details = {"dag_id": "d", "catchup": False, "start_date": "2003-09-10T04:00:00Z", "next_dagrun_run_after": None}
    api, pool = client(
        monkeypatch,
        TOKEN,
        (200, {"version": "3.3.2", "git_version": None}),
        (200, {"tasks": [{"task_id": "publish", "pool": "publish_equities", "pool_slots": 1.0}], "total_entries": 1}),
        (200, {"pools": [{"name": "default_pool", "slots": 128}], "total_entries": 1}),
        (200, {"connections": [connection], "total_entries": 1}),
        (200, details),
    )
    assert api.version() == "3.3.2"
    assert api.task_pools("d") == {"publish": "publish_equities"}
    assert api.pools() == ["default_pool"]
    assert api.connections() == {"polygon_default": "polygon"}
    assert api.schedule("d") == DagSchedule(
        catchup=False, start_date=datetime(2003, 9, 10, 4, tzinfo=UTC), next_dagrun_run_after=None
    )
    assert [path.partition("?")[0] for _, path, _ in pool.asked[1:]] == [
        "/api/v2/version",
        "/api/v2/dags/d/tasks",
        "/api/v2/pools",
        "/api/v2/connections",
        "/api/v2/dags/d/details",
    ]
