"""A task of many rounds that holds a slot only during one.

`@repeating_task` is `@task` for functions that do one round and return `bellwether.streaming.rounds.Again` while there
is to be another: the task is deferred until then, by the feed's time. What a round leaves to the next stands in the
lake; asset events count in the last one alone, which returns anything else.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.bases.decorator import TaskDecorator, task_decorator_factory

from bellwether.clock import SystemClock
from bellwether_airflow import connections
from bellwether_airflow.waiting import SHORTEST_DEFERRAL, FunctionOperator

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

    from bellwether.streaming.rounds import Again

_clock = SystemClock()


class RepeatingOperator(FunctionOperator):
    """Runs a function, and again after each `Again` it returns.

    Parameters
    ----------
    python_callable
        Does one round.
    """

    custom_operator_name = "@repeating_task"

    def execute(self, context: "Context") -> Any:  # noqa: ANN401 - what the function returns
        """Do a round."""
        from bellwether.streaming.rounds import Again

        result = super().execute(context)
        if isinstance(result, Again):
            self._wait(result)
        return result

    def resume(self, context: "Context", event: "datetime") -> Any:  # noqa: ANN401
        """Do the next round."""
        self.log.info("The next round; it is %s.", event)
        return self.execute(context)

    def _wait(self, again: "Again") -> None:
        real = timedelta(seconds=connections.feed_time().real_s(again.length.total_seconds()))
        until = _clock.now() + max(real, SHORTEST_DEFERRAL)
        self.log.info("%s; waiting without a slot until %s UTC.", again.why, until.strftime("%Y-%m-%d %H:%M:%S"))
        self.defer(trigger=DateTimeTrigger(moment=until), method_name="resume")


def repeating_task(**options: Any) -> TaskDecorator:  # noqa: ANN401 - of the task, as `@task` takes them
    """Decorate a function as `@task(**options)` does."""
    return task_decorator_factory(decorated_operator_class=RepeatingOperator, **options)
