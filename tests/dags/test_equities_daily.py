"""The daily producer of equities, run in process against the simulator: what each situation publishes and emits."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bellwether.errors import BellwetherError
from bellwether.lake import Lake, read
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator
from tests.dags.support import KEY, SESSION, events, states

Run = Callable[..., Any]


def test_a_session_is_fetched_published_and_announced_under_its_key(
    dag: Any, run_session: Run, lake_root: Path
) -> None:
    run = run_session(dag, KEY)
    assert set(states(run).values()) == {"success"}
    assert len(states(run)) == 8
    names = {ti.rendered_map_index for ti in run.get_task_instances() if ti.task_id == "ingest"}
    assert names == {"b000 AAPL..MSFT", "b001 QQQ..SPY"}
    assert events() == [("equities", KEY), ("session_ready", KEY)]
    manifest = Lake.open(lake_root).manifest("equities", SESSION)
    assert manifest.rows == read("equities", KEY, KEY, root=lake_root).num_rows > 4 * 300
    assert manifest.run_id == run.run_id


def test_without_a_key_the_last_completed_session_is_taken_and_its_key_emitted(
    dag: Any, run_session: Run, lake_root: Path
) -> None:
    run = run_session(dag, None)
    [session] = Lake.open(lake_root).sessions("equities")
    assert run.partition_date.date() == session
    assert ("session_ready", session.isoformat()) in events()


def test_a_rerun_of_a_good_session_fetches_nothing_and_says_so(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    run_session(dag, KEY)
    before = Lake.open(lake_root).manifest("equities", SESSION)
    simulator.requests.clear()
    run = run_session(dag, KEY)
    assert states(run)["validate"] == states(run)["publish"] == "skipped"
    assert simulator.requests == []
    assert Lake.open(lake_root).manifest("equities", SESSION) == before
    assert events().count(("equities", KEY)) == 1


def test_fetched_again_without_a_difference_keeps_the_revision_and_emits_no_change(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    run_session(dag, KEY)
    before = Lake.open(lake_root).manifest("equities", SESSION)
    simulator.requests.clear()
    run = run_session(dag, KEY, {"force": True})
    assert len(simulator.requests) == 4
    assert states(run)["publish"] == "skipped"
    assert run.state == "success"
    assert Lake.open(lake_root).manifest("equities", SESSION) == before
    assert events().count(("equities", KEY)) == 1


def test_narrowed_to_tickers_only_these_are_asked_for_and_replaced(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    run_session(dag, KEY)
    simulator.requests.clear()
    simulator.faults.add(Fault(kind="duplicate_bar", ticker="SPY"))
    run = run_session(dag, KEY, {"tickers": ["SPY"]})
    assert run.state == "success"
    assert {request.ticker for request in simulator.requests} == {"SPY"}
    coverage = Lake.open(lake_root).manifest("equities", SESSION).coverage
    assert {ticker: known.duplicates_dropped for ticker, known in coverage.items()} == {
        "AAPL": 0,
        "MSFT": 0,
        "QQQ": 0,
        "SPY": 1,
    }


def test_a_failed_ticker_fails_the_run_while_the_rest_is_published_and_nothing_is_announced(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    simulator.faults.add(Fault(kind="cut_json", ticker="QQQ", count=None))
    run = run_session(dag, KEY)
    assert run.state == "failed"
    found = states(run)
    assert (found["ingest[0]"], found["ingest[1]"], found["publish"]) == ("success", "failed", "success")
    assert (found["announce"], found["report"]) == ("skipped", "failed")
    assert events() == [("equities", KEY)]
    assert Lake.open(lake_root).manifest("equities", SESSION).blocking == ["QQQ"]
    # What the run's alert will tell.
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == "report"]
    left = ti.xcom_pull(task_ids="report", key="failures")
    assert (left["planned"], {name: cause["tickers"] for name, cause in left["causes"].items()}) == (
        4,
        {"Truncated": ["QQQ"]},
    )
    assert ti.xcom_pull(task_ids="ingest", key="failure", map_indexes=1).startswith("Truncated: Input data was")
    simulator.faults.clear()
    simulator.requests.clear()
    healed = run_session(dag, KEY)
    assert healed.state == "success"
    assert {request.ticker for request in simulator.requests} == {"QQQ"}
    assert events()[-1] == ("session_ready", KEY)


def test_a_failed_best_effort_ticker_is_a_red_batch_in_a_green_run_that_announces_the_session(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    universe = "{required: [AAPL, MSFT, SPY], best_effort: [QQQ]}"
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", universe)
    simulator.faults.add(Fault(kind="cut_json", ticker="QQQ", count=None))
    run = run_session(dag, KEY)
    found = states(run)
    assert (run.state, found["ingest[1]"], found["report"]) == ("success", "failed", "success")
    assert events() == [("equities", KEY), ("session_ready", KEY)]
    manifest = Lake.open(lake_root).manifest("equities", SESSION)
    assert manifest.universe.best_effort == ("QQQ",)
    assert manifest.coverage["QQQ"].state == "failed"


def test_an_answer_without_bars_keeps_the_published_rows_and_fails_the_run_until_the_loss_is_accepted(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    run_session(dag, KEY)
    before = Lake.open(lake_root).manifest("equities", SESSION)
    simulator.faults.add(Fault(kind="not_found", ticker="SPY", count=None))
    run = run_session(dag, KEY, {"force": True})
    assert run.state == "failed"
    assert Lake.open(lake_root).manifest("equities", SESSION) == before
    accepted = run_session(dag, KEY, {"force": True, "tickers": ["SPY"]})
    assert accepted.state == "success"
    assert Lake.open(lake_root).manifest("equities", SESSION).coverage["SPY"].rows == 0


def test_a_key_the_vendor_refuses_stops_at_once_with_one_request_a_batch(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    simulator.faults.add(Fault(kind="unauthorized", count=None))
    run = run_session(dag, KEY)
    assert run.state == "failed"
    assert len(simulator.requests) == 2
    assert Lake.open(lake_root).manifest("equities", SESSION) is None
    assert events() == []


def test_a_ticker_outside_the_universe_fails_the_plan(dag: Any, run_session: Run, lake_root: Path) -> None:
    run = run_session(dag, KEY, {"tickers": ["ZZZ"]})
    assert run.state == "failed"
    found = states(run)
    assert (found["plan"], found["report"]) == ("failed", "failed")
    assert events() == []


def test_a_misspelt_parameter_fails_the_plan_instead_of_running_the_whole_universe(
    dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    run = run_session(dag, KEY, {"ticker": ["SPY"]})
    assert (run.state, states(run)["plan"]) == ("failed", "failed")
    assert simulator.requests == []


@pytest.mark.parametrize("conf", [{"tickers": ["../x"]}, {"tickers": "SPY"}, {"force": "perhaps"}])
def test_a_form_that_does_not_fit_is_refused(dag: Any, run_session: Run, conf: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises((ParamValidationError, ValueError), match=r"does not match|is not of type"):
        run_session(dag, KEY, conf)


def test_simulated_data_is_refused_by_a_production_lake(dag: Any, run_session: Run, lake_root: Path) -> None:
    Lake.open(lake_root, simulated=False)
    assert run_session(dag, KEY).state == "failed"
    with pytest.raises(BellwetherError, match="holds production data"):
        Lake.open(lake_root, simulated=True)


def test_dag_files_are_thin_and_load_nothing_heavy() -> None:
    files = sorted((Path(__file__).parents[2] / "dags").glob("*.py"))
    assert [file.name for file in files if len(file.read_text().splitlines()) > 120] == []
    imports = "; ".join(f"import {file.stem}" for file in files)
    code = f"import sys; sys.path.insert(0, {str(files[0].parent)!r}); {imports}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"pandas", "pyarrow", "numpy", "exchange_calendars", "great_expectations", "polygon", "polars"}
    assert heavy & set(loaded) == set()
