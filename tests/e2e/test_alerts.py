"""Who hears of a run whose task is killed in a real Airflow, and that addresses stay secret.

That every failed run sends one message, and another when it fails again, is seen in `test_operator`, where runs fail.
"""

from pathlib import Path

import pytest

from tests.e2e.support import KILLED_DAG, Producers, wait_until
from tests.sink import Sink

pytestmark = pytest.mark.timeout(300)


def test_a_task_that_is_killed_for_good_sends_one_message(operated: Producers, sink: Sink) -> None:
    operated.api.wait_for_dags([KILLED_DAG])
    operated.api.set_paused(KILLED_DAG, paused=False)
    started = operated.api.trigger(KILLED_DAG)
    run = operated.api.wait_for_run(KILLED_DAG, started.dag_run_id)
    assert run.state == "failed"
    wait_until(lambda: sink.about("dies failed") != [], "nobody was told")
    [message] = sink.about("dies failed")
    assert "- killed (dies): the task ended without a word" in message["message"]


def test_a_dead_sink_is_logged_and_no_log_holds_its_address(operated: Producers, sink: Sink) -> None:
    logs = [path.read_text(errors="replace") for path in Path(operated.stack.home / "logs").rglob("*.log")]
    told = "\n".join(logs)
    assert "a sink did not take the alert" in told
    assert "open-sesame" not in told
