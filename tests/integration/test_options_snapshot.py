"""Chains from the simulator's wire to the lake, on a clock of the session: in time, late, limited, not in the plan."""

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.cli.main import main
from bellwether.config import Config
from bellwether.consolidate.readiness import readiness
from bellwether.errors import NothingProven, RateLimited, SnapshotMissed
from bellwether.ingest.audit import audit_session
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import failed_tickers, publish_stage, validate_stage
from bellwether.ingest.plan import Batch, plan_session
from bellwether.ingest.replay import replay_session
from bellwether.ingest.universe import named_universe
from bellwether.lake import Coverage, Lake, Manifest, paths, read
from bellwether.lake.coverage import SessionCoverage, session_coverage
from bellwether.simulator.faults import Fault
from bellwether.simulator.plans import Plan
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.sources import raw
from bellwether.sources.rest import PolygonRest
from tests.markets import ShortChains

SESSION = date(2025, 7, 3)  # a half day: the close is at 13:00 New York
CLOSE = get_calendar().hours(SESSION).close
WITH, WITHOUT = "key-of-a-plan-with-chains", "key-of-a-plan-without"
SECOND = timedelta(seconds=1)


class Now:
    """One clock for the simulator, the transport and the lake; every look at it takes time."""

    def __init__(self) -> None:
        self.utc = CLOSE - timedelta(minutes=10)
        self.step = timedelta(milliseconds=1)

    def now(self) -> datetime:
        self.utc += self.step
        return self.utc


@pytest.fixture(scope="module")
def clock() -> Now:
    return Now()


@pytest.fixture(scope="module")
def served(clock: Now) -> Iterator[RunningSimulator]:
    plans = {WITH: Plan(), WITHOUT: Plan(snapshot=None)}
    market = ShortChains(300, "AAPL", "MMM", "SPY")  # two pages of AAPL, less than one of MMM
    with running(SimulatorConfig(market, clock=clock, plans=plans)) as simulator:
        yield simulator


@pytest.fixture
def simulator(served: RunningSimulator, clock: Now) -> RunningSimulator:
    served.faults.clear()
    served.requests.clear()
    clock.__init__()  # type: ignore[misc]
    return served


@pytest.fixture
def rest(simulator: RunningSimulator, clock: Now, config: Config) -> Callable[[str], PolygonRest]:
    def make(key: str = WITH) -> PolygonRest:
        return PolygonRest(simulator.url, key, retries=config.retry_policy, patience_s=60, clock=clock)

    return make


@pytest.fixture
def config(tmp_path: Path) -> Config:
    env = {
        "BELLWETHER__SOURCES__OPTIONS_SNAPSHOT__UNIVERSE": "[AAPL, MMM]",
        "BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S": "0",
    }
    return Config.load(tmp_path / "config", env)


@pytest.fixture
def lake(tmp_path: Path, clock: Now) -> Lake:
    return Lake.open(tmp_path / "lake", simulated=True, clock=clock)


def plan(lake: Lake, config: Config, rest: PolygonRest, **options: bool) -> list[Batch]:
    return plan_session(lake, config, rest, "options_snapshot", SESSION, stage_id="s1", **options)


def publish(lake: Lake, config: Config, batches: list[Batch]) -> Manifest:
    validate_stage(lake, config, batches)
    stage_id = batches[0].stage_id
    return publish_stage(lake, config, "options_snapshot", SESSION, stage_id=stage_id, run_id="run").manifest


def ledger(lake: Lake, config: Config) -> SessionCoverage:
    return session_coverage(lake, "options_snapshot", SESSION, named_universe(config, "options_snapshot"))


def test_the_whole_chain_is_published_page_by_page_and_comes_back_equal_from_its_raw_responses(
    simulator: RunningSimulator, lake: Lake, config: Config, rest: Callable[..., PolygonRest]
) -> None:
    [batch] = batches = plan(lake, config, rest())
    fetch_batch(lake, rest(), config, batch)
    manifest = publish(lake, config, batches)
    assert {t: known.state for t, known in manifest.coverage.items()} == {"AAPL": "complete", "MMM": "complete"}
    table = read("options_snapshot", SESSION, SESSION, root=lake.storage.root)
    per_underlying = {each: table.filter(pc.equal(table["underlying"], each)) for each in ("AAPL", "MMM")}
    pages = {t: sum(request.ticker == t for request in simulator.requests) for t in per_underlying}
    for underlying, chain in per_underlying.items():
        assert pages[underlying] == -(-chain.num_rows // 250)
        # Each row knows when its own page came, and all came in the window.
        assert len(chain["ts"].unique()) == pages[underlying]
        assert pc.min(chain["ts"]).as_py() > CLOSE - timedelta(minutes=10)
        assert chain["ticker"].to_pylist() == sorted(set(chain["ticker"].to_pylist()))
    assert pages == {"AAPL": 2, "MMM": 1}
    assert manifest.warnings["null_iv"] > 0
    assert manifest.warnings["no_quote"] == 0
    assert audit_session(lake, config, "options_snapshot", SESSION) == {}
    lake.storage.delete(paths.partition("options_snapshot", SESSION))
    replayed = replay_session(lake, config, "options_snapshot", SESSION)
    assert (replayed.changed, replayed.problems) == (True, {})
    again = lake.manifest("options_snapshot", SESSION)
    assert again is not None
    assert again.revision == manifest.revision
    # Optional: a session without it is ready, one with it says so.
    assert readiness(lake, config, SESSION).inputs == {"options_snapshot": manifest.revision}


def test_the_chain_of_an_index_is_captured_under_the_name_its_contracts_have(
    lake: Lake, rest: Callable[..., PolygonRest], tmp_path: Path
) -> None:
    config = Config.load(tmp_path / "config", {"BELLWETHER__SOURCES__OPTIONS_SNAPSHOT__UNIVERSE": "[SPX]"})
    [batch] = batches = plan(lake, config, rest())
    fetch_batch(lake, rest(), config, batch)
    manifest = publish(lake, config, batches)
    assert {t: known.state for t, known in manifest.coverage.items()} == {"SPX": "complete"}
    chain = read("options_snapshot", SESSION, SESSION, root=lake.storage.root)
    assert set(pc.utf8_slice_codeunits(chain["ticker"], 0, 5).to_pylist()) == {"O:SPX"}
    assert pc.min(chain["underlying_price"]).as_py() > 1000
    assert audit_session(lake, config, "options_snapshot", SESSION) == {}


def test_a_late_run_of_a_session_that_was_captured_has_nothing_to_do_and_one_that_is_to_fetch_it_anew_is_refused(
    lake: Lake, config: Config, rest: Callable[..., PolygonRest], clock: Now
) -> None:
    [batch] = batches = plan(lake, config, rest())
    fetch_batch(lake, rest(), config, batch)
    manifest = publish(lake, config, batches)
    clock.utc = CLOSE + timedelta(days=3)
    assert plan(lake, config, rest()) == []
    with pytest.raises(SnapshotMissed):
        plan(lake, config, rest(), force=True)
    assert lake.manifest("options_snapshot", SESSION) == manifest


def test_a_rate_limit_in_the_middle_of_a_chain_is_waited_out_and_no_page_is_fetched_twice(
    simulator: RunningSimulator, lake: Lake, config: Config, rest: Callable[..., PolygonRest], clock: Now
) -> None:
    simulator.faults.add(Fault(kind="rate_limited", ticker="AAPL", nth=2, retry_after_s=90))
    [batch] = batches = plan(lake, config, rest())
    with pytest.raises(RateLimited):  # longer than a task sits out: it comes back
        fetch_batch(lake, rest(), config, batch)
    clock.utc += timedelta(seconds=90)
    fetch_batch(lake, rest(), config, batch)
    manifest = publish(lake, config, batches)
    assert {known.state for known in manifest.coverage.values()} == {Coverage.COMPLETE}
    assert [(request.ticker, request.status) for request in simulator.requests] == [
        ("AAPL", 200),
        ("AAPL", 429),
        ("AAPL", 200),
        ("MMM", 200),
    ]
    chain = read("options_snapshot", SESSION, SESSION, root=lake.storage.root)
    before, after = sorted(set(chain.filter(pc.equal(chain["underlying"], "AAPL"))["ts"].to_pylist()))
    assert after - before > timedelta(seconds=90)


def test_a_wait_that_ends_after_the_close_is_not_waited_for(
    simulator: RunningSimulator, lake: Lake, config: Config, rest: Callable[..., PolygonRest]
) -> None:
    simulator.faults.add(Fault(kind="rate_limited", ticker="MMM", count=None, retry_after_s=900))
    [batch] = batches = plan(lake, config, rest())
    with pytest.raises(SnapshotMissed) as missed:
        fetch_batch(lake, rest(), config, batch)
    assert missed.value.__notes__[0] == "1 of 2 tickers failed: MMM; the others are staged"
    # What came in time is published; the other is missing, not failed, and the run says so.
    manifest = publish(lake, config, batches)
    assert {t: known.state for t, known in manifest.coverage.items()} == {"AAPL": "complete", "MMM": "missing"}
    assert failed_tickers(lake, batches)["MMM"].startswith("SnapshotMissed: options_snapshot of 2025-07-03 cannot be")


def test_data_that_are_not_published_before_the_close_are_missed(
    simulator: RunningSimulator, lake: Lake, config: Config, rest: Callable[..., PolygonRest]
) -> None:
    simulator.faults.add(Fault(kind="before_end_of_day", count=None))
    [batch] = plan(lake, config, rest())
    with pytest.raises(SnapshotMissed):
        fetch_batch(lake, rest(), config, batch)
    assert len(simulator.requests) == 1


def test_a_chain_whose_last_page_came_after_the_close_is_kept_raw_and_never_published(
    simulator: RunningSimulator, lake: Lake, config: Config, rest: Callable[..., PolygonRest], clock: Now
) -> None:
    [batch] = batches = plan(lake, config, rest())
    clock.utc, clock.step = CLOSE - 3 * SECOND, SECOND
    with pytest.raises(SnapshotMissed):
        fetch_batch(lake, rest(), config, batch)
    assert {request.ticker for request in simulator.requests} == {"AAPL"}  # MMM would have come later still
    with pytest.raises(NothingProven):
        publish(lake, config, batches)
    known = ledger(lake, config)
    assert (known.state, known.manifest) == (Coverage.MISSING, None)
    [reason] = {each.reason for each in known.tickers.values()}
    assert reason.startswith("SnapshotMissed: options_snapshot of 2025-07-03 cannot be had later: the vendor shows the")
    assert reason.endswith("could be captured until 2025-07-03 17:00 UTC, the close")
    [file] = lake.storage.list(paths.raws("options_snapshot", SESSION))
    assert len(raw.from_table(lake.read_parquet(file.key))) > 1
    replayed = replay_session(lake, config, "options_snapshot", SESSION)
    assert not replayed.changed
    assert "cannot be had later" in replayed.problems["AAPL"]


def test_a_task_that_is_tried_again_after_the_close_asks_for_nothing(
    simulator: RunningSimulator, lake: Lake, config: Config, rest: Callable[..., PolygonRest], clock: Now
) -> None:
    [batch] = plan(lake, config, rest())
    clock.utc = CLOSE
    with pytest.raises(SnapshotMissed):
        fetch_batch(lake, rest(), config, batch)
    assert simulator.requests == []


def test_a_run_after_the_close_is_refused_before_any_request_and_the_ledger_says_missing(
    simulator: RunningSimulator, lake: Lake, config: Config, rest: Callable[..., PolygonRest], clock: Now
) -> None:
    clock.utc = CLOSE + timedelta(days=3)
    for force in (False, True):
        with pytest.raises(SnapshotMissed, match="cannot be had later"):
            plan(lake, config, rest(), force=force)
    assert simulator.requests == []
    known = ledger(lake, config)
    assert (known.state, known.unproven) == (Coverage.MISSING, ["AAPL", "MMM"])
    assert all("cannot be had later" in each.reason for each in known.tickers.values())


def test_a_plan_without_snapshots_publishes_a_partition_without_rows(
    lake: Lake, config: Config, rest: Callable[..., PolygonRest]
) -> None:
    [batch] = batches = plan(lake, config, rest(WITHOUT))
    fetch_batch(lake, rest(WITHOUT), config, batch)
    manifest = publish(lake, config, batches)
    assert {known.state for known in manifest.coverage.values()} == {Coverage.NOT_ENTITLED}
    assert (manifest.rows, ledger(lake, config).is_complete) == (0, True)


def test_a_backfill_of_the_past_fails_session_by_session_and_coverage_tells_why(
    simulator: RunningSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["options_snapshot", "--start", "2025-07-01", "--end", "2025-07-03", "--lake", str(tmp_path / "lake")]
    assert main(["backfill", *where, "--url", simulator.url]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("cannot be had later") == 3
    assert told.endswith("3 sessions, 3 problems")
    assert simulator.requests == []
    assert main(["coverage", *where, "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(line["state"], "cannot be had later" in line["reason"]) for line in lines} == {("missing", True)}
    assert len(lines) == 6
