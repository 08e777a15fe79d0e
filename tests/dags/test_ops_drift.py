"""Drift, from the vendor's answer over the question to the published session, run in process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from bellwether.config import Config
from bellwether.drift.ledger import find
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import publish_stage, validate_stage
from bellwether.ingest.plan import plan_session
from bellwether.lake import Coverage, Lake, read
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator
from bellwether.sources.rest import PolygonRest
from bellwether_airflow.drift import APPROVE, DAG_ID, REJECT
from tests.dags.support import KEY, SESSION, events, states

Run = Callable[..., Any]
CHANGE = "equities.v.renamed.vol"


def answered(dag: Any, run_session: Run, option: str, reason: str = "") -> Any:
    """Run `ops_drift` and answer its question at once: a run in process cannot wait."""
    answer = {
        "chosen_options": [option],
        "params_input": {"reason": reason},
        "responded_at": "2025-07-02T12:00:00+00:00",
        "responded_by_user": {"id": "1", "name": "ann"},
    }
    with patch("airflow.providers.standard.operators.hitl.HITLOperator.execute", lambda *_, **__: answer):
        return dag.test(logical_date=None, run_conf={"change": CHANGE})


@pytest.fixture
def drifted(lake_root: Path, simulator: RunningSimulator) -> Lake:
    """Return a lake one ticker of which waits, since its volume has another name."""
    simulator.faults.add(Fault(kind="renamed", field="v", to="vol", ticker="SPY", count=None))
    lake, config, rest = (
        Lake.open(lake_root, simulated=True),
        Config.load(),
        PolygonRest(simulator.url, "simulator-key"),
    )
    batches = plan_session(lake, config, rest, "equities", SESSION, stage_id="s1")
    for batch in batches:
        fetch_batch(lake, rest, config, batch)
    validate_stage(lake, config, batches)
    publish_stage(lake, config, "equities", SESSION, stage_id="s1", run_id="run")
    simulator.faults.clear()
    simulator.requests.clear()
    manifest = lake.manifest("equities", SESSION)
    assert manifest is not None
    assert {t for t, known in manifest.coverage.items() if known.state is Coverage.QUARANTINED} == {"SPY"}
    return lake


def test_an_approval_publishes_what_waited_without_a_request_and_announces_it(
    drifted: Lake, dags: dict[str, Any], run_session: Run, simulator: RunningSimulator
) -> None:
    run = answered(dags[DAG_ID], run_session, APPROVE)
    assert run.state == "success"
    assert len(simulator.requests) == 0
    manifest = drifted.manifest("equities", SESSION)
    assert manifest is not None
    assert {known.state for known in manifest.coverage.values()} == {Coverage.COMPLETE}
    [row] = read("drift", SESSION, SESSION, root=drifted.root).to_pylist()
    assert (row["change_id"], row["state"], row["decided_by"]) == (CHANGE, "approved", "ann")
    again = answered(dags[DAG_ID], run_session, APPROVE)
    assert set(states(again).values()) == {"skipped"}, "what is decided is not asked about"


def test_a_rejection_keeps_its_reason_and_publishes_nothing(
    drifted: Lake, dags: dict[str, Any], run_session: Run
) -> None:
    before = drifted.manifest("equities", SESSION)
    run = answered(dags[DAG_ID], run_session, REJECT, "a test of theirs")
    assert run.state == "success"
    decision = find(drifted, CHANGE).decision
    assert decision is not None
    assert (decision.approved, decision.reason, decision.by) == (False, "a test of theirs", "ann")
    assert drifted.manifest("equities", SESSION) == before
    assert ("session_ready", KEY) not in events()


def test_the_evenings_look_back_tells_of_a_change_and_asks_about_it(
    drifted: Lake, dags: dict[str, Any], run_session: Run
) -> None:
    run = run_session(dags["ops_health"], KEY, {"sessions": 2})
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == "drift"]
    assert ti.xcom_pull(task_ids="drift", key="return_value") == [CHANGE]
    assert "`v` seems to be called `vol` now | open | 2025-07-01 | SPY |" in ti.xcom_pull(
        task_ids="drift", key="digest"
    )
    assert states(run)["ask[0]"] == "success"
    again = run_session(dags["ops_health"], KEY, {"sessions": 2})
    assert states(again)["ask[0]"] == "skipped", "whoever is asked already is not asked again"
