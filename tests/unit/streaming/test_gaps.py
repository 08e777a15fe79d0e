"""The events of gaps: written once each, read in whatever order they are listed."""

from datetime import timedelta
from pathlib import Path

import pytest

from bellwether.lake import Lake, paths
from bellwether.streaming.gaps import ALL, Filled, Gap, GapLog
from tests.unit.streaming.feeds import NOON, SESSION

LATER = NOON + timedelta(minutes=20)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True)


def ended(log: GapLog) -> Gap:
    return log.end(log.open(NOON, ALL, "crash", NOON, "killed"), NOON + timedelta(minutes=2))


def test_a_gap_is_closed_by_the_first_who_says_so(lake: Lake) -> None:
    one, another = (GapLog(lake, "equities", SESSION, name) for name in ("one", "another"))
    gap = ended(one)
    closed = one.close(gap, LATER, "filled by one")
    assert another.close(gap, LATER + timedelta(minutes=1), "filled by another") is None
    assert another.read() == [closed]
    assert closed is not None
    assert (closed.closed_utc, closed.evidence) == (LATER, "killed; filled by one")


def test_what_is_filled_of_a_gap_adds_up_over_those_who_fill_it(lake: Lake) -> None:
    one, another = (GapLog(lake, "equities", SESSION, name) for name in ("one", "another"))
    gap = ended(one)
    some, others = Filled(3, 120.0, 2, 1), Filled(0, 0.0, 0, 0)
    one.fill(gap, {"SPY": some})
    another.fill(gap, {"AAPL": others, "SPY": some})
    [read] = one.read()
    assert read.filled == {"SPY": some, "AAPL": others}
    assert one.table().column_names[-1] == "evidence"  # how far it is filled is nobody else's business


def test_an_event_whose_gap_is_not_listed_yet_is_passed_over(lake: Lake) -> None:
    log = GapLog(lake, "equities", SESSION, "one")
    first, second = ended(log), ended(log)
    lake.storage.delete(paths.gaps("equities", SESSION) / f"{first.gap_id}.opened.json")
    assert [gap.gap_id for gap in log.read()] == [second.gap_id]
