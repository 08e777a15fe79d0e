"""The simulator over loopback, as its clients meet it: the official client, plain HTTP."""

import gzip
import http.client
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import urllib3
from polygon import RESTClient
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.errors import ConfigError
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.bars import Bars
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

COLUMNS = ("ticker", "t", "o", "h", "l", "c", "v", "vw", "n")
DAY, HALF_DAY = date(2024, 7, 2), date(2024, 7, 3)
PATH = f"/v2/aggs/ticker/SPY/range/1/minute/{DAY}/{DAY}"
JSON_HEADERS = {"Authorization": "Bearer k", "Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3)


@pytest.fixture(scope="module")
def shared(market: GeneratedMarket) -> Iterator[RunningSimulator]:
    with running(SimulatorConfig(market)) as simulator:
        yield simulator


@pytest.fixture
def simulator(shared: RunningSimulator) -> RunningSimulator:
    shared.faults.clear()
    shared.requests.clear()
    return shared


def get(
    simulator: RunningSimulator, path: str = PATH, headers: dict[str, str] = JSON_HEADERS, timeout_s: float = 10
) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(retries=False, timeout=timeout_s) as pool:
        return pool.request("GET", simulator.url + path, headers=headers, decode_content=False)


def body(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    text = gzip.decompress(response.data) if response.headers.get("Content-Encoding") == "gzip" else response.data
    return json.loads(text)


def rows(bars: Bars) -> list[tuple[float | None, ...]]:
    names = ("start_ms", "open", "high", "low", "close", "volume", "vwap", "transactions")
    return list(zip(*(getattr(bars, name).tolist() for name in names), strict=True))


def client_rows(bars: list[Any]) -> list[tuple[float | None, ...]]:
    names = ("timestamp", "open", "high", "low", "close", "volume", "vwap", "transactions")
    return [tuple(getattr(bar, name) for name in names) for bar in bars]


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_the_official_client_pages_through_every_bar_once(
    simulator: RunningSimulator, market: GeneratedMarket, sort: str
) -> None:
    client = RESTClient("k", base=simulator.url)
    bars = list(client.list_aggs("SPY", 1, "minute", DAY, HALF_DAY, limit=97, sort=sort, adjusted=False))
    expected = rows(market.bars("SPY", DAY)) + rows(market.bars("SPY", HALF_DAY))
    assert client_rows(bars) == (expected if sort == "asc" else expected[::-1])
    assert len(simulator.requests) == -(-len(expected) // 97)
    assert all("cursor" in request.query for request in simulator.requests[1:])


def test_the_next_page_is_on_a_foreign_host(simulator: RunningSimulator) -> None:
    assert body(get(simulator, PATH + "?limit=10"))["next_url"].startswith("https://api.polygon.io/v2/aggs/")


def test_the_official_client_reads_the_market_status_of_the_simulated_now(market: GeneratedMarket) -> None:
    clock = SimulatedClock(datetime(2024, 7, 2, 17, tzinfo=UTC), speed=0)
    with running(SimulatorConfig(market, clock=clock)) as simulator:
        status = RESTClient("k", base=simulator.url).get_market_status()
    assert status.market == "open"
    assert status.server_time == "2024-07-02T13:00:00-04:00"


def test_a_day_that_is_not_over_is_refused_as_before_end_of_day(market: GeneratedMarket) -> None:
    clock = SimulatedClock(datetime(2024, 7, 2, 17, tzinfo=UTC), speed=0)
    with running(SimulatorConfig(market, clock=clock)) as simulator:
        answer = get(simulator)
    assert answer.status == 403
    assert body(answer)["status"] == "NOT_AUTHORIZED"
    assert "before end of day" in body(answer)["message"]


def test_the_archive_is_served_value_for_value(archive: Path) -> None:
    tables = [pq.read_table(file) for file in sorted(archive.glob("bars_equity*.parquet"))]
    expected: dict[str, list[tuple[Any, ...]]] = {}
    for table in tables:
        for ticker, *values in zip(*(table[name].to_pylist() for name in COLUMNS), strict=True):
            expected.setdefault(ticker, []).append(tuple(values))
    with running(SimulatorConfig(ArchiveMarket(archive))) as simulator:
        client = RESTClient("k", base=simulator.url)
        for ticker, bars in expected.items():
            bars.sort(key=lambda bar: bar[0])
            first, last = bars[0][0], bars[-1][0]
            served = list(client.list_aggs(ticker, 1, "minute", first, last, limit=1000, adjusted=False))
            assert client_rows(served) == bars


@pytest.mark.parametrize(
    ("keys", "headers", "query", "status"),
    [
        (set(), {"Authorization": "Bearer any"}, "", 200),
        (set(), {}, "?apiKey=any", 200),
        (set(), {}, "", 401),
        (set(), {"Authorization": "Bearer "}, "", 401),
        (set(), {"Authorization": "Basic any"}, "", 401),
        ({"right"}, {"Authorization": "Bearer right"}, "", 200),
        ({"right"}, {}, "?apiKey=right", 200),
        ({"right"}, {"Authorization": "Bearer wrong"}, "", 401),
    ],
)
def test_keys(market: GeneratedMarket, keys: set[str], headers: dict[str, str], query: str, status: int) -> None:
    with running(SimulatorConfig(market, keys=frozenset(keys))) as simulator:
        answer = get(simulator, PATH + query, headers)
        assert answer.status == simulator.requests[0].status == status
        assert simulator.requests[0].query == {}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v2/aggs/ticker/NOPE/range/1/minute/2024-07-02/2024-07-02", 404, "Ticker not found."),
        ("/v3/reference/exchanges", 404, "does not serve /v3/reference/exchanges"),
        ("/v2/aggs/ticker/SPY/range/1/minute/never/2024-07-02", 400, "time parameter: 'from'"),
    ],
)
def test_refusals(simulator: RunningSimulator, path: str, status: int, words: str) -> None:
    answer = get(simulator, path)
    assert answer.status == status
    assert words in (body(answer).get("error") or body(answer)["message"])


@pytest.mark.parametrize("path", [PATH, "/v2/aggs/ticker/SPY/range/1/minute/2023-07-03/2024-07-02?limit=50000"])
def test_gzip_only_when_asked(simulator: RunningSimulator, path: str) -> None:
    packed, plain = get(simulator, path), get(simulator, path, {"Authorization": "Bearer k"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert body(packed)["results"] == body(plain)["results"]
    assert len(packed.data) < len(plain.data) / 3


def test_requests_are_logged_with_what_they_asked_for(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="rate_limited"))
    get(simulator, PATH + "?limit=5&apiKey=secret")
    get(simulator, "/v1/marketstatus/now")
    limited, status = simulator.requests
    assert (limited.path, limited.query, limited.ticker, limited.session) == (PATH, {"limit": "5"}, "SPY", DAY)
    assert (limited.fault, limited.status) == ("rate_limited", 429)
    assert (status.path, status.ticker, status.session) == ("/v1/marketstatus/now", None, None)
    assert (status.fault, status.status) == (None, 200)


def test_of_very_many_requests_the_log_keeps_the_last(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellwether.simulator.server._KEPT_REQUESTS", 4)
    for limit in range(1, 7):
        get(simulator, f"{PATH}?limit={limit}")
    assert [request.query["limit"] for request in simulator.requests] == ["3", "4", "5", "6"]


def test_hang_leaves_one_request_without_answer_and_others_served(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="hang"))
    with pytest.raises(ReadTimeoutError):
        get(simulator, timeout_s=0.2)
    assert get(simulator).status == 200
    assert [request.status for request in simulator.requests] == [None, 200]


def test_a_hanging_request_does_not_keep_the_simulator_from_stopping(market: GeneratedMarket) -> None:
    with running(SimulatorConfig(market)) as simulator:
        simulator.faults.add(Fault(kind="hang", path="/v1"))
        waiting = http.client.HTTPConnection("127.0.0.1", simulator.port)
        waiting.request("GET", "/v1/marketstatus/now", headers=JSON_HEADERS)
        assert get(simulator).status == 200
    with pytest.raises(http.client.RemoteDisconnected):
        waiting.getresponse()


def test_drip_sends_the_right_body_in_the_end(simulator: RunningSimulator, market: GeneratedMarket) -> None:
    simulator.faults.add(Fault(kind="drip", pause_s=0.01))
    assert body(get(simulator))["resultsCount"] == len(market.bars("SPY", DAY).start_ms)


def test_reset_drops_the_connection_before_any_byte(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="reset"))
    with pytest.raises(ProtocolError):
        get(simulator)


def test_cut_body_declares_more_than_it_sends(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="cut_body"))
    with pytest.raises(ProtocolError) as error:
        get(simulator)
    assert "IncompleteRead" in str(error.value)


def test_cut_json_is_a_whole_answer_with_half_a_text(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="cut_json"))
    text = gzip.decompress(get(simulator).data)
    assert text.startswith(b'{"ticker":"SPY"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


def test_cut_gzip_is_a_whole_answer_with_half_a_stream(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="cut_gzip"))
    answer = get(simulator)
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    with pytest.raises(EOFError):
        gzip.decompress(answer.data)


def test_html_comes_with_status_200(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="html"))
    answer = get(simulator)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(kind="bad_request"), 400),
        (Fault(kind="unauthorized"), 401),
        (Fault(kind="not_entitled"), 403),
        (Fault(kind="outside_timeframe"), 403),
        (Fault(kind="before_end_of_day"), 403),
        (Fault(kind="not_found"), 404),
        (Fault(kind="rate_limited"), 429),
        (Fault(kind="rate_limited_empty"), 429),
        (Fault(kind="server_error"), 500),
        (Fault(kind="server_error", status=499), 499),
        (Fault(kind="bad_gateway"), 502),
    ],
)
def test_a_scripted_status_comes_once_then_the_right_answer(
    simulator: RunningSimulator, fault: Fault, status: int
) -> None:
    simulator.faults.add(fault)
    assert [get(simulator).status for _ in range(2)] == [status, 200]


def test_retry_after_is_sent_only_where_asked_for(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="rate_limited", retry_after_s=9))
    simulator.faults.add(Fault(kind="rate_limited", nth=2))
    assert [get(simulator).headers.get("Retry-After") for _ in range(2)] == ["9", None]


def test_page_faults_reach_the_wire(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="missing_results"))
    page = body(get(simulator))
    assert page["resultsCount"] > 0
    assert "results" not in page


def test_a_cursor_loop_leads_back_to_the_page_without_its_key(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="cursor_loop"))
    page = body(get(simulator, PATH + "?limit=5&apiKey=k"))
    assert page["next_url"] == f"https://api.polygon.io{PATH}?limit=5"


def test_a_fault_for_one_session_spares_the_others(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="server_error", session=HALF_DAY, count=None))
    pre_open_ms = int(get_calendar().hours(HALF_DAY).pre_open.timestamp()) * 1000
    other = f"/v2/aggs/ticker/T0001/range/1/minute/{pre_open_ms}/{HALF_DAY}"
    assert [get(simulator, path).status for path in (PATH, other, other)] == [200, 500, 500]


@pytest.mark.parametrize("port", [None, 65_536])
def test_an_impossible_port_is_refused_by_number(
    simulator: RunningSimulator, market: GeneratedMarket, port: int | None
) -> None:
    port = port or simulator.port
    with pytest.raises(ConfigError, match=str(port)), running(SimulatorConfig(market, port=port)):
        pass
