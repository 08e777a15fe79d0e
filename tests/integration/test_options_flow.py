"""Contracts and their bars from the vendor's wire to published partitions, by the command line: invented trouble.

That real contracts and bars arrive as they are is proven on a real Airflow, in `tests/e2e/test_archive.py`.
"""

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bellwether.cli.main import main
from bellwether.cli.options import vendor_access
from bellwether.config import Config
from bellwether.errors import RateLimited
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.plan import plan_session
from bellwether.lake import Coverage, Lake
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

AAPL_DAY = date(2014, 6, 6)


@pytest.fixture(scope="module")
def history(archive: Path) -> Iterator[RunningSimulator]:
    with running(SimulatorConfig(market=ArchiveMarket(archive))) as simulator:
        yield simulator


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return `use(underlyings, **rule)`: what the configuration is to say of options."""
    monkeypatch.setenv("BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S", "0")
    monkeypatch.setenv("BELLWETHER__INGEST__BATCH_TICKERS", "250")
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("POLYGON_API_KEY", "AIRFLOW_CONN_POLYGON_DEFAULT", "AIRFLOW_CONN_LAKE_DEFAULT"):
        monkeypatch.delenv(name, raising=False)

    def configure(underlyings: list[str], **rule: Any) -> None:
        monkeypatch.setenv("BELLWETHER__SOURCES__OPTIONS__UNIVERSE", json.dumps(underlyings))
        monkeypatch.setenv("BELLWETHER__SOURCES__OPTIONS__CONTRACTS", json.dumps(rule))

    return configure


def bellwether(command: str, simulator: RunningSimulator, lake: Path, session: date, *options: str) -> int:
    where = ["--lake", str(lake), "--url", simulator.url]
    if command == "discover":
        return main(["discover", "--session", str(session), *where, *options])
    return main(["backfill", command, "--start", str(session), "--end", str(session), *where, *options])


def test_a_band_without_contracts_publishes_both_datasets_without_rows_and_says_why(
    archive: Path, history: RunningSimulator, tmp_path: Path, use: Callable[..., None], capsys: Any
) -> None:
    use(["TWX"], lookahead_days=0)
    assert bellwether("options", history, tmp_path, AAPL_DAY) == 0
    lake = Lake.open(tmp_path)
    known = lake.manifest("contracts", AAPL_DAY).coverage["TWX"]
    assert (known.state, known.rows) == (Coverage.EMPTY, 0)
    assert "of 0 contracts listed nearby none is meant: strike within 1 % of " in known.reason
    assert "expires on the session (open_close)" in known.reason
    options = lake.manifest("options", AAPL_DAY)
    assert (options.rows, options.coverage, options.universe.tickers) == (0, {}, ())
    where = ["--lake", str(tmp_path), "--start", str(AAPL_DAY), "--end", str(AAPL_DAY)]
    assert main(["coverage", "options", *where]) == 0
    assert "empty" in capsys.readouterr().out
    history.requests.clear()
    assert bellwether("options", history, tmp_path, AAPL_DAY) == 0
    assert history.requests == []


def test_a_chain_of_several_pages_is_listed_whole_and_replayed_to_the_same_revision(
    archive: Path, history: RunningSimulator, tmp_path: Path, use: Callable[..., None], capsys: Any
) -> None:
    use(["AAPL"], strikes="wide", lookahead_days=1000)
    history.requests.clear()
    assert bellwether("discover", history, tmp_path, AAPL_DAY) == 0
    assert sum(request.path.endswith("/options/contracts") for request in history.requests) == 3 + 1
    lake = Lake.open(tmp_path)
    before = lake.manifest("contracts", AAPL_DAY)
    assert before.rows == 2352
    assert "650 (open_close)" in capsys.readouterr().out
    day = ["--start", str(AAPL_DAY), "--end", str(AAPL_DAY), "--lake", str(tmp_path)]
    assert main(["replay-raw", "contracts", *day, "--check"]) == 0
    [partition] = (tmp_path / "clean" / "contracts").rglob("*.parquet")
    partition.unlink()
    assert main(["replay-raw", "contracts", *day]) == 0
    assert lake.manifest("contracts", AAPL_DAY).revision == before.revision
    use(["AAPL"], strikes="wide", lookahead_days=2000)  # a rule that means more than was asked for
    assert main(["replay-raw", "contracts", *day]) == 1
    assert lake.manifest("contracts", AAPL_DAY).revision == before.revision


def test_a_rate_limit_in_mid_chain_goes_on_behind_the_last_page(
    archive: Path, history: RunningSimulator, tmp_path: Path, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(["AAPL"], strikes="wide", lookahead_days=1000)
    monkeypatch.setenv("BELLWETHER__RETRY_POLICY__ERRORS", "{RateLimited: {attempts: 1}}")
    fault = Fault(kind="rate_limited_empty", path="/v3/reference/options/contracts", nth=2)
    history.faults.add(fault)
    try:
        config = Config.load()
        lake = Lake.open(tmp_path, simulated=True)
        rest = vendor_access(history.url).connect(config)
        [batch] = plan_session(lake, config, rest, "contracts", AAPL_DAY, stage_id="s1")
        with pytest.raises(RateLimited):
            fetch_batch(lake, rest, config, batch)
        history.requests.clear()
        assert fetch_batch(lake, rest, config, batch).rows == 2352
    finally:
        history.faults.clear()
    pages = [request for request in history.requests if request.path.endswith("/options/contracts")]
    assert ["cursor" in request.query for request in pages] == [True, True, False]


def test_an_underlying_nobody_knows_is_told_and_holds_no_other_back(
    archive: Path, history: RunningSimulator, tmp_path: Path, use: Callable[..., None], capsys: Any
) -> None:
    use(["AAPL", "ZZZZ"])
    assert bellwether("options", history, tmp_path, AAPL_DAY) == 0
    coverage = Lake.open(tmp_path).manifest("contracts", AAPL_DAY).coverage
    assert (coverage["AAPL"].state, coverage["ZZZZ"].state) == (Coverage.COMPLETE, Coverage.UNKNOWN_TICKER)
    assert bellwether("discover", history, tmp_path, AAPL_DAY, "--underlying", "ZZZZ") == 0
    assert "unknown_ticker" in capsys.readouterr().out


def test_a_failing_underlying_keeps_bars_from_being_planned_on_part_of_the_contracts(
    archive: Path, history: RunningSimulator, tmp_path: Path, use: Callable[..., None], capsys: Any
) -> None:
    use(["AAPL", "TWX"], strikes={"percent": 5}, lookahead_days=20)
    history.faults.add(Fault(kind="server_error", path="/v1/open-close/TWX", count=None))
    assert bellwether("options", history, tmp_path, AAPL_DAY) == 1
    lake = Lake.open(tmp_path)
    assert lake.manifest("contracts", AAPL_DAY).coverage["AAPL"].state is Coverage.COMPLETE
    assert lake.manifest("options", AAPL_DAY) is None
    history.faults.clear()
    history.requests.clear()
    assert bellwether("options", history, tmp_path, AAPL_DAY) == 0
    assert {request.ticker for request in history.requests if request.path.startswith("/v1/open-close")} == {"TWX"}
    assert {ticker[2:-15] for ticker in lake.manifest("options", AAPL_DAY).universe.tickers} == {"AAPL", "TWX"}
