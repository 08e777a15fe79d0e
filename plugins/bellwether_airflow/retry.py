"""Which failed tasks Airflow runs again: `config/retry_policy.yaml`, read only when something failed.

Knows errors and the configuration, not the tasks. Airflow's own `ExceptionRetryPolicy` would need the
file, and every class it names, at each parse of a DAG file.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryDecision, RetryPolicy

from bellwether.errors import ConfigError, NotPublishedYet, RateLimited, VendorError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from bellwether.config import RetryRule


class BellwetherRetryPolicy(RetryPolicy):
    """Decides by the class of the error how often Airflow runs a task again.

    `airflow_retries` of the error's rule in `retry_policy.yaml` is the most, its `default` for errors without a
    rule of their own; beyond the task's `retries` Airflow never goes. Waits longer than `patience_s` are not
    decided here: `bellwether_airflow.waiting` sits them out without using up a try.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: "Context | None" = None
    ) -> RetryDecision:
        """Return what to do about `exception`, with the reason for the task's log.

        Parameters
        ----------
        exception
            What the task raised.
        try_number
            The try that failed, counted from 1 and on across clears.
        max_tries
            The tries after which Airflow gives up; a clear raises it.
        context
            The task's context, for its `retries`.
        """
        from bellwether.config import Config  # noqa: PLC0415 - only a failure needs it

        name = type(exception).__name__
        try:
            rule = Config.load().retry_policy.rule_for(exception)
        except ConfigError as error:
            return RetryDecision.fail(f"{name}, and how often to retry it cannot be read: {error}")
        if rule.airflow_retries == 0:
            return RetryDecision.fail(f"{name}: not one to retry, by retry_policy.yaml")
        # A clear gives the task its retries back: max_tries then is the tries so far + retries.
        tries_before_clear = max_tries - (context["task"].retries or 0) if context else 0
        tries = try_number - tries_before_clear
        if tries > rule.airflow_retries:
            return RetryDecision.fail(f"{name}: no more than {rule.airflow_retries} retries by retry_policy.yaml")
        return RetryDecision.retry(
            _delay(exception, rule), f"{name}: retry {tries} of {rule.airflow_retries} by retry_policy.yaml"
        )


def _delay(exception: BaseException, rule: "RetryRule") -> timedelta | None:
    if isinstance(exception, VendorError) and exception.retry_after_s is not None:
        # Never less than the vendor asked for: coming back early only burns a request and a try.
        return timedelta(seconds=exception.retry_after_s)
    if isinstance(exception, RateLimited | NotPublishedYet):
        return timedelta(seconds=rule.base_s)
    return None
