import gzip
import importlib
import json
import logging
import pickle
import sys
from collections.abc import Callable
from typing import Any

import polygon
import pytest
import urllib3

from bellwether.errors import (
    BadResponse,
    ConfigError,
    ConnectionFailed,
    NotFound,
    RateLimited,
    ServerError,
    Truncated,
    Unauthorized,
    VendorError,
)
from bellwether.logging import redact, register_secret
from bellwether.sources import walk
from bellwether.sources.aggregates import Aggregates
from bellwether.sources.rest import PolygonRest
from bellwether.sources.wire import Timeouts

KEY = "SECRET-KEY-0123456789"
T0 = 1_720_000_800_000
TO = T0 + 600_000
RESOURCE = "/v2/aggs/ticker/SPY/range/1/minute"
FIRST_URL = f"https://api.polygon.io{RESOURCE}/{T0}/{TO}?adjusted=false&sort=asc&limit=50000"
Make = Callable[..., PolygonRest]


def page(*minutes: int, **changes: Any) -> bytes:
    bars = [{"v": 1, "o": 1, "c": 1, "h": 1, "l": 1, "t": T0 + 60_000 * minute} for minute in minutes]
    head = {"ticker": "SPY", "queryCount": len(bars), "resultsCount": len(bars), "adjusted": False, "status": "OK"}
    return json.dumps({**head, "request_id": "r1", "results": bars, **changes}).encode()


def next_url(minute: int, host: str = "https://api.massive.com:443") -> str:
    return f"{host}{RESOURCE}/{T0 + 60_000 * minute}/{TO}?cursor=c{minute}"


def fetch(rest: PolygonRest) -> Aggregates:
    return rest.aggregates("SPY", T0, TO)


def test_one_page_is_asked_for_unadjusted_ascending_and_whole(vendor: Any, make_rest: Make) -> None:
    vendor.answer(page(0, 1))
    answer = fetch(make_rest())
    (call,) = vendor.calls
    assert call.url == f"https://api.polygon.io{RESOURCE}/{T0}/{TO}"
    assert call.fields == {"adjusted": "false", "sort": "asc", "limit": "50000"}
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert call.headers["Accept-Encoding"] == "gzip"
    assert call.options == {"preload_content": False, "redirect": False, "retries": False}
    assert (answer.ticker, answer.status, answer.api_calls, answer.table.num_rows) == ("SPY", "OK", 1, 2)


def test_pages_are_followed_on_the_configured_host_only(vendor: Any, make_rest: Make) -> None:
    vendor.answer(page(0, 1, next_url=next_url(2)))
    vendor.answer(page(2, next_url=next_url(3, host="http://evil.example:8080"), status="DELAYED"))
    vendor.answer(page(3, next_url=""))
    answer = fetch(make_rest("http://127.0.0.1:18080/"))
    assert [call.url.partition("?")[0].rpartition("/")[0] for call in vendor.calls] == [
        f"http://127.0.0.1:18080{RESOURCE}/{T0 + 60_000 * minute}" for minute in (0, 2, 3)
    ]
    assert vendor.calls[1].url.endswith("?cursor=c2")
    assert vendor.calls[1].fields is None
    assert (answer.table.num_rows, answer.api_calls, answer.status) == (4, 3, "DELAYED")


def test_raw_pages_are_verbatim_and_show_neither_key_nor_cursor(vendor: Any, make_rest: Make) -> None:
    bodies = [page(0, next_url=next_url(1)), page(1, request_id=None)]
    vendor.answer(gzip.compress(bodies[0]), headers={"Content-Encoding": "GZIP"})
    vendor.answer(bodies[1], headers={"x-request-id": "h2"})
    first, second = fetch(make_rest()).pages
    assert [first.body, second.body] == bodies
    assert [first.url, second.url] == [FIRST_URL, f"https://api.polygon.io{RESOURCE}/{T0 + 60_000}/{TO}"]
    assert [first.request_id, second.request_id] == ["r1", "h2"]
    assert (first.http_status, first.received_utc.isoformat()) == (200, "2024-07-03T21:00:00+00:00")


def test_a_retried_page_does_not_fetch_earlier_pages_again(vendor: Any, make_rest: Make) -> None:
    vendor.answer(page(0, next_url=next_url(1)))
    vendor.answer(b"", status=502)
    vendor.answer(page(1, next_url=next_url(2))[:-5])
    vendor.fail(urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError()))
    vendor.answer(page(1, next_url=next_url(2)))
    vendor.answer(page(2))
    answer = fetch(make_rest(attempts=4))
    assert [call.url[-2:] for call in vendor.calls] == [str(TO)[-2:], "c1", "c1", "c1", "c1", "c2"]
    assert (answer.api_calls, answer.table.num_rows, len(answer.pages)) == (6, 3, 3)
    assert len(vendor.waits_s) == 3


def test_a_proven_empty_answer_has_no_rows_and_one_page(vendor: Any, make_rest: Make) -> None:
    vendor.answer(b'{"ticker":"SPY","queryCount":0,"resultsCount":0,"adjusted":false,"status":"OK","request_id":"r1"}')
    answer = fetch(make_rest())
    assert (answer.table.num_rows, len(answer.pages)) == (0, 1)


def test_a_vendor_that_never_ends_is_given_up(vendor: Any, make_rest: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_PAGES", 3)
    for number in range(3):
        vendor.answer(page(0, next_url=next_url(number)))
    with pytest.raises(BadResponse, match="more than 3 pages"):
        fetch(make_rest())


@pytest.mark.parametrize("ticker", ["../x", "SPY/../AAPL", "", "SPY?apiKey=1", "spy", "O:SPY", "I:../VIX"])
def test_what_is_no_ticker_never_reaches_a_url(vendor: Any, make_rest: Make, ticker: str) -> None:
    with pytest.raises(ValueError, match="not a ticker"):
        make_rest().aggregates(ticker, T0, TO)
    assert vendor.calls == []


@pytest.mark.parametrize(
    ("status", "headers", "content", "cls"),
    [
        (404, {}, b'{"status":"NOT_FOUND","request_id":"r7","message":"Ticker not found."}', NotFound),
        (
            401,
            {},
            b'{"request_id":"r7","error":"Unknown API Key ' + KEY.encode() + b'"}',
            Unauthorized,
        ),
        (429, {"Retry-After": "9"}, b'{"request_id":"r7"}', RateLimited),
        (500, {"Content-Encoding": "gzip", "X-Request-Id": "r7"}, b"not gzip at all", ServerError),
        (503, {"Content-Length": "999", "X-Request-Id": "r7"}, b"cut", ServerError),
        (302, {"Location": "https://evil.example/", "X-Request-Id": "r7"}, b"", BadResponse),
        (200, {"Content-Encoding": "gzip", "X-Request-Id": "r7"}, gzip.compress(page(0))[:-30], Truncated),
        (200, {"Content-Encoding": "gzip", "X-Request-Id": "r7"}, b"not gzip at all", BadResponse),
        (200, {"Content-Length": "9999", "X-Request-Id": "r7"}, page(0), Truncated),
        (200, {"X-Request-Id": "r7"}, b"<html>" + KEY.encode(), BadResponse),
    ],
)
def test_errors_keep_status_and_request_id_and_never_the_key(
    vendor: Any, make_rest: Make, status: int, headers: dict[str, str], content: bytes, cls: type[VendorError]
) -> None:
    vendor.answer(content, status, headers)
    with pytest.raises(VendorError) as caught:
        fetch(make_rest())
    error = caught.value
    assert type(error) is cls
    assert (error.status, error.request_id, error.url) == (status, "r7", FIRST_URL)
    assert KEY not in repr(error.__dict__) + str(error) + str(pickle.loads(pickle.dumps(error)))  # noqa: S301 - its own bytes


def test_retry_after_of_the_response_reaches_the_error(vendor: Any, make_rest: Make) -> None:
    vendor.answer(b"", 429, {"Retry-After": "9"})
    with pytest.raises(RateLimited) as caught:
        fetch(make_rest())
    assert caught.value.retry_after_s == 9.0


@pytest.mark.parametrize(
    "failure",
    [
        urllib3.exceptions.ReadTimeoutError(None, "/", "Read timed out."),
        urllib3.exceptions.ConnectTimeoutError("timed out"),
        urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError()),
        urllib3.exceptions.SSLError("certificate verify failed"),
        TimeoutError("timed out"),
    ],
)
def test_no_answer_is_connection_failed(vendor: Any, make_rest: Make, failure: Exception) -> None:
    vendor.fail(failure)
    with pytest.raises(ConnectionFailed, match=type(failure).__name__) as caught:
        fetch(make_rest())
    assert (caught.value.status, caught.value.url) == (None, FIRST_URL)


def test_a_response_that_drips_past_its_time_is_given_up(vendor: Any, make_rest: Make) -> None:
    vendor.answer(page(0))
    with pytest.raises(ConnectionFailed, match="not complete after 0 s"):
        fetch(make_rest(timeouts=Timeouts(response_s=0.0)))


def test_market_status_is_the_cheapest_call_that_proves_a_key(vendor: Any, make_rest: Make) -> None:
    vendor.answer(b'{"market":"open","serverTime":"2024-07-03T10:00:00-04:00"}')
    vendor.answer(b'{"error":"Unknown API Key"}', 401)
    rest = make_rest()
    assert rest.market_status().market == "open"
    assert vendor.calls[0].url == "https://api.polygon.io/v1/marketstatus/now"
    with pytest.raises(Unauthorized, match="Unknown API Key"):
        rest.market_status()


def test_the_clients_pool_gets_timeouts_connections_and_no_retries_of_its_own(
    vendor: Any, make_rest: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[urllib3.PoolManager] = []
    original = urllib3.PoolManager.__init__

    def remember(pool: urllib3.PoolManager, *args: Any, **kwargs: Any) -> None:
        pools.append(pool)
        original(pool, *args, **kwargs)

    monkeypatch.setattr(urllib3.PoolManager, "__init__", remember)
    make_rest(timeouts=Timeouts(connect_s=2.0, read_s=3.0))
    options = pools[0].connection_pool_kw
    assert (options["timeout"].connect_timeout, options["timeout"].read_timeout) == (2.0, 3.0)
    assert (options["maxsize"], options["block"], options["retries"]) == (8, True, False)


def test_the_clients_own_log_handlers_are_removed(vendor: Any, make_rest: Make) -> None:
    importlib.reload(polygon.logging)
    for name in ("RESTClient", "WebSocketClient"):
        polygon.logging.get_logger(name)
    make_rest()
    assert [logging.getLogger(name).handlers for name in ("RESTClient", "WebSocketClient")] == [[], []]
    assert logging.getLogger("RESTClient").propagate


def test_the_key_is_a_registered_secret(vendor: Any, make_rest: Make) -> None:
    make_rest()
    assert redact(f"Bearer {KEY}") == "Bearer ***"


@pytest.mark.parametrize(
    ("key", "words"),
    [("", "empty"), (" \n", "empty"), ("two words", "blanks"), (KEY + "\n", "line"), (KEY[:7], "has 7 characters")],
)
def test_an_unusable_key_is_refused_without_being_shown(key: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        PolygonRest("https://api.polygon.io", key)
    assert KEY not in str(caught.value)
    assert KEY[:7] not in str(caught.value)


def test_what_is_kept_lacks_the_key_alone_whatever_else_is_secret(
    vendor: Any, make_rest: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwether.logging._SECRETS", set())
    register_secret("minute")  # the password of something else
    body = page(0, echo=f"one minute of {KEY}")
    vendor.answer(body, headers={"Date": f"minute {KEY}"})
    [kept] = fetch(make_rest()).pages
    assert kept.body == body.replace(KEY.encode(), b"***")
    assert kept.headers == {"Date": "minute ***"}
    assert "/minute/" in kept.url


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.polygon.io",
        "ftp://api.polygon.io",
        "https://api.polygon.io/v2",
        "https://api.polygon.io?apiKey=x",
        "https://[::1",
        "https://",
    ],
)
def test_a_base_url_is_scheme_and_host_only(base_url: str) -> None:
    with pytest.raises(ConfigError, match="scheme and a host"):
        PolygonRest(base_url, KEY)


@pytest.mark.parametrize(
    ("sdk", "words"), [("os", "'polygon' or 'massive'"), ("massive", "not installed")], ids=["unknown", "absent"]
)
def test_an_unusable_client_package_is_named(sdk: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "massive", None)
    with pytest.raises(ConfigError, match=words):
        PolygonRest("https://api.polygon.io", KEY, sdk=sdk)


def test_the_client_of_the_new_name_serves_alike(vendor: Any, make_rest: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "massive", polygon)
    vendor.answer(page(0))
    assert fetch(make_rest("https://api.massive.com", sdk="massive")).table.num_rows == 1
    assert vendor.calls[0].url.startswith("https://api.massive.com/")
