"""Which failures Airflow retries, how often, and after what delay."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction, RetryDecision
from airflow.sdk.exceptions import AirflowTaskTimeout

from bellwether.config import MOST_AIRFLOW_RETRIES
from bellwether.errors import (
    BadRequest,
    ConfigError,
    ConnectionFailed,
    NotASession,
    NotEntitled,
    NotFound,
    NotPublishedYet,
    QualityError,
    RateLimited,
    ServerError,
    Truncated,
    Unauthorized,
)
from bellwether_airflow.retry import BellwetherRetryPolicy

URL = "https://api.polygon.io/v1"
FAIL, RETRY = RetryAction.FAIL, RetryAction.RETRY


def decide(
    error: BaseException, try_number: int, max_tries: int = MOST_AIRFLOW_RETRIES, retries: int = MOST_AIRFLOW_RETRIES
) -> RetryDecision:
    context: Any = {"task": SimpleNamespace(retries=retries)}
    return BellwetherRetryPolicy().evaluate(error, try_number, max_tries, context)


@pytest.mark.parametrize(
    ("error", "actions"),
    [
        (BadRequest("bad", url=URL), [FAIL]),
        (Unauthorized("no", url=URL), [FAIL]),
        (NotEntitled("no", url=URL), [FAIL]),
        (NotFound("no", url=URL), [FAIL]),
        (ConfigError("settings.yaml: lake.root"), [FAIL]),
        (NotASession("2025-11-27"), [FAIL]),
        (QualityError("no rows"), [FAIL]),
        (ServerError("oops", url=URL, status=503), [RETRY, RETRY, FAIL]),
        (ConnectionFailed("no answer", url=URL), [RETRY, RETRY, FAIL]),
        (Truncated("cut", url=URL), [RETRY, RETRY, FAIL]),
        (NotPublishedYet("before end of day", url=URL), [RETRY, RETRY, FAIL]),
        (RateLimited("slow down", url=URL), [RETRY, RETRY, FAIL]),
        (KeyError("a bug"), [RETRY, RETRY, FAIL]),
        (AirflowTaskTimeout("two hours"), [RETRY, RETRY, FAIL]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_class_of_error_has_its_number_of_retries(error: BaseException, actions: list[RetryAction]) -> None:
    assert [decide(error, try_number).action for try_number in range(1, len(actions) + 1)] == actions


@pytest.mark.parametrize(
    ("retry_after_s", "delay"),
    [(None, timedelta(seconds=60)), (7.5, timedelta(seconds=7.5)), (0.0, timedelta(0))],
)
def test_rate_limits_wait_out_the_window_or_what_the_vendor_asked(
    retry_after_s: float | None, delay: timedelta
) -> None:
    assert decide(RateLimited("slow down", url=URL, retry_after_s=retry_after_s), 1).retry_delay == delay


def test_other_errors_wait_as_the_task_says() -> None:
    assert decide(ServerError("oops", url=URL), 1).retry_delay is None


def test_a_cleared_task_has_its_retries_again() -> None:
    error = ServerError("oops", url=URL)
    # It failed for good on its third try; the clear set max_tries to 3 + retries.
    tries = [decide(error, try_number, max_tries=3 + MOST_AIRFLOW_RETRIES).action for try_number in (4, 5, 6)]
    assert tries == [RETRY, RETRY, FAIL]


def test_without_a_context_tries_count_from_one() -> None:
    policy, error = BellwetherRetryPolicy(), ServerError("oops", url=URL)
    assert [policy.evaluate(error, number, 5).action for number in (2, 3)] == [RETRY, FAIL]


def test_the_reason_names_the_error_and_the_file() -> None:
    assert decide(ServerError("oops", url=URL), 1).reason == "ServerError: retry 1 of 2 by retry_policy.yaml"
    assert decide(QualityError("x"), 1).reason == "QualityError: running the task again cannot help"


def test_an_edit_of_the_file_counts_from_the_next_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_CONFIG_DIR", str(tmp_path))
    error = ServerError("oops", url=URL)
    policy_file = tmp_path / "retry_policy.yaml"
    policy_file.write_text("errors: {ServerError: {airflow_retries: 0}}")
    assert decide(error, 1).action is FAIL
    policy_file.write_text("errors: {ServerError: {airflow_retries: 1}}")
    assert decide(error, 1).action is RETRY
