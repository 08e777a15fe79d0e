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

    Parameters
    ----------
    most
        Of a task that goes on where it was, and so is retried as often as that; what is not one to retry still is not.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most

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
            policies = Config.load().retry_policy
        except ConfigError as error:
            return RetryDecision.fail(f"{name}, and how often to retry it cannot be read: {error}")
        rule = policies.rule_for(exception)
        if rule.airflow_retries == 0:
            return RetryDecision.fail(f"{name}: not one to retry, by retry_policy.yaml")
        most, source = (self._most, "its task") if self._most else (rule.airflow_retries, "retry_policy.yaml")
        tries = tries_since_clear(try_number, max_tries, context["task"].retries) if context else try_number
        if tries > most:
            return RetryDecision.fail(f"{name}: no more than {most} retries by {source}")
        delay = _delay(exception, rule)
        if delay is not None and delay.total_seconds() > policies.longest_wait_s:
            longest = f"longest_wait_s of retry_policy.yaml, {policies.longest_wait_s:.0f} s"
            return RetryDecision.fail(f"{name}: asks for {delay.total_seconds():.0f} s, more than {longest}")
        return RetryDecision.retry(delay, f"{name}: retry {tries} of {most} by {source}")


def tries_since_clear(try_number: int, max_tries: int, retries: int | None) -> int:
    """Return which try this is, counted from the task's last clear.

    A clear gives the task its retries back: `max_tries` then is the tries so far and the `retries`.
    """
    return try_number - (max_tries - (retries or 0))


def _delay(exception: BaseException, rule: "RetryRule") -> timedelta | None:
    if isinstance(exception, VendorError) and exception.retry_after_s is not None:
        # Never less than the vendor asked for: coming back early only burns a request and a try.
        return timedelta(seconds=exception.retry_after_s)
    if isinstance(exception, RateLimited | NotPublishedYet):
        return timedelta(seconds=rule.base_s)
    return None
