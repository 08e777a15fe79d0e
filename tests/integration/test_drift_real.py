"""Two revisions of a real week: whatever the vendor changes in the second lands where it belongs, and is told."""

import json
import socket
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.cli.main import main
from bellwether.drift.ledger import known_changes
from bellwether.drift.report import digest
from bellwether.lake import Coverage, Lake, read
from bellwether.lake.history import publications
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.bars import Bars
from bellwether.simulator.faults import Fault, FaultPlan
from bellwether.simulator.server import SimulatorConfig, running

LATE, RENAMED, NEW_FIELD, EMPTIED, HUNDREDS = get_calendar().sessions(date(2013, 10, 7), date(2013, 10, 11))
WEEK = ["--start", "2013-10-04", "--end", str(HUNDREDS)]
# The second revision: three bars of Monday were late, one bar of every day was corrected, and:
CHANGES = (
    Fault(kind="renamed", field="v", to="vol", session=RENAMED, count=None),
    Fault(kind="added", field="x", session=NEW_FIELD, count=None),
    Fault(kind="rescaled", field="v", factor=0.01, session=HUNDREDS, count=None),
    Fault(kind="emptied", field="n", session=EMPTIED, count=None),
)
CORRECTED = 300  # the bar corrected, by its number in the day


class Revision(ArchiveMarket):
    """The real week, as the vendor had it first or as it has it later."""

    def __init__(self, archive: Path, *, is_second: bool) -> None:
        super().__init__(archive)
        self._is_second = is_second

    def bars(self, ticker: str, day: date) -> Bars:
        found = super().bars(ticker, day)
        if not self._is_second:
            return found.rows(slice(0, -3)) if day == LATE else found
        close = found.close.copy()
        close[CORRECTED] = found.high[CORRECTED] if close[CORRECTED] != found.high[CORRECTED] else found.low[CORRECTED]
        return found._replace(close=close)


@pytest.fixture
def captured(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Lake, Revision, Revision]:
    """Return a lake that captured both revisions, and these; the vendor is gone by then, and so are sockets."""
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(["SPY"]))
    root = tmp_path / "lake"
    first, second = (Revision(archive, is_second=is_second) for is_second in (False, True))
    capture = ["backfill", "equities", *WEEK, "--lake", str(root)]
    with running(SimulatorConfig(market=first)) as simulator:
        assert main([*capture, "--url", simulator.url]) == 0
    with running(SimulatorConfig(market=second, faults=FaultPlan(CHANGES))) as simulator:
        assert main([*capture, "--url", simulator.url, "--force"]) == 1
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("a socket was opened"))
    return Lake.open(root, simulated=True), first, second


def published(lake: Lake, day: date) -> pa.Table:
    return read("equities", day, day, root=lake.root)


def holds(lake: Lake, revision: Revision, day: date) -> bool:
    """Return whether what is published of a day is of a revision."""
    served, table = revision.bars("SPY", day), published(lake, day)
    return table["close"].to_pylist() == served.close.tolist() and table["volume"].to_pylist() == served.volume.tolist()


def test_late_bars_and_a_corrected_one_land_as_a_revision_beside_the_first(
    captured: tuple[Lake, Revision, Revision],
) -> None:
    lake, first, second = captured
    late, _ = sorted(manifest.published_utc for _, manifest in publications(lake, "equities", LATE))
    before = read("equities", LATE, LATE, root=lake.root, as_of=late)
    assert before["close"].to_pylist() == first.bars("SPY", LATE).close.tolist()
    now = published(lake, LATE)
    assert now["close"].to_pylist() == second.bars("SPY", LATE).close.tolist()
    assert len(now) - len(before) == 3
    moved = [i for i, (a, b) in enumerate(zip(before["close"], now["close"], strict=False)) if a != b]
    assert moved == [CORRECTED]
    for day in (RENAMED, EMPTIED, HUNDREDS):
        assert len([*publications(lake, "equities", day)]) == 1, "what is held back makes no revision"


def test_each_change_lands_in_its_place_and_approvals_replay_the_kept_answers(
    captured: tuple[Lake, Revision, Revision], capsys: pytest.CaptureFixture[str]
) -> None:
    lake, first, second = captured
    assert all(holds(lake, second, day) for day in (LATE, NEW_FIELD))
    assert all(holds(lake, first, day) for day in (RENAMED, HUNDREDS, EMPTIED)), "what is held back replaces nothing"
    states = {known.change_id: known.state for known in known_changes(lake)}
    assert states == {
        "equities.v.renamed.vol": "open",
        "equities.x.added.integer": "noted",
        "equities.v.rescaled.100": "open",
        "equities.n.nulls": "open",
    }
    told = digest(known_changes(lake, [HUNDREDS]), [LATE, RENAMED, NEW_FIELD, EMPTIED, HUNDREDS])
    assert all(change_id in told for change_id in states)
    for name, day in (("v.renamed", RENAMED), ("x.added", NEW_FIELD), ("n.nulls", EMPTIED), ("v.rescaled", HUNDREDS)):
        [line] = [line for line in told.splitlines() if line.startswith(f"| equities.{name}")]
        assert f"| {day} | SPY |" in line
    assert {row["change_id"] for row in read("drift", RENAMED, HUNDREDS, root=lake.root).to_pylist()} == set(states)

    # Nobody but the lake is asked from here on.
    capsys.readouterr()
    for change_id in ("equities.v.renamed.vol", "equities.v.rescaled.100", "equities.n.nulls"):
        assert main(["drift", "show", change_id, "--lake", lake.root]) == 0
        assert "Approving changes the contract" in capsys.readouterr().out
        assert main(["drift", "approve", change_id, "--lake", lake.root]) == 0
        assert "published anew from raw: 2013-10" in capsys.readouterr().out
    for day in (LATE, RENAMED, NEW_FIELD, EMPTIED, HUNDREDS):
        assert holds(lake, second, day), day
        manifest = lake.manifest("equities", day)
        assert manifest is not None
        assert manifest.coverage["SPY"].state in {Coverage.COMPLETE, Coverage.PARTIAL}
    assert pc.sum(published(lake, EMPTIED)["transactions"].is_null()).as_py() > 500
    revisions = {day: len([*publications(lake, "equities", day)]) for day in (RENAMED, EMPTIED, HUNDREDS)}
    assert set(revisions.values()) == {2}
    for change_id in ("equities.v.renamed.vol", "equities.v.rescaled.100", "equities.n.nulls"):
        assert main(["drift", "approve", change_id, "--lake", lake.root]) == 0
        said = capsys.readouterr().out
        assert "approved already, by" in said
        assert "published anew from raw: none" in said
    assert revisions == {day: len([*publications(lake, "equities", day)]) for day in revisions}, "approving twice"
    assert main(["drift", "list", "--lake", lake.root]) == 0
    assert "open" not in capsys.readouterr().out
    assert main(["replay-raw", "equities", *WEEK, "--lake", lake.root, "--check"]) == 0
    assert main(["replay-raw", "equities", *WEEK, "--lake", lake.root]) == 0
    assert "6 sessions, 0 rebuilt, 0 problems" in capsys.readouterr().err


def test_years_later_both_wait_in_quarantine_until_they_are_released(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BELLWETHER__LATE")  # the windows that the project has
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(["SPY"]))
    lake_option, day = ["--lake", str(tmp_path / "lake")], ["--start", str(LATE), "--end", str(LATE)]
    first, second = (Revision(archive, is_second=is_second) for is_second in (False, True))
    for revision, options in ((first, []), (second, ["--force"])):
        with running(SimulatorConfig(market=revision)) as simulator:
            main(["backfill", "equities", *day, *options, *lake_option, "--url", simulator.url])
    lake = Lake.open(tmp_path / "lake")
    assert holds(lake, first, LATE)
    stands = {(manifest.revision, manifest.rows) for _, manifest in publications(lake, "equities", LATE)}
    assert len(stands) == 1
    manifest = lake.manifest("equities", LATE)
    assert manifest is not None
    assert manifest.warnings["late_rows"] == 4
    capsys.readouterr()
    assert main(["quarantine", "list", "--json", *lake_option]) == 0
    waiting = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["broke"], row["state"]) for row in waiting] == [(["late"], "open")] * 4
    released = ["quarantine", "release", *(row["row"] for row in waiting), "--reason", "the tape has them"]
    assert main([*released, *lake_option]) == 0
    assert holds(lake, second, LATE)
