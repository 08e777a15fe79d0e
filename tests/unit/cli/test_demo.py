import argparse
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from unittest.mock import Mock

import pytest
from rich.console import Console

from bellwether.airflow_api import ApiError, Backfill, Dag, Run, TaskInstance
from bellwether.cli import demo, demo_stream
from bellwether.config import Config
from bellwether.errors import BellwetherError
from bellwether.lake import Lake
from bellwether.localstack import ComponentEnded, StackState, StoppedElsewhere


def tasks(run_id: str, count: int) -> list[TaskInstance]:
    return [TaskInstance(task_id=f"t{n}", dag_run_id=run_id, map_index=-1, state="success") for n in range(count)]


@pytest.mark.parametrize(
    ("known", "runs", "expected"),
    [
        pytest.param([], 5, 5, id="nothing has begun"),
        pytest.param(tasks("a", 7), 5, 35, id="the others will be like the first"),
        pytest.param(tasks("a", 7) + tasks("b", 9), 2, 16, id="all have begun"),
        pytest.param(tasks("a", 7) + tasks("b", 7), 1, 14, id="a scheduled run beside the backfill's"),
    ],
)
def test_expected_tasks(known: list[TaskInstance], runs: int, expected: int) -> None:
    assert demo.expected_tasks(known, runs) == expected


def test_sessions_are_the_last_five_that_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    # Monday after Thanksgiving, an hour before the close: the half day counts, the holiday does not.
    monkeypatch.setattr("bellwether.clock.SystemClock.now", lambda _self: datetime(2025, 12, 1, 20, tzinfo=UTC))
    assert demo.last_sessions() == [date(2025, 11, day) for day in (21, 24, 25, 26, 28)]


def test_table_shows_runs_beside_sessions_with_nothing_published(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    run = Run(
        dag_id="equities_daily",
        dag_run_id="r",
        run_type="backfill",
        state="failed",
        partition_key="2025-11-28",
        duration=12.34,
    )
    runs = {("equities_daily", "2025-11-28"): run, ("equities_daily", "2025-11-26"): None}
    console = Console(width=100, record=True, file=(tmp_path / "out").open("w"))
    console.print(demo.result_table(lake, Config(), runs))
    rows = [line for line in console.export_text().splitlines() if "equities" in line]
    assert [cell.strip() for cell in rows[0].strip("│").split("│")] == [
        "2025-11-26",
        "equities",
        "missing",
        "-",
        "-",
        "-",
    ]
    assert rows[1].strip("│ ").endswith("12.3")


class FakeApi:
    """Stands for Airflow: its runs are over at once, in the state it was made with."""

    def __init__(self, state: str = "success") -> None:
        self.calls: list[str] = []
        self.state = state

    def wait_for_dags(self, _dag_ids: list[str]) -> list[Dag]:
        tagged = {
            "equities_daily": "producer",
            "options_snapshot": "producer",  # has no past: never backfilled
            "session_consolidate": "consumer",
            "ops_health": "ops",
        }
        return [Dag(dag_id=dag_id, is_paused=True, tags=({"name": tag},)) for dag_id, tag in tagged.items()]

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        self.calls.append(f"{'pause' if paused else 'unpause'} {dag_id}")

    def backfill(self, dag_id: str, start: date, end: date, *, max_active_runs: int) -> Backfill:
        self.calls.append(f"backfill {dag_id} {start}..{end} {max_active_runs}")
        return Backfill(id=1, dag_id=dag_id, created_at=datetime(2025, 12, 1, tzinfo=UTC))

    def task_instances(self, _dag_id: str, run_id: str) -> list[TaskInstance]:
        return tasks(run_id, 7)

    def runs(self, dag_id: str, key: str | None = None) -> list[Run]:
        if key is not None and self.calls[-1] != f"nothing of {key} yet":  # the scheduler takes a moment
            self.calls.append(f"nothing of {key} yet")
            return []
        return [
            Run(dag_id=dag_id, dag_run_id=key, run_type="backfill", state=self.state, partition_key=key, duration=1.0)
            for key in ("2025-11-26", "2025-11-28", "2010-01-04")
        ]


class FakeStack:
    """Stands for LocalStack: complete as often as it is asked before it meets its end, if it is given one."""

    def __init__(self, root: Path, api: FakeApi, end: tuple[int, BellwetherError] | None) -> None:
        Lake.open(root, simulated=True)
        self.api = api
        self._end = end
        self._asked = 0
        self.state = StackState("http://127.0.0.1:8080", "admin", "word", lake=str(root))
        self.stopped = False

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.stopped = True

    def ensure_complete(self) -> None:
        if self._end and self._asked >= self._end[0]:
            raise self._end[1]
        self._asked += 1


@pytest.fixture
def run_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., tuple[int, FakeStack]]]:
    def run(api: FakeApi, *, detach: bool, end: tuple[int, BellwetherError] | None = None) -> tuple[int, FakeStack]:
        stack = FakeStack(tmp_path, api, end)
        monkeypatch.setattr(demo, "_fresh_stack", lambda _simulator: stack)
        monkeypatch.setattr(demo, "last_sessions", lambda: [date(2025, 11, 26), date(2025, 11, 28)])
        return demo.run(argparse.Namespace(detach=detach, stream=False), Config()), stack

    handler = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, handler)


def test_consumers_are_unpaused_first_and_producers_right_before_their_backfill(
    run_demo: Callable[..., tuple[int, FakeStack]],
) -> None:
    code, stack = run_demo(FakeApi(), detach=True)
    assert code == 0
    assert stack.api.calls == [
        "unpause session_consolidate",
        "unpause equities_daily",
        "backfill equities_daily 2025-11-26..2025-11-28 5",
    ]


def test_a_backfill_waits_for_the_run_that_airflow_makes_of_the_newest_session_by_itself(
    run_demo: Callable[..., tuple[int, FakeStack]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwether.clock.SystemClock.now", lambda _self: datetime(2025, 12, 1, 12, tzinfo=UTC))
    monkeypatch.setattr(demo_stream, "_POLL_S", 0.0)
    code, stack = run_demo(FakeApi(), detach=True)
    assert code == 0
    assert stack.api.calls[-2:] == ["nothing of 2025-11-28 yet", "backfill equities_daily 2025-11-26..2025-11-28 5"]


def test_detached_demo_is_left_running_also_when_a_run_failed(
    run_demo: Callable[..., tuple[int, FakeStack]], capsys: pytest.CaptureFixture[str]
) -> None:
    code, stack = run_demo(FakeApi("failed"), detach=True)
    assert (code, stack.stopped) == (1, False)
    assert "equities_daily 2025-11-26: failed\nequities_daily 2025-11-28: failed\n" in capsys.readouterr().out


def test_session_without_a_run_counts_as_failed() -> None:
    assert demo.failed_runs({("equities_daily", "2025-11-28"): None}) == ["equities_daily 2025-11-28: there was no run"]


def test_demo_that_somebody_else_ended_ends(run_demo: Callable[..., tuple[int, FakeStack]]) -> None:
    # It watches the producers and consolidation first, once each.
    code, stack = run_demo(FakeApi(), detach=False, end=(3, StoppedElsewhere("by make down")))
    assert (code, stack.stopped) == (0, False)


@pytest.mark.parametrize(
    ("looks", "state"), [(0, "running"), (1, "success"), (3, "success")], ids=["capture", "consolidation", "at rest"]
)
def test_a_component_that_ends_is_told_of_instead_of_waited_for(
    run_demo: Callable[..., tuple[int, FakeStack]], monkeypatch: pytest.MonkeyPatch, looks: int, state: str
) -> None:
    stopped = Mock()
    monkeypatch.setattr(FakeStack, "stop", stopped)
    monkeypatch.setattr(demo, "_POLL_S", 0.0)
    with pytest.raises(ComponentEnded, match="database is locked"):
        run_demo(FakeApi(state), detach=False, end=(looks, ComponentEnded("scheduler ended: database is locked")))
    stopped.assert_called_once_with()


@pytest.mark.parametrize(
    ("end", "told"),
    [
        pytest.param((1, ComponentEnded("api-server ended")), "api-server ended", id="its end is the cause"),
        pytest.param(None, "no answer", id="all live"),
    ],
)
def test_an_airflow_that_does_not_answer_is_told_of_with_the_component_that_ended(
    run_demo: Callable[..., tuple[int, FakeStack]],
    monkeypatch: pytest.MonkeyPatch,
    end: tuple[int, BellwetherError] | None,
    told: str,
) -> None:
    monkeypatch.setattr(FakeApi, "task_instances", Mock(side_effect=ApiError("no answer")))
    with pytest.raises(BellwetherError, match=told):
        run_demo(FakeApi(), detach=True, end=end)


def test_demo_that_breaks_off_leaves_nothing_running(
    run_demo: Callable[..., tuple[int, FakeStack]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = Mock()
    monkeypatch.setattr(FakeStack, "stop", stopped)
    monkeypatch.setattr(demo, "_TIMEOUT_S", 0.0)
    with pytest.raises(BellwetherError, match="not over after"):
        run_demo(FakeApi(), detach=True)
    stopped.assert_called_once_with()
