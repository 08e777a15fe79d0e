"""Contracts and their bars from the vendor's wire to published partitions, real history and invented trouble."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bellwether.calendar import NEW_YORK
from bellwether.cli.main import main
from bellwether.cli.options import vendor_access
from bellwether.config import Config
from bellwether.errors import RateLimited
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.plan import plan_session
from bellwether.lake import Coverage, Lake, read
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

AAPL_DAY, SPX_DAY = date(2014, 6, 6), date(2021, 1, 4)
COLUMNS = {"ticker": "ticker", "t": "ts", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
COLUMNS |= {"vw": "vwap", "n": "transactions"}


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


def test_wide_strikes_capture_every_contract_that_traded_value_for_value(
    archive: Path, history: RunningSimulator, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(["AAPL"], strikes="wide", lookahead_days=1000)
    assert bellwether("options", history, tmp_path, AAPL_DAY) == 0
    bars = pq.read_table(archive / "bars_option_AAPL_20140606.parquet")
    published = read("options", AAPL_DAY, AAPL_DAY, root=tmp_path)
    assert published.num_rows == bars.num_rows == 22_067
    for theirs, ours in COLUMNS.items():
        values = published[ours].cast(pa.int64()) if ours == "ts" else published[ours]
        assert values.to_pylist() == bars[theirs].to_pylist(), ours
    manifest = Lake.open(tmp_path).manifest("options", AAPL_DAY)
    assert manifest.quarantined_rows == 0
    states = [known.state for known in manifest.coverage.values()]
    traded = len(bars["ticker"].unique())
    assert (states.count(Coverage.COMPLETE), states.count(Coverage.EMPTY)) == (traded, 2352 - traded)
    assert manifest.warnings["print_after_close"] == 12
    assert "missing_regular_minutes" not in manifest.warnings
    contracts = read("contracts", AAPL_DAY, AAPL_DAY, root=tmp_path)
    listed = pq.read_table(archive / "contracts_AAPL_20140606.parquet")
    assert set(contracts["ticker"].to_pylist()) == set(listed["ticker"].to_pylist())
    weekdays = [day.weekday() for day in contracts["expiration"].to_pylist()]
    assert weekdays.count(5) == 1246
    assert pc.sum(pc.equal(contracts["expiration"], pa.scalar(AAPL_DAY))).as_py() > 0


def test_one_percent_chooses_exactly_the_contracts_within_it_that_expire_within_a_week(
    archive: Path, history: RunningSimulator, tmp_path: Path, use: Callable[..., None], capsys: Any
) -> None:
    use(["AAPL"])
    assert bellwether("discover", history, tmp_path, AAPL_DAY) == 0
    # By hand: the first regular minute opens at its price; everything else is decimal arithmetic on the symbols.
    equity = pq.read_table(archive / "bars_equity_AAPL_20140606.parquet").to_pylist()
    opened = int(datetime(2014, 6, 6, 13, 30, tzinfo=UTC).timestamp() * 1000)
    price = next(Decimal(str(bar["o"])) for bar in equity if bar["t"] == opened)
    expected = set()
    for ticker in pq.read_table(archive / "contracts_AAPL_20140606.parquet")["ticker"].to_pylist():
        expires, strike = date.fromisoformat(f"20{ticker[6:12]}"), Decimal(ticker[-8:]) / 1000
        last_day = expires - timedelta(days=1) if expires.weekday() == 5 else expires
        if abs(strike - price) <= price / 100 and timedelta(0) <= last_day - AAPL_DAY <= timedelta(days=7):
            expected.add(ticker)
    found = read("contracts", AAPL_DAY, AAPL_DAY, root=tmp_path)
    assert set(found["ticker"].to_pylist()) == expected
    assert {(row["opening_price"], row["opening_price_source"]) for row in found.to_pylist()} == {
        (float(price), "open_close")
    }
    assert {day.isoformat() for day in found["expiration"].to_pylist()} == {"2014-06-06", "2014-06-13"}
    shown = " ".join(capsys.readouterr().out.split())
    assert "AAPL" in shown
    assert "open_close" in shown


def test_roots_of_one_index_are_kept_apart_and_its_own_price_chooses(
    archive: Path, history: RunningSimulator, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(["SPX"], strikes="wide", lookahead_days=30)
    assert bellwether("options", history, tmp_path, SPX_DAY) == 0
    contracts = read("contracts", SPX_DAY, SPX_DAY, root=tmp_path)
    listed = pq.read_table(archive / "contracts_SPX_20210104.parquet")
    assert set(contracts["ticker"].to_pylist()) == set(listed["ticker"].to_pylist())
    roots = {row["ticker"][2:-15] for row in contracts.to_pylist() if row["underlying"] == "SPX"}
    assert roots == {"SPX", "SPXW"}
    index = pq.read_table(archive / "bars_index_SPX_20210104.parquet")
    assert set(contracts["opening_price"].to_pylist()) == {index["o"][0].as_py()}
    bars = pq.read_table(archive / "bars_option_SPX_20210104.parquet")
    published = read("options", SPX_DAY, SPX_DAY, root=tmp_path)
    assert published["ts"].cast(pa.int64()).to_pylist() == bars["t"].to_pylist()
    assert published["close"].to_pylist() == bars["c"].to_pylist()
    # Until 16:15 they trade, on their last day those of SPXW until 16:00.
    ends = {"O:SPXW210104": 16 * 60}
    late = [
        row
        for row in published.select(["ticker", "ts"]).to_pylist()
        if row["ts"].astimezone(NEW_YORK).hour * 60 + row["ts"].astimezone(NEW_YORK).minute
        >= ends.get(row["ticker"][:12], 16 * 60 + 15)
    ]
    assert Lake.open(tmp_path).manifest("options", SPX_DAY).warnings["print_after_close"] == len(late)


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
    archive: Path, history: RunningSimulator, tmp_path: Path, use: Callable[..., None]
) -> None:
    use(["AAPL"], strikes="wide", lookahead_days=1000)
    history.requests.clear()
    assert bellwether("discover", history, tmp_path, AAPL_DAY) == 0
    assert sum(request.path.endswith("/options/contracts") for request in history.requests) == 3 + 1
    lake = Lake.open(tmp_path)
    before = lake.manifest("contracts", AAPL_DAY)
    assert before.rows == 2352
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
