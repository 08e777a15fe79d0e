"""Which failed tasks Airflow runs again: `config/retry_policy.yaml`, read only when something failed.

Knows errors and the configuration, not the tasks. Airflow's own `ExceptionRetryPolicy` would need the
file, and every class it names, at each parse of a DAG file.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airflow.sdk import RetryDecision, RetryPolicy

from bellwether.errors import ConfigError, NotASession, NothingProven, QualityError, RateLimited

if TYPE_CHECKING:
    from airflow.sdk import Context

# Repeating the task cannot change these; someone must act first.
_FATAL: Final = (ConfigError, NotASession, NothingProven, QualityError)


class BellwetherRetryPolicy(RetryPolicy):
    """Decides by the class of the error how often Airflow runs a task again.

    `airflow_retries` of the error's rule in `retry_policy.yaml` is the most, its `default` for errors without a
    rule of their own; beyond the task's `retries` Airflow never goes.
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

        Raises
        ------
        ConfigError
            `retry_policy.yaml` is wrong; Airflow logs it and follows the task's own settings.
        """
        from bellwether.config import Config  # noqa: PLC0415 - only a failure needs it

        name = type(exception).__name__
        if isinstance(exception, _FATAL):
            return RetryDecision.fail(f"{name}: running the task again cannot help")
        rule = Config.load().retry_policy.rule_for(exception)
        # A clear gives the task its retries back: max_tries then is the tries so far + retries.
        tries_before_clear = max_tries - (context["task"].retries or 0) if context else 0
        tries = try_number - tries_before_clear
        if tries > rule.airflow_retries:
            return RetryDecision.fail(f"{name}: no more than {rule.airflow_retries} retries by retry_policy.yaml")
        delay: timedelta | None = None
        if isinstance(exception, RateLimited):
            # The vendor's window is a minute; Retry-After is not documented, but honoured where it is sent.
            asked_s = rule.base_s if exception.retry_after_s is None else exception.retry_after_s
            delay = timedelta(seconds=min(asked_s, rule.cap_s))
        return RetryDecision.retry(delay, f"{name}: retry {tries} of {rule.airflow_retries} by retry_policy.yaml")
