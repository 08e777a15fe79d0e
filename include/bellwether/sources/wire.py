"""HTTP, as strict as the vendor's client is not: whole replies, or a named failure.

The official client builds URLs, authenticates and does HTTP; its pool is replaced by one with the timeouts
it accepts and ignores (https://github.com/polygon-io/client-python/issues/983) and without the retries that
lose bodies. This room knows bytes and statuses; what a status means, and what a body holds, is known elsewhere.
"""

import importlib
import logging as stdlib_logging
import re
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from http.client import IncompleteRead
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import urllib3

from bellwether.clock import Clock
from bellwether.errors import ConfigError, ConnectionFailed, Truncated, VendorError
from bellwether.logging import redact_one, register_secret
from bellwether.meter import count, timed
from bellwether.sources.body import MAX_BODY_BYTES, gunzip
from bellwether.sources.limits import RateLimit
from bellwether.sources.raw import telling_headers
from bellwether.sources.retry import retry_after_s

_CHUNK_BYTES = 1 << 18
_LEAST_KEY_CHARACTERS = 8
"""Polygon's have 32. What is as short as a number or a ticker would be masked where an answer says just that."""

_SECRET_PARAMETERS = {"apikey", "cursor"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for a connection, for the next byte, and for a whole response."""

    connect_s: float = 10.0
    read_s: float = 30.0
    response_s: float = 180.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response; `url` has no key and no cursor, `body` is decompressed."""

    url: str
    status: int
    request_id: str | None
    headers: Mapping[str, str]
    body: bytes
    received_utc: datetime


class Refused(Exception):
    """A reply whose status is not 200: an exception, because the official client would drop its status."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(reply.status)


class Wire:
    """One key's access to the vendor's host. Safe to share between threads.

    Parameters
    ----------
    base_url
        A scheme and a host.
    api_key
        The key.
    sdk
        The official client's package, `polygon` or `massive`.
    timeouts
        When an answer is given up.
    clock
        Stamps the replies.
    limit
        Asked for leave before every request, told of every 429; None for a plan without one.

    Raises
    ------
    ConfigError
        The base URL, the key or the client package is unusable.
    """

    def __init__(
        self, base_url: str, api_key: str, sdk: str, timeouts: Timeouts, clock: Clock, limit: RateLimit | None = None
    ) -> None:
        base_url = _check_base_url(base_url)
        _check_key(api_key)
        register_secret(api_key)
        self._client = _official_client(sdk, base_url, api_key)
        self._client.client = _StrictPool(self._client.client, api_key, timeouts, clock, limit)

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Reply:
        """Ask once.

        Parameters
        ----------
        path
            Path, or path and query; the host is always the configured one, whatever a `next_url` says.
        parameters
            Texts: the client's own conversions send dates as nanoseconds and take lists apart by letter.

        Raises
        ------
        Refused
            A reply came, and its status is not 200.
        VendorError
            No whole reply came.
        """
        fields = dict(parameters) if parameters is not None else None
        reply: Reply = self._client._get(path=path, params=fields, raw=True)
        return reply


class _StrictPool:
    """Stands in the official client where its urllib3 pool does, and answers with whole replies."""

    def __init__(
        self, pool: urllib3.PoolManager, api_key: str, timeouts: Timeouts, clock: Clock, limit: RateLimit | None
    ) -> None:
        # The client's pool has no timeouts, one connection per host, and retries that lose the body.
        pool.connection_pool_kw.update(
            timeout=urllib3.Timeout(connect=timeouts.connect_s, read=timeouts.read_s),
            maxsize=8,
            block=True,
            retries=False,
        )
        self._pool = pool
        self._api_key = api_key
        self._response_s = timeouts.response_s
        self._clock = clock
        self._limit = limit

    def request(self, method: str, url: str, fields: dict[str, Any] | None, headers: Mapping[str, str]) -> Reply:
        """Take the place of `urllib3.PoolManager.request`, with the arguments the official client passes."""
        public_url = self._without_key(_public_url(url, fields))
        try:
            # A redirect would carry the request to another host; it is an error like any status but 200.
            with self._limit.slot() if self._limit else nullcontext(), timed("vendor_s"):
                count("api_calls")
                response = self._pool.request(
                    method, url, fields=fields, headers=headers, preload_content=False, redirect=False, retries=False
                )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            message = f"no answer: {type(error).__name__}: {error}"
            raise ConnectionFailed(message, url=public_url) from None
        status, request_id = response.status, response.headers.get("X-Request-Id")
        try:
            with timed("vendor_s"):
                body = self._body(response, public_url, request_id)
        except VendorError:
            if status == 200:
                raise
            body = b""
        # A vendor, or a proxy on the way, that echoes the key must not bring it into the lake: nothing passes this
        # place unmasked. Verbatim but for that.
        kept = {name: self._without_key(value) for name, value in telling_headers(response.headers).items()}
        request_id = self._without_key(request_id) if request_id else None
        reply = Reply(public_url, status, request_id, kept, redact_one(body, self._api_key), self._clock.now())
        if status == 429 and self._limit:
            self._limit.refused(retry_after_s(kept.get("Retry-After"), reply.received_utc))
        if status != 200:
            raise Refused(reply)
        return reply

    def _without_key(self, text: str) -> str:
        return redact_one(text.encode(), self._api_key).decode()

    def _body(self, response: urllib3.BaseHTTPResponse, url: str, request_id: str | None) -> bytes:
        try:
            body = self._read(response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            cut = isinstance(error.args[-1] if error.args else None, IncompleteRead)
            message = f"answer broke off: {type(error).__name__}: {error}"
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
            count("bytes_received", size)
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


def _check_key(api_key: str) -> None:
    if not api_key.strip():
        message = "the vendor's API key is empty: set it as the password of the Connection"
        raise ConfigError(message)
    if not re.fullmatch("[!-~]+", api_key):
        # http.client would refuse it too, and quote it in its message.
        message = "the vendor's API key holds blanks, line ends or letters outside ASCII: paste it again"
        raise ConfigError(message)
    if len(api_key) < _LEAST_KEY_CHARACTERS:
        message = f"the vendor's API key has {len(api_key)} characters, which is a part of one at most: paste it again"
        raise ConfigError(message)


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
    return parts._replace(query=query).geturl()
