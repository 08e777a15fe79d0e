"""`bellwether replay-raw` after a backfill from the simulator: the lake comes back equal, without a connection."""

import json
import socket
from dataclasses import replace
from datetime import date
from pathlib import Path
from shutil import rmtree

import pytest

from bellwether.cli.main import main
from bellwether.lake import Coverage, Lake, Manifest, read
from bellwether.quality import validate
from bellwether.quality.suite import SuiteFile, read_suite
from bellwether.simulator.bars import Bars
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import SimulatorConfig, running
from bellwether.sources import aggregates

UNIVERSE = ["AAPL", "GONE", "IWM", "MSFT", "QUIET", "SPY"]
SESSIONS = (date(2025, 7, 2), date(2025, 7, 3))  # the second is a half day
RANGE = ["--start", str(SESSIONS[0]), "--end", str(SESSIONS[1])]


class QuietMarket(GeneratedMarket):
    """QUIET is listed and never traded."""

    def bars(self, ticker: str, day: date) -> Bars:
        found = super().bars(ticker, day)
        return found.rows(slice(0, 0)) if ticker == "QUIET" else found


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a lake captured in small pages with every kind of oddity; the simulator is gone, and so are sockets."""
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(UNIVERSE))
    monkeypatch.setenv("BELLWETHER__INGEST__BATCH_TICKERS", "4")
    monkeypatch.setattr(aggregates, "PAGE_LIMIT", 300)
    root = tmp_path / "lake"
    market = QuietMarket(seed=7, tickers=[ticker for ticker in UNIVERSE if ticker != "GONE"])
    with running(SimulatorConfig(market=market)) as simulator:
        simulator.faults.add(Fault(kind="duplicate_bar", ticker="IWM"))
        simulator.faults.add(Fault(kind="conflicting_duplicate", ticker="MSFT", session=SESSIONS[1]))
        simulator.faults.add(Fault(kind="high_below_low", ticker="SPY", session=SESSIONS[0]))
        assert main(["backfill", "equities", *RANGE, "--lake", str(root), "--url", simulator.url]) == 0
        assert len(simulator.requests) > 2 * len(UNIVERSE)

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    return root


def published(root: Path) -> list[Manifest]:
    lake = Lake.open(root)
    found = [lake.manifest("equities", session) for session in SESSIONS]
    return [manifest for manifest in found if manifest is not None]


def replay(root: Path, *options: str) -> int:
    return main(["replay-raw", "equities", *RANGE, "--lake", str(root), *options])


def test_a_lake_of_raw_responses_alone_becomes_the_lake_it_was(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = published(lake)
    states = {state for manifest in before for state in (known.state for known in manifest.coverage.values())}
    assert states == {Coverage.COMPLETE, Coverage.PARTIAL, Coverage.EMPTY, Coverage.UNKNOWN_TICKER}
    assert sum(known.duplicates_dropped for known in before[0].coverage.values()) == 1
    assert [manifest.quarantined_rows for manifest in before] == [1, 2]
    assert replay(lake) == 0
    assert "2 sessions, 0 rebuilt, 0 problems" in capsys.readouterr().err
    assert published(lake) == before

    for lost in ("clean", "state", "stage", "quarantine"):
        rmtree(lake / lost, ignore_errors=True)
    assert replay(lake) == 0
    assert "2 sessions, 2 rebuilt, 0 problems" in capsys.readouterr().err
    restored = published(lake)
    assert [manifest.revision for manifest in restored] == [manifest.revision for manifest in before]
    assert [manifest.coverage for manifest in restored] == [manifest.coverage for manifest in before]
    assert [manifest.inputs for manifest in restored] == [manifest.inputs for manifest in before]
    assert [len(list((lake / "quarantine").rglob(f"session={session}/*.parquet"))) for session in SESSIONS] == [1, 1]
    assert main(["coverage", "equities", *RANGE, "--lake", str(lake)]) == 0
    assert replay(lake, "--check") == 0


def test_a_changed_rule_makes_new_revisions_of_the_same_responses(
    lake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = published(lake)
    volumes = [sorted(read("equities", day, day, root=lake)["volume"].to_pylist()) for day in SESSIONS]
    least = min(found[len(found) // 20] for found in volumes)
    refuse_volumes_below(least, monkeypatch)
    assert replay(lake) == 0
    assert "2 sessions, 2 rebuilt, 0 problems" in capsys.readouterr().err
    after = published(lake)
    assert [manifest.inputs for manifest in after] == [manifest.inputs for manifest in before]
    refused = [sum(volume < least for volume in found) for found in volumes]
    assert min(refused) > 0
    assert [manifest.rows for manifest in after] == [old.rows - n for old, n in zip(before, refused, strict=True)]
    assert replay(lake, "--check") == 0


def test_what_is_wrong_with_raw_is_said_and_nothing_is_lost(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = published(lake)
    gone, damaged = (sorted((lake / f"raw/equities/session={session}").rglob("*.parquet"))[1] for session in SESSIONS)
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-100])
    for options in ([], ["--check"]):
        assert replay(lake, *options) == 1
        said = " ".join(capsys.readouterr().err.split())
        assert "2025-07-02 QUIET, SPY: no raw response in" in said
        assert "is damaged" in said
        assert "2 problems" in said
    assert published(lake) == before
    rmtree(lake / "raw")
    rmtree(lake / "clean")
    rmtree(lake / "state")
    assert replay(lake) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "2025-07-03: there are no raw responses; `bellwether backfill` fetches the session" in said


def test_what_cannot_be_begun_is_said_with_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path / "nowhere") == 2
    assert "there is no lake at" in capsys.readouterr().err


def refuse_volumes_below(least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = {
        "type": "expect_column_values_to_be_between",
        "severity": "warning",
        "kwargs": {"column": "volume", "min_value": least},
        "meta": {"level": "row", "reason": "negative_volume"},
    }

    def stricter(dataset: str) -> SuiteFile:
        suite = read_suite(dataset)
        return replace(suite, expectations=[*suite.expectations, rule])

    monkeypatch.setattr(validate, "read_suite", stricter)
