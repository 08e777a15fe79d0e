"""Which refused rows wait for somebody, by ids that stay."""

from collections import Counter

import pyarrow as pa
import pytest

from bellwether.errors import LakeError, QuarantineError
from bellwether.ingest.finish import validate_stage
from bellwether.lake import paths
from bellwether.quarantine.identity import digests, parse_row_id, row_id
from bellwether.quarantine.standing import Selection, State, find
from bellwether.recovery.ledger import read_known
from tests.builders import SESSION, bars
from tests.unit.quarantine.desk import ALL, Desk, upside_down, with_close


def test_a_row_has_one_id_however_often_it_is_refused(desk: Desk) -> None:
    before = desk.rows()
    assert [(row.state, row.reasons, row.subject) for row in before] == [(State.OPEN, ("conflicting_rows",), "SPY")] * 2
    assert {row.values["close"] for row in before} == {100.0, 101.0}
    desk.capture("s2", force=True, tickers=["SPY"])
    assert len(list(desk.lake.storage.list(paths.quarantines("equities")))) == 2
    after = desk.rows()
    assert [row.row_id for row in after] == [row.row_id for row in before]
    assert {row.origin.stage_id for row in after} == {"s2"}
    assert parse_row_id(before[0].row_id) == ("equities", SESSION)


def test_rows_are_found_by_dataset_session_ticker_rule_and_id(desk: Desk) -> None:
    desk.vendor.tables["QQQ"] = upside_down(bars("QQQ"))
    desk.capture("s2", force=True)
    assert len(desk.rows()) == 3
    [bar] = find(desk.lake, Selection(rule="high_below_low"))
    assert (bar.subject, bar.key) == ("QQQ", "QQQ 2025-07-01 13:31:00+00:00")
    assert len(find(desk.lake, Selection(tickers=("SPY",)))) == 2
    assert find(desk.lake, Selection(rows=(bar.row_id,)))[0].digest == bar.digest
    later = Selection(start=SESSION.replace(day=2))
    assert find(desk.lake, later) == find(desk.lake, Selection(datasets=("news",))) == []
    with pytest.raises(QuarantineError, match=r"no such row in quarantine: equities.2025-07-01.0123456789ab"):
        find(desk.lake, Selection(rows=("equities.2025-07-01.0123456789ab",)))
    with pytest.raises(QuarantineError, match="not the id of a row: SPY"):
        find(desk.lake, Selection(rows=("SPY",)))


def test_what_a_newer_answer_says_right_waits_for_nobody(desk: Desk) -> None:
    desk.vendor.tables["SPY"] = bars("SPY")
    desk.capture("s2", force=True, tickers=["SPY"])
    assert {row.state for row in desk.rows()} == {State.SETTLED}


def test_of_two_answers_that_were_refused_whole_the_rows_of_the_newer_one_wait_and_can_be_released(desk: Desk) -> None:
    desk.lake.storage.delete(paths.partition("equities", SESSION))
    desk.vendor.tables["SPY"] = with_close(bars("SPY", minutes=1), 95.0, 96.0)
    desk.capture("s2", force=True)
    desk.vendor.tables["SPY"] = with_close(bars("SPY", minutes=1), 95.0, 97.0)
    desk.capture("s3", force=True, tickers=["SPY"])
    rows = {row.values["close"]: row for row in desk.rows() if row.origin.stage_id != "s1"}
    assert {close: row.state for close, row in rows.items()} == {
        95.0: State.OPEN,
        96.0: State.SETTLED,
        97.0: State.OPEN,
    }
    with pytest.raises(QuarantineError, match="a newer answer took its place"):
        desk.release(rows[96.0])
    assert desk.release(rows[97.0]).published == (("equities", SESSION),)
    assert desk.published()["close"].to_pylist() == [97.0]
    assert [row.values["close"] for row in desk.rows(State.RELEASED)] == [97.0]


def test_a_late_row_waits_beside_the_answer_that_stands(desk: Desk) -> None:
    assert desk.came_late().state is State.OPEN


def test_a_file_without_a_record_is_as_old_as_it_is(desk: Desk) -> None:
    [entry] = desk.lake.storage.list(paths.quarantines("equities"))
    table = desk.lake.read_parquet(entry.key)
    assert table is not None
    desk.lake.write_parquet(entry.key, table.replace_schema_metadata(None))
    assert [row.state for row in desk.rows()] == [State.OPEN] * 2


def test_what_a_run_is_refused_after_it_was_cleared_stands_beside_what_it_was_refused_before(desk: Desk) -> None:
    desk.vendor.tables["SPY"] = upside_down(upside_down(upside_down(bars("SPY").slice(0, 3), 0), 1), 2)
    batches = desk.staged("s1", force=True, tickers=["SPY"])
    validate_stage(desk.lake, desk.config, batches)  # once more, as a retry does
    assert len(list(desk.lake.storage.list(paths.quarantines("equities")))) == 2
    before = desk.manifest
    assert desk.publish("s1") == before
    assert Counter(row.reasons[0] for row in desk.rows(State.OPEN)) == {"conflicting_rows": 2, "high_below_low": 3}


def test_a_damaged_file_is_named(desk: Desk) -> None:
    [entry] = desk.lake.storage.list(paths.quarantines("equities"))
    desk.lake.storage.write(entry.key, b"PAR1")
    with pytest.raises(LakeError, match=r"s1~[0-9a-f]{16}.parquet is damaged"):
        find(desk.lake, ALL)


def test_digests_tell_bits_apart_and_columns_beside_do_not_count() -> None:
    table = bars("SPY")
    zero = table.set_column(6, table.schema.field("volume"), pa.array([0.0] * 5))
    minus = table.set_column(6, table.schema.field("volume"), pa.array([-0.0] * 5))
    assert not set(digests(zero, "equities", SESSION)) & set(digests(minus, "equities", SESSION))
    beside = zero.append_column("reason", pa.array(["late"] * 5))
    assert digests(beside, "equities", SESSION) == digests(zero, "equities", SESSION)
    assert len(set(digests(with_close(zero, 1.0, 1.5), "equities", SESSION))) == 6
    # These have been told to people: they must not change with a version of anything.
    assert row_id("equities", SESSION, digests(zero, "equities", SESSION)[0]) == PINNED


def test_what_was_discarded_is_not_fetched_again(desk: Desk) -> None:
    assert read_known(desk.lake, desk.config, "equities", SESSION).quarantined == ("SPY",)
    desk.discard(*desk.rows())
    assert read_known(desk.lake, desk.config, "equities", SESSION).quarantined == ()


PINNED = "equities.2025-07-01.edb97caf1c37"
