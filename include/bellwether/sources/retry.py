"""What a failed request means, and how often and how long apart it is tried again.

The error is named by HTTP status first and then by the vendor's words; `retry_policy.yaml` says the rest.
Full jitter keeps parallel tasks that failed together from returning together. This room knows answers,
errors and waits; it opens no connection and knows nothing of pages or tickers.
"""

import itertools
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

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
from bellwether.logging import get_logger
from bellwether.meter import note_error
from bellwether.sources.body import excerpt

log = get_logger(__name__)

_LONGEST_RETRY_AFTER_S = 30 * 86_400.0


@dataclass(slots=True)
class Retrier:
    """Calls a request until it succeeds or its error's rule is used up.

    While a vendor is down, every request would wait in vain as long as the first, and hold its task's slot: once an
    error has used up its attempts, the requests that follow are tried once each, until one does not fail like it.

    Parameters
    ----------
    policies
        The rule per class of error.
    sleep
        Waits for a number of seconds.
    rng
        Draws the jitter.
    patience_s
        The longest wait slept here. A longer one is left to the caller: the error is raised at once.
    """

    policies: RetryPolicies
    sleep: Callable[[float], None]
    rng: random.Random
    patience_s: float = math.inf
    _given_up: type[VendorError] | None = field(default=None, init=False)

    def call[T](self, request: Callable[[], T]) -> T:
        """Return what `request` returns.

        Raises
        ------
        VendorError
            The last one, when its rule allows no further attempt or it asks for a longer wait than `patience_s`. Any
            other exception passes at once.
        """
        for attempt in itertools.count(1):
            try:
                answer = request()
            except VendorError as error:
                note_error(error)
                rule = self.policies.rule_for(error)
                wait_s = self._wait_s(error, rule, attempt)
                if attempt >= rule.attempts or wait_s > self.patience_s or type(error) is self._given_up:
                    # A wait that the vendor names is worth waiting each time.
                    self._given_up = None if _is_told(error) else type(error)
                    raise
                self._given_up = None
                if _is_told(error):
                    # Never for an hour in one task; and those told the same do not return together.
                    wait_s = min(wait_s, rule.cap_s) + self.rng.uniform(0, rule.base_s / 10)
                log.warning(
                    "request is tried again",
                    error=type(error).__name__,
                    reason=error.message,
                    url=error.url,
                    status=error.status,
                    request_id=error.request_id,
                    attempt=attempt,
                    attempts=rule.attempts,
                    wait_s=round(wait_s, 3),
                )
            else:
                self._given_up = None
                return answer
            self.sleep(wait_s)
        raise AssertionError  # pragma: no cover - count() does not end

    def _wait_s(self, error: VendorError, rule: RetryRule, attempt: int) -> float:
        if _is_told(error):
            # The vendor counts requests by the minute: a shorter wait only burns an attempt. It does not document
            # Retry-After; where it comes it is heeded.
            return rule.base_s if error.retry_after_s is None else error.retry_after_s
        return self.rng.uniform(0, min(rule.cap_s, rule.base_s * 2 ** (attempt - 1)))


def _is_told(error: VendorError) -> bool:
    return isinstance(error, RateLimited) or error.retry_after_s is not None


def error_from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, url: str, received_utc: datetime
) -> VendorError:
    """Return the error that a response other than 200 means, by HTTP status first and then by its body.

    The message is the vendor's where the body has one; plans and endpoints differ in whether they call it
    `error` or `message`.
    """
    texts = _vendor_texts(body)
    message = texts.get("error") or texts.get("message") or texts.get("status") or excerpt(body)
    message = message or f"HTTP {status} without a message"
    request_id = texts.get("request_id") or headers.get("X-Request-Id") or None
    cls = _error_class(status, message)
    if status == 404 and texts.get("status") != "NOT_FOUND":
        # A proxy, or a base URL that is not the vendor's: believed, it would prove that no ticker exists.
        cls = BadResponse
    wait_s = retry_after_s(headers.get("Retry-After"), received_utc)
    return cls(message, url=url, status=status, request_id=request_id, retry_after_s=wait_s)


def _error_class(status: int, message: str) -> type[VendorError]:
    if status == 403:
        words = message.lower()
        if "before end of day" in words:
            return NotPublishedYet
        return OutsideHistory if "timeframe" in words else NotEntitled
    if status in {408, 499} or status >= 500:
        return ServerError
    named: dict[int, type[VendorError]] = {401: Unauthorized, 404: NotFound, 429: RateLimited}
    # Redirects and bodiless successes are answers nobody asked for; any other 4xx is a fault of the request.
    return named.get(status, BadRequest if status >= 400 else BadResponse)


def _vendor_texts(body: bytes) -> dict[str, str]:
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: value for key, value in content.items() if isinstance(value, str) and value}


def retry_after_s(value: str | None, received_utc: datetime) -> float | None:
    """Return the seconds a `Retry-After` header asks for, as a number or a date; None where it says nothing usable."""
    if value is None:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return None
        # RFC 9110 dates are GMT; the parser leaves "-0000" naive.
        wait_s = (until.replace(tzinfo=until.tzinfo or UTC) - received_utc).total_seconds()
    # Hostile or broken: what is longer than any wait that makes sense must not overflow anybody's clock.
    return min(max(0.0, wait_s), _LONGEST_RETRY_AFTER_S) if math.isfinite(wait_s) else None
