"""`bellwether doctor` on a real Airflow: what its REST API tells is understood, and the advice given there heals."""

import json
from collections.abc import Callable
from datetime import date

import pytest

from bellwether.cli.main import main
from bellwether.localstack.environment import project_root
from tests.e2e.support import KEY, PRODUCER, Producers

pytestmark = pytest.mark.timeout(600)

CAPTURED, HOLE = date(2025, 2, 12), date(2025, 2, 11)

Doctor = Callable[[], tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def doctor(operated: Producers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Return the doctor, pointed at the operated stack and two of its sessions."""
    state = operated.stack.state
    monkeypatch.setenv("POLYGON_API_KEY", KEY)
    monkeypatch.setenv("AIRFLOW_USER", state.username)
    monkeypatch.setenv("AIRFLOW_PASSWORD", state.password)
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[AAPL, MSFT, QQQ, SPY]")
    places = ["--lake", str(operated.lake_root), "--url", operated.simulator.url, "--airflow", state.url]

    def examine() -> tuple[int, dict[str, dict[str, str]]]:
        code = main(["doctor", "--json", *places, "--start", str(HOLE), "--end", str(CAPTURED)])
        return code, {found["check"]: found for found in json.loads(capsys.readouterr().out)["findings"]}

    return examine


def test_a_hole_before_a_backfill_and_a_missing_pool_are_named_and_healed_by_the_advice(
    operated: Producers, doctor: Doctor
) -> None:
    operated.simulator.faults.clear()
    [ahead] = operated.backfill(CAPTURED, CAPTURED)
    assert ahead.state == "success"
    operated.api.request("DELETE", "pools/publish_equities")
    try:
        code, findings = doctor()
    finally:
        operated.api.import_pools(json.loads((project_root() / "config" / "pools.json").read_text()))
    assert code == 1
    assert f"{PRODUCER}.publish would wait for ever" in findings["pools"]["says"]
    assert f"{HOLE} lack, have no run, and Airflow will never make one" in findings[f"ledger {PRODUCER}"]["says"]
    assert findings[f"ledger {PRODUCER}"]["advice"].endswith(f"--dag-id {PRODUCER} --from-date {HOLE} --to-date {HOLE}")

    [filled] = operated.backfill(HOLE, HOLE)
    assert filled.state == "success"
    code, findings = doctor()
    assert {check: found for check, found in findings.items() if found["level"] == "problem"} == {}
    assert code == 0
    assert "all 2 sessions are complete" in findings[f"ledger {PRODUCER}"]["says"]
    assert "scheduler, dag processor and triggerer are healthy" in findings["airflow"]["says"]
    assert findings["connection polygon_default"]["says"] == "is there, of type polygon"
    assert findings["pools"]["level"] == "ok"
    # The other producers of this stack sleep, and are named.
    assert findings["dags"]["says"].startswith("paused: ")
    assert PRODUCER not in findings["dags"]["says"]
