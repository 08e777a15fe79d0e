"""Where the command line finds the vendor, its key and its rate limit."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bellwether.cli import options
from bellwether.cli.options import feed_of, vendor_access
from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.streaming.feedtime import FeedTime

# Long and odd: whatever is used as a key is masked in every later message of the process.
KEY = "options-test-key-0123"
CONNECTION = "AIRFLOW_CONN_POLYGON_DEFAULT"


def connection(**extra: object) -> dict[str, str]:
    return {CONNECTION: json.dumps({"conn_type": "polygon", "password": KEY, "extra": extra})}


@pytest.mark.parametrize(
    ("env", "limit"),
    [
        pytest.param({"POLYGON_API_KEY": KEY}, None, id="no limit unless said"),
        pytest.param({"POLYGON_API_KEY": KEY, "POLYGON_REQUESTS_PER_MINUTE": "5"}, 5, id="beside the key"),
        pytest.param(connection(requests_per_minute=7), 7, id="in the connection"),
        pytest.param(connection(requests_per_minute=None), None, id="left empty in the form"),
    ],
)
def test_the_plans_limit_comes_with_the_key(env: dict[str, str], limit: int | None) -> None:
    assert vendor_access(None, env).requests_per_minute == limit


def test_a_limit_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"POLYGON_REQUESTS_PER_MINUTE.* is 'five'"):
        vendor_access(None, {"POLYGON_API_KEY": KEY, "POLYGON_REQUESTS_PER_MINUTE": "five"})


def test_a_simulator_given_by_its_address_has_no_limit() -> None:
    env = connection(requests_per_minute=5)
    assert vendor_access("http://127.0.0.1:1", env).requests_per_minute is None


def test_redis_shares_the_limit_where_its_connection_is_set() -> None:
    access = vendor_access(None, {"POLYGON_API_KEY": KEY, "AIRFLOW_CONN_RATE_LIMIT": "redis://r:6379/1"})
    assert access.redis_url == "redis://r:6379/1"


def test_the_transport_waits_in_the_configured_folder(tmp_path: Path) -> None:
    env = {"BELLWETHER__LIMITS__FOLDER": str(tmp_path / "limits")}
    config = Config.load(tmp_path, env)
    rest = vendor_access(None, connection(requests_per_minute=1)).connect(config)
    with rest._wire._client.client._limit.slot():
        pass
    assert len(list((tmp_path / "limits").iterdir())) == 1


def test_streams_that_are_behind_are_recorded_by_a_time_that_is() -> None:
    env = connection(feed="delayed")
    assert vendor_access(None, env).is_delayed
    behind = datetime.now(UTC) - feed_of(None, env).now()
    assert timedelta(minutes=14, seconds=59) < behind < timedelta(minutes=15, seconds=1)


def test_streams_that_are_neither_are_refused() -> None:
    with pytest.raises(ConfigError, match="feed of AIRFLOW_CONN_POLYGON_DEFAULT is 'late', not realtime or delayed"):
        vendor_access(None, connection(feed="late"))


@pytest.mark.parametrize(
    ("url", "env", "asked"),
    [
        (None, {}, None),
        (None, connection(environment="production"), None),
        ("http://127.0.0.1:1/", {}, "http://127.0.0.1:1"),
        (
            None,
            {CONNECTION: json.dumps({"host": "http://127.0.0.1:2", "extra": {"environment": "simulated"}})},
            "http://127.0.0.1:2",
        ),
    ],
    ids=["no connection", "the vendor", "a simulator by its address", "a simulator by the connection"],
)
def test_the_time_of_the_streams_is_the_simulators_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, url: str | None, env: dict[str, str], asked: str | None
) -> None:
    simulators: list[str] = []

    def simulated(address: str) -> FeedTime:
        simulators.append(address)
        return FeedTime()

    monkeypatch.setattr(options, "simulated_time", simulated)
    assert isinstance(feed_of(url, env), FeedTime)
    assert simulators == ([asked] if asked else [])
