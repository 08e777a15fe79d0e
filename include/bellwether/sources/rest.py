"""The vendor's REST API: requests, pages in order, and nothing silently missing.

The official client builds URLs, authenticates and does HTTP. Everything it does wrong is done here
instead: timeouts it accepts and ignores (https://github.com/polygon-io/client-python/issues/983), broken
bodies that end its iterators as if there were no more data, statuses it drops. This room knows nothing of
sessions, universes or the lake; its callers ask for a ticker and a window of time.
"""

import importlib
import logging as stdlib_logging
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.client import IncompleteRead
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import pyarrow as pa
import urllib3

from bellwether.clock import Clock, SystemClock
from bellwether.config import RetryPolicies
from bellwether.errors import BadResponse, ConfigError, ConnectionFailed, Truncated, VendorError
from bellwether.logging import redact, register_secret
from bellwether.sources.decode import MAX_BODY_BYTES, MarketStatus, PageChain, decode_market_status, gunzip
from bellwether.sources.retry import Retrier, error_from_response
from bellwether.tickers import check_ticker

MAX_PAGES = 500
"""Pages one request may have: 25 million base minutes, a century of one ticker."""

PAGE_LIMIT = 50_000
"""Base minutes asked for per page: the vendor's maximum. At its default, 5,000, two years cost 86 calls, not 9."""

_CHUNK_BYTES = 1 << 18
_SECRET_PARAMETERS = {"apikey", "cursor"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, for the next byte, and for a whole response."""

    connect_s: float = 10.0
    read_s: float = 30.0
    response_s: float = 180.0


@dataclass(frozen=True, slots=True)
class RawPage:
    """One response as it came: `body` is the JSON byte for byte (decompressed), `url` has no key and no cursor."""

    url: str
    http_status: int
    request_id: str | None
    received_utc: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class Aggregates:
    """The bars of one ticker in one window; `table` has schema `EQUITIES` and no rows where there were no trades."""

    ticker: str
    table: pa.Table
    pages: tuple[RawPage, ...]
    status: Literal["OK", "DELAYED"]
    api_calls: int


@dataclass(frozen=True, slots=True)
class _Reply:
    url: str
    status: int
    request_id: str | None
    body: bytes
    received_utc: datetime


class PolygonRest:
    """Access to the vendor with one key. Safe to share between threads; make it inside the task that uses it.

    Parameters
    ----------
    base_url
        `https://api.polygon.io`, or the simulator's address; no path.
    api_key
        The key. Never read from the environment, masked in every message.
    sdk
        The official client's package: `polygon`, or `massive`, its successor under the vendor's new name.
    retries
        How often a request is tried again, by class of error.
    timeouts
        When an answer is given up.
    clock
        Stamps the pages.
    sleep
        Waits between tries, in seconds.
    rng
        Draws the waits.

    Raises
    ------
    ConfigError
        The base URL, the key or the client package is unusable.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        sdk: str = "polygon",
        retries: RetryPolicies | None = None,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        base_url = _check_base_url(base_url)
        if not api_key.strip():
            message = "the vendor's API key is empty: set it as the password of the Connection"
            raise ConfigError(message)
        if not re.fullmatch("[!-~]+", api_key):
            # http.client would refuse it too, and quote it in its message.
            message = "the vendor's API key holds blanks, line ends or letters outside ASCII: paste it again"
            raise ConfigError(message)
        register_secret(api_key)
        self._base_url = base_url
        self._retrier = Retrier(retries or RetryPolicies(), sleep, rng or random.Random())  # noqa: S311 - jitter
        self._client = _official_client(sdk, base_url, api_key)
        self._client.client = _StrictPool(self._client.client, timeouts or Timeouts(), clock or SystemClock())

    def market_status(self) -> MarketStatus:
        """Return what the vendor says of the market now: the cheapest call that needs a valid key.

        Raises
        ------
        VendorError
            No answer, or not the promised one; the class says which.
        """

        def attempt() -> MarketStatus:
            reply: _Reply = self._client.get_market_status(raw=True)
            return decode_market_status(reply.body, url=reply.url, request_id=reply.request_id)

        return self._retrier.call(attempt)

    def aggregates(self, ticker: str, from_ms: int, to_ms: int) -> Aggregates:
        """Return every one-minute bar of a ticker in a window, unadjusted and in ascending order.

        Equal times are passed on as they come: which of two such bars stands is for the quality gate to decide.

        Parameters
        ----------
        ticker
            Stock ticker as the vendor writes it.
        from_ms, to_ms
            First and last bar START, Unix ms UTC, both inclusive; the vendor widens them to whole minutes.

        Raises
        ------
        ValueError
            `ticker` is not a ticker.
        VendorError
            No complete answer; the class says why. Pages that arrived before it are not asked for again by a retry.
        """
        check_ticker(ticker)
        chain = PageChain(ticker, from_ms, to_ms)
        pages: list[RawPage] = []
        api_calls = 0

        def take(fetch: Callable[[], _Reply]) -> str | None:
            nonlocal api_calls
            api_calls += 1
            reply = fetch()
            request_id, next_path = chain.take(reply.body, url=reply.url, request_id=reply.request_id)
            pages.append(RawPage(reply.url, reply.status, request_id, reply.received_utc, reply.body))
            return next_path

        window = (ticker, 1, "minute", from_ms, to_ms)
        fetch = partial(self._client.list_aggs, *window, adjusted=False, sort="asc", limit=PAGE_LIMIT, raw=True)
        while (next_path := self._retrier.call(partial(take, fetch))) is not None:
            if len(pages) == MAX_PAGES:
                message = f"more than {MAX_PAGES} pages"
                raise BadResponse(message, url=pages[-1].url, status=200, request_id=pages[-1].request_id)
            # The client's own method adds base URL and key, so no page leaves the host it was configured for.
            fetch = partial(self._client._get, path=next_path, raw=True)
        return Aggregates(ticker, chain.table(), tuple(pages), chain.status, api_calls)


class _StrictPool:
    """Stands in the official client where its urllib3 pool does, and answers with whole replies or typed errors."""

    def __init__(self, pool: urllib3.PoolManager, timeouts: Timeouts, clock: Clock) -> None:
        # The client's pool has no timeouts, one connection per host, and retries that lose the body.
        pool.connection_pool_kw.update(
            timeout=urllib3.Timeout(connect=timeouts.connect_s, read=timeouts.read_s),
            maxsize=8,
            block=True,
            retries=False,
        )
        self._pool = pool
        self._response_s = timeouts.response_s
        self._clock = clock

    def request(self, method: str, url: str, fields: dict[str, Any] | None, headers: Mapping[str, str]) -> _Reply:
        """Take the place of `urllib3.PoolManager.request`, with the arguments the official client passes."""
        public_url = _public_url(url, fields)
        try:
            # A redirect would carry the request to another host; it is an error like any status but 200.
            response = self._pool.request(
                method, url, fields=fields, headers=headers, preload_content=False, redirect=False, retries=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            message = redact(f"no answer: {type(error).__name__}: {error}")
            raise ConnectionFailed(message, url=public_url) from None
        status, request_id = response.status, response.headers.get("X-Request-Id")
        try:
            body = self._body(response, public_url, request_id)
        except VendorError:
            if status == 200:
                raise
            body = b""
        received_utc = self._clock.now()
        if status != 200:
            raise error_from_response(status, response.headers, body, url=public_url, received_utc=received_utc)
        return _Reply(public_url, status, request_id, body, received_utc)

    def _body(self, response: urllib3.BaseHTTPResponse, url: str, request_id: str | None) -> bytes:
        try:
            body = self._read(response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            cut = isinstance(error.args[-1] if error.args else None, IncompleteRead)
            message = redact(f"answer broke off: {type(error).__name__}: {error}")
            cls = Truncated if cut else ConnectionFailed
            raise cls(message, url=url, status=response.status, request_id=request_id) from None
        if response.headers.get("Content-Encoding", "").lower() == "gzip":
            return gunzip(body, url=url, request_id=request_id)
        return body

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        # Read by hand: a server that drips passes every read timeout, and urllib3 does not notice a cut gzip body.
        deadline_s = time.monotonic() + self._response_s
        chunks, size = [], 0
        try:
            while chunk := response.read1(_CHUNK_BYTES, decode_content=False):
                chunks.append(chunk)
                size += len(chunk)
                if time.monotonic() > deadline_s or size > MAX_BODY_BYTES:
                    response.close()
                    message = f"not complete after {self._response_s:g} s or {MAX_BODY_BYTES} bytes"
                    raise TimeoutError(message)
        finally:
            response.release_conn()
        return b"".join(chunks)


def _official_client(sdk: str, base_url: str, api_key: str) -> Any:  # noqa: ANN401 - neither package has usable types
    if sdk not in {"polygon", "massive"}:
        message = f"sdk is {sdk!r}; it is 'polygon' or 'massive'"
        raise ConfigError(message)
    try:
        module = importlib.import_module(sdk)
    except ModuleNotFoundError as error:
        message = f"the client package {sdk!r} is not installed: pip install {sdk}, or choose sdk 'polygon'"
        raise ConfigError(message) from error
    # Importing it adds handlers that write every line a second time, to stdout.
    for name in ("RESTClient", "WebSocketClient"):
        stdlib_logging.getLogger(name).handlers.clear()
    return module.RESTClient(api_key=api_key, base=base_url, retries=0)


def _check_base_url(base_url: str) -> str:
    try:
        parts = urlsplit(base_url.rstrip("/"))
    except ValueError:
        parts = urlsplit("")
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or f"{parts.scheme}://{parts.netloc}" != parts.geturl()
    ):
        message = "the vendor's base URL is a scheme and a host, such as https://api.polygon.io"
        raise ConfigError(message)
    return parts.geturl()


def _public_url(url: str, fields: Mapping[str, Any] | None) -> str:
    parts = urlsplit(url)
    parameters = [*parse_qsl(parts.query), *(fields or {}).items()]
    query = urlencode([(name, value) for name, value in parameters if name.lower() not in _SECRET_PARAMETERS])
    return redact(parts._replace(query=query).geturl())
