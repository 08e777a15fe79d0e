"""Which failures Airflow retries, how often, and after what delay."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction, RetryDecision
from airflow.sdk.exceptions import AirflowTaskTimeout

from bellwether import errors
from bellwether.config import MOST_AIRFLOW_RETRIES
from bellwether.errors import (
    BadRequest,
    BadResponse,
    BellwetherError,
    ConfigError,
    ConnectionFailed,
    CursorRefused,
    Drifted,
    DriftError,
    DrillFailed,
    GapsLeft,
    InputsChanged,
    InputsMissing,
    LakeError,
    LeaseHeld,
    NotASession,
    NotBroadcast,
    NotEntitled,
    NotFound,
    NothingProven,
    NotPublishedYet,
    NotRecovered,
    NotReproduced,
    OutsideHistory,
    QualityError,
    QuarantineError,
    RateLimited,
    ServerError,
    SnapshotMissed,
    Stopped,
    StreamError,
    StreamRefused,
    Truncated,
    Unauthorized,
    VendorError,
)
from bellwether_airflow.retry import BellwetherRetryPolicy

URL = "https://api.polygon.io/v1"
FAIL, RETRY = RetryAction.FAIL, RetryAction.RETRY


def decide(
    error: BaseException, try_number: int, max_tries: int = MOST_AIRFLOW_RETRIES, retries: int = MOST_AIRFLOW_RETRIES
) -> RetryDecision:
    context: Any = {"task": SimpleNamespace(retries=retries)}
    return BellwetherRetryPolicy().evaluate(error, try_number, max_tries, context)


# Every class of bellwether.errors, and what Airflow runs that is none: what is done after each try.
TWICE, AT_ONCE = [RETRY, RETRY, FAIL], [FAIL]
DECISIONS: list[tuple[BaseException, list[RetryAction]]] = [
    (BellwetherError("anything else"), TWICE),
    (VendorError("odd", url=URL), TWICE),
    (BadRequest("bad", url=URL), AT_ONCE),
    (Unauthorized("no", url=URL), AT_ONCE),
    (NotEntitled("no", url=URL), AT_ONCE),
    (OutsideHistory("no", url=URL), AT_ONCE),
    (NotFound("no", url=URL), AT_ONCE),
    (ConfigError("settings.yaml: lake.root"), AT_ONCE),
    (NotASession("2025-11-27"), AT_ONCE),
    (QualityError("no rows"), AT_ONCE),
    (NothingProven("every ticker failed"), AT_ONCE),
    (DriftError("a field is gone"), AT_ONCE),
    (Drifted("`v` is called `vol`", url=URL), AT_ONCE),
    (DrillFailed("2 minutes are lost"), AT_ONCE),
    (NotRecovered("2 sessions are not recovered"), AT_ONCE),
    (NotReproduced("equities 2025-07-01 is not what raw comes to"), AT_ONCE),
    (QuarantineError("the row is still invalid"), AT_ONCE),
    (SnapshotMissed("after the close"), AT_ONCE),
    (InputsMissing("equities is not published"), AT_ONCE),
    (InputsChanged("published anew"), AT_ONCE),
    (LakeError("disk full"), TWICE),
    (StreamError("told to stop"), TWICE),
    (LeaseHeld("recorded by another"), TWICE),
    (StreamRefused("no such key"), AT_ONCE),
    (NotBroadcast("over"), AT_ONCE),
    (GapsLeft("one is open"), AT_ONCE),
    (Stopped("by a user"), TWICE),
    (ServerError("oops", url=URL, status=503), TWICE),
    (ConnectionFailed("no answer", url=URL), TWICE),
    (BadResponse("html", url=URL), TWICE),
    (Truncated("cut", url=URL), TWICE),
    (CursorRefused("no such page", url=URL), TWICE),
    (NotPublishedYet("before end of day", url=URL), TWICE),
    (RateLimited("slow down", url=URL), TWICE),
    (KeyError("a bug"), TWICE),
    (AirflowTaskTimeout("two hours"), TWICE),
]


def test_the_table_knows_every_error() -> None:
    known = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BellwetherError)}
    assert known <= {type(error) for error, _ in DECISIONS}


@pytest.mark.parametrize("tries_before", [0, 3], ids=["at first", "after a clear"])
@pytest.mark.parametrize(
    ("error", "actions"),
    DECISIONS,
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_class_of_error_has_its_number_of_retries(
    error: BaseException, actions: list[RetryAction], tries_before: int
) -> None:
    tries = range(tries_before + 1, tries_before + 1 + len(actions))
    decisions = [decide(error, number, max_tries=tries_before + MOST_AIRFLOW_RETRIES) for number in tries]
    assert [decision.action for decision in decisions] == actions
    assert all(str(decision.reason).startswith(f"{type(error).__name__}: ") for decision in decisions)


@pytest.mark.parametrize(
    ("retry_after_s", "delay"),
    [(None, timedelta(seconds=60)), (7.5, timedelta(seconds=7.5)), (0.0, timedelta(0)), (7200, timedelta(hours=2))],
)
def test_rate_limits_wait_out_the_window_or_what_the_vendor_asked_whatever_the_cap(
    retry_after_s: float | None, delay: timedelta
) -> None:
    assert decide(RateLimited("slow down", url=URL, retry_after_s=retry_after_s), 1).retry_delay == delay


def test_a_server_that_names_a_wait_is_given_it() -> None:
    assert decide(ServerError("maintenance", url=URL, retry_after_s=45), 1).retry_delay == timedelta(seconds=45)


def test_other_errors_wait_as_the_task_says() -> None:
    assert decide(ServerError("oops", url=URL), 1).retry_delay is None


def test_data_not_published_yet_are_asked_for_after_an_hour_where_no_task_waits_for_them() -> None:
    assert decide(NotPublishedYet("before end of day", url=URL), 1).retry_delay == timedelta(hours=1)


def test_without_a_context_tries_count_from_one() -> None:
    policy, error = BellwetherRetryPolicy(), ServerError("oops", url=URL)
    assert [policy.evaluate(error, number, 5).action for number in (2, 3)] == [RETRY, FAIL]


def test_a_task_that_goes_on_where_it_was_is_retried_as_often_as_it_says_but_not_when_someone_must_act() -> None:
    policy, context = BellwetherRetryPolicy(most=40), {"task": SimpleNamespace(retries=40)}
    stopped = StreamError("told to stop")
    assert [policy.evaluate(stopped, number, 40, context).action for number in (1, 40, 41)] == [RETRY, RETRY, FAIL]
    assert policy.evaluate(stopped, 3, 40, context).reason == "StreamError: retry 3 of 40 by its task"
    assert policy.evaluate(StreamRefused("no such key"), 1, 40, context).action is FAIL


def test_the_reason_names_the_error_and_the_file() -> None:
    assert decide(ServerError("oops", url=URL), 1).reason == "ServerError: retry 1 of 2 by retry_policy.yaml"
    assert decide(QualityError("x"), 1).reason == "QualityError: not one to retry, by retry_policy.yaml"


def test_an_edit_of_the_file_counts_from_the_next_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_CONFIG_DIR", str(tmp_path))
    error = ServerError("oops", url=URL)
    policy_file = tmp_path / "retry_policy.yaml"
    policy_file.write_text("errors: {ServerError: {airflow_retries: 0}}")
    assert decide(error, 1).action is FAIL
    policy_file.write_text("errors: {ServerError: {airflow_retries: 1}}")
    assert decide(error, 1).action is RETRY


def test_a_broken_file_fails_at_once_and_the_reason_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "retry_policy.yaml").write_text("errors: {ServerErr: {airflow_retries: 1}}")
    decision = decide(ServerError("oops", url=URL), 1)
    assert decision.action is FAIL
    assert "retry_policy.yaml: errors: " in str(decision.reason)
    assert "no such error: ServerErr" in str(decision.reason)


def test_a_wait_longer_than_any_allowed_fails_at_once_and_says_so() -> None:
    decision = BellwetherRetryPolicy().evaluate(RateLimited("wait", url="https://vendor", retry_after_s=90_000.0), 1, 5)
    assert decision.action == RetryAction.FAIL
    assert "asks for 90000 s, more than longest_wait_s" in decision.reason
