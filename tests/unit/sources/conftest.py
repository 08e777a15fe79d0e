"""A vendor without a socket: scripted answers at the seam of urllib3's pool."""

import io
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3

from bellwether.clock import SimulatedClock
from bellwether.config import RetryPolicies, RetryRule
from bellwether.sources.rest import PolygonRest

KEY = "SECRET-KEY-0123456789"


@dataclass
class Call:
    url: str
    fields: Mapping[str, Any] | None
    headers: Mapping[str, str]
    options: Mapping[str, Any]


@dataclass
class FakeVendor:
    """Answers requests in the order of its script; an exception in the script is raised."""

    script: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    def answer(self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.script.append((body, status, dict(headers or {})))

    def fail(self, error: Exception) -> None:
        self.script.append(error)

    def request(self, method: str, url: str, fields: Any, headers: Mapping[str, str], **options: Any) -> Any:
        assert method == "GET"
        self.calls.append(Call(url, fields, headers, options))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        body, status, reply_headers = step
        return urllib3.HTTPResponse(
            body=io.BytesIO(body), status=status, headers=reply_headers, preload_content=False, request_method="GET"
        )


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> FakeVendor:
    fake = FakeVendor()
    monkeypatch.setattr(urllib3.PoolManager, "request", lambda _pool, *args, **kwargs: fake.request(*args, **kwargs))
    return fake


@pytest.fixture
def make_rest(vendor: FakeVendor) -> Callable[..., PolygonRest]:
    def make(base_url: str = "https://api.polygon.io", attempts: int = 1, **options: Any) -> PolygonRest:
        return PolygonRest(
            base_url,
            KEY,
            retries=RetryPolicies(default=RetryRule(attempts=attempts), errors={}),
            clock=SimulatedClock(datetime(2024, 7, 3, 21, tzinfo=UTC), speed=0),
            sleep=vendor.waits_s.append,
            rng=random.Random(7),
            **options,
        )

    return make
