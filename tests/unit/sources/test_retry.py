import random
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from bellwether.config import RetryPolicies, RetryRule
from bellwether.errors import (
    BadRequest,
    BadResponse,
    NotEntitled,
    NotFound,
    NotPublishedYet,
    OutsideHistory,
    RateLimited,
    ServerError,
    Unauthorized,
    VendorError,
)
from bellwether.sources.retry import Retrier, error_from_response

NOW = datetime(2024, 7, 3, 21, tzinfo=UTC)
URL = "https://api.polygon.io/v2/x"


class Flaky:
    """Raises its errors one by one, then returns 42."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 42


def retrier(policies: RetryPolicies | None = None, seed: int = 1) -> tuple[Retrier, list[float]]:
    waits_s: list[float] = []
    return Retrier(policies or RetryPolicies(), waits_s.append, random.Random(seed)), waits_s


def server_error() -> ServerError:
    return ServerError("boom", url=URL, status=500, request_id="r1")


def test_success_neither_waits_nor_logs() -> None:
    subject, waits_s = retrier()
    with structlog.testing.capture_logs() as logs:
        assert subject.call(Flaky()) == 42
    assert waits_s == []
    assert logs == []


def test_waits_are_full_jitter_that_doubles_up_to_the_cap() -> None:
    rule = RetryRule(attempts=6, base_s=10, cap_s=40)
    bounds = [10, 20, 40, 40, 40]
    drawn: list[list[float]] = []
    for seed in range(200):
        subject, waits_s = retrier(RetryPolicies(default=rule, errors={}), seed)
        assert subject.call(Flaky(*(server_error() for _ in bounds))) == 42
        drawn.append(waits_s)
    for column, bound in zip(zip(*drawn, strict=True), bounds, strict=True):
        assert 0 <= min(column) < 0.1 * bound
        assert 0.9 * bound < max(column) <= bound


def test_error_is_raised_as_it_is_once_its_attempts_are_used_up() -> None:
    subject, waits_s = retrier(RetryPolicies(default=RetryRule(attempts=3), errors={}))
    errors = [server_error() for _ in range(3)]
    flaky = Flaky(*errors)
    with pytest.raises(ServerError) as caught:
        subject.call(flaky)
    assert caught.value is errors[-1]
    assert flaky.calls == 3
    assert len(waits_s) == 2


def test_while_the_vendor_is_down_only_the_first_request_waits() -> None:
    subject, waits_s = retrier(RetryPolicies(default=RetryRule(attempts=3), errors={}))
    down = [Flaky(*(server_error() for _ in range(9))) for _ in range(4)]
    for flaky in down:
        with pytest.raises(ServerError):
            subject.call(flaky)
    assert [flaky.calls for flaky in down] == [3, 1, 1, 1]
    assert len(waits_s) == 2


def test_a_wait_that_the_vendor_names_is_waited_each_time() -> None:
    subject, waits_s = retrier(RetryPolicies(default=RetryRule(attempts=2), errors={}))
    for _ in range(2):
        with pytest.raises(RateLimited):
            subject.call(Flaky(*(RateLimited("slow down", url=URL, retry_after_s=5) for _ in range(2))))
    assert len(waits_s) == 2


@pytest.mark.parametrize("sign", [None, NotFound("no", url=URL), BadResponse("cut", url=URL)], ids=str)
def test_a_vendor_that_answers_otherwise_is_waited_for_again(sign: VendorError | None) -> None:
    subject, _ = retrier(RetryPolicies(default=RetryRule(attempts=2), errors={}))
    with pytest.raises(ServerError):
        subject.call(Flaky(server_error(), server_error()))
    with suppress(NotFound):
        subject.call(Flaky(*[sign] if sign else []))
    assert subject.call(Flaky(server_error())) == 42


@pytest.mark.parametrize("cls", [BadRequest, Unauthorized, NotEntitled, NotFound, NotPublishedYet])
def test_errors_that_another_try_cannot_help_are_tried_once(cls: type[VendorError]) -> None:
    subject, waits_s = retrier()
    flaky = Flaky(cls("no", url=URL))
    with pytest.raises(cls):
        subject.call(flaky)
    assert flaky.calls == 1
    assert waits_s == []


def test_other_exceptions_pass_at_once() -> None:
    subject, waits_s = retrier()
    with pytest.raises(ZeroDivisionError):
        subject.call(Flaky(ZeroDivisionError()))
    assert waits_s == []


@pytest.mark.parametrize(
    ("retry_after_s", "least_s"),
    [(None, 60.0), (50.0, 50.0), (0.0, 0.0), (4000.0, 100.0)],
    ids=["the vendor's minute", "honoured", "even none", "capped by the rule"],
)
def test_a_rate_limit_is_waited_out_whole_with_a_little_jitter(retry_after_s: float | None, least_s: float) -> None:
    policies = RetryPolicies(default=RetryRule(attempts=2, base_s=60, cap_s=100), errors={})
    subject, waits_s = retrier(policies)
    subject.call(Flaky(RateLimited("slow down", url=URL, retry_after_s=retry_after_s)))
    assert least_s <= waits_s[0] <= least_s + 6


@pytest.mark.parametrize(
    ("error", "sleeps"),
    [
        (RateLimited("slow down", url=URL, retry_after_s=300), False),
        (RateLimited("slow down", url=URL, retry_after_s=60), True),
        (RateLimited("slow down", url=URL), True),
        (ServerError("maintenance", url=URL, retry_after_s=61), False),
        (ServerError("maintenance", url=URL, retry_after_s=5), True),
    ],
    ids=["five minutes", "a minute", "unnamed", "maintenance", "a short one"],
)
def test_a_wait_beyond_the_patience_is_not_slept_but_raised_at_once(error: VendorError, sleeps: bool) -> None:
    waits_s: list[float] = []
    policies = RetryPolicies(default=RetryRule(attempts=2, base_s=60, cap_s=600), errors={})
    subject = Retrier(policies, waits_s.append, random.Random(1), patience_s=60)
    flaky = Flaky(error)
    if sleeps:
        assert subject.call(flaky) == 42
        assert len(waits_s) == 1
    else:
        with pytest.raises(type(error)) as caught:
            subject.call(flaky)
        assert caught.value is error
        assert (flaky.calls, waits_s) == (1, [])


def test_a_server_that_names_a_wait_is_left_alone_for_it() -> None:
    subject, waits_s = retrier()
    subject.call(Flaky(ServerError("maintenance", url=URL, retry_after_s=30)))
    assert 30 <= waits_s[0] <= 31


def test_each_retry_is_logged_once_with_its_reason() -> None:
    subject, waits_s = retrier()
    with structlog.testing.capture_logs() as logs:
        subject.call(Flaky(server_error(), BadResponse("cut", url=URL)))
    assert [(log["error"], log["reason"], log["attempt"], log["log_level"]) for log in logs] == [
        ("ServerError", "boom", 1, "warning"),
        ("BadResponse", "cut", 2, "warning"),
    ]
    assert logs[0]["wait_s"] == round(waits_s[0], 3)
    assert (logs[0]["status"], logs[0]["request_id"], logs[0]["url"]) == (500, "r1", URL)


JSON = b'{"status":"%s","request_id":"r9","%s":"%s"}'
ENTITLED = b"You are not entitled to this data."
EARLY = b"Attempted to request today's data before end of day."
TIMEFRAME = b"Your plan doesn't include this data timeframe."


@pytest.mark.parametrize(
    ("status", "body", "cls", "message"),
    [
        (400, JSON % (b"ERROR", b"error", b"Could not parse"), BadRequest, "Could not parse"),
        (401, JSON % (b"ERROR", b"error", b"Unknown API Key"), Unauthorized, "Unknown API Key"),
        (401, JSON % (b"NOT_FOUND", b"message", b"Ticker not found."), Unauthorized, "Ticker not found."),
        (403, JSON % (b"NOT_AUTHORIZED", b"message", ENTITLED), NotEntitled, ENTITLED.decode()),
        (403, JSON % (b"NOT_AUTHORIZED", b"message", TIMEFRAME), OutsideHistory, TIMEFRAME.decode()),
        (403, JSON % (b"NOT_AUTHORIZED", b"message", EARLY), NotPublishedYet, EARLY.decode()),
        (404, JSON % (b"NOT_FOUND", b"message", b"Ticker not found."), NotFound, "Ticker not found."),
        (404, b"<html>nginx: not found</html>", BadResponse, "<html>nginx: not found</html>"),
        (404, b'{"detail":"no such route"}', BadResponse, '{"detail":"no such route"}'),
        (429, JSON % (b"ERROR", b"error", b"You've exceeded"), RateLimited, "You've exceeded"),
        (429, b"", RateLimited, "HTTP 429 without a message"),
        (408, b"", ServerError, "HTTP 408 without a message"),
        (499, b"", ServerError, "HTTP 499 without a message"),
        (500, b'{"status":"ERROR"}', ServerError, "ERROR"),
        (502, b"<html>\n  <h1>Bad\n gateway</h1></html>", ServerError, "<html> <h1>Bad gateway</h1></html>"),
        (503, b"[" * 100_000, ServerError, "[" * 200),
        (504, b"\xff\xfe", ServerError, "\ufffd\ufffd"),
        (500, b"[1, 2]", ServerError, "[1, 2]"),
        (500, b'{"error":{"deep":1}}', ServerError, '{"error":{"deep":1}}'),
        (302, b"", BadResponse, "HTTP 302 without a message"),
        (204, b"", BadResponse, "HTTP 204 without a message"),
        (418, b"teapot", BadRequest, "teapot"),
    ],
)
def test_errors_are_named_by_status_first_and_then_by_the_body(
    status: int, body: bytes, cls: type[VendorError], message: str
) -> None:
    error = error_from_response(status, {}, body, url=URL, received_utc=NOW)
    assert type(error) is cls
    assert (error.message, error.status, error.url) == (message, status, URL)
    assert error.request_id == ("r9" if b"r9" in body else None)


def test_request_id_comes_from_the_header_where_the_body_has_none() -> None:
    error = error_from_response(500, {"X-Request-Id": "h1"}, b"", url=URL, received_utc=NOW)
    assert error.request_id == "h1"


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Wed, 03 Jul 2024 21:01:30 GMT", 90.0),
        ("Wed, 03 Jul 2024 21:01:30 -0000", 90.0),
        ("Wed, 03 Jul 2024 20:00:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e300", 2_592_000.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 2_592_000.0),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, expected_s: float | None) -> None:
    headers: dict[str, Any] = {} if header is None else {"Retry-After": header}
    error = error_from_response(429, headers, b"", url=URL, received_utc=NOW)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == expected_s
