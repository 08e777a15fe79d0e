from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from rich.console import Console

from bellwether.cli import demo
from bellwether.config import Config
from bellwether.lake import Lake
from bellwether.localstack import Run, TaskInstance


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
    console = Console(width=100, record=True, file=(tmp_path / "out").open("w"))
    console.print(demo.result_table(lake, Config(), [date(2025, 11, 26), date(2025, 11, 28)], [run]))
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
