"""Options and look-ups that commands share: the vendor's key, the lake, sessions, tickers."""

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import msgspec

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.connections import ConnectionFields, from_environment
from bellwether.due import DUE
from bellwether.errors import ConfigError, NotASession
from bellwether.lake import Lake
from bellwether.lake.location import Location, default_location
from bellwether.sources.limit_stores import redis_url_from_variable
from bellwether.sources.limits import open_limit, requests_per_minute
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.feedtime import FeedTime, is_delayed
from bellwether.streaming.simulated import simulated_time

DEFAULT_URL = "https://api.polygon.io"
SIMULATOR_KEY = "simulator-takes-any-key"
"""For simulators, which want none; no word that an answer or a message may say, since secrets are masked there."""

_FEED = "feed of AIRFLOW_CONN_POLYGON_DEFAULT"

LIMIT_VARIABLE = "POLYGON_REQUESTS_PER_MINUTE"


@dataclass(frozen=True)
class VendorAccess:
    """Where the vendor is, and with which key; the values of an Airflow Connection `polygon_default`."""

    url: str
    key: str
    environment: str = "production"
    sdk: str = "polygon"
    is_delayed: bool = False
    requests_per_minute: int | None = None
    redis_url: str | None = None

    @property
    def simulated(self) -> bool:
        """Whether what it brings is invented."""
        return self.environment == "simulated"

    def connect(self, config: Config, on_wait: Callable[[float], None] | None = None) -> PolygonRest:
        """Return the transport.

        Parameters
        ----------
        config
            Says how failed requests are tried again, and where this machine shares the rate limit.
        on_wait
            Told for how many seconds the rate limit will still hold a request back, and 0 when it goes out.

        Raises
        ------
        ConfigError
            The key, the address or the place of the rate limit cannot be used.
        """
        limit = open_limit(
            self.url,
            self.key,
            self.requests_per_minute,
            redis_url=self.redis_url,
            folder=config.settings.limits.folder,
            lane="cli",
            on_wait=on_wait,
        )
        return PolygonRest(self.url, self.key, sdk=self.sdk, retries=config.retry_policy, limit=limit)


def vendor_access(url: str | None, env: Mapping[str, str] = os.environ) -> VendorAccess:
    """Find the vendor's address, key and rate limit.

    Parameters
    ----------
    url
        Given on the command line: a simulator's address. Otherwise the Connection's host, else the vendor's own.
    env
        Holds `AIRFLOW_CONN_POLYGON_DEFAULT` (JSON, as Airflow reads it) or `POLYGON_API_KEY` and, where its plan has
        a limit, `POLYGON_REQUESTS_PER_MINUTE`. `AIRFLOW_CONN_RATE_LIMIT` is a Redis shared with other machines.

    Raises
    ------
    ConfigError
        There is no key, a connection is malformed, or the rate limit is no whole number.
    """
    connection = from_environment("polygon_default", env) or ConnectionFields()
    key = env.get("POLYGON_API_KEY") or connection.password
    if url is not None:
        # Whatever is not asked at the configured address is not the vendor: its data must not enter a production lake.
        return VendorAccess(url, key or SIMULATOR_KEY, environment="simulated")
    if not key:
        msg = "no API key: set POLYGON_API_KEY or AIRFLOW_CONN_POLYGON_DEFAULT, or give --url of a simulator"
        raise ConfigError(msg)
    per_minute = env.get(LIMIT_VARIABLE) or connection.extra.get("requests_per_minute")
    return VendorAccess(
        connection.host or DEFAULT_URL,
        key,
        connection.extra.get("environment", "production"),
        connection.extra.get("sdk", "polygon"),
        is_delayed(connection.extra.get("feed"), _FEED),
        requests_per_minute(per_minute, f"{LIMIT_VARIABLE}, or requests_per_minute of AIRFLOW_CONN_POLYGON_DEFAULT,"),
        redis_url_from_variable(env.get("AIRFLOW_CONN_RATE_LIMIT")),
    )


def feed_of(url: str | None, env: Mapping[str, str] = os.environ) -> FeedTime:
    """Return the time of whoever streams: a simulator's where there is one, else this machine's. No key is needed.

    Parameters
    ----------
    url
        Of a simulator, given on the command line; else the Connection says whether there is one.
    env
        As for `vendor_access`.

    Raises
    ------
    StreamError
        The simulator does not answer.
    """
    if url is not None:
        return simulated_time(url.rstrip("/"))
    connection = from_environment("polygon_default", env) or ConnectionFields()
    is_simulated = connection.extra.get("environment") == "simulated" and connection.host
    feed = simulated_time(connection.host.rstrip("/")) if is_simulated else FeedTime()
    return feed.delayed() if is_delayed(connection.extra.get("feed"), _FEED) else feed


def add_range(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add `--start` and `--end`."""
    parser.add_argument("--start", required=required, type=_day, metavar="YYYY-MM-DD", help="first session")
    parser.add_argument("--end", required=required, type=_day, metavar="YYYY-MM-DD", help="last session, included")


def add_session(parser: argparse.ArgumentParser, *, required: bool = True, otherwise: str = "") -> None:
    """Add `--session`, a trading session; `otherwise` says what it is where it need not be given."""
    words = f"the session (default: {otherwise})" if otherwise else "the session"
    parser.add_argument("--session", required=required, type=_session, metavar="YYYY-MM-DD", help=words)


def add_lake(parser: argparse.ArgumentParser) -> None:
    """Add `--lake`."""
    parser.add_argument(
        "--lake", metavar="URL", help="folder, file:// or s3:// URL (default: the connection lake_default)"
    )


def lake_location(given: str | None, config: Config) -> Location:
    """Return the lake to use: the place given with `--lake`, else that of the environment or the settings.

    A bucket given there is reached with the key and the endpoint of the connection `lake_default`.
    """
    default = default_location(config)
    if given is None or given == default.root:
        return default
    return Location(given, default.options if given.startswith("s3://") else {})


def user() -> str:
    """Return who runs the command, for the records of what people decide."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def write_json(told: Mapping[str, object]) -> None:
    """Write an object as one line of JSON, moments in ISO 8601."""
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")


def tickers(text: str) -> list[str]:
    """Return the tickers of a comma-separated list."""
    return [ticker for ticker in (part.strip() for part in text.split(",")) if ticker]


def sessions_between(lake: Lake, dataset: str, start: date, end: date) -> list[date]:
    """Return the sessions of a range at which a dataset is due.

    Raises
    ------
    ConfigError
        There is none.
    """
    calendar = get_calendar()
    last = calendar.last_due(lake.clock.now(), DUE[dataset])
    sessions = calendar.sessions(start, min(end, last))
    if not sessions:
        msg = f"no session of {dataset} is due from {start} to {end}; the last due is {last}"
        raise ConfigError(msg)
    return sessions


def _session(text: str) -> date:
    try:
        return get_calendar().hours(_day(text)).session
    except NotASession as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is not a date YYYY-MM-DD"
        raise argparse.ArgumentTypeError(msg) from error
