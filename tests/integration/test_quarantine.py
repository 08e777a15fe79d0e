"""A refused row from its listing over its release and the gold that follows to the next pull, which keeps it."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from bellwether.cli.main import main
from bellwether.lake import Lake, read
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

SESSION = date(2025, 7, 2)
RANGE = ["--start", str(SESSION), "--end", str(SESSION)]


def listed(root: Path, capsys: pytest.CaptureFixture[str], state: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["quarantine", "list", "--state", state, "--json", "--lake", str(root)]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows


def pull(root: Path, simulator: RunningSimulator, *options: str) -> None:
    simulator.faults.add(Fault(kind="conflicting_duplicate", ticker="MSFT", session=SESSION))
    simulator.faults.add(Fault(kind="high_below_low", ticker="SPY", session=SESSION))
    capture = ["backfill", "equities", *RANGE, "--lake", str(root), "--url", simulator.url]
    assert main([*capture, *options]) == 0


def gold(root: Path) -> Lake:
    assert main(["consolidate", "--session", str(SESSION), "--lake", str(root)]) == 0
    return Lake.open(root)


def test_a_released_row_reaches_gold_and_stays_through_pulls_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(["MSFT", "SPY"]))
    root = tmp_path / "lake"
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=["MSFT", "SPY"]))) as simulator:
        pull(root, simulator)
        first = gold(root).manifest("minutes", SESSION)
        rows = listed(root, capsys, "open")
        broke = [row["broke"] for row in rows if row["subject"] == "MSFT"]
        assert (len(rows), broke) == (3, [["conflicting_rows"]] * 2)
        chosen, other = (row for row in rows if row["subject"] == "MSFT")
        [bad] = (row for row in rows if "high_below_low" in row["broke"])

        decide = ["--reason", "looked at the tape", "--lake", str(root)]
        assert main(["quarantine", "release", bad["row"], chosen["row"], *decide]) == 2
        assert len(listed(root, capsys, "open")) == 3
        assert main(["quarantine", "release", chosen["row"], *decide]) == 0
        assert main(["quarantine", "discard", other["row"], bad["row"], *decide]) == 0
        second = gold(root).manifest("minutes", SESSION)
        assert first is not None
        assert second is not None
        assert first.inputs["equities"] != second.inputs["equities"]

        pull(root, simulator, "--force")
    lake = Lake.open(root)
    manifest = lake.manifest("equities", SESSION)
    assert manifest is not None
    assert manifest.revision == second.inputs["equities"]
    assert main(["replay-raw", "equities", *RANGE, "--lake", str(root)]) == 0
    assert "1 sessions, 0 rebuilt, 0 problems" in capsys.readouterr().err
    assert main(["replay-raw", "equities", *RANGE, "--check", "--lake", str(root)]) == 0
    assert listed(root, capsys, "open") == []
    published = read("equities", SESSION, SESSION, tickers=["MSFT"], root=root).to_pylist()
    [bar] = [bar for bar in published if bar["ts"] == datetime.fromisoformat(chosen["values"]["ts"])]
    assert bar["close"] == chosen["values"]["close"]
    audit = read("quarantine_audit", SESSION, SESSION, root=root).to_pylist()
    assert sorted((each["row_id"], each["action"]) for each in audit) == sorted(
        [(chosen["row"], "released"), (other["row"], "discarded"), (bad["row"], "discarded")]
    )
    capsys.readouterr()
    assert main(["verify", "--sessions", str(SESSION), "--json", "--lake", str(root)]) == 0
    outcomes = json.loads(capsys.readouterr().out)["outcomes"]
    assert {each["dataset"]: each["state"] for each in outcomes} == {
        "equities": "equal",
        "minutes": "equal",
        "chain": "equal",
    }
