"""A fetch that is told to come back later, in a real Airflow: deferred, then done in its first try."""

from datetime import date

import pytest

from bellwether.airflow_api import TaskInstance
from bellwether.simulator.faults import Fault
from tests.e2e.support import PRODUCER, Producers, wait_until

SESSION = date(2025, 7, 9)

pytestmark = pytest.mark.timeout(600)


def test_a_rate_limit_with_a_long_wait_defers_the_fetch_and_uses_up_no_try(operated: Producers) -> None:
    operated.simulator.faults.clear()
    operated.simulator.requests.clear()
    # The stack's patience is one second.
    operated.simulator.faults.add(Fault(kind="rate_limited", ticker="QQQ", session=SESSION, count=1, retry_after_s=4))
    started = operated.api.trigger(PRODUCER, str(SESSION))

    def fetches() -> dict[str | None, TaskInstance]:
        tasks = operated.api.task_instances(PRODUCER, started.dag_run_id)
        return {task.rendered_map_index: task for task in tasks if task.task_id == "ingest"}

    def is_deferred() -> bool:
        waiting = fetches().get("b001 QQQ..SPY")
        return waiting is not None and waiting.state == "deferred"

    wait_until(is_deferred, "the fetch was not deferred")
    assert operated.api.wait_for_run(PRODUCER, started.dag_run_id).state == "success"
    assert {name: task.try_number for name, task in fetches().items()} == {"b000 AAPL..MSFT": 1, "b001 QQQ..SPY": 1}
    # The other batch did not wait, and nothing that had come was asked for again.
    asked = operated.asked(SESSION)
    assert {ticker: asked.count(ticker) for ticker in set(asked)} == {"AAPL": 1, "MSFT": 1, "QQQ": 2, "SPY": 1}
