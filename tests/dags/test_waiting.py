"""What a fetch does that is told "later": it leaves its slot, comes back and uses up no retry."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from bellwether.clock import SimulatedClock
from bellwether.errors import NotPublishedYet, RateLimited, ServerError, VendorError
from bellwether.lake import Lake
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator
from bellwether_airflow import waiting
from bellwether_airflow.waiting import WaitingOperator
from tests.dags.support import KEY, SESSION, UNIVERSE, states

TICKERS_PATH = "/v3/reference/tickers"
URL = "https://api.polygon.io/v2"
NOW = datetime(2025, 7, 2, 0, 15, tzinfo=UTC)  # the session is just due
BATCH = {"dataset": "equities", "session": KEY, "stage_id": "s", "index": 0, "tickers": ["SPY"], "name": "b000 SPY"}


@pytest.fixture(autouse=True)
def at_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_clock", SimulatedClock(NOW, speed=0))


def operator(*outcomes: VendorError | str) -> Any:
    """Return an operator whose function has these outcomes, one after the other."""
    left = iter(outcomes)

    def fetch(batch: dict[str, Any]) -> str:
        outcome = next(left)
        if isinstance(outcome, VendorError):
            raise outcome
        return f"{outcome} {batch['name']}"

    return WaitingOperator(task_id="fetch", python_callable=fetch, op_args=[], op_kwargs={"batch": BATCH})


def context() -> Any:
    return {"ti": SimpleNamespace(), "outlet_events": {}}


def limited(seconds: float) -> RateLimited:
    return RateLimited("slow down", url=URL, retry_after_s=seconds)


def test_the_trigger_fires_at_the_instant_the_vendor_named() -> None:
    with pytest.raises(TaskDeferred) as deferred:
        operator(limited(7200)).execute(context())
    trigger = deferred.value.trigger
    assert isinstance(trigger, DateTimeTrigger)
    assert trigger.moment == datetime(2025, 7, 2, 2, 15, tzinfo=UTC)
    assert (deferred.value.method_name, deferred.value.kwargs) == ("resume", {"waited_s": 7200.0})


def test_no_wait_without_a_slot_is_so_short_that_the_task_resumes_before_its_process_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BELLWETHER__RETRY_POLICY__PATIENCE_S", "1")
    with pytest.raises(TaskDeferred) as deferred:
        operator(limited(4)).execute(context())
    assert deferred.value.trigger.moment == datetime(2025, 7, 2, 0, 15, 10, tzinfo=UTC)
    assert deferred.value.kwargs == {"waited_s": 10.0}


def test_it_goes_on_after_the_wait_and_may_wait_again() -> None:
    fetch = operator(limited(100), "fetched")
    with pytest.raises(TaskDeferred) as deferred:
        fetch.resume(context(), event=NOW, waited_s=7200.0)
    assert deferred.value.kwargs == {"waited_s": 7300.0}
    assert fetch.resume(context(), event=NOW, waited_s=7300.0) == "fetched b000 SPY"


@pytest.mark.parametrize(("waited_s", "asked_s"), [(86_300, 101), (0, 86_401)], ids=["in all", "at once"])
def test_a_task_does_not_wait_for_ever(waited_s: float, asked_s: float) -> None:
    with pytest.raises(AirflowFailException, match=r"slow down .* in all, more than longest_wait_s .* clear this task"):
        operator(limited(asked_s)).resume(context(), event=NOW, waited_s=waited_s)


@pytest.mark.parametrize("error", [limited(60), ServerError("oops", url=URL)], ids=["short wait", "server error"])
def test_what_is_no_long_wait_is_left_to_the_retries(error: VendorError) -> None:
    with pytest.raises(type(error)):
        operator(error).execute(context())


def test_a_session_not_published_yet_is_fetched_when_it_is_without_a_retry(
    dag: Any, run_session: Callable[..., Any], simulator: RunningSimulator, lake_root: Path
) -> None:
    # The clock stands at 20:15 New York: the wait is to midnight, which is long ago, so it is over at once.
    simulator.faults.add(Fault(kind="before_end_of_day", ticker="QQQ", count=2))
    run = run_session(dag, KEY)
    assert run.state == "success"
    assert set(states(run).values()) == {"success"}
    fetches = [ti for ti in run.get_task_instances() if ti.task_id == "ingest"]
    assert [ti.try_number for ti in fetches] == [1, 1]
    assert {ti.rendered_map_index for ti in fetches} == {"b000 AAPL..MSFT", "b001 QQQ..SPY"}
    # What had come before the wait is not asked for again.
    assert sorted(str(request.ticker) for request in simulator.requests) == [*UNIVERSE[:2], "QQQ", "QQQ", "QQQ", "SPY"]
    assert Lake.open(lake_root).manifest("equities", SESSION).blocking == []


def test_a_plan_told_to_come_back_later_waits_without_a_slot_and_resolves_its_rule_in_its_first_try(
    dag: Any,
    run_session: Callable[..., Any],
    simulator: RunningSimulator,
    lake_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "{rule: active}")
    deferred = []
    defer = WaitingOperator.defer

    def deferring(self: WaitingOperator, **how: Any) -> None:
        deferred.append(self.task_id)
        defer(self, **how)

    monkeypatch.setattr(WaitingOperator, "defer", deferring)
    simulator.faults.add(Fault(kind="rate_limited", path=TICKERS_PATH, count=2, retry_after_s=7200))
    run = run_session(dag, KEY)
    assert (run.state, deferred) == ("success", ["plan", "plan"])
    [plan] = [ti for ti in run.get_task_instances() if ti.task_id == "plan"]
    assert plan.try_number == 1
    assert [request.path for request in simulator.requests].count(TICKERS_PATH) == 3
    assert Lake.open(lake_root).manifest("equities", SESSION).universe.required == ("AAPL", "MSFT")


def test_not_published_yet_waits_to_the_end_of_the_day() -> None:
    with pytest.raises(TaskDeferred) as deferred:
        operator(NotPublishedYet("before end of day", url=URL)).execute(context())
    assert deferred.value.trigger.moment == datetime(2025, 7, 2, 4, tzinfo=UTC)
