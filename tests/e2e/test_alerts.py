"""Who hears of runs that fail in a real Airflow: one message each, also for kills, and a dead sink changes nothing."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from bellwether.simulator.faults import Fault
from tests.e2e.support import KILLED_DAG, PRODUCER, Producers, wait_until
from tests.sink import Sink, running_sink

# Nobody listens on port 9; the rest of the address is secret.
DEAD = "json://user:open-sesame@127.0.0.1:9/open-sesame?cto=1&rto=1"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def sink(operated: Producers) -> Iterator[Sink]:
    """Have the Connection `alerts`, stored as a user stores it, list a dead sink and a living one."""
    with running_sink() as sink:
        config = [{"path": DEAD}, {"path": sink.address}]
        body = {"connection_id": "alerts", "conn_type": "apprise", "extra": json.dumps({"config": config})}
        operated.api.request("POST", "connections", body)
        yield sink
        operated.api.request("DELETE", "connections/alerts")


@pytest.fixture(autouse=True)
def quiet(operated: Producers, sink: Sink) -> None:
    operated.simulator.faults.clear()
    operated.simulator.requests.clear()
    sink.messages.clear()


def test_a_failed_run_sends_one_message_and_another_when_it_fails_again_after_a_clear(
    operated: Producers, sink: Sink
) -> None:
    session = date(2025, 7, 8)
    operated.simulator.faults.add(Fault(kind="cut_json", ticker="QQQ", session=session, count=None))
    run = operated.trigger(str(session))
    assert run.state == "failed"
    # The dead sink cost no task its state: what could be published is.
    states = operated.states(run)
    assert {name for name, state in states.items() if state == "failed"} == {"b001 QQQ..SPY", "report"}
    assert (states["publish"], states["announce"]) == ("success", "skipped")
    wait_until(lambda: sink.messages != [], "nobody was told")
    operated.api.clear(PRODUCER, run.dag_run_id, [("ingest", 1)], only_failed=False)
    assert operated.api.wait_for_run(PRODUCER, run.dag_run_id).state == "failed"
    wait_until(lambda: len(sink.messages) > 1, "nobody was told that it failed again")

    assert [message["title"] for message in sink.messages] == [f"equities {session}: 1 of 4 tickers failed"] * 2
    text = sink.messages[0]["message"]
    assert text.startswith("1 of 4 tickers failed.\n\n- Truncated (QQQ): the vendor's answer was not what it promises")
    link = text.rsplit(" ", 1)[-1]
    assert link.startswith(f"{operated.stack.state.url}/dags/{PRODUCER}/runs/manual__")


def test_a_task_that_is_killed_for_good_sends_one_message(operated: Producers, sink: Sink) -> None:
    operated.api.wait_for_dags([KILLED_DAG])
    operated.api.set_paused(KILLED_DAG, paused=False)
    started = operated.api.trigger(KILLED_DAG)
    run = operated.api.wait_for_run(KILLED_DAG, started.dag_run_id)
    assert run.state == "failed"
    wait_until(lambda: sink.messages != [], "nobody was told")
    [message] = sink.messages
    assert message["title"].endswith(": dies failed")
    assert "- killed (dies): the task ended without a word" in message["message"]


def test_no_log_holds_an_address(operated: Producers, sink: Sink) -> None:
    logs = [path.read_text(errors="replace") for path in Path(operated.stack.home / "logs").rglob("*.log")]
    told = "\n".join(logs)
    assert "a sink did not take the alert" in told
    assert "open-sesame" not in told
