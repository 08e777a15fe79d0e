"""One key's rate limit: who shares it, how a wait looks from outside, and how it goes with the transport."""

import math
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bellwether.errors import ConfigError, ConnectionFailed, RateLimited
from bellwether.logging import redact
from bellwether.sources.limit_stores import FileStore, redis_url, redis_url_from_variable
from bellwether.sources.limits import RateLimit, open_limit, requests_per_minute
from bellwether.sources.rest import PolygonRest
from bellwether.sources.turns import Rules, State
from tests.unit.sources.conftest import FakeVendor

STATUS = (
    b'{"market":"open","serverTime":"2025-11-26T10:00:00-05:00","exchanges":{},"earlyHours":false,"afterHours":false}'
)


class Memory:
    """A store with a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.state = State()
        self.now_s = 1000.0
        self.broken = False

    def change[T](self, step: Callable[[State, float], T]) -> T:
        if self.broken:
            message = "down"
            raise ConnectionFailed(message, url="store")
        return step(self.state, self.now_s)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def store() -> Memory:
    return Memory()


def limit(store: Memory, requests: int = 1, **options: Any) -> RateLimit:
    options = {"lane": "dag", "sleep": store.sleep, **options}
    return RateLimit(Rules(requests), store, url="https://api.polygon.io", **options)


def shared(folder: Path, url: str = "https://api.polygon.io", key: str = "k", lane: str = "cli") -> RateLimit:
    found = open_limit(url, key, 1, redis_url=None, folder=str(folder), lane=lane, patience_s=0)
    assert found is not None
    return found


def test_a_wait_is_told_while_it_lasts_and_when_it_is_over(store: Memory) -> None:
    told_s: list[float] = []
    waiting = limit(store, on_wait=told_s.append)
    for _ in range(2):
        with waiting.slot():
            pass
    assert told_s[0] == pytest.approx(60.3)
    assert told_s == sorted(told_s, reverse=True)
    assert told_s[-1] == 0
    assert store.now_s == pytest.approx(1060.3)


def test_a_longer_wait_than_patience_is_refused_at_once_in_plain_words(store: Memory) -> None:
    with limit(store).slot():
        pass
    with pytest.raises(RateLimited, match="1 requests per minute are used up; the next turn is in 61 s") as refused:
        limit(store, patience_s=60).slot().__enter__()
    assert (refused.value.retry_after_s, refused.value.status, store.now_s) == (61, None, 1000.0)


@pytest.mark.parametrize(("caller", "places"), [("task", 1), (None, 0)])
def test_a_place_is_kept_for_who_can_be_known_again(store: Memory, caller: str | None, places: int) -> None:
    with limit(store).slot():
        pass
    with pytest.raises(RateLimited):
        limit(store, patience_s=0, caller=caller).slot().__enter__()
    assert len(store.state.waiters) == places


def test_who_is_interrupted_while_waiting_leaves_the_line(store: Memory) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with limit(store).slot():
        pass
    with pytest.raises(KeyboardInterrupt):
        limit(store, sleep=interrupt).slot().__enter__()
    assert store.state.waiters == []


def test_an_answer_is_not_lost_when_the_state_cannot_be_written_after_it(store: Memory) -> None:
    with limit(store).slot():
        store.broken = True
    store.broken = False
    assert [slot.sent_s for slot in store.state.slots] == [1010.0]  # as if its holder had been killed


def test_one_key_on_one_host_is_shared_and_others_are_not(tmp_path: Path) -> None:
    with shared(tmp_path, "https://api.polygon.io").slot():
        pass
    with pytest.raises(RateLimited):
        shared(tmp_path, "https://API.polygon.io/", lane="equities_daily").slot().__enter__()
    for other in (shared(tmp_path, "http://127.0.0.1:8765"), shared(tmp_path, key="k2")):
        with other.slot():
            pass


def test_a_plan_without_a_limit_touches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "limits"
    assert open_limit("https://h", "k", None, redis_url="redis://nowhere", folder=str(folder), lane="cli") is None
    assert not folder.exists()


def test_the_files_are_private_and_do_not_hold_the_key(tmp_path: Path) -> None:
    folder, key = tmp_path / "limits", "sEcReT-kEy-42"
    with shared(folder, key=key).slot():
        pass
    files = list(folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert key not in "".join(file.name + file.read_text() for file in files)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"limits\.folder of settings\.yaml, .*file/limits"):
        FileStore(tmp_path / "file" / "limits", "x")


def test_a_folder_that_disappears_is_an_error_worth_a_retry(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "limits", "x")
    (tmp_path / "limits").rmdir()
    with pytest.raises(ConnectionFailed, match="the rate limit's file"):
        store.change(lambda state, _: len(state.slots))


@pytest.mark.parametrize("content", [b"{}", b"00000000 {}\n", b'0d8bea18 {"slots": 3}\n', b"\xff" * 50])
def test_a_damaged_file_counts_as_a_window_used_up(tmp_path: Path, content: bytes) -> None:
    with shared(tmp_path).slot():
        pass
    next(tmp_path.iterdir()).write_bytes(content)
    with pytest.raises(RateLimited) as refused:
        shared(tmp_path).slot().__enter__()
    assert refused.value.retry_after_s == 60


@pytest.mark.parametrize(("value", "found"), [(None, None), ("", None), (5, 5), ("5", 5)])
def test_a_limit_is_a_whole_number_or_empty(value: object, found: int | None) -> None:
    assert requests_per_minute(value, "x") == found


@pytest.mark.parametrize("value", [0, -1, "five", 5.5, True, [5]])
def test_any_other_limit_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"x is .*; it is a whole number from 1"):
        requests_per_minute(value, "x")


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "r"}, "redis://r:6379/0"),
        ({"host": "r", "port": 6380, "extra": {"db": 3, "ssl": True}}, "rediss://r:6380/3"),
        ({"host": "r", "password": "limits@test", "extra": '{"db": 1}'}, "redis://:limits%40test@r:6379/1"),
        (
            {"host": "r", "login": "me", "password": "limits-pw-1234", "schema": "2"},
            "redis://me:limits-pw-1234@r:6379/2",
        ),
    ],
)
def test_a_redis_connection_becomes_a_url_and_its_password_a_secret(fields: dict[str, Any], url: str) -> None:
    assert redis_url(fields) == url
    assert "password" not in fields or fields["password"] not in redact(f"cannot reach {url}")


def test_the_variable_of_the_redis_connection_is_json_or_a_uri() -> None:
    assert redis_url_from_variable(None) is None
    assert redis_url_from_variable('{"conn_type": "redis", "host": "r"}') == "redis://r:6379/0"
    assert redis_url_from_variable("redis://:limits-test-pw@r:6379/1") == "redis://:limits-test-pw@r:6379/1"
    for broken in ("r:6379", "{", "postgres://r"):
        with pytest.raises(ConfigError, match="AIRFLOW_CONN_RATE_LIMIT"):
            redis_url_from_variable(broken)


def test_every_request_takes_a_slot_each_retry_too(
    store: Memory, vendor: FakeVendor, make_rest: Callable[..., PolygonRest]
) -> None:
    vendor.answer(b"", 503)
    vendor.answer(STATUS)
    make_rest(attempts=2, limit=limit(store, requests=5)).market_status()
    assert len(store.state.slots) == 2
    assert {slot.sent_s for slot in store.state.slots} == {1000.0}


def test_a_429_of_the_vendor_holds_back_everybody_who_uses_the_key(
    store: Memory, vendor: FakeVendor, make_rest: Callable[..., PolygonRest]
) -> None:
    vendor.answer(b"", 429, {"Retry-After": "30"})
    with pytest.raises(RateLimited):
        make_rest(limit=limit(store, requests=5)).market_status()
    with pytest.raises(RateLimited) as refused:
        limit(store, requests=5, lane="other", patience_s=0).slot().__enter__()
    assert refused.value.retry_after_s == 30


def test_a_refused_wait_sends_nothing(store: Memory, vendor: FakeVendor, make_rest: Callable[..., PolygonRest]) -> None:
    store.broken = True
    with pytest.raises(ConnectionFailed, match="down"):
        make_rest(limit=limit(store)).market_status()
    assert vendor.calls == []
    assert math.isfinite(store.now_s)


def test_a_wait_beyond_patience_leaves_the_transport_at_once(
    store: Memory, vendor: FakeVendor, make_rest: Callable[..., PolygonRest]
) -> None:
    vendor.answer(STATUS)
    rest = make_rest(attempts=3, patience_s=30, limit=limit(store, patience_s=30))
    rest.market_status()
    with pytest.raises(RateLimited) as refused:
        rest.market_status()
    assert refused.value.retry_after_s == 61
    assert (vendor.waits_s, len(vendor.calls), store.now_s) == ([], 1, 1000.0)
