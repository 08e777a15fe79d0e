"""What a look back on sessions finds, and how it is told."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.lake import Coverage, Lake, paths
from bellwether.monitoring.health import Health, Standing, as_markdown, as_table, look_back
from bellwether.operational_schemas import HEALTH
from bellwether.streaming.assignment import whole_session
from bellwether.streaming.closing import DEADLINE
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.live import publish_live
from tests.builders import bars, publish_bars
from tests.recordings import leave, miss, record

BEFORE, FIRST, SECOND = date(2025, 6, 30), date(2025, 7, 1), date(2025, 7, 2)
NOON, NOW = datetime(2025, 7, 1, 16, tzinfo=UTC), datetime(2025, 7, 3, 2, tzinfo=UTC)


@pytest.fixture
def health(tmp_path: Path) -> Health:
    """Return the health of two sessions: of the first all is published that is required, of the second nothing."""
    (tmp_path / "config").mkdir()
    config = Config.load(tmp_path / "config", {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"})
    lake = Lake.open(tmp_path / "lake", simulated=True, clock=SimulatedClock(NOW))
    publish_bars(lake, ["AAPL", "SPY"], FIRST)
    return look_back(lake, config, SECOND, 2)


def test_what_stands_and_is_not_built_yet_is_announced_and_what_lacks_inputs_is_not(health: Health) -> None:
    assert health.to_announce == [FIRST]
    assert [(each.state, each.why) for each in health.of("minutes")] == [
        (Coverage.MISSING, "there is no gold yet"),
        (Coverage.MISSING, "equities is not published"),
    ]
    assert [(each.state, each.why) for each in health.of("equities")] == [
        (Coverage.COMPLETE, ""),
        (Coverage.MISSING, "AAPL, SPY; never fetched"),
    ]


def test_the_summary_tells_how_fresh_and_complete_each_dataset_is_and_what_lacks(health: Health) -> None:
    lines = as_markdown(health, []).splitlines()
    assert lines[0] == "### Sessions 2025-07-01 to 2025-07-02, looked at on 2025-07-03 02:00 UTC"
    assert "Gold of 2 sessions: 2 missing. Announced to be built: 2025-07-01." in lines
    assert "| equities (required) | 2025-07-01 | 2025-07-03 02:00 | 1 | 1 complete, 1 missing |" in lines
    assert "| news | - | - | 2 | 2 missing |" in lines
    assert "| 2025-07-02 | equities | missing | AAPL, SPY; never fetched |" in lines


def test_a_damaged_file_is_told_with_what_to_do_and_holds_up_no_other_session(tmp_path: Path) -> None:
    config = Config.load(None, {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"})
    lake = Lake.open(tmp_path / "lake", simulated=True, clock=SimulatedClock(NOW))
    for session in (BEFORE, FIRST, SECOND):
        publish_bars(lake, ["AAPL", "SPY"], session)
    lake.storage.write(paths.partition("equities", BEFORE), b"damaged")
    health = look_back(lake, config, SECOND, 3)
    assert health.to_announce == [SECOND]  # the gold of the first begins with the session before
    [(state, why), *_] = [(each.state, each.why) for each in health.of("equities")]
    assert state is Coverage.FAILED
    assert "equities.parquet is damaged" in why
    assert [each.state for each in health.of("minutes")] == [Coverage.FAILED] * 2 + [Coverage.MISSING]
    assert as_markdown(health, []).count("put it back from revisions/ or a backup") == 3


def test_the_dataset_holds_a_row_per_session_and_dataset(health: Health) -> None:
    table = as_table(health)
    assert table.schema == HEALTH
    assert len(table) == 2 * 12
    [row] = [row for row in table.to_pylist() if row["session"] == FIRST and row["dataset"] == "equities"]
    assert (row["rows"], row["quarantined_rows"], row["published_utc"].date()) == (10, 0, NOW.date())


def test_a_vendors_text_stays_within_its_cell_and_the_list_of_what_lacks_is_short() -> None:
    text = "gone | away\n# now"
    standings = [Standing(FIRST, "minutes", True, Coverage.MISSING, text, None) for _ in range(30)]
    lines = as_markdown(Health(FIRST, NOW, (*_captured(), *standings)), []).splitlines()
    assert lines.count("| 2025-07-01 | minutes | missing | gone / away # now |") == 20
    assert lines[-1] == "and 10 more."


def test_a_stream_whose_gaps_are_open_after_their_deadline_stands_in_the_summary(tmp_path: Path) -> None:
    config = Config.load(None, {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"})
    deadline = whole_session("equities", FIRST).until + DEADLINE
    lake = Lake.open(tmp_path, simulated=True)
    record(lake, bars("AAPL"), NOON, dataset="equities", session=FIRST)
    gap = miss(lake, "equities", FIRST, NOON, cause="crash")
    leave(lake, "equities", FIRST, NOON)
    leave(lake, "indices", FIRST, NOON, state="stopped")  # a plan without them
    miss(lake, "indices", FIRST, NOON, cause="refused")
    publish_live(lake, config, "equities", FIRST, run_id="r")

    def looked_at(now: datetime) -> list[tuple[Coverage, str]]:
        at = Lake.open(tmp_path, simulated=True, clock=SimulatedClock(now, speed=0))
        health = look_back(at, config, FIRST, 1)
        assert not health.of("indices_live")
        summary = as_markdown(health, [])
        is_told = "Streams with gaps that are open after their deadline: equities_live 2025-07-01." in summary
        [standing] = health.of("equities_live")
        assert is_told == bool(standing.why) == ("| 2025-07-01 | equities_live | partial |" in summary)
        return [(standing.state, standing.why)]

    assert looked_at(deadline - timedelta(seconds=1)) == [(Coverage.PARTIAL, "")]
    assert looked_at(deadline) == [
        (Coverage.PARTIAL, "gaps open after their deadline: 04:00:00 to 12:00:00, crash"),
    ]
    GapLog(lake, "equities", FIRST, "test").close(gap, deadline, "REST has nothing")
    publish_live(lake, config, "equities", FIRST, run_id="r")
    assert looked_at(deadline) == [(Coverage.COMPLETE, "")]


def _captured() -> list[Standing]:
    from bellwether.ingest.sources import CAPTURED

    return [Standing(FIRST, dataset, False, Coverage.EMPTY, "", None) for dataset in CAPTURED]
