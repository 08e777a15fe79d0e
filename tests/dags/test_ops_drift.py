"""Drift, from the vendor's answer over the question to the published session, run in process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from bellwether.config import Config
from bellwether.drift.change import Change, Kind
from bellwether.drift.ledger import Decision, contracts_in_force, decide, find, versions, write_down
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

pytestmark = pytest.mark.usefixtures("airflow_database")


def answered(dag: Any, option: str, reason: str = "", change_id: str = CHANGE) -> tuple[Any, list[str]]:
    """Run `ops_drift` and answer its question at once, since a run in process cannot wait; return what was offered."""
    offered: list[str] = []
    answer = {
        "chosen_options": [option],
        "params_input": {"reason": reason},
        "responded_at": "2025-07-02T12:00:00+00:00",
        "responded_by_user": {"id": "1", "name": "ann"},
    }

    def execute(question: Any, _context: Any) -> dict[str, Any]:
        offered.extend(question.options)
        return answer

    with patch("airflow.providers.standard.operators.hitl.HITLOperator.execute", execute):
        return dag.test(logical_date=None, run_conf={"change": change_id}), offered


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
    drifted: Lake, dags: dict[str, Any], simulator: RunningSimulator
) -> None:
    run, offered = answered(dags[DAG_ID], APPROVE)
    assert (run.state, offered) == ("success", [APPROVE, REJECT])
    assert len(simulator.requests) == 0
    manifest = drifted.manifest("equities", SESSION)
    assert manifest is not None
    assert {known.state for known in manifest.coverage.values()} == {Coverage.COMPLETE}
    [row] = read("drift", SESSION, SESSION, root=drifted.root).to_pylist()
    assert (row["change_id"], row["state"], row["decided_by"]) == (CHANGE, "approved", "ann")


def test_what_is_decided_is_not_asked_about_and_what_was_interrupted_is_finished(
    drifted: Lake, dags: dict[str, Any]
) -> None:
    # Somebody's command was killed between deciding and everything else.
    mine = Decision(approved=True, by="bob", reason="", at_utc=drifted.clock.now())
    decide(drifted, find(drifted, CHANGE), mine)
    run, offered = answered(dags[DAG_ID], REJECT)
    assert (run.state, offered) == ("success", [])
    assert {task: state for task, state in states(run).items() if state == "skipped"}.keys() >= {"show", "decide"}
    manifest = drifted.manifest("equities", SESSION)
    assert manifest is not None
    assert {known.state for known in manifest.coverage.values()} == {Coverage.COMPLETE}
    assert contracts_in_force(drifted, Config.load())["equities"].version == 2

    run, offered = answered(dags[DAG_ID], APPROVE)
    assert (run.state, offered, states(run)["settle"]) == ("success", [], "success")
    assert drifted.manifest("equities", SESSION) == manifest
    assert versions(drifted) == {"equities": [2]}


def test_what_no_contract_can_let_pass_can_only_be_rejected_and_the_page_says_why(
    drifted: Lake, dags: dict[str, Any]
) -> None:
    [seen] = find(drifted, CHANGE).sightings
    gone = Change("equities", "c", Kind.REMOVED)
    write_down(drifted, msgspec.structs.replace(seen, change=gone))
    run, offered = answered(dags[DAG_ID], REJECT, "theirs to mend", gone.change_id)
    assert (run.state, offered) == ("success", [REJECT])
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == "show"]
    shown = ti.xcom_pull(task_ids="show", key="return_value")
    assert "It cannot be approved: equities: `c` is gone. The dataset has no rows without it." in shown
    assert find(drifted, gone.change_id).state == "rejected"


def test_a_rejection_keeps_its_reason_and_publishes_nothing(drifted: Lake, dags: dict[str, Any]) -> None:
    before = drifted.manifest("equities", SESSION)
    run, _ = answered(dags[DAG_ID], REJECT, "a test of theirs")
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
