"""Every source from the vendor's wire to a published partition and back from raw, by the command line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from bellwether.cli.main import main
from bellwether.due import UNTIL
from bellwether.ingest.sources import CAPTURED
from bellwether.lake import Coverage, Lake, paths, read
from bellwether.lake.revisions import revision_of
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import Plan
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

SESSION = date(2025, 7, 2)
DAY = SESSION.isoformat()
BACKFILLED = [dataset for dataset in CAPTURED if dataset not in UNTIL]

type Command = Callable[..., int]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[AAPL, SPY]")
    monkeypatch.setenv("BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S", "0")
    for name in ("POLYGON_API_KEY", "AIRFLOW_CONN_POLYGON_DEFAULT", "AIRFLOW_CONN_LAKE_DEFAULT"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def market(plan: Plan | None = None) -> Iterator[RunningSimulator]:
    config = SimulatorConfig(market=GeneratedMarket(seed=7, tickers=["AAPL", "SPY"]), plan=plan or Plan())
    with running(config) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with market() as simulator:
        yield simulator


def backfill(dataset: str, lake: Path, url: str, *options: str) -> int:
    return main(["backfill", dataset, "--start", DAY, "--end", DAY, "--lake", str(lake), "--url", url, *options])


@pytest.fixture(scope="module")
def whole(simulator: RunningSimulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake into which one command has brought one session of every source."""
    lake = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[AAPL, SPY]")
        assert backfill("all", lake, simulator.url) == 0
    return lake


@pytest.mark.parametrize("dataset", BACKFILLED)
def test_one_command_captures_every_source(whole: Path, dataset: str) -> None:
    manifest = Lake.open(whole).manifest(dataset, SESSION)
    assert manifest is not None
    table = read(dataset, SESSION, SESSION, root=whole)
    assert (manifest.rows, manifest.revision) == (table.num_rows, revision_of(table))
    assert (manifest.provenance, manifest.blocking, manifest.quarantined_rows) == ("simulated", [], 0)
    assert manifest.inputs


@pytest.mark.parametrize("dataset", BACKFILLED)
def test_a_second_backfill_asks_nothing_and_changes_nothing(
    whole: Path, simulator: RunningSimulator, dataset: str
) -> None:
    before = Lake.open(whole).manifest(dataset, SESSION)
    asked = len(simulator.requests)
    assert backfill(dataset, whole, simulator.url) == 0
    assert (len(simulator.requests), Lake.open(whole).manifest(dataset, SESSION)) == (asked, before)


@pytest.mark.parametrize("dataset", BACKFILLED)
def test_raw_responses_give_the_same_revision_without_the_vendor(
    whole: Path, simulator: RunningSimulator, dataset: str
) -> None:
    lake = Lake.open(whole)
    before = lake.manifest(dataset, SESSION)
    assert before is not None
    asked = len(simulator.requests)
    key = paths.partition(dataset, SESSION)
    stored = lake.storage.read(key)
    assert stored is not None
    lake.storage.delete(key)
    assert main(["replay-raw", dataset, "--start", DAY, "--end", DAY, "--lake", str(whole)]) == 0
    after = lake.manifest(dataset, SESSION)
    assert after is not None
    assert (after.revision, after.rows, len(simulator.requests)) == (before.revision, before.rows, asked)


def test_tickers_narrow_one_dataset_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backfill("all", tmp_path, "http://127.0.0.1:1", "--tickers", "SPY") == 2
    assert "--tickers narrows one dataset" in capsys.readouterr().err


def test_a_rate_limit_given_with_the_command_must_be_a_number_of_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backfill("equities", tmp_path, "http://127.0.0.1:1", "--rate-limit", "0") == 2
    assert "--rate-limit is 0" in capsys.readouterr().err


def test_an_optional_source_that_the_plan_lacks_is_published_without_rows_and_nothing_fails(tmp_path: Path) -> None:
    with market(Plan(classes=frozenset({"stocks"}))) as simulator:
        assert backfill("indices", tmp_path, simulator.url) == 0
        asked = len(simulator.requests)
        assert backfill("indices", tmp_path, simulator.url) == 0
        assert len(simulator.requests) == asked
    manifest = Lake.open(tmp_path).manifest("indices", SESSION)
    assert manifest is not None
    assert {ticker: known.state for ticker, known in manifest.coverage.items()} == {"I:VIX": Coverage.NOT_ENTITLED}
    assert (manifest.rows, read("indices", SESSION, SESSION, root=tmp_path).num_rows) == (0, 0)


def test_a_required_source_that_the_plan_lacks_fails_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__INDICES__REQUIRED", "true")
    with market(Plan(classes=frozenset({"stocks"}))) as simulator:
        assert backfill("indices", tmp_path, simulator.url) == 1
    words = " ".join(capsys.readouterr().err.split())
    assert "You are not entitled to this data" in words
    assert "upgrade it" in words
    assert Lake.open(tmp_path).manifest("indices", SESSION) is None
