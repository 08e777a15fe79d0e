"""Changes of reference data, from the wire to an approval: words, lacking fields and types, approved or not."""

import json
import socket
from datetime import date
from pathlib import Path

import pytest

from bellwether.cli.main import main
from bellwether.drift.ledger import known_changes
from bellwether.lake import Lake, read
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import SimulatorConfig, running

SESSION = date(2025, 7, 1)
RANGE = ["--start", str(SESSION), "--end", str(SESSION)]
UNIVERSE = ["AAPL", "SPLT", "SPY"]
LISTS = "/v3/reference"
CHANGES = [
    Fault(kind="new_word", path=f"{LISTS}/dividends", field="dividend_type", to="XX", count=None),
    Fault(kind="retyped", path=f"{LISTS}/splits", field="split_to", count=None),
    Fault(kind="removed", path=f"{LISTS}/tickers", field="locale", count=None),
]


@pytest.fixture
def universe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(UNIVERSE))


@pytest.mark.usefixtures("universe")
def test_words_types_and_lacking_fields_are_approved_where_that_makes_sense_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, plain = str(tmp_path / "lake"), str(tmp_path / "plain")
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=UNIVERSE))) as simulator:
        capture = [*RANGE, "--url", simulator.url, "--lake"]
        for dataset in ("dividends", "splits", "tickers"):
            assert main(["backfill", dataset, *capture, plain]) == 0
            for fault in CHANGES:
                simulator.faults.add(fault)
            assert main(["backfill", dataset, *capture, root]) == 1
            simulator.faults.clear()
        monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("a socket was opened"))

    lake = Lake.open(root, simulated=True)
    assert {known.change_id: known.state for known in known_changes(lake)} == {
        "dividends.dividend_type.words.XX": "open",
        "splits.split_to.retyped.text": "open",
        "tickers.locale.removed": "open",
    }
    capsys.readouterr()
    for known in known_changes(lake):
        assert main(["drift", "approve", known.change_id, "--lake", root]) == 0
        assert f"published anew from raw: {SESSION}" in capsys.readouterr().out
    for dataset in ("splits", "tickers"):
        assert read(dataset, SESSION, SESSION, root=root).equals(read(dataset, SESSION, SESSION, root=plain)), dataset
    [as_it_was, now] = [read("dividends", SESSION, SESSION, root=each).to_pylist() for each in (plain, root)]
    assert "XX" in {row["dividend_type"] for row in now}
    assert [row | {"dividend_type": ""} for row in now] == [row | {"dividend_type": ""} for row in as_it_was]
    assert main(["replay-raw", "dividends", *RANGE, "--lake", root, "--check"]) == 0


@pytest.mark.usefixtures("universe")
def test_a_field_without_which_there_are_no_rows_is_rejected_and_says_why_it_cannot_be_approved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path / "lake")
    gone = Fault(kind="removed", path=f"{LISTS}/dividends", field="cash_amount", count=None)
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=UNIVERSE))) as simulator:
        simulator.faults.add(gone)
        assert main(["backfill", "dividends", *RANGE, "--url", simulator.url, "--lake", root]) == 1
    capsys.readouterr()
    assert main(["drift", "approve", "dividends.cash_amount.removed", "--lake", root]) == 2
    assert "The dataset has no rows without it" in " ".join(capsys.readouterr().err.split())
    assert main(["drift", "reject", "dividends.cash_amount.removed", "--reason", "theirs", "--lake", root]) == 0
