"""A task of many rounds: it is deferred between them by the feed's time, and ends with what the last one returns."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import TaskDeferred

from bellwether.clock import SimulatedClock
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.rounds import Again
from bellwether_airflow import connections, repeating
from bellwether_airflow.repeating import RepeatingOperator, repeating_task

NOW = datetime(2025, 7, 1, 14, 0, tzinfo=UTC)
FIVE_MINUTES = Again(timedelta(minutes=5), "two gaps are open")


@pytest.fixture(autouse=True)
def _the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "_clock", SimulatedClock(NOW, speed=0))


def a_feed_runs_at(speed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "feed_time", lambda: FeedTime(SimulatedClock(NOW, speed=0), speed=speed))


def operator(*rounds: Any) -> Any:
    """Return an operator whose rounds return these, one after the other."""
    left = iter(rounds)
    return RepeatingOperator(task_id="repair", python_callable=lambda: next(left), op_args=[], op_kwargs={})


def context() -> Any:
    return {"ti": SimpleNamespace(), "outlet_events": {}}


@pytest.mark.parametrize(("speed", "real_s"), [(1, 300), (10, 30), (120, 10)])
def test_the_next_round_is_due_after_a_time_of_the_feed_but_not_before_the_process_has_ended(
    monkeypatch: pytest.MonkeyPatch, speed: float, real_s: float
) -> None:
    a_feed_runs_at(speed, monkeypatch)
    with pytest.raises(TaskDeferred) as deferred:
        operator(FIVE_MINUTES).execute(context())
    trigger = deferred.value.trigger
    assert isinstance(trigger, DateTimeTrigger)
    assert trigger.moment - NOW == timedelta(seconds=real_s)
    assert deferred.value.method_name == "resume"


def test_it_goes_round_until_one_returns_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    a_feed_runs_at(1, monkeypatch)
    repair = operator(FIVE_MINUTES, FIVE_MINUTES, {"closed": 2})
    with pytest.raises(TaskDeferred):
        repair.execute(context())
    with pytest.raises(TaskDeferred):
        repair.resume(context(), event=NOW)
    assert repair.resume(context(), event=NOW) == {"closed": 2}


def test_the_decorator_passes_what_a_task_is_told() -> None:
    @repeating_task(pool="streams", retries=7)
    def repair(dataset: str) -> None:
        raise AssertionError(dataset)

    made: Any = repair("equities").operator
    assert isinstance(made, RepeatingOperator)
    assert (made.pool, made.retries, made.op_kwargs or made.op_args) == ("streams", 7, ("equities",))
