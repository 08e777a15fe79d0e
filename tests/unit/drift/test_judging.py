"""A session's rows against what is published before it: summaries are kept, and made anew when they are lost or old."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.config.sinks import SinkSettings
from bellwether.drift.change import Kind
from bellwether.drift.judging import Held, judge
from bellwether.lake import Lake, paths
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.quality.prepare import quarantine_schema
from bellwether.schemas import EQUITIES, SPLITS
from tests.builders import bars, complete, submission

CONTRACT = Config.load(Path(__file__).parents[3] / "config", {}).contracts["equities"]
*BEFORE, LAST = get_calendar().sessions(date(2025, 7, 1), date(2025, 7, 7))
LAYOUT = FileLayout(SinkSettings(), "snappy")


def put(lake: Lake, session: date, factor: float = 1.0, stage_id: str = "s1") -> None:
    publish(lake, submission(rows(session, factor), session=session, stage_id=stage_id), LAYOUT)


def rows(session: date, factor: float = 1.0) -> pa.Table:
    table = bars("SPY", session, 30)
    return table.set_column(6, EQUITIES.field("volume"), pc.multiply(table["volume"], factor))


def judged(lake: Lake, factor: float = 1.0) -> Held:
    none = quarantine_schema("equities").empty_table()
    return judge(lake, CONTRACT, "equities", LAST, rows(LAST, factor), none)


def kept(lake: Lake, session: date) -> bytes:
    stored = lake.storage.read(paths.statistics("equities", session))
    assert stored is not None
    return stored.content


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    for session in BEFORE:
        put(lake, session)
    return lake


def test_rows_that_are_what_they_were_pass_and_the_summaries_are_kept(lake: Lake) -> None:
    held = judged(lake)
    assert (held.findings, held.why, len(held.good), len(held.quarantined)) == ((), "", 30, 0)
    assert {session: bool(kept(lake, session)) for session in BEFORE} == dict.fromkeys(BEFORE, True)


def test_rows_in_another_unit_are_held_back_whole_with_the_reason(lake: Lake) -> None:
    held = judged(lake, 0.01)
    assert [finding.change.kind for finding in held.findings] == [Kind.RESCALED]
    assert len(held.good) == 0
    assert set(held.quarantined["reason"].to_pylist()) == {held.why}


def test_a_summary_that_is_lost_or_damaged_is_made_anew(lake: Lake) -> None:
    judged(lake)
    before = [kept(lake, session) for session in BEFORE]
    lake.storage.delete(paths.statistics("equities", BEFORE[0]))
    lake.storage.write(paths.statistics("equities", BEFORE[1]), b"{")
    assert judged(lake).findings == ()
    assert [kept(lake, session) for session in BEFORE] == before


def test_a_summary_is_of_the_revision_in_force(lake: Lake) -> None:
    judged(lake)
    for session in BEFORE:
        put(lake, session, 0.01, stage_id="s2")
    assert judged(lake, 0.01).findings == ()
    assert [finding.change.to for finding in judged(lake).findings] == ["0.01"]


def test_a_split_between_is_no_change_of_unit(lake: Lake) -> None:
    table = pa.table(
        {
            "ticker": ["SPY"],
            "execution_date": [LAST],
            "split_from": [1.0],
            "split_to": [100.0],
            "split_id": ["s"],
        },
        schema=SPLITS,
    )
    publish(lake, submission(dataset="splits", session=LAST, table=table, coverage=complete(table)), LAYOUT)
    assert judged(lake, 100.0).findings == ()
