"""The session that arrives live: what is started when, and what is shown of it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bellwether.airflow_api import Run, TaskInstance
from bellwether.cli import demo_stream
from bellwether.cli.demo_stream import compared, replaying, standing, stream
from bellwether.config import Config
from bellwether.errors import BellwetherError
from bellwether.lake import Lake
from bellwether.localstack import StackState
from bellwether.streaming.batches import Writer
from bellwether.streaming.bookkeeping import publish_streamed
from bellwether.streaming.gaps import ALL, GapLog
from bellwether.streaming.lease import Heartbeat, Lease
from tests.builders import SESSION, bars, publish_bars
from tests.recordings import record

HALF_DAY = date(2025, 11, 28)
START = datetime(2025, 7, 1, 13, 30, tzinfo=UTC)
OPEN = datetime(2025, 11, 28, 14, 30, tzinfo=UTC)


class Airflow:
    """Stands for Airflow and for the feed: each look at it takes a minute; runs are over after enough."""

    def __init__(self, looks: int) -> None:
        self.now = OPEN - timedelta(minutes=2)
        self.looks = looks
        self.calls: list[str] = []

    def wait_for_dags(self, dag_ids: list[str]) -> None:
        self.calls.append(f"parsed {len(dag_ids)}")

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        assert not paused
        self.calls.append(f"unpause {dag_id}")

    def trigger(self, dag_id: str, key: str) -> Run:
        self.calls.append(f"{self.now:%H:%M} {dag_id} {key}")
        return Run(dag_id=dag_id, dag_run_id="r", run_type="manual", state="running", partition_key=key)

    def runs(self, dag_id: str, key: str) -> list[Run]:
        return [Run(dag_id=dag_id, dag_run_id="r", run_type="scheduled", state="queued", partition_key=key)]

    def task_instances(self, _dag_id: str, run_id: str) -> list[TaskInstance]:
        states = {"equities.stream": "success" if self.looks <= 0 else "running", "equities.reconcile": "deferred"}
        return [TaskInstance(task, run_id, -1, state) for task, state in states.items()]

    def ask(self, _url: str) -> "Airflow":
        self.now += timedelta(minutes=1)
        self.looks -= 1
        return self

    @property
    def now_utc(self) -> datetime:
        return self.now


class Stack:
    """Stands for LocalStack."""

    def __init__(self, api: Airflow, root: Path) -> None:
        Lake.open(root, simulated=True)
        self.api = api
        self.state = StackState("http://127.0.0.1:8080", "admin", "word", lake=str(root), simulator_url="http://sim")

    def ensure_complete(self) -> None:
        pass


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def watched(airflow: Airflow) -> list[Run]:
        monkeypatch.setattr(demo_stream, "ask_clock", airflow.ask)
        monkeypatch.setattr(demo_stream, "_POLL_S", 0.0)
        stack: Any = Stack(airflow, tmp_path / "lake")
        return stream(stack, HALF_DAY, Console(file=(tmp_path / "out").open("w")))

    return watched


def test_the_simulator_replays_the_session_from_an_hour_before_its_open() -> None:
    arguments = replaying(HALF_DAY)
    assert arguments[0] == "--generate"
    assert arguments[3:] == ("--session", "2025-11-28", "--at", "08:30", "--speed", "120")


def test_contracts_are_discovered_once_the_opening_price_is_there(watch: Any) -> None:
    airflow = Airflow(looks=6)
    runs = watch(airflow)
    assert [run.dag_id for run in runs] == ["session_stream", "gap_repair"]
    assert airflow.looks == 0
    assert [call for call in airflow.calls if call[0].isdigit()] == [
        "14:28 session_stream 2025-11-28",
        "14:28 gap_repair 2025-11-28",
        "14:32 options_discovery 2025-11-28",
    ]


def test_the_run_that_airflow_begins_by_itself_is_not_begun_twice(watch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    on_the_day_after = OPEN + timedelta(hours=20)
    monkeypatch.setattr("bellwether.clock.SystemClock.now", lambda _self: on_the_day_after)
    airflow = Airflow(looks=6)
    assert [run.run_type for run in watch(airflow)] == ["scheduled", "scheduled"]
    assert [call for call in airflow.calls if call[0].isdigit()] == []


def test_a_session_that_does_not_end_is_told_of(watch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_stream, "_TIMEOUT_S", 0.0)
    with pytest.raises(BellwetherError, match="2025-11-28 is still being streamed after 0 s"):
        watch(Airflow(looks=1))


def test_the_table_says_how_far_each_stream_is_and_what_it_lacks(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    lease = Lease(lake, "equities", HALF_DAY, Writer("run", 1, 7))
    lease.take(OPEN)
    told = Heartbeat(at_utc=OPEN, state="listening", seq=3, rows=1204, gaps=1, covered_utc=OPEN, lag_s=0.34, quiet=0)
    lease.renew(OPEN, told)
    log = GapLog(lake, "equities", HALF_DAY, "run")
    log.open(OPEN - timedelta(hours=5), ALL, "late_start", OPEN, "")
    filled = log.end(log.open(OPEN - timedelta(hours=2), ALL, "dropped", OPEN, ""), OPEN)
    log.close(filled, OPEN, "REST says so")
    console = Console(width=120, record=True, file=(tmp_path / "out").open("w"))
    console.print(standing(lake, HALF_DAY, OPEN + timedelta(minutes=5)))
    shown = [[cell.strip() for cell in line.strip("│").split("│")] for line in console.export_text().splitlines()]
    assert ["equities", "listening", "09:30:00", "1,204", "2", "1", "0.3"] in shown
    assert ["options", "not begun", "-", "-", "-", "-", "-"] in shown
    assert shown[0] == ["2025-11-28, 09:35 New York, at 120x"]


def test_what_was_streamed_is_told_of_beside_the_daily_pull(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    assert compared(lake, SESSION) == []
    record(lake, bars("AAPL"), START, dataset="equities", session=SESSION)
    publish_bars(lake, ["AAPL", "SPY"])
    publish_streamed(lake, Config(), "equities", SESSION, run_id="r")
    assert compared(lake, SESSION) == [
        "equities: 5 minutes both streamed and pulled, 5 missing, 0 extra, 0 changed",
    ]
