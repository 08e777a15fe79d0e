"""Contracts discovered and their bars captured, in process against the simulator."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from bellwether.lake import Lake, read
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator
from tests.dags.support import KEY, SESSION, events, states

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _one_underlying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__OPTIONS__UNIVERSE", json.dumps(["AAPL"]))
    monkeypatch.setenv("BELLWETHER__INGEST__BATCH_TICKERS", "25")


def test_contracts_are_discovered_and_their_bars_follow(
    dags: dict[str, Any], run_session: Run, lake_root: Path, simulator: RunningSimulator
) -> None:
    discovered = run_session(dags["options_discovery"], KEY)
    assert discovered.state == "success"
    contracts = read("contracts", KEY, KEY, root=lake_root)
    assert contracts.num_rows > 0
    simulator.requests.clear()
    captured = run_session(dags["options_daily"], KEY)
    assert captured.state == "success"
    assert {request.ticker for request in simulator.requests} == set(contracts["ticker"].to_pylist())
    lake = Lake.open(lake_root)
    options, found = lake.manifest("options", SESSION), lake.manifest("contracts", SESSION)
    assert options.universe.spec_hash == found.revision
    assert options.universe.origin == f"contracts, revision {found.revision[:12]}"
    assert [name for name, _ in events()] == ["contracts", "options"]


def test_bars_of_a_session_that_nobody_discovered_are_captured_all_the_same(
    dags: dict[str, Any], run_session: Run, lake_root: Path, simulator: RunningSimulator
) -> None:
    run = run_session(dags["options_daily"], KEY)
    assert run.state == "success"
    manifest = Lake.open(lake_root).manifest("contracts", SESSION)
    assert manifest.run_id == run.run_id
    assert set(Lake.open(lake_root).manifest("options", SESSION).coverage) == set(
        read("contracts", KEY, KEY, root=lake_root)["ticker"].to_pylist()
    )
    simulator.requests.clear()
    again = run_session(dags["options_daily"], KEY)
    assert states(again)["publish"] == "skipped"
    assert simulator.requests == []


def test_the_report_warns_of_contracts_that_were_seen_and_not_discovered(
    dags: dict[str, Any], run_session: Run, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwether.ingest.discovery.undiscovered", lambda *_: ["O:AAPL250703C00200000"])
    with structlog.testing.capture_logs() as told:
        assert run_session(dags["options_daily"], KEY).state == "success"
    assert [each["contracts"] for each in told if "not discovered" in each["event"]] == ["O:AAPL250703C00200000"]


def test_no_contracts_in_the_band_are_an_empty_partition_and_no_failure(
    dags: dict[str, Any], run_session: Run, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__OPTIONS__CONTRACTS", '{"strikes": {"percent": 0.0001}}')
    run = run_session(dags["options_daily"], KEY)
    assert run.state == "success"
    assert {ti.rendered_map_index for ti in run.get_task_instances() if ti.task_id == "ingest"} == {"b000 none"}
    manifest = Lake.open(lake_root).manifest("options", SESSION)
    assert (manifest.rows, manifest.coverage) == (0, {})


def test_an_underlying_that_fails_fails_the_plan_of_bars_and_the_next_run_heals_both(
    dags: dict[str, Any], run_session: Run, lake_root: Path, simulator: RunningSimulator
) -> None:
    simulator.faults.add(Fault(kind="cut_json", path="/v3/reference/options/contracts", count=None))
    run = run_session(dags["options_daily"], KEY)
    assert (run.state, states(run)["plan"]) == ("failed", "failed")
    assert events() == []
    simulator.faults.clear()
    assert run_session(dags["options_daily"], KEY).state == "success"


def test_a_form_for_contracts_takes_underlyings_and_one_for_options_takes_symbols(
    dags: dict[str, Any], run_session: Run, lake_root: Path
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises((ParamValidationError, ValueError), match=r"does not match"):
        run_session(dags["options_daily"], KEY, {"tickers": ["AAPL"]})
    with pytest.raises((ParamValidationError, ValueError), match=r"does not match"):
        run_session(dags["options_discovery"], KEY, {"tickers": ["O:AAPL250703C00200000"]})
