"""A task that leaves its slot while the vendor makes it wait, and goes on afterwards with what is staged.

`@waiting_task` is `@task` for functions whose argument is a batch or a dataset. When one asks to be run again later
(`bellwether.ingest.waits`), the task defers to the triggerer until then: no slot is held, no retry is used
up, and the wait survives restarts. How long to wait is the library's to say.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory
from airflow.sdk.exceptions import AirflowFailException

from bellwether.clock import SystemClock
from bellwether.config import Config
from bellwether.errors import VendorError
from bellwether_airflow.runs import session_of

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

_clock = SystemClock()

# A task that defers may linger for up to [workers] min_heartbeat_interval, 5 s: its supervisor sleeps so long when it
# sees the sockets close a moment before the process ends. Resumed while it lingers, Airflow 3.3.2 takes the end of the
# old process for that of the new one, and a retry is used up.
SHORTEST_DEFERRAL = timedelta(seconds=10)


class FunctionOperator(DecoratedOperator, PythonOperator):
    """What the operators share that a decorator makes of a function.

    Parameters
    ----------
    python_callable
        What to run.
    """

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Any,  # noqa: ANN401 - Airflow's interface: lists and mappings, or XComs of them
        op_kwargs: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        upstream = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=upstream, **upstream, **kwargs)


class WaitingOperator(FunctionOperator):
    """Runs a function of a batch or a dataset, and defers while its error says "later".

    Parameters
    ----------
    python_callable
        A function of the keyword `batch`, a `bellwether.ingest.plan.Batch` as a dictionary, or of `dataset`; running
        it again goes on where it stopped.
    """

    custom_operator_name = "@waiting_task"

    def execute(self, context: "Context") -> Any:  # noqa: ANN401 - what the function returns
        """Run the function for the first time in this try."""
        return self._run(context, waited_s=0.0)

    def resume(self, context: "Context", event: "datetime", waited_s: float = 0.0) -> Any:  # noqa: ANN401
        """Run the function again after a wait; `waited_s` are the seconds waited in this try (`dag.test` drops it)."""
        self.log.info("Going on after %.0f s of waiting; it is %s.", waited_s, event)
        return self._run(context, waited_s)

    def _run(self, context: "Context", waited_s: float) -> Any:  # noqa: ANN401
        try:
            return super().execute(context)
        except VendorError as error:
            self._wait(error, waited_s, context)
            raise

    def _asked_for(self, context: "Context") -> tuple[str, date]:
        batch = self.op_kwargs.get("batch")
        if batch is None:
            return self.op_kwargs["dataset"], session_of(context["dag_run"])
        return batch["dataset"], date.fromisoformat(batch["session"])

    def _wait(self, error: VendorError, waited_s: float, context: "Context") -> None:
        """Leave the slot until the error's instant; return if it is not one to wait out."""
        from bellwether.ingest.waits import wait_until

        dataset, session = self._asked_for(context)
        policies = Config.load().retry_policy
        now = _clock.now()
        until = wait_until(error, policies, dataset=dataset, session=session, now=now)
        if until is None:
            return
        until = max(until, now + SHORTEST_DEFERRAL)
        waited_s += (until - now).total_seconds()
        if waited_s > policies.longest_wait_s:
            msg = (
                f"{error}: waiting until {until:%Y-%m-%d %H:%M:%S} UTC would make {waited_s:.0f} s in all, more than "
                f"longest_wait_s of retry_policy.yaml, {policies.longest_wait_s:.0f} s; clear this task later"
            )
            raise AirflowFailException(msg) from error
        self.log.warning("%s; waiting without a slot until %s UTC.", error, until.strftime("%Y-%m-%d %H:%M:%S"))
        self.defer(trigger=DateTimeTrigger(moment=until), method_name="resume", kwargs={"waited_s": waited_s})


def waiting_task(*, map_index_template: str | None = None) -> TaskDecorator:
    """Decorate a function as `@task` does, with the name its mapped tasks show."""
    return task_decorator_factory(decorated_operator_class=WaitingOperator, map_index_template=map_index_template)
