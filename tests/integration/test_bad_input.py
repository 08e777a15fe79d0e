"""Every kind of bad input, from the wire or from people, by the command line: told in words; nothing lost or half.

A good revision is published first. Whatever comes then, readers see it or a better one, and the ledger says why.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bellwether.cli.main import main
from bellwether.lake import Coverage, Lake, paths, read
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from tests.builders import SESSION

DAY = str(SESSION)

# What the vendor sends, and the class and words with which the ticker fails.
REFUSED = {
    "status_error": "BadResponse: status 'ERROR'",
    "missing_results": "BadResponse: no bars, yet not a proven empty answer",
    "null_results": "BadResponse: no bars, yet not a proven empty answer",
    "empty_results": "BadResponse: no bars, yet not a proven empty answer",
    "short_page": "Truncated: declares",
    "huge_count": "Truncated: declares 1000000000 bars",
    "wrong_ticker": "BadResponse: asked for SPY, answered for WRONG",
    "unsorted": "BadResponse: bars are not in ascending order",
    "swapped_rows": "BadResponse: bars are not in ascending order",
    "outside_window": "BadResponse: asked for bars of",
    "cursor_loop": "BadResponse: ",
    "deep_json": "BadResponse: ",
    "nan_price": "BadResponse: ",
    "infinite_price": "BadResponse: ",
    "gigantic_price": "BadResponse: ",
    "null_price": "BadResponse: ",
    "text_price": "BadResponse: ",
    "html": "BadResponse: ",
    "cut_json": "Truncated: ",
    "cut_gzip": "Truncated: ",
    "cut_body": "Truncated: ",
    "reset": "ConnectionFailed: ",
    "server_error": "ServerError: ",
    "not_entitled": "NotEntitled: ",
    "outside_timeframe": "OutsideHistory: ",
    "unauthorized": "Unauthorized: ",
    "bad_request": "BadRequest: ",
    "rate_limited_empty": "RateLimited: ",
}
# What the vendor sends, how many rows of it go to quarantine, and with which reason.
QUARANTINED = {
    "high_below_low": (1, "high_below_low"),
    "negative_price": (1, "price_not_positive"),
    "off_minute": (1, "off_minute"),
    "conflicting_duplicate": (2, "conflicting_rows"),
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=["AAPL", "SPY"]))) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, simulator: RunningSimulator) -> Iterator[None]:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[AAPL, SPY]")
    monkeypatch.setenv("BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S", "0")
    for name in ("POLYGON_API_KEY", "AIRFLOW_CONN_POLYGON_DEFAULT", "AIRFLOW_CONN_LAKE_DEFAULT"):
        monkeypatch.delenv(name, raising=False)
    yield
    simulator.faults.clear()


@pytest.fixture(scope="module")
def good(simulator: RunningSimulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake in which AAPL is published; copied by each test that begins with it."""
    lake = tmp_path_factory.mktemp("good")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[AAPL, SPY]")
        arguments = ["--start", DAY, "--end", DAY, "--lake", str(lake), "--url", simulator.url, "--tickers", "AAPL"]
        assert main(["backfill", "equities", *arguments]) == 0
    return lake


@pytest.fixture
def backfill(tmp_path: Path, simulator: RunningSimulator) -> Callable[..., int]:
    def run(*options: str, start: str = DAY, end: str = DAY) -> int:
        window = ["--start", start, "--end", end, "--lake", str(tmp_path), "--url", simulator.url]
        return main(["backfill", "equities", *window, *options])

    return run


def published(lake: Path) -> tuple[str, int]:
    """Return revision and rows of the session in force, proven whole."""
    manifest = Lake.open(lake).manifest("equities", SESSION)
    assert manifest is not None
    rows = read("equities", SESSION, SESSION, root=lake).num_rows
    assert rows == manifest.rows == sum(known.rows for known in manifest.coverage.values())
    return manifest.revision, rows


@pytest.mark.parametrize(("kind", "words"), REFUSED.items(), ids=REFUSED.keys())
def test_an_answer_that_cannot_be_believed_fails_its_ticker_and_leaves_what_is_published(
    kind: str,
    words: str,
    backfill: Callable[..., int],
    simulator: RunningSimulator,
    good: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind == "rate_limited_empty":  # its own rule waits a minute
        monkeypatch.setenv("BELLWETHER__RETRY_POLICY__ERRORS", "{RateLimited: {attempts: 1}}")
    shutil.copytree(good, tmp_path, dirs_exist_ok=True)
    before = published(tmp_path)
    simulator.faults.add(Fault(kind=kind, ticker="SPY", count=None))
    assert backfill() == 1
    assert published(tmp_path) == before
    known = Lake.open(tmp_path).manifest("equities", SESSION).coverage["SPY"]
    assert (known.state, known.rows) == (Coverage.FAILED, 0)
    assert known.reason.startswith(words)
    assert words.partition(":")[0] in " ".join(capsys.readouterr().err.split())
    simulator.faults.clear()
    assert backfill() == 0
    assert published(tmp_path)[1] > before[1]


@pytest.mark.parametrize(("kind", "rows", "reason"), [(k, *v) for k, v in QUARANTINED.items()], ids=QUARANTINED.keys())
def test_a_row_that_breaks_a_rule_goes_to_quarantine_with_its_reason_and_the_others_are_published(
    kind: str, rows: int, reason: str, backfill: Callable[..., int], simulator: RunningSimulator, tmp_path: Path
) -> None:
    simulator.faults.add(Fault(kind=kind, ticker="SPY", count=None))
    assert backfill() == 0
    lake = Lake.open(tmp_path)
    manifest = lake.manifest("equities", SESSION)
    spy = manifest.coverage["SPY"]
    assert (spy.state, spy.quarantined_rows) == (Coverage.PARTIAL, rows)
    [file] = (tmp_path / "quarantine").rglob("*.parquet")
    held = pq.read_table(file)
    assert held.num_rows == rows
    assert all(reason in said for said in held["reason"].to_pylist())
    assert published(tmp_path)[1] == manifest.rows


def test_equal_rows_sent_twice_are_published_once_and_counted(
    backfill: Callable[..., int], simulator: RunningSimulator, tmp_path: Path
) -> None:
    assert backfill() == 0
    before = published(tmp_path)
    simulator.faults.add(Fault(kind="duplicate_bar", ticker="SPY", count=None))
    assert backfill("--force") == 0
    assert published(tmp_path) == before
    assert Lake.open(tmp_path).manifest("equities", SESSION).coverage["SPY"].duplicates_dropped == 1


def test_a_ticker_the_vendor_does_not_know_is_proven_unknown_and_costs_nothing_again(
    backfill: Callable[..., int], simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[AAPL, NOSUCH]")
    assert backfill() == 0
    assert Lake.open(tmp_path).manifest("equities", SESSION).coverage["NOSUCH"].state is Coverage.UNKNOWN_TICKER
    asked = len(simulator.requests)
    assert backfill() == 0
    assert len(simulator.requests) == asked


@pytest.mark.parametrize(
    ("universe", "words"),
    [
        ('["../x", "SPY"]', "'../x' is not a ticker"),
        ("[]", "universe"),
        ("[SPY, AAPL, SPY]", "SPY"),
    ],
    ids=["path-like", "empty", "duplicates"],
)
def test_a_universe_that_cannot_be_meant_is_refused_before_anything_is_asked(
    universe: str,
    words: str,
    backfill: Callable[..., int],
    simulator: RunningSimulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = len(simulator.requests)
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", universe)
    assert backfill() == 2
    said = capsys.readouterr().err
    assert words in said
    assert "sources.yaml" in said
    assert len(simulator.requests) == asked
    assert not (tmp_path / "clean").exists()


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2025-07-04", "2025-07-06", "no session of equities is due from 2025-07-04 to 2025-07-06"),
        ("2099-01-05", "2099-01-05", "the last due is"),
    ],
    ids=["a holiday and its weekend", "the future"],
)
def test_days_without_a_session_are_refused_with_what_there_is(
    start: str, end: str, words: str, backfill: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert backfill(start=start, end=end) == 2
    assert words in capsys.readouterr().err


def test_a_wrong_key_is_named_once_with_what_to_do_and_no_ticker_is_asked_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    market = GeneratedMarket(seed=7, tickers=["AAPL", "SPY"])
    with running(SimulatorConfig(market=market, keys=frozenset({"right"}))) as vendor:
        connection = {"host": vendor.url, "password": "not-the-right-one", "extra": {"environment": "simulated"}}
        monkeypatch.setenv("AIRFLOW_CONN_POLYGON_DEFAULT", json.dumps(connection))
        arguments = ["--start", DAY, "--end", DAY, "--lake", str(tmp_path)]
        assert main(["backfill", "equities", *arguments]) == 1
        said = " ".join(capsys.readouterr().err.split())
        assert "Unknown API Key" in said
        assert "does not accept the API key" in said
        assert len(vendor.requests) == 1
    lake = Lake.open(tmp_path)
    assert lake.manifest("equities", SESSION) is None
    assert lake.storage.read(paths.failures("equities", SESSION)) is not None
