"""The transport against the simulator: real sockets, the unmodified official client, every fault there is."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.config import RetryPolicies, RetryRule
from bellwether.errors import (
    BadRequest,
    BadResponse,
    ConnectionFailed,
    NotEntitled,
    NotFound,
    NotPublishedYet,
    OutsideHistory,
    RateLimited,
    ServerError,
    Truncated,
    Unauthorized,
    VendorError,
)
from bellwether.faultpoints import PAGE_STAGED
from bellwether.lake import Lake
from bellwether.lake.stage import Stage
from bellwether.simulator.faults import KINDS, Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.sources import aggregates
from bellwether.sources.aggregates import Aggregates
from bellwether.sources.rest import PolygonRest
from bellwether.sources.wire import Timeouts

KEY = "loopback-key"
SESSION = date(2024, 7, 3)
Make = Callable[..., PolygonRest]


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSimulator]:
    market = GeneratedMarket(seed=3, tickers=["SPY", "AAPL", "IWM", "QQQ"], start=date(2024, 3, 1), end=SESSION)
    with running(SimulatorConfig(market, keys=frozenset({KEY}))) as simulator:
        yield simulator


@pytest.fixture
def simulator(served: RunningSimulator) -> RunningSimulator:
    served.faults.clear()
    served.requests.clear()
    return served


@pytest.fixture
def waits_s() -> list[float]:
    return []


@pytest.fixture
def make_rest(simulator: RunningSimulator, waits_s: list[float]) -> Make:
    def make(key: str = KEY, attempts: int = 1, **options: Any) -> PolygonRest:
        policies = RetryPolicies(default=RetryRule(attempts=attempts, base_s=10, cap_s=20), errors={})
        return PolygonRest(simulator.url, key, retries=policies, sleep=waits_s.append, rng=random.Random(5), **options)

    return make


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "PAGE_LIMIT", 150)


def fetch(rest: PolygonRest, ticker: str = "SPY", start: date = SESSION) -> Aggregates:
    first, last = get_calendar().hours(start), get_calendar().hours(SESSION)
    return rest.aggregates(
        ticker, int(first.pre_open.timestamp() * 1000), int(last.post_close.timestamp() * 1000) - 60_000
    )


def assert_ascending(table: pa.Table) -> None:
    times = table["ts"].cast(pa.int64()).to_numpy()
    assert (times[1:] > times[:-1]).all()


def test_pages_are_followed_over_a_foreign_next_url_without_leaving_the_loopback(
    simulator: RunningSimulator, make_rest: Make, small_pages: None
) -> None:
    paged = fetch(make_rest())
    assert len(paged.pages) == paged.api_calls == len(simulator.requests) > 2
    assert b'"next_url":"https://api.polygon.io/' in paged.pages[0].body
    assert all(page.url.startswith(simulator.url) and "cursor" not in page.url for page in paged.pages)
    assert len({page.request_id for page in paged.pages}) == len(paged.pages)
    assert_ascending(paged.table)


def test_paged_and_whole_answers_are_equal(make_rest: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fetch(make_rest())
    monkeypatch.setattr(aggregates, "PAGE_LIMIT", 150)
    assert whole.api_calls == 1
    assert fetch(make_rest()).table.equals(whole.table)


def test_four_months_come_in_pages_of_fifty_thousand(make_rest: Make) -> None:
    answer = fetch(make_rest(), start=date(2024, 3, 1))
    assert [page.body.count(b'"t":') for page in answer.pages[:-1]] == [50_000]
    assert answer.table.num_rows > 50_000
    assert_ascending(answer.table)


REFUSED: dict[str, type[VendorError]] = {
    "bad_request": BadRequest,
    "unauthorized": Unauthorized,
    "not_entitled": NotEntitled,
    "outside_timeframe": OutsideHistory,
    "before_end_of_day": NotPublishedYet,
    "not_found": NotFound,
    "rate_limited": RateLimited,
    "rate_limited_empty": RateLimited,
    "server_error": ServerError,
    "bad_gateway": ServerError,
    "hang": ConnectionFailed,
    "drip": ConnectionFailed,
    "reset": ConnectionFailed,
    "cut_body": Truncated,
    "cut_json": Truncated,
    "cut_gzip": Truncated,
    "html": BadResponse,
    "status_error": BadResponse,
    "missing_results": BadResponse,
    "null_results": BadResponse,
    "empty_results": BadResponse,
    "short_page": Truncated,
    "wrong_ticker": BadResponse,
    "unsorted": BadResponse,
    "null_price": BadResponse,
    "text_price": BadResponse,
    "outside_window": BadResponse,
    "swapped_rows": BadResponse,
    "huge_count": Truncated,
    "nan_price": BadResponse,
    "infinite_price": BadResponse,
    "gigantic_price": BadResponse,
    "deep_json": BadResponse,
    "cursor_loop": BadResponse,
}
# What the transport passes on: states that are no faults of it, and bars that the quality gate judges.
PASSED_ON = {
    "delayed",
    "null_next_url",
    "empty_next_url",
    "duplicate_bar",
    "conflicting_duplicate",
    "clipped_history",
    "high_below_low",
    "negative_price",
    "off_minute",
}
QUICK = Timeouts(read_s=0.4, response_s=0.5)


def test_every_fault_of_the_simulator_has_its_verdict_here() -> None:
    assert set(REFUSED) | PASSED_ON == KINDS


@pytest.mark.parametrize(("kind", "cls"), REFUSED.items(), ids=REFUSED.keys())
def test_every_fault_is_an_error_and_never_missing_rows(
    simulator: RunningSimulator, make_rest: Make, kind: str, cls: type[VendorError]
) -> None:
    simulator.faults.add(Fault(kind=kind, count=None, pause_s=0.1))
    with pytest.raises(VendorError) as caught:
        fetch(make_rest(timeouts=QUICK))
    error = caught.value
    assert type(error) is cls
    assert error.url.startswith(simulator.url)
    assert KEY not in str(error)


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_a_fault_in_mid_chain_is_healed_by_a_retry_that_asks_for_that_page_only(
    simulator: RunningSimulator, make_rest: Make, small_pages: None, waits_s: list[float], kind: str
) -> None:
    whole = fetch(make_rest())
    simulator.requests.clear()
    simulator.faults.add(Fault(kind=kind, nth=2, pause_s=0.1))
    answer = fetch(make_rest(attempts=2, timeouts=QUICK))
    assert answer.table.equals(whole.table)
    asked = [(entry.path, entry.query.get("cursor")) for entry in simulator.requests]
    assert len(asked) == answer.api_calls == whole.api_calls + 1
    assert asked[1] == asked[2]
    assert len(set(asked)) == whole.api_calls
    assert len(waits_s) == 1


@pytest.mark.parametrize("kind", sorted(PASSED_ON))
def test_what_is_for_others_to_judge_is_passed_on(simulator: RunningSimulator, make_rest: Make, kind: str) -> None:
    whole = fetch(make_rest())
    simulator.faults.add(Fault(kind=kind, count=None))
    answer = fetch(make_rest())
    rows = whole.table.num_rows
    expected = {"duplicate_bar": rows + 1, "conflicting_duplicate": rows + 1, "clipped_history": rows - rows // 2}
    assert answer.table.num_rows == expected.get(kind, rows)
    assert answer.status == ("DELAYED" if kind == "delayed" else "OK")


def test_a_slow_but_steady_response_is_read_to_its_end(simulator: RunningSimulator, make_rest: Make) -> None:
    simulator.faults.add(Fault(kind="drip", pause_s=0.02))
    assert fetch(make_rest(timeouts=Timeouts(read_s=0.5, response_s=10))).table.num_rows > 390


def test_429_waits_as_long_as_told_and_no_longer_than_the_rule(
    simulator: RunningSimulator, make_rest: Make, waits_s: list[float]
) -> None:
    simulator.faults.add(Fault(kind="rate_limited", retry_after_s=15))
    simulator.faults.add(Fault(kind="rate_limited", nth=2, retry_after_s=3600))
    answer = fetch(make_rest(attempts=3))
    assert (answer.api_calls, answer.table.num_rows > 390) == (3, True)
    assert [int(wait_s) for wait_s in waits_s] == [15, 20]  # and less than a second of jitter


def test_an_exhausted_429_keeps_what_the_vendor_said(simulator: RunningSimulator, make_rest: Make) -> None:
    simulator.faults.add(Fault(kind="rate_limited", count=None, retry_after_s=7))
    with pytest.raises(RateLimited, match="exceeded the maximum requests per minute") as caught:
        fetch(make_rest(attempts=2))
    assert (caught.value.status, caught.value.retry_after_s) == (429, 7.0)
    assert caught.value.request_id


def test_no_bars_is_an_empty_table_and_no_ticker_an_error(make_rest: Make) -> None:
    hours = get_calendar().hours(SESSION)
    midnight_ms = int(hours.post_close.timestamp() * 1000) + 4 * 3_600_000
    assert make_rest().aggregates("SPY", midnight_ms, midnight_ms + 3_600_000).table.num_rows == 0
    with pytest.raises(NotFound, match="Ticker not found"):
        fetch(make_rest(), ticker="NOSUCH")


def test_a_wrong_key_is_unauthorized_and_not_shown(make_rest: Make) -> None:
    rest = make_rest(key="wrong-key-777")
    for call in (rest.market_status, lambda: fetch(rest)):
        with pytest.raises(Unauthorized, match="Unknown API Key") as caught:
            call()
        assert "wrong-key-777" not in str(caught.value)


def test_market_status_is_read(make_rest: Make) -> None:
    assert make_rest().market_status().market in {"open", "closed", "extended-hours"}


def test_nobody_listening_is_connection_failed() -> None:
    rest = PolygonRest("http://127.0.0.1:1", KEY, retries=RetryPolicies(default=RetryRule(attempts=1), errors={}))
    with pytest.raises(ConnectionFailed, match="no answer"):
        rest.market_status()


# Fetches a batch for each line it reads, in a fork.
FETCH_ONE_BATCH = """
import os
import sys
from datetime import date
from pathlib import Path
from bellwether.config import Config
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.plan import Batch
from bellwether.lake import Lake
from bellwether.sources import aggregates
from bellwether.sources.rest import PolygonRest

url, key, folder, session = sys.argv[1:]
aggregates.PAGE_LIMIT = 300
batch = Batch("equities", date.fromisoformat(session), "s1", 0, ("QQQ", "SPY"))
for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.dup2(2, 1)  # what is logged is no exit code
        fetch_batch(Lake.open(Path(folder), simulated=True), PolygonRest(url, key), Config(), batch)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def test_a_process_killed_between_pages_again_and_again_fetches_none_of_them_twice(
    simulator: RunningSimulator, make_rest: Make, tmp_path: Path
) -> None:
    whole = {ticker: fetch(make_rest(), ticker).table for ticker in ("QQQ", "SPY")}
    simulator.requests.clear()
    faults = tmp_path / "faults"
    faults.mkdir()
    command = [sys.executable, "-c", FETCH_ONE_BATCH, simulator.url, KEY, tmp_path / "lake", SESSION.isoformat()]
    env = os.environ | {"BELLWETHER_FAULT_DIR": str(faults)}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def exit_code() -> int:
            process.stdin.write("\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        for deaths in (1, 2):
            (faults / f"{PAGE_STAGED}@{SESSION}").touch()
            assert exit_code() == -signal.SIGKILL
            assert len(simulator.requests) == deaths
        assert exit_code() == 0
        process.stdin.close()
    asked = [(entry.path, entry.query.get("cursor")) for entry in simulator.requests]
    assert len(asked) == len(set(asked)) > deaths + 1
    stage = Stage(Lake.open(tmp_path / "lake", simulated=True), "equities", SESSION, "s1")
    found = stage.read_batch(0)
    assert found is not None
    assert found[0].num_rows == sum(table.num_rows for table in whole.values())
    assert found[0]["close"].to_pylist() == [*whole["QQQ"]["close"].to_pylist(), *whole["SPY"]["close"].to_pylist()]
    assert [path.name for path in (tmp_path / "lake" / stage.folder).iterdir()] == ["b000.parquet"]


def test_threads_share_one_transport(make_rest: Make, small_pages: None) -> None:
    rest = make_rest()
    tickers = ["SPY", "AAPL", "IWM", "QQQ"] * 3
    alone = {ticker: fetch(rest, ticker).table for ticker in set(tickers)}
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda ticker: fetch(rest, ticker), tickers))
    assert [answer.ticker for answer in answers] == tickers
    assert all(answer.table.equals(alone[answer.ticker]) for answer in answers)


def test_the_key_never_comes_from_the_environment_and_the_client_writes_nothing_to_stdout() -> None:
    code = (
        "import logging\n"
        "from bellwether.errors import ConfigError\n"
        "from bellwether.sources.rest import PolygonRest\n"
        "try: PolygonRest('https://api.polygon.io', '')\n"
        "except ConfigError: pass\n"
        "else: raise SystemExit('took a key from the environment')\n"
        "rest = PolygonRest('https://api.polygon.io', 'given-by-hand')\n"
        "assert rest._wire._client.API_KEY == 'given-by-hand'\n"
        "logging.getLogger('RESTClient').error('a line of the client')\n"
    )
    environment = os.environ | {"POLYGON_API_KEY": "from-the-environment"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == ""
