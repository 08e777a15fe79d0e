"""Contracts are what the bars' universe is read from: followed, empty, or lacking; strangers are told."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from bellwether.cli.discover import show_undiscovered
from bellwether.config import Config, SinkSettings
from bellwether.consolidate.readiness import readiness
from bellwether.errors import LakeError, ServerError
from bellwether.ingest.discovery import discover, discover_and_plan, undiscovered
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import failed_tickers, publish_stage, validate_stage
from bellwether.ingest.plan import plan_session
from bellwether.ingest.universe import owed_universe
from bellwether.lake import Coverage, Lake, TickerCoverage, Universe
from bellwether.lake.coverage import session_coverage
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.schemas import CONTRACTS, OPTIONS_SNAPSHOT
from tests.builders import SESSION, bars, submission
from tests.unit.ingest.conftest import FakeVendor

JULY = date(2025, 7, 3)
NOON = datetime(2025, 7, 3, 16, tzinfo=UTC)
CALLS = ("O:AAPL250703C00200000", "O:AAPL250703C00202500")
PUT = "O:SPY250703P00600000"


def listed(*tickers: str) -> pa.Table:
    rows = [
        {
            "ticker": ticker,
            "underlying": ticker[2:-15],
            "right": "call" if ticker[-9] == "C" else "put",
            "exercise_style": "american",
            "expiration": JULY,
            "strike": int(ticker[-8:]) / 1000,
            "multiplier": 100.0,
            "is_adjusted": False,
            "opening_price": 201.0,
            "opening_price_source": "open_close",
            "chosen_by": "test",
        }
        for ticker in tickers
    ]
    table = pa.Table.from_pylist(rows, schema=CONTRACTS)
    return table.sort_by([(name, "ascending") for name in ("underlying", "expiration", "strike", "right", "ticker")])


def put_contracts(lake: Lake, *tickers: str, failed: tuple[str, ...] = (), stage_id: str = "c1") -> None:
    """Publish contracts of AAPL (required) and SPY (best effort)."""
    underlyings = [ticker[2:-15] for ticker in tickers]
    coverage = {
        name: TickerCoverage(
            Coverage.COMPLETE if name in underlyings else Coverage.EMPTY,
            rows=underlyings.count(name),
            stage_id=stage_id,
            reason="" if name in underlyings else "none is meant",
        )
        for name in ("AAPL", "SPY")
    } | {name: TickerCoverage(Coverage.FAILED, reason="ServerError: boom") for name in failed}
    publish(
        lake,
        submission(
            dataset="contracts",
            table=listed(*tickers),
            coverage=coverage,
            stage_id=stage_id,
            universe=Universe(("AAPL",), ("SPY",), spec_hash="x"),
            accept_loss=True,
        ),
        FileLayout(SinkSettings(dictionary_columns=()), "snappy"),
    )


def put_bars(lake: Lake, *tickers: str) -> None:
    tables = [bars(ticker) for ticker in tickers]
    publish(lake, submission(*tables, dataset="options"), FileLayout(SinkSettings(), "snappy"))


def put_chain(lake: Lake, *tickers: str) -> None:
    required = {"ts": NOON, "exercise_style": "american", "multiplier": 100.0, "expiration": JULY}
    rows = [
        required | {"ticker": ticker, "underlying": ticker[2:-15], "right": "call", "strike": int(ticker[-8:]) / 1000}
        for ticker in sorted(tickers)
    ]
    table = pa.Table.from_pylist(rows, schema=OPTIONS_SNAPSHOT)
    complete = {row["underlying"]: TickerCoverage(Coverage.COMPLETE, rows=1, stage_id="s1") for row in rows}
    changes = {"dataset": "options_snapshot", "table": table, "coverage": complete}
    publish(lake, submission(**changes), FileLayout(SinkSettings(dictionary_columns=()), "snappy"))


def planned(lake: Lake, config: Config, stage_id: str = "s1") -> list[tuple[str, ...]]:
    batches = plan_session(lake, config, FakeVendor(), "options", SESSION, stage_id=stage_id)
    return [batch.tickers for batch in batches]


def test_bars_are_planned_of_the_contracts_published_each_in_its_underlyings_role(lake: Lake, config: Config) -> None:
    put_contracts(lake, *CALLS, PUT)
    assert planned(lake, config) == [CALLS, (PUT,)]
    universe = owed_universe(lake, config, "options", SESSION)
    assert universe is not None
    assert (universe.required, universe.best_effort) == (CALLS, (PUT,))
    manifest = lake.manifest("contracts", SESSION)
    assert manifest is not None
    assert universe.spec_hash == manifest.revision


def test_a_new_revision_of_the_contracts_is_planned_and_owed_at_once(lake: Lake, config: Config) -> None:
    put_contracts(lake, CALLS[0])
    planned(lake, config)
    put_bars(lake, CALLS[0])
    known = session_coverage(lake, "options", SESSION, owed_universe(lake, config, "options", SESSION))
    assert known.is_complete
    put_contracts(lake, *CALLS, stage_id="c2")
    known = session_coverage(lake, "options", SESSION, owed_universe(lake, config, "options", SESSION))
    assert known.blocking == [CALLS[1]]
    assert planned(lake, config) == [(CALLS[1],)]


def test_without_published_contracts_nothing_is_planned(lake: Lake, config: Config) -> None:
    with pytest.raises(LakeError, match="contracts of 2025-07-01 are not published"):
        planned(lake, config)


def test_no_contracts_are_published_as_no_bars_and_settled(lake: Lake, config: Config) -> None:
    put_contracts(lake)
    rest = FakeVendor()
    batches = plan_session(lake, config, rest, "options", SESSION, stage_id="s1")
    assert [batch.name for batch in batches] == ["b000 none"]
    assert fetch_batch(lake, rest, config, batches[0]).rows == 0
    validate_stage(lake, config, batches)
    publication = publish_stage(lake, config, "options", SESSION, stage_id="s1", run_id="r")
    assert (publication.changed, publication.manifest.rows) == (True, 0)
    assert failed_tickers(lake, batches) == {}
    known = session_coverage(lake, "options", SESSION, None)
    assert (known.is_complete, known.state, known.blocking) == (True, Coverage.EMPTY, [])
    assert planned(lake, config) == []
    assert rest.asked.total() == 0


def test_a_session_with_required_options_waits_for_contracts_and_bars(
    lake: Lake, config: Config, tmp_path: Path
) -> None:
    required = Config.load(tmp_path, {"BELLWETHER__SOURCES__OPTIONS__REQUIRED": "true"})
    why = readiness(lake, required, SESSION).why
    assert "contracts is not published" in why
    assert "options is not published" in why
    assert "options" not in readiness(lake, config, SESSION).why


class Failing(FakeVendor):
    """Knows no prices of AAPL."""

    def open_close(self, ticker: str, _day: date) -> None:
        message = f"boom {ticker}"
        raise ServerError(message, url="http://vendor/open-close", status=500)


def test_a_vendor_that_fails_for_all_is_told_by_its_own_error(lake: Lake, config: Config) -> None:
    with pytest.raises(ServerError, match="boom"):
        discover(lake, config, Failing(), SESSION, stage_id="d1", run_id="r")


def test_part_of_the_contracts_is_not_taken_for_all(lake: Lake, config: Config) -> None:
    put_contracts(lake, PUT, failed=("AAPL",))
    with pytest.raises(ServerError, match="boom AAPL"):
        discover_and_plan(lake, config, Failing(), "options", SESSION, stage_id="d1", run_id="r")
    assert discover_and_plan(lake, config, Failing(), "equities", SESSION, stage_id="d1", run_id="r")


def test_what_is_proven_is_not_discovered_again(lake: Lake, config: Config) -> None:
    put_contracts(lake, *CALLS, PUT)
    assert discover(lake, config, Failing(), SESSION, stage_id="d1", run_id="r").problems == {}


def test_contracts_seen_and_meant_but_not_discovered_are_told(lake: Lake, config: Config) -> None:
    put_contracts(lake, CALLS[0])
    assert undiscovered(lake, config, SESSION) == []
    far, unknown = "O:AAPL250703C00300000", "O:SPY250703C00600000"
    put_bars(lake, CALLS[0], CALLS[1], far, unknown)
    # The far one is outside of the rule; of SPY no opening price is recorded, so whatever is seen is told.
    assert undiscovered(lake, config, SESSION) == [CALLS[1], unknown]


def test_of_a_chain_kept_before_the_close_what_is_meant_and_not_discovered_is_told(lake: Lake, config: Config) -> None:
    put_contracts(lake, CALLS[0])
    put_chain(lake, *CALLS, "O:IWM250703C00200000")
    assert undiscovered(lake, config, SESSION) == [CALLS[1]]  # of IWM no contract is asked for


def test_without_published_contracts_nobody_can_tell_which_lack(
    lake: Lake, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    put_bars(lake, CALLS[0])
    assert undiscovered(lake, config, SESSION) is None
    show_undiscovered(lake, config, [SESSION])
    assert "nobody can tell what lacks among them: 2025-07-0" in " ".join(capsys.readouterr().err.split())


def test_contracts_and_their_bars_share_one_entry_of_the_configuration(config: Config) -> None:
    assert config.source("contracts") is config.source("options")
