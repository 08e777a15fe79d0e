"""The list endpoints, day bars, options and indices over loopback: the unmodified official client, and every fault."""

import gzip
import http.client
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import urllib3
from polygon import RESTClient
from polygon.exceptions import BadResponse
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from bellwether.clock import SimulatedClock
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.faults import TRANSIENT, Chance, Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS, Plan
from bellwether.simulator.requestlog import key_id
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

NOW = datetime(2024, 7, 2, 18, tzinfo=UTC)
MONDAY = date(2024, 7, 1)
NEAR = {"expiration_date": "2024-07-19", "strike_price.gte": 510, "strike_price.lte": 540}
LISTS = {
    "/v3/reference/options/contracts": "underlying_ticker=SPY&expiration_date=2024-07-19",
    "/v3/reference/tickers": "market=stocks",
    "/v3/reference/dividends": "ticker=SPY",
    "/v3/reference/splits": "execution_date.gte=2001-01-01",
    "/v2/reference/news": "published_utc.gte=2024-06-01",
    "/fed/v1/treasury-yields": "date.gte=2024-05-01",
    "/v3/snapshot/options/SPY": "expiration_date=2024-07-19&strike_price.gte=510&strike_price.lte=540",
}


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3, tickers=40)


@pytest.fixture(scope="module")
def shared(market: GeneratedMarket) -> Iterator[RunningSimulator]:
    with running(SimulatorConfig(market, clock=SimulatedClock(NOW, speed=0))) as simulator:
        yield simulator


@pytest.fixture
def simulator(shared: RunningSimulator) -> RunningSimulator:
    shared.faults.clear()
    shared.requests.clear()
    return shared


def get(simulator: RunningSimulator, path: str, key: str = "k", timeout_s: float = 10) -> urllib3.BaseHTTPResponse:
    headers = {"Authorization": f"Bearer {key}", "Accept-Encoding": "gzip"}
    with urllib3.PoolManager(retries=False, timeout=timeout_s) as pool:
        return pool.request("GET", simulator.url + path, headers=headers, decode_content=False)


def body(simulator: RunningSimulator, path: str) -> dict[str, Any]:
    return json.loads(gzip.decompress(get(simulator, path).data))


PAGED: dict[str, tuple[Callable[[RESTClient, int], Iterator[Any]], Callable[[Any], object]]] = {
    "contracts": (
        lambda client, limit: client.list_options_contracts(
            "SPY", expiration_date="2024-07-19", strike_price_gte=510, strike_price_lte=540, limit=limit
        ),
        lambda row: row.ticker,
    ),
    "expired contracts": (
        lambda client, limit: client.list_options_contracts(
            "SPY", expired=True, expiration_date_gte="2024-06-28", strike_price_gte=515, limit=limit
        ),
        lambda row: row.ticker,
    ),
    "chain": (
        lambda client, limit: client.list_snapshot_options_chain("SPY", params={**NEAR, "limit": limit}),
        lambda row: row.details.ticker,
    ),
    "tickers": (lambda client, limit: client.list_tickers(limit=limit), lambda row: row.ticker),
    "dividends": (
        lambda client, limit: client.list_dividends(ex_dividend_date_gte="2024-01-01", limit=limit),
        lambda row: row.id,
    ),
    "splits": (lambda client, limit: client.list_splits(limit=limit), lambda row: row.id),
    "news": (
        lambda client, limit: client.list_ticker_news(published_utc_gte="2024-07-01T00:00:00Z", limit=limit),
        lambda row: row.id,
    ),
    "yields": (
        lambda client, limit: client.list_treasury_yields(date_gte="2024-05-01", limit=limit),
        lambda row: row.date,
    ),
}


@pytest.mark.parametrize("name", PAGED)
def test_the_official_client_pages_through_every_list_once(simulator: RunningSimulator, name: str) -> None:
    client = RESTClient("k", base=simulator.url, retries=0)
    ask, key = PAGED[name]
    whole, paged = (list(map(key, ask(client, limit))) for limit in (250, 7))
    assert whole == paged
    assert len(set(whole)) == len(whole) > 7
    assert len(simulator.requests) == 1 + -(-len(whole) // 7)
    assert all("cursor" in entry.query for entry in simulator.requests[2:])


def test_the_official_client_reads_what_has_no_pages(simulator: RunningSimulator, market: GeneratedMarket) -> None:
    client = RESTClient("k", base=simulator.url, retries=0)
    day, grouped = client.get_daily_open_close_agg("SPY", "2024-07-01"), client.get_grouped_daily_aggs("2024-07-01")
    spy = next(row for row in grouped if row.ticker == "SPY")
    assert (day.open, day.high, day.low, day.close, day.volume) == (spy.open, spy.high, spy.low, spy.close, spy.volume)
    assert client.get_market_holidays()[0].date == "2024-07-03"
    with pytest.raises(BadResponse, match="Data not found"):
        client.get_daily_open_close_agg("SPY", "2024-06-30")


def test_options_and_indices_are_aggregates_like_others(simulator: RunningSimulator, market: GeneratedMarket) -> None:
    client = RESTClient("k", base=simulator.url, retries=0)
    spot = market.spot("SPY", NOW)
    contracts = client.list_options_contracts("SPY", expiration_date="2024-07-19", as_of="2024-07-01", limit=250)
    nearest = min(contracts, key=lambda row: abs(row.strike_price - spot))
    for ticker in (nearest.ticker, "I:SPX", "I:VIX"):
        bars = list(client.list_aggs(ticker, 1, "minute", MONDAY, MONDAY, limit=100))
        assert [bar.timestamp for bar in bars] == market.bars(ticker, MONDAY).start_ms.tolist()
    page = body(simulator, f"/v2/aggs/ticker/I:VIX/range/1/minute/{MONDAY}/{MONDAY}")
    assert "adjusted" not in page
    assert set(page["results"][0]) == {"o", "h", "l", "c", "t"}


def test_the_archive_serves_its_options_indices_and_contracts(archive: Path) -> None:
    table = pq.read_table(archive / "bars_option_AAPL_20140606.parquet").to_pylist()
    contracts = pq.read_table(archive / "contracts_AAPL_20140606.parquet")
    ticker = "O:AAPL140613C00645000"
    clock = SimulatedClock(datetime(2014, 6, 6, 19, tzinfo=UTC), speed=0)
    with running(SimulatorConfig(ArchiveMarket(archive), clock=clock, plan=PLANS["realtime"])) as simulator:
        client = RESTClient("k", base=simulator.url, retries=0)
        bars = list(client.list_aggs(ticker, 1, "minute", "2014-06-06", "2014-06-06"))
        chain = list(client.list_snapshot_options_chain("AAPL", params={"limit": 250, "expiration_date": "2014-06-13"}))
        named = {row.ticker for row in client.list_options_contracts("AAPL", limit=1000)}
        vix = list(client.list_aggs("I:VIX", 1, "day", "2014-05-01", "2014-06-05"))
        news = list(client.list_ticker_news("AAPL"))
    seen_ms = clock.now().timestamp() * 1000 - 60_000
    assert [(bar.timestamp, bar.close) for bar in bars] == [
        (row["t"], row["c"]) for row in table if row["ticker"] == ticker and row["t"] <= seen_ms
    ]
    assert named == set(contracts["ticker"].to_pylist())
    assert {row.details.ticker for row in chain} == {name for name in named if name.startswith("O:AAPL140613")}
    assert all(row.greeks is None for row in chain)
    assert (len(vix), vix[-1].close, news) == (25, 11.68, [])


BROKEN = {"hang": ReadTimeoutError, "reset": ProtocolError, "cut_body": ProtocolError, "cut_gzip": EOFError}
OTHER_STATUS = {"cut_json": 200, "html": 200, "bad_gateway": 502, "rate_limited_empty": 429}


@pytest.mark.parametrize("path", LISTS)
def test_faults_on_their_way_strike_lists_too(simulator: RunningSimulator, path: str) -> None:
    url = f"{path}?{LISTS[path]}"
    whole = gzip.decompress(get(simulator, url).data)
    for kind, error in BROKEN.items():
        simulator.faults.add(Fault(kind=kind, path=path))
        with pytest.raises(error):
            gzip.decompress(get(simulator, url, timeout_s=0.3 if kind == "hang" else 10).data)
    for kind, status in OTHER_STATUS.items():
        simulator.faults.add(Fault(kind=kind, path=path))
        answer = get(simulator, url)
        assert answer.status == status
        assert gzip.decompress(answer.data) != whole
    simulator.faults.add(Fault(kind="drip", path=path, pause_s=0.001))
    assert len(gzip.decompress(get(simulator, url).data)) == len(whole)


@pytest.mark.parametrize("path", LISTS)
def test_faults_of_pages_strike_lists_too(simulator: RunningSimulator, path: str) -> None:
    url = f"{path}?{LISTS[path]}&limit=5"

    def struck(kind: str) -> dict[str, Any]:
        simulator.faults.add(Fault(kind=kind))
        return body(simulator, url)

    rows = body(simulator, url)["results"]
    assert struck("status_error")["status"] == "ERROR"
    assert "results" not in struck("missing_results")
    assert (struck("null_results")["results"], struck("empty_results")["results"]) == (None, [])
    assert (struck("null_next_url")["next_url"], struck("empty_next_url")["next_url"]) == (None, "")
    assert struck("cursor_loop")["next_url"] == f"https://api.polygon.io{url}"
    assert struck("clipped_history")["results"] == rows[2:]
    assert struck("duplicate_bar")["results"] == [*rows[:3], *rows[2:]]
    assert struck("outside_filter")["results"][2] != rows[2]
    following = struck("overlapping_pages")["next_url"].removeprefix("https://api.polygon.io")
    assert body(simulator, following)["results"][0] == rows[-1]


def test_500_comes_as_often_as_scripted_then_the_right_answer(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="server_error", path="/fed", count=3))
    assert [get(simulator, "/fed/v1/treasury-yields").status for _ in range(4)] == [500, 500, 500, 200]


def test_chance_strikes_the_same_requests_of_the_same_sequence(simulator: RunningSimulator) -> None:
    kinds = []
    for _ in range(2):
        simulator.requests.clear()
        simulator.faults.take(Chance(rate=0.3, seed=7, kinds=("html", "server_error", "missing_results")))
        for _ in range(40):
            get(simulator, "/fed/v1/treasury-yields")
        kinds.append([entry.fault for entry in simulator.requests])
    assert kinds[0] == kinds[1]
    assert {None, "html", "server_error", "missing_results"} == set(kinds[0])
    assert set(kinds[0]) - {None} <= set(TRANSIENT)


def test_plans_go_by_key_and_the_free_one_is_refused_beyond_its_rate(market: GeneratedMarket) -> None:
    plans = {"poor": PLANS["free"], "slow": PLANS["delayed"], "rich": PLANS["realtime"]}
    minute = "/v2/aggs/ticker/SPY/range/1/minute/2024-07-02/2024-07-02"
    with running(SimulatorConfig(market, clock=SimulatedClock(NOW, speed=0), plans=plans)) as simulator:
        statuses = [get(simulator, minute, key).status for key in ("poor", "slow", "rich", "unknown")]
        chains = [get(simulator, "/v3/snapshot/options/SPY", key).status for key in ("poor", "slow")]
        yields = [get(simulator, "/fed/v1/treasury-yields", "poor").status for _ in range(5)]
        assert len(simulator.requests.where(key=key_id("poor"), status=429)) == 2
    assert statuses == [403, 200, 200, 401]
    assert chains == [403, 200]
    assert yields == [200, 200, 200, 429, 429]  # refusals of the plan count, refusals of the rate do not


def test_the_window_of_a_plan_slides_in_real_time(market: GeneratedMarket) -> None:
    plan = Plan(requests_per_window=2, window_s=0.3)
    with running(SimulatorConfig(market, plan=plan)) as simulator:
        statuses = [get(simulator, "/v1/marketstatus/now").status]
        while len(statuses) < 500 and statuses.count(200) < 4:
            statuses.append(get(simulator, "/v1/marketstatus/now").status)
        answered = [entry.arrived_s for entry in simulator.requests.where(status=200)]
    assert statuses.count(429) > 0
    assert answered[2] - answered[0] >= plan.window_s - 0.02


def control(
    simulator: RunningSimulator, method: str, name: str, content: object = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    sent = {"Content-Type": "application/json"} | (headers or {})
    connection.request(method, f"/_simulator/{name}", None if content is None else json.dumps(content), sent)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if response.status == 200 else text.decode()


def test_the_log_is_read_from_outside_and_shows_no_key(simulator: RunningSimulator) -> None:
    get(simulator, "/v3/reference/dividends?ticker=SPY&apiKey=very-secret", "")
    get(simulator, "/v1/open-close/SPY/2024-07-01", "other")
    status, entries = control(simulator, "GET", f"requests?key={key_id('very-secret')}")
    assert (status, [(entry["path"], entry["ticker"]) for entry in entries]) == (
        200,
        [("/v3/reference/dividends", "SPY")],
    )
    assert [entry["path"] for entry in control(simulator, "GET", "requests?ticker=SPY&session=2024-07-01")[1]] == [
        "/v1/open-close/SPY/2024-07-01"
    ]
    assert "very-secret" not in json.dumps(control(simulator, "GET", "requests")[1])
    assert control(simulator, "DELETE", "requests") == (200, [])
    assert simulator.requests == []


def test_faults_chance_and_clock_are_steered_from_outside(market: GeneratedMarket) -> None:
    with running(SimulatorConfig(market, clock=SimulatedClock(NOW, speed=0))) as simulator:
        _, shown = control(simulator, "POST", "faults", [{"kind": "html", "key": "k"}])
        assert [(fault["kind"], fault["key"]) for fault in shown] == [("html", key_id("k"))]
        assert get(simulator, "/v1/marketstatus/now").headers["Content-Type"] == "text/html"
        assert control(simulator, "POST", "chance", {"rate": 1, "kinds": ["server_error"]})[0] == 200
        assert get(simulator, "/v1/marketstatus/now").status == 500
        assert control(simulator, "DELETE", "faults") == (200, [])
        control(simulator, "POST", "clock", {"now_utc": "2024-07-03T18:00:00Z"})
        assert control(simulator, "GET", "clock")[1] == {"now_utc": "2024-07-03T18:00:00Z", "speed": 0.0}
        assert body(simulator, "/v1/marketstatus/now")["serverTime"] == "2024-07-03T14:00:00-04:00"
        assert {entry.path for entry in simulator.requests} == {"/v1/marketstatus/now"}


@pytest.mark.parametrize(
    ("method", "name", "content", "headers", "status"),
    [
        ("GET", "requests", None, {"Host": "evil.example.com:80"}, 403),
        ("POST", "faults", [], {"Host": "evil.example.com:80"}, 403),
        ("POST", "faults", [], {"Content-Type": "text/plain"}, 415),
        ("POST", "faults", [{"kind": "explode"}], {}, 400),
        ("POST", "chance", {"rate": 2}, {}, 400),
        ("POST", "clock", {"now_utc": "2024-07-03T18:00:00"}, {}, 400),
        ("GET", "requests?session=soon", None, {}, 400),
        ("GET", "requests?status=fine", None, {}, 400),
    ],
)
def test_a_wrong_control_request_is_refused(
    simulator: RunningSimulator, method: str, name: str, content: object, headers: dict[str, str], status: int
) -> None:
    assert control(simulator, method, name, content, headers)[0] == status
