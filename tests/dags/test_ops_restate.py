"""Sessions fetched again, run in process: what is begun, compared and told; and late answers of a producer's run."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bellwether.airflow_api import Run as AirflowRun
from bellwether.config import SinkSettings
from bellwether.lake import Lake, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.schemas import EQUITIES
from bellwether_airflow import connections
from tests.builders import bars, publish_bars, submission
from tests.dags.support import KEY, SESSION, UNIVERSE, events, states

Run = Callable[..., Any]
NIGHT = date(2025, 7, 7)  # after Independence Day
BEFORE, THIRD_BEFORE = date(2025, 7, 3), SESSION


class Api:
    """Stands for Airflow's API: whoever begins a run has it done at once, by publishing SPY with one bar moved."""

    def __init__(self, lake: Lake, state: str = "success") -> None:
        self.lake = lake
        self.state = state
        self.begun: list[tuple[str, str]] = []

    def is_paused(self, dag_id: str) -> bool:
        return dag_id != "equities_daily"

    def trigger(self, dag_id: str, key: str, conf: dict[str, object], run_id: str) -> None:
        assert conf == {"force": True}
        self.begun.append((dag_id, key))
        rows = bars("SPY", date.fromisoformat(key)).to_pylist()
        rows[0]["close"] *= 1.001
        what = submission(
            pa.Table.from_pylist(rows, EQUITIES),
            session=date.fromisoformat(key),
            stage_id=run_id,
            run_id=run_id,
        )
        publish(self.lake, what, FileLayout(SinkSettings(), "snappy"))

    def runs(self, dag_id: str, **_window: date) -> list[AirflowRun]:
        return []

    def run(self, dag_id: str, run_id: str) -> AirflowRun:
        return AirflowRun(dag_id, run_id, "manual", self.state)


@pytest.fixture
def lake(lake_root: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Return a lake with the equities of both sessions."""
    monkeypatch.setattr("bellwether_airflow.triggers._FIRST_LOOK_S", 0)
    lake = Lake.open(lake_root, simulated=True)
    for session in (BEFORE, THIRD_BEFORE):
        publish_bars(lake, UNIVERSE, session)
    return lake


@pytest.mark.parametrize("state", ["success", "failed"])
def test_two_sessions_are_fetched_again_and_what_changed_is_told_bar_by_bar(
    lake: Lake, dags: dict[str, Any], run_session: Run, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    api = Api(lake, state)
    monkeypatch.setattr(connections, "airflow", lambda: api)
    run = run_session(dags["ops_restate"], str(NIGHT))
    assert (run.state, set(states(run).values())) == ("success", {"success"}), "a run that failed tells so itself"
    assert sorted(api.begun) == [("equities_daily", str(THIRD_BEFORE)), ("equities_daily", str(BEFORE))]
    rows = read("restatements", THIRD_BEFORE, BEFORE, root=lake.root).to_pylist()
    assert [(row["ticker"], row["kind"], row["sessions_later"]) for row in rows] == [
        ("SPY", "changed", 3),
        ("SPY", "changed", 1),
    ]
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == "compare"]
    summary = ti.xcom_pull(task_ids="compare", key="return_value")
    said = "over tolerance: announced" if state == "success" else "its run is failed, and tells why"
    assert f"| {BEFORE} | equities | T+1 | 1 | 0 | 0 | 10.00 | +0 | {said} |" in summary
    assert [name for name, _ in events()] == [], "whoever fetches again announces"


def test_where_nothing_is_published_nothing_is_fetched_again(
    lake_root: Path, dags: dict[str, Any], run_session: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api(Lake.open(lake_root, simulated=True))
    monkeypatch.setattr(connections, "airflow", lambda: api)
    run = run_session(dags["ops_restate"], str(NIGHT))
    assert (run.state, states(run)["compare"], api.begun) == ("success", "skipped", [])


def test_what_cannot_be_begun_fails_the_run(
    lake: Lake, dags: dict[str, Any], run_session: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert states(run_session(dags["ops_restate"], str(NIGHT)))["report"] == "failed", "there is no Connection"
    api = Api(lake)
    monkeypatch.setattr(connections, "airflow", lambda: api)
    monkeypatch.setattr(api, "trigger", lambda *_: 1 / 0)
    run = run_session(dags["ops_restate"], str(NIGHT))
    assert (run.state, states(run)["report"]) == ("failed", "failed")


def test_a_producers_answer_that_comes_too_late_leaves_the_session_and_asked_for_by_name_it_is_taken(
    lake: Lake, dag: Any, run_session: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWETHER__LATE", "{}")
    before = lake.manifest("equities", SESSION)
    run = run_session(dag, KEY, {"force": True})
    assert run.state == "success"
    manifest = lake.manifest("equities", SESSION)
    assert manifest.revision == before.revision
    assert manifest.warnings["late_rows"] > 4 * 300
    run_session(dag, KEY, {"force": True, "tickers": ["SPY"]})
    assert read("equities", SESSION, SESSION, ["SPY"], root=lake.root).num_rows > 300
    assert read("equities", SESSION, SESSION, ["AAPL"], root=lake.root).num_rows == 5
