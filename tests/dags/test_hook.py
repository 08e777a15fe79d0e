"""The connection type `polygon`: what the hook makes of a Connection, and what its Test button says."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import AirflowNotFoundException
from airflow.models.connection import Connection
from airflow.providers_manager import ProvidersManager

from bellwether.config import RetryPolicies
from bellwether.errors import ConfigError, LakeError, Unauthorized
from bellwether.lake import Lake
from bellwether.logging import redact
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.client import Endpoint
from bellwether_airflow import connections
from bellwether_airflow.hooks.polygon import PolygonHook

KEY = "sEcReT-kEy-1234567890"
OPEN = {
    "market": "open",
    "serverTime": "2025-11-26T10:00:00-05:00",
    "exchanges": {"nyse": "open"},
    "earlyHours": False,
    "afterHours": False,
}
Connect = Callable[..., None]


@dataclass
class Vendor:
    """A loopback server with one answer."""

    url: str
    status: int = 200
    body: str = json.dumps(OPEN)
    requests: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stub.requests.append({"path": self.path, **self.headers})
            body = stub.body.encode()
            self.send_response(stub.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub = Vendor(url=f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield stub
        server.shutdown()
        thread.join()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, airflow_database: None) -> Connect:
    def set_connection(name: str = "polygon_default", conn_type: str = "polygon", **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({"conn_type": conn_type, **fields}))

    return set_connection


def base_url(**fields: Any) -> str:
    hook = PolygonHook()
    hook._set_base_url(Connection(conn_id="x", conn_type="polygon", **fields))
    return hook.base_url


class TestConnection:
    @pytest.mark.parametrize(
        ("fields", "url"),
        [
            ({}, "https://api.polygon.io"),
            ({"host": "https://api.massive.com"}, "https://api.massive.com"),
            ({"host": "api.polygon.io"}, "https://api.polygon.io"),
            ({"port": 443}, "https://api.polygon.io:443"),
            ({"host": "http://127.0.0.1:8321"}, "http://127.0.0.1:8321"),
            ({"host": "127.0.0.1", "port": 8321, "schema": "http"}, "http://127.0.0.1:8321"),
            ({"host": "127.0.0.1", "port": 8321}, "https://127.0.0.1:8321"),
        ],
    )
    def test_a_key_goes_out_unencrypted_only_where_http_is_written_out(self, fields: dict[str, Any], url: str) -> None:
        assert base_url(**fields) == url

    @pytest.mark.parametrize(
        ("extra", "environment"),
        [
            ({}, "production"),
            ({"environment": None}, "production"),
            ({"environment": ""}, "production"),
            ({"environment": "simulated"}, "simulated"),
        ],
    )
    def test_environment_is_production_unless_said(
        self, connect: Connect, extra: dict[str, Any], environment: str
    ) -> None:
        connect(password=KEY, extra=extra)
        assert PolygonHook().environment == environment

    def test_an_unknown_environment_is_refused(self, connect: Connect) -> None:
        connect(password=KEY, extra={"environment": "prod"})
        with pytest.raises(ConfigError, match="polygon_default: environment is 'prod', not production or simulated"):
            _ = PolygonHook().environment

    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({}, "API key is empty"),
            ({"password": KEY, "extra": {"sdk": "yahoo"}}, "'yahoo'"),
            ({"password": KEY, "host": "https://api.polygon.io/v2"}, "base URL"),
        ],
    )
    def test_a_connection_that_cannot_work_is_refused(
        self, connect: Connect, fields: dict[str, Any], text: str
    ) -> None:
        connect(**fields)
        with pytest.raises(ConfigError, match=text):
            PolygonHook().get_rest(RetryPolicies(), lane="test")

    @pytest.mark.parametrize(
        ("fields", "url"),
        [
            ({}, "wss://socket.polygon.io/options"),
            ({"host": "http://127.0.0.1", "port": 8321}, "ws://127.0.0.1:8321/options"),
        ],
    )
    def test_streams_are_where_the_vendors_rest_is(self, connect: Connect, fields: dict[str, Any], url: str) -> None:
        connect(password=KEY, **fields)
        assert PolygonHook().get_stream("options") == Endpoint(url, KEY)

    def test_of_streams_the_time_is_the_machines_unless_a_simulator_tells_its_own(
        self, connect: Connect, vendor: Vendor
    ) -> None:
        vendor.body = json.dumps({"now_utc": "2024-07-03T13:30:00Z", "speed": 60})
        connect(password=KEY, host=vendor.url)
        assert PolygonHook().get_feed_time().real_s(60) == 60
        assert vendor.requests == []
        connect(password=KEY, host=f"{vendor.url}/", extra={"environment": "simulated"})
        feed = PolygonHook().get_feed_time()
        assert (feed.real_s(60), feed.now().date()) == (1, date(2024, 7, 3))
        assert [request["path"] for request in vendor.requests] == ["/_simulator/clock"]

    def test_delayed_streams_are_elsewhere_and_their_time_is_15_minutes_behind(self, connect: Connect) -> None:
        connect(password=KEY, extra={"feed": "delayed"})
        assert PolygonHook().get_stream("options") == Endpoint("wss://delayed.polygon.io/options", KEY)
        behind = datetime.now(UTC) - PolygonHook().get_feed_time().now()
        assert timedelta(minutes=14, seconds=59) < behind < timedelta(minutes=15, seconds=1)
        # They are asked for, and asking is not behind.
        assert abs(datetime.now(UTC) - PolygonHook().get_feed_time("news").now()) < timedelta(seconds=1)

    def test_streams_that_are_neither_are_refused(self, connect: Connect) -> None:
        connect(password=KEY, extra={"feed": "late"})
        with pytest.raises(ConfigError, match="feed is 'late', not realtime or delayed"):
            PolygonHook().get_feed_time()

    def test_the_key_is_masked_in_logs_from_then_on(self, connect: Connect) -> None:
        connect(password=KEY)
        PolygonHook().get_rest(RetryPolicies(), lane="test")
        assert KEY not in redact(f"Bearer {KEY}")

    def test_run_authenticates_as_the_vendor_expects(self, connect: Connect, vendor: Vendor) -> None:
        connect(host=vendor.url, password=KEY, extra={"environment": "simulated", "sdk": "polygon"})
        response = PolygonHook().run("/v1/marketstatus/now", {"day": "today"})
        assert response.json() == OPEN
        [request] = vendor.requests
        assert request["path"] == "/v1/marketstatus/now?day=today"
        assert request["Authorization"] == f"Bearer {KEY}"
        assert not {"environment", "sdk"} & set(request)


class TestTestButton:
    @pytest.mark.parametrize(
        ("status", "body", "passed", "text"),
        [
            (200, json.dumps(OPEN), True, "{url} answers and accepts the API key; the market is open."),
            (401, '{"status":"ERROR","error":"Unknown API Key"}', False, "{url} does not accept this API key: Unknown"),
            (
                403,
                '{"status":"NOT_AUTHORIZED","message":"You are not entitled to this data."}',
                False,
                "{url} accepts the API key, but its plan does not include",
            ),
            (403, '{"status":"NOT_AUTHORIZED","message":"data before end of day."}', False, "{url} refused: "),
            (429, '{"status":"ERROR","error":"maximum requests per minute"}', True, "{url} accepts the API key, but"),
            (200, "<html>Welcome to nginx</html>", False, "{url} answers, but not as Polygon's API does"),
            (200, '{"results": []}', False, "{url} answers, but not as Polygon's API does"),
            (404, "404 page not found", False, "{url} answers, but not as Polygon's API does"),
            (503, "", False, "{url} has a failure of its own (HTTP 503)"),
        ],
    )
    def test_it_says_in_plain_words_what_is_wrong(
        self, connect: Connect, vendor: Vendor, status: int, body: str, passed: bool, text: str
    ) -> None:
        vendor.status, vendor.body = status, body
        connect(host=vendor.url, password=KEY)
        outcome, message = PolygonHook().test_connection()
        assert (outcome, message[: len(text.format(url=vendor.url))]) == (passed, text.format(url=vendor.url))
        assert len(vendor.requests) == 1

    def test_it_never_shows_the_key(self, connect: Connect, vendor: Vendor) -> None:
        vendor.status, vendor.body = 401, json.dumps({"status": "ERROR", "error": f"Unknown API Key {KEY}"})
        connect(host=vendor.url, password=KEY)
        outcome, message = PolygonHook().test_connection()
        assert not outcome
        assert KEY not in message

    def test_it_says_that_nothing_answers(self, connect: Connect) -> None:
        connect(host="http://127.0.0.1:1", password=KEY)
        outcome, message = PolygonHook().test_connection()
        assert not outcome
        assert message.startswith("http://127.0.0.1:1 cannot be reached; check the base URL and the network (")

    def test_it_says_that_the_key_is_missing(self, connect: Connect) -> None:
        connect(host="http://127.0.0.1:1")
        assert PolygonHook().test_connection() == (
            False,
            "the vendor's API key is empty: set it as the password of the Connection",
        )

    def test_airflow_finds_the_hook_by_the_connection_type(self, connect: Connect, vendor: Vendor) -> None:
        connect("tested", host=vendor.url, password=KEY)
        passed, message = Connection(conn_id="tested", conn_type="polygon").test_connection()
        assert passed, message


class TestRateLimit:
    @pytest.fixture(autouse=True)
    def limits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("BELLWETHER__LIMITS__FOLDER", str(tmp_path / "limits"))
        return tmp_path / "limits"

    def test_the_plans_limit_is_shared_by_all_who_use_the_connection(self, connect: Connect, vendor: Vendor) -> None:
        connect(host=vendor.url, password=KEY, extra={"requests_per_minute": 1})
        assert PolygonHook().test_connection()[0]
        works, message = PolygonHook().test_connection()
        assert not works
        assert re.search(
            r"was not asked: the key's 1 requests per minute are used up; the next turn is in 6\d s", message
        )
        assert len(vendor.requests) == 1

    @pytest.mark.parametrize("extra", [{}, {"requests_per_minute": None}, {"requests_per_minute": ""}])
    def test_without_a_limit_nothing_is_written(
        self, connect: Connect, vendor: Vendor, limits: Path, extra: dict[str, Any]
    ) -> None:
        connect(host=vendor.url, password=KEY, extra=extra)
        assert PolygonHook().test_connection()[0]
        assert not limits.exists()

    @pytest.mark.parametrize("limit", [0, "many"])
    def test_a_limit_that_is_none_is_refused(self, connect: Connect, vendor: Vendor, limit: object) -> None:
        connect(host=vendor.url, password=KEY, extra={"requests_per_minute": limit})
        works, message = PolygonHook().test_connection()
        assert not works
        assert "connection polygon_default: requests_per_minute is" in message

    def test_the_connection_rate_limit_shares_it_through_redis(
        self, connect: Connect, vendor: Vendor, limits: Path
    ) -> None:
        connect(host=vendor.url, password=KEY, extra={"requests_per_minute": 1})
        connect("rate_limit", conn_type="redis", host="127.0.0.1", port=1)
        works, message = PolygonHook().test_connection()
        assert not works
        assert "the rate limit is kept in Redis (connection rate_limit)" in message
        assert not limits.exists()

    def test_a_task_asks_in_the_lane_of_its_dag_and_keeps_its_place_by_its_own_name(
        self, connect: Connect, in_a_task: None
    ) -> None:
        connect(password=KEY, extra={"requests_per_minute": 1})
        limit = connections.vendor()._wire._client.client._limit
        asks_as = (limit._lane, limit._caller, limit._patience_s)
        assert asks_as == ("equities_daily", "equities_daily run1 ingest 3", 60)


class TestForm:
    def test_the_form_asks_for_an_api_key_and_offers_what_is_allowed(self) -> None:
        providers = ProvidersManager()
        providers.initialize_providers_hooks()
        behaviour = providers.field_behaviours["polygon"]
        assert behaviour["relabeling"] == {"host": "Base URL", "password": "API key"}
        assert set(behaviour["hidden_fields"]) == {"login", "schema", "extra"}
        widgets = providers.connection_form_widgets
        asked = ("environment", "feed", "sdk")
        choices = {name: widgets[f"extra__polygon__{name}"].field["schema"]["enum"] for name in asked}
        limit = widgets["extra__polygon__requests_per_minute"].field["schema"]
        assert (limit["type"], limit["minimum"]) == (["integer", "null"], 1)
        assert choices == {
            "environment": ["production", "simulated"],
            "feed": ["realtime", "delayed"],
            "sdk": ["polygon", "massive"],
        }

    def test_the_form_and_the_hook_agree_on_the_environments(self, connect: Connect) -> None:
        schema = ProvidersManager().connection_form_widgets["extra__polygon__environment"].field["schema"]
        for environment in schema["enum"]:
            connect(password=KEY, extra={"environment": environment})
            assert PolygonHook().environment == environment


@pytest.fixture
def in_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    task = SimpleNamespace(dag_id="equities_daily", run_id="run1", task_id="ingest", map_index=3)
    monkeypatch.setattr(connections, "get_current_context", lambda: {"ti": task})


class TestResolvedForTasks:
    def test_vendor_uses_polygon_default(self, connect: Connect, vendor: Vendor, in_a_task: None) -> None:
        vendor.status, vendor.body = 401, '{"status":"ERROR","error":"Unknown API Key"}'
        connect(host=vendor.url, password=KEY)
        rest = connections.vendor()
        assert isinstance(rest, PolygonRest)
        with pytest.raises(Unauthorized):
            rest.market_status()

    def test_without_the_connection_the_vendor_is_refused(self, airflow_database: None, in_a_task: None) -> None:
        with pytest.raises(AirflowNotFoundException, match="polygon_default"):
            connections.vendor()

    def test_lake_is_where_the_settings_say_without_a_connection(
        self, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect(password=KEY)
        monkeypatch.setenv("BELLWETHER__LAKE__ROOT", str(tmp_path / "by_settings"))
        lake = connections.lake()
        assert lake.root == str(tmp_path / "by_settings")
        assert not lake.simulated

    @pytest.mark.parametrize("where", ["path", "host", "file_url"])
    def test_lake_default_goes_before_the_settings(self, connect: Connect, tmp_path: Path, where: str) -> None:
        root = tmp_path / "by_connection"
        fields = {
            "path": {"extra": {"path": str(root)}},
            "host": {"host": str(root)},
            "file_url": {"extra": {"path": root.as_uri()}},
        }
        connect(password=KEY, extra={"environment": "simulated"})
        connect("lake_default", conn_type="fs", **fields[where])
        lake = connections.lake()
        assert lake.root == str(root)
        assert lake.simulated

    def test_a_bucket_is_reached_with_the_connections_key_endpoint_and_region(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: dict[str, object] = {}
        monkeypatch.setattr(Lake, "open", lambda root, **arguments: opened.update(arguments, root=root))
        extra = {"path": "s3://bucket/lake", "endpoint_url": "http://store:9000", "region_name": "eu-west-1"}
        connect(password=KEY, extra={"environment": "simulated"})
        connect("lake_default", conn_type="aws", login="id", password="very-secret", extra=extra)  # noqa: S106
        connections.lake()
        options = {"key": "id", "secret": "very-secret", "endpoint_url": "http://store:9000", "region": "eu-west-1"}
        assert opened == {"root": "s3://bucket/lake", "options": options, "simulated": True}

    def test_a_lake_connection_without_a_folder_is_refused(self, connect: Connect) -> None:
        connect(password=KEY)
        connect("lake_default", conn_type="fs")
        with pytest.raises(ConfigError, match="lake_default names no folder"):
            connections.lake()

    def test_simulated_data_never_enters_a_production_lake(self, connect: Connect, tmp_path: Path) -> None:
        connect("lake_default", conn_type="fs", extra={"path": str(tmp_path / "lake")})
        connect(password=KEY)
        connections.lake()
        connect(password=KEY, extra={"environment": "simulated"})
        with pytest.raises(LakeError, match="production"):
            connections.lake()
