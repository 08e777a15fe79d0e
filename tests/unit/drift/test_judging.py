"""A session's rows against what is published before it: summaries are kept, and made anew when they are lost or old."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.config.sinks import SinkSettings
from bellwether.drift.change import MANY_NAMES, OTHERS, Change, Kind
from bellwether.drift.judging import Held, _split_lately, compare, judge
from bellwether.drift.ledger import known_changes
from bellwether.drift.values import TRAILING
from bellwether.lake import Coverage, Lake, TickerCoverage, paths
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.lake.stage import BatchRecord
from bellwether.quality.prepare import quarantine_schema
from bellwether.quality.validate import Verdict
from bellwether.schemas import EQUITIES, SPLITS
from tests.builders import bars, complete, submission

CONFIG = Config.load(Path(__file__).parents[3] / "config", {})
CONTRACT = CONFIG.contracts["equities"]
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


def test_underlyings_that_split_take_their_contracts_along(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    split = {"ticker": "SPY", "execution_date": LAST, "split_from": 1.0, "split_to": 10.0, "split_id": "s"}
    table = pa.Table.from_pylist([split], schema=SPLITS)
    publish(lake, submission(dataset="splits", session=LAST, table=table, coverage=complete(table)), LAYOUT)
    for dataset in ("equities", "options", "contracts", "options_snapshot"):
        assert _split_lately(lake, dataset, LAST, BEFORE[0]) == {"SPY"}, dataset
    assert _split_lately(lake, "rates", LAST, BEFORE[0]) == frozenset()


def test_only_the_trailing_twenty_sessions_are_a_measure(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    *before, last = get_calendar().sessions(date(2025, 6, 4), date(2025, 7, 7))
    for session in before:
        put(lake, session, 1.0 if session in before[-TRAILING:] else 0.01)
    none = quarantine_schema("equities").empty_table()
    assert judge(lake, CONTRACT, "equities", last, rows(last), none).findings == ()
    kept_of = {session for session in before if lake.storage.read(paths.statistics("equities", session))}
    assert kept_of == set(before[-TRAILING:])
    assert len(before) > TRAILING
    [finding] = judge(lake, CONTRACT, "equities", last, rows(last, 5.5), none).findings
    assert (finding.change.kind, finding.change.is_breaking) == (Kind.MOVED, False)


def test_of_more_new_names_than_anybody_reads_the_ledger_keeps_that_there_were(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    drift = {f"T{n:03d}": (Change("equities", f"x{n:03d}", Kind.ADDED, "integer"),) for n in range(200)}
    drift["T000"] += (Change("equities", "v", Kind.RENAMED, "vol"), Change("equities", OTHERS, Kind.ADDED, MANY_NAMES))
    drift["unreadable"] = (Change("equities", "y", Kind.ADDED, "integer"),)
    coverage = {ticker: TickerCoverage(Coverage.COMPLETE, stage_id="s") for ticker in drift if ticker != "unreadable"}
    record = BatchRecord(coverage=coverage, api_calls=0, seconds=0.0, raw={}, left_out={}, drift=drift)
    verdict = Verdict(True, rows(LAST), quarantine_schema("equities").empty_table(), {}, [], {}, 0.0)
    assert compare(lake, CONFIG, "equities", LAST, record, verdict).is_seen
    known = known_changes(lake, [LAST])
    assert len(known) == 52
    [others] = [each for each in known if each.change.field == OTHERS]
    assert len(others.sightings[0].subjects) == 151, "one of them cannot be read for another reason"
    assert "equities.v.renamed.vol" in {each.change_id for each in known}
