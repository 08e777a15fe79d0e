"""The connection type `polygon`: from an Airflow Connection to the library's REST transport and its streams.

Also usable as any `HttpHook`, for endpoints Bellwether does not wrap. The API key never leaves this
room but in the Authorization header; paging, decoding and retries are the library's.
"""

import math
from typing import Any, Final

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from requests import PreparedRequest, Session
from requests.auth import AuthBase

from bellwether.config import Config, RetryPolicies, RetryRule
from bellwether.errors import (
    BadRequest,
    BadResponse,
    ConfigError,
    ConnectionFailed,
    NotEntitled,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
    VendorError,
)
from bellwether.logging import redact, register_secret
from bellwether.sources.limit_stores import redis_url
from bellwether.sources.limits import open_limit, requests_per_minute
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.assignment import NEWS
from bellwether.streaming.client import Endpoint, stream_url
from bellwether.streaming.feedtime import FeedTime, is_delayed
from bellwether.streaming.simulated import simulated_time

_REDIS_CONN_ID: Final = "rate_limit"
_ENVIRONMENTS: Final = ("production", "simulated")
_TEST_ONCE: Final = RetryPolicies(default=RetryRule(attempts=1), errors={})


class PolygonHook(HttpHook):
    """Access to Polygon.io (Massive), or to Bellwether's simulator, through a Connection.

    Parameters
    ----------
    polygon_conn_id
        The Connection: host = base URL, password = API key,
        extra = `{"environment": ..., "requests_per_minute": ..., "feed": ..., "sdk": ...}`.
    """

    conn_name_attr = "polygon_conn_id"
    default_conn_name = "polygon_default"
    conn_type = "polygon"
    hook_name = "Polygon.io / Massive"
    default_host = "https://api.polygon.io"

    def __init__(self, polygon_conn_id: str = default_conn_name) -> None:
        super().__init__(method="GET", http_conn_id=polygon_conn_id)
        self.polygon_conn_id = polygon_conn_id

    @property
    def environment(self) -> str:
        """`production` or `simulated`: what kind of lake the data may enter.

        Raises
        ------
        ConfigError
            The connection's extra says something else.
        """
        environment = self._extra().get("environment", "production")
        if environment not in _ENVIRONMENTS:
            msg = f"connection {self.polygon_conn_id}: environment is {environment!r}, not production or simulated"
            raise ConfigError(msg)
        return str(environment)

    @property
    def is_delayed(self) -> bool:
        """Whether the plan's streams are 15 minutes behind.

        Raises
        ------
        ConfigError
            The connection's extra says something else than `realtime` or `delayed`.
        """
        return is_delayed(self._extra().get("feed"), f"connection {self.polygon_conn_id}: feed")

    @property
    def requests_per_minute(self) -> int | None:
        """The plan's rate limit; None where none is set.

        Raises
        ------
        ConfigError
            It is no whole number.
        """
        return self._requests_per_minute(self.get_connection(self.polygon_conn_id))

    def get_rest(
        self, retries: RetryPolicies, *, lane: str, caller: str | None = None, patience_s: float = math.inf
    ) -> PolygonRest:
        """Return the REST transport of this connection, under the rate limit it names.

        Parameters
        ----------
        retries
            How often a failed request is tried again, by class of error.
        lane, caller, patience_s
            Who asks, and how long it can wait, as `bellwether.sources.limits.RateLimit` wants to know it.

        Raises
        ------
        ConfigError
            The connection has no API key, or a base URL, a rate limit or an SDK that cannot be used.
        """
        connection = self.get_connection(self.polygon_conn_id)
        self._set_base_url(connection)
        key, extra = self._key(connection), self._extra()
        per_minute = self._requests_per_minute(connection)
        limit = open_limit(
            self.base_url,
            key,
            per_minute,
            redis_url=self._redis_url() if per_minute else None,
            folder=Config.load().settings.limits.folder,
            lane=lane,
            caller=caller,
            patience_s=patience_s,
        )
        sdk = extra.get("sdk", "polygon")
        return PolygonRest(self.base_url, key, sdk=sdk, retries=retries, patience_s=patience_s, limit=limit)

    def get_stream(self, dataset: str) -> Endpoint:
        """Return where a dataset is streamed from, and with which key."""
        connection = self.get_connection(self.polygon_conn_id)
        self._set_base_url(connection)
        return Endpoint(stream_url(self.base_url, dataset, delayed=self.is_delayed), self._key(connection))

    def get_feed_time(self, dataset: str | None = None) -> FeedTime:
        """Return the time of the streams: the machine's, or that of a simulator; 15 minutes behind it where they are.

        Parameters
        ----------
        dataset
            Of news, which is no stream, the time is never behind.

        Raises
        ------
        ConfigError
            The connection's environment or feed is none.
        StreamError
            The simulator does not answer.
        """
        if self.environment == "simulated":
            self._set_base_url(self.get_connection(self.polygon_conn_id))
            feed = simulated_time(self.base_url.rstrip("/"))
        else:
            feed = FeedTime()
        return feed.delayed() if self.is_delayed and dataset != NEWS else feed

    def get_conn(self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None) -> Session:
        """Return a session that authenticates as the vendor expects; `run` uses it."""
        session = super().get_conn(headers, extra_options)
        session.auth = _Bearer(self._key(self.get_connection(self.polygon_conn_id)))
        # HttpHook sends whatever stands in extra as headers.
        for field in ("environment", "requests_per_minute", "feed", "sdk"):
            session.headers.pop(field, None)
        return session

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the market's status, once, and say in plain words what came of it (the form's Test button)."""
        try:
            status = self.get_rest(_TEST_ONCE, lane="connection test", patience_s=0).market_status()
        except RateLimited as error:
            if error.status is None:  # our own count of the requests, not the vendor's word
                return False, f"{self.base_url} was not asked: {error.message}."
            return True, f"{self.base_url} accepts the API key, but its requests are used up for this minute."
        except VendorError as error:
            return False, redact(_in_plain_words(error, self.base_url))
        except ConfigError as error:
            return False, redact(str(error))
        return True, f"{self.base_url} answers and accepts the API key; the market is {status.market}."

    def _requests_per_minute(self, connection: Connection) -> int | None:
        where = f"connection {self.polygon_conn_id}: requests_per_minute"
        return requests_per_minute(connection.extra_dejson.get("requests_per_minute"), where)

    def _redis_url(self) -> str | None:
        try:
            return redis_url(_fields(self.get_connection(_REDIS_CONN_ID)))
        except AirflowNotFoundException:
            return None

    def _set_base_url(self, connection: Connection) -> None:
        super()._set_base_url(connection)
        if not connection.schema and "://" not in (connection.host or self.default_host):
            # HttpHook would send the key in clear text to a host given without scheme.
            self.base_url = "https://" + self.base_url.removeprefix("http://")

    def _key(self, connection: Connection) -> str:
        key = connection.password or ""
        register_secret(key)
        return key

    def _extra(self) -> dict[str, Any]:
        # The form stores a field left alone as null or as an empty text.
        extra = self.get_connection(self.polygon_conn_id).extra_dejson
        return {name: value for name, value in extra.items() if value}


def _fields(connection: Connection) -> dict[str, Any]:
    names = ("host", "port", "login", "password", "schema")
    return {name: getattr(connection, name) for name in names} | {"extra": connection.extra_dejson}


class _Bearer(AuthBase):
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _in_plain_words(error: VendorError, base_url: str) -> str:
    match error:
        case Unauthorized():
            return f"{base_url} does not accept this API key: {error.message}"
        case NotEntitled():
            return f"{base_url} accepts the API key, but its plan does not include the market status: {error.message}"
        case ConnectionFailed():
            return f"{base_url} cannot be reached; check the base URL and the network ({error.message})"
        case BadResponse() | NotFound() | BadRequest():
            return f"{base_url} answers, but not as Polygon's API does; check the base URL ({error.message})"
        case ServerError():
            return f"{base_url} has a failure of its own (HTTP {error.status}); try again later"
        case _:
            return f"{base_url} refused: {error.message}"
