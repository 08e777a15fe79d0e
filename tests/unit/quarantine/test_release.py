"""Releasing and discarding: what stands afterwards, whoever fetches, replays, dies or decides at the same time."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.compute as pc
import pytest

from bellwether.drift.approval import reject
from bellwether.drift.change import Change, Kind
from bellwether.drift.ledger import Sighting, write_down
from bellwether.errors import QuarantineError
from bellwether.faultpoints import RELEASE_STEPS
from bellwether.ingest.audit import audit_session
from bellwether.ingest.replay import replay_session
from bellwether.lake import Coverage, paths
from bellwether.quality.prepare import REASON_COLUMN, quarantine_schema
from bellwether.quarantine.decisions import Action, append, read_log
from bellwether.quarantine.release import Settled, chosen, judge, put_released, settle
from bellwether.quarantine.standing import Row, Selection, State, find
from tests.builders import SESSION, bars
from tests.unit.quarantine.desk import ALL, Desk, upside_down, with_close


def of_close(desk: Desk, close: float) -> Row:
    [row] = [row for row in desk.rows() if row.values["close"] == close]
    return row


def first_close(desk: Desk) -> float:
    close: float = desk.published()["close"][0].as_py()
    return close


def test_a_released_row_is_published_as_a_revision_and_written_down(desk: Desk) -> None:
    before = desk.manifest
    assert before.coverage["SPY"].rows == 4
    settled = desk.release(of_close(desk, 101.0))
    assert settled.published == (("equities", SESSION),)
    after = desk.manifest
    assert (after.rows, after.replaces) == (before.rows + 1, paths.revision(before).name)
    assert desk.lake.storage.read(paths.revision(before)) is not None
    known = after.coverage["SPY"]
    assert (known.state, known.rows, known.quarantined_rows) == (Coverage.PARTIAL, 5, 1)
    assert first_close(desk) == 101.0
    [told] = desk.audit()
    row = of_close(desk, 101.0)
    assert told | {"decided_utc": None} == {
        "dataset": "equities",
        "number": 1,
        "row_id": row.row_id,
        "action": "released",
        "subject": "SPY",
        "key": "SPY 2025-07-01 13:30:00+00:00",
        "digest": row.digest,
        "broke": "conflicting_rows",
        "stage_id": "s1",
        "decided_by": "ann",
        "decided_utc": None,
        "reason": "looked at it",
    }
    assert (row.state, of_close(desk, 100.0).state) == (State.RELEASED, State.OPEN)
    desk.discard(of_close(desk, 100.0), by="bob")
    assert desk.rows(State.OPEN) == []
    assert [(each["number"], each["decided_by"]) for each in desk.audit()] == [(1, "ann"), (2, "bob")]


@pytest.mark.parametrize("again", ["replay", "re-pull", "both lost"])
def test_whoever_comes_to_the_same_raw_again_respects_what_was_decided(desk: Desk, again: str) -> None:
    desk.release(of_close(desk, 101.0))
    desk.discard(of_close(desk, 100.0))
    released = desk.manifest
    if again == "re-pull":
        desk.capture("s2", force=True)
    else:
        if again == "both lost":
            desk.lake.storage.delete(paths.partition("equities", SESSION))
            desk.lake.storage.delete_folder(paths.quarantines("equities"))
        replayed = replay_session(desk.lake, desk.config, "equities", SESSION)
        assert (replayed.problems, replayed.changed) == ({}, again == "both lost")
    assert desk.manifest.revision == released.revision
    assert desk.manifest.coverage["SPY"].quarantined_rows == 1
    assert desk.rows(State.OPEN) == []
    assert audit_session(desk.lake, desk.config, "equities", SESSION) == {}


def test_a_row_that_is_still_invalid_is_refused_and_nothing_changes(desk: Desk) -> None:
    desk.vendor.tables["QQQ"] = upside_down(bars("QQQ"))
    before = desk.capture("s2", force=True)
    [bar] = [row for row in desk.rows() if row.subject == "QQQ"]
    with pytest.raises(QuarantineError, match=rf"nothing was changed: {bar.row_id}: still invalid: high_below_low"):
        desk.release(bar, of_close(desk, 101.0))
    with pytest.raises(QuarantineError, match=r"conflicting_rows .they are of one key: release one of them"):
        desk.release(of_close(desk, 100.0), of_close(desk, 101.0))
    assert desk.manifest == before
    assert list(desk.lake.storage.list(paths.decisions("equities", SESSION))) == []


def test_a_row_whose_rule_has_changed_is_released(desk: Desk) -> None:
    moved = with_close(bars("QQQ"), 99.5, minute=2).slice(2, 1)
    table = moved.append_column(REASON_COLUMN, [["not_known_yet"]]).cast(quarantine_schema("equities"))
    desk.lake.write_parquet(paths.quarantine("equities", SESSION, "s0"), table)
    desk.release(of_close(desk, 99.5))
    assert desk.published("QQQ")["close"][2].as_py() == 99.5


def test_a_late_row_takes_the_place_of_the_one_that_stood_and_replays_leave_it(desk: Desk) -> None:
    desk.vendor.tables["SPY"] = bars("SPY")
    desk.capture("s2", force=True)
    desk.release(desk.came_late(close=99.0))
    known = desk.manifest.coverage["SPY"]
    assert (first_close(desk), known.rows, known.quarantined_rows) == (99.0, 5, 0)
    assert not replay_session(desk.lake, desk.config, "equities", SESSION).changed
    assert of_close(desk, 99.0).state is State.RELEASED
    assert audit_session(desk.lake, desk.config, "equities", SESSION) == {}


def test_a_newer_answer_replaces_a_released_row_where_it_has_a_valid_one_of_the_key(desk: Desk) -> None:
    desk.release(of_close(desk, 101.0))
    desk.vendor.tables["SPY"] = bars("SPY").slice(1)
    desk.capture("s2", force=True, tickers=["SPY"])
    assert (first_close(desk), desk.manifest.coverage["SPY"].rows) == (101.0, 5)
    assert audit_session(desk.lake, desk.config, "equities", SESSION) == {}
    desk.vendor.tables["SPY"] = bars("SPY")
    desk.capture("s3", force=True, tickers=["SPY"])
    assert first_close(desk) == bars("SPY")["close"][0].as_py()
    assert of_close(desk, 101.0).state is State.SETTLED


def corrected(desk: Desk, stage_id: str = "s2") -> None:
    desk.vendor.tables["SPY"] = bars("SPY")
    desk.capture(stage_id, force=True, tickers=["SPY"])


def without_the_bar(desk: Desk, stage_id: str = "s3") -> None:
    desk.vendor.tables["SPY"] = bars("SPY").slice(1)
    desk.capture(stage_id, force=True, tickers=["SPY"])


def test_a_released_row_that_was_replaced_does_not_come_back_with_an_answer_that_lacks_it(desk: Desk) -> None:
    desk.release(of_close(desk, 101.0))
    corrected(desk)
    without_the_bar(desk)
    known = desk.manifest.coverage["SPY"]
    assert (known.state, known.rows, desk.published().num_rows) == (Coverage.COMPLETE, 4, 4)
    assert of_close(desk, 101.0).state is State.SETTLED
    assert audit_session(desk.lake, desk.config, "equities", SESSION) == {}
    assert not put_released(desk.lake, desk.config, "equities", SESSION, run_id="r")


@pytest.mark.parametrize("is_index_lost", [False, True])
def test_nor_does_it_when_the_partition_is_lost(desk: Desk, is_index_lost: bool) -> None:
    desk.release(of_close(desk, 101.0))
    corrected(desk)
    without_the_bar(desk)
    before = desk.manifest.revision
    desk.lake.storage.delete(paths.partition("equities", SESSION))
    if is_index_lost:
        desk.lake.storage.delete(paths.manifest("equities", SESSION))
    assert replay_session(desk.lake, desk.config, "equities", SESSION).problems == {}
    assert desk.manifest.revision == before


def test_rows_that_come_again_after_a_correction_wait_anew(desk: Desk) -> None:
    desk.release(of_close(desk, 101.0))
    corrected(desk)
    desk.vendor.tables["SPY"] = with_close(bars("SPY"), 100.0, 101.0)
    desk.capture("s3", force=True, tickers=["SPY"])
    assert {row.state for row in desk.rows()} == {State.OPEN}
    assert desk.manifest.coverage["SPY"].quarantined_rows == 2
    desk.release(of_close(desk, 101.0))
    assert (first_close(desk), len(desk.audit())) == (101.0, 2)
    assert not replay_session(desk.lake, desk.config, "equities", SESSION).changed


@pytest.mark.parametrize("is_discarded", [False, True])
def test_a_row_that_a_newer_answer_overtook_cannot_be_released(desk: Desk, is_discarded: bool) -> None:
    row = of_close(desk, 101.0)
    if is_discarded:
        desk.discard(row)
    without_the_bar(desk)
    before = desk.manifest
    with pytest.raises(QuarantineError, match="a newer answer took its place"):
        desk.release(row)
    assert (desk.manifest, len(desk.decisions())) == (before, is_discarded)


def test_nor_can_one_that_it_overtook_since_it_was_judged(desk: Desk) -> None:
    seen = judge(desk.lake, Action.RELEASED, [of_close(desk, 101.0)])
    without_the_bar(desk)
    before = desk.manifest
    with pytest.raises(QuarantineError, match=r"newer answer took its place.*; nothing was changed of equities 2025"):
        settle(desk.lake, desk.config, seen, by="ann", why="w", run_id="r")
    assert (desk.manifest, desk.decisions()) == (before, ())


@pytest.mark.parametrize("answer", [corrected, without_the_bar])
def test_who_releases_while_a_newer_answer_is_published_is_told_that_the_row_is_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Desk], None]
) -> None:
    row = of_close(desk, 101.0)

    def overtaken(*arguments: Any) -> Any:
        answer(desk)
        return append(*arguments)

    with monkeypatch.context() as racing:
        racing.setattr("bellwether.quarantine.release.append", overtaken)
        settled = desk.release(row)
    assert settled.left_out == (f"{row.row_id} is not published: it is settled",)
    assert (101.0 in desk.published()["close"].to_pylist(), of_close(desk, 101.0).state) == (False, State.SETTLED)
    without_the_bar(desk, "s4")
    assert (desk.published().num_rows, desk.manifest.coverage["SPY"].rows) == (4, 4)


def test_a_discarded_row_that_a_newer_answer_says_is_right_is_settled(desk: Desk) -> None:
    desk.discard(of_close(desk, 101.0))
    desk.vendor.tables["SPY"] = with_close(bars("SPY"), 101.0)
    desk.capture("s2", force=True, tickers=["SPY"])
    assert (first_close(desk), of_close(desk, 101.0).state) == (101.0, State.SETTLED)
    desk.discard(of_close(desk, 101.0))  # as it was: the decision is told, and nothing is changed
    assert (first_close(desk), len(desk.decisions())) == (101.0, 1)


@pytest.mark.parametrize("is_fetched_again", [False, True])
def test_of_two_rows_released_in_turn_the_last_stands_and_the_other_is_in_quarantine_again(
    desk: Desk, is_fetched_again: bool
) -> None:
    desk.release(of_close(desk, 101.0))
    if is_fetched_again:
        desk.capture("s2", force=True, tickers=["SPY"])
    desk.release(of_close(desk, 100.0))
    known = desk.manifest.coverage["SPY"]
    assert (first_close(desk), known.state, known.quarantined_rows) == (100.0, Coverage.PARTIAL, 1)
    assert (of_close(desk, 100.0).state, of_close(desk, 101.0).state) == (State.RELEASED, State.REPLACED)
    assert audit_session(desk.lake, desk.config, "equities", SESSION) == {}
    assert not replay_session(desk.lake, desk.config, "equities", SESSION).changed
    settled = desk.release(of_close(desk, 101.0))
    assert (first_close(desk), settled.decisions) == (101.0, ("equities.2025-07-01.0003",))
    desk.discard(of_close(desk, 100.0))
    assert desk.rows(State.OPEN) == []
    assert not replay_session(desk.lake, desk.config, "equities", SESSION).changed


def test_a_row_of_another_answer_that_takes_the_place_of_a_released_one_puts_that_in_quarantine_again(
    desk: Desk,
) -> None:
    desk.release(of_close(desk, 101.0))
    desk.release(desk.came_late(close=99.0))
    known = desk.manifest.coverage["SPY"]
    assert (first_close(desk), known.rows, known.quarantined_rows) == (99.0, 5, 2)
    assert not replay_session(desk.lake, desk.config, "equities", SESSION).changed


def test_a_release_between_validation_and_publication_is_not_lost(desk: Desk) -> None:
    desk.staged("s2", force=True)
    desk.release(of_close(desk, 101.0))
    desk.publish("s2")
    known = desk.manifest.coverage["SPY"]
    assert (first_close(desk), known.rows, known.quarantined_rows) == (101.0, 5, 1)


@pytest.mark.parametrize("step", [*RELEASE_STEPS, "publish.indexed"])
def test_killed_anywhere_a_release_comes_to_the_same_end_when_it_is_done_again(
    desk: Desk, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(reached: str, _session: date) -> None:
        if reached == step:
            raise KeyboardInterrupt

    row = of_close(desk, 101.0)
    with monkeypatch.context() as deadly:
        deadly.setattr("bellwether.quarantine.release.reach", die)
        deadly.setattr("bellwether.lake.publish.reach", die)
        with pytest.raises(KeyboardInterrupt):
            desk.release(row)
    halfway = of_close(desk, 101.0).state
    assert halfway is {
        "release.judged": State.OPEN,
        "release.decided": State.UNFINISHED,
        "release.composed": State.UNFINISHED,
    }.get(step, State.RELEASED)
    desk.release(row)
    assert (first_close(desk), desk.manifest.rows) == (101.0, 20)
    assert len(read_log(desk.lake, "equities", SESSION).entries) == len(desk.audit()) == 1
    assert of_close(desk, 101.0).state is State.RELEASED


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("step", ["release.decided", "release.published"])
def test_killed_a_decision_by_selection_comes_to_the_same_end_when_it_is_done_again(
    desk: Desk, action: Action, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(reached: str, _session: date) -> None:
        if reached == step:
            raise KeyboardInterrupt

    def decide() -> Settled:
        judged = judge(desk.lake, action, chosen(desk.lake, Selection(rule="conflicting_rows"), action))
        return settle(desk.lake, desk.config, judged, by="ann", why="w", run_id="r")

    desk.discard(of_close(desk, 100.0))
    with monkeypatch.context() as deadly:
        deadly.setattr("bellwether.quarantine.release.reach", die)
        with pytest.raises(KeyboardInterrupt):
            decide()
    assert len(desk.audit()) == 1
    again = decide()
    assert (again.touched, again.decisions) == ((("equities", SESSION),), ())
    assert [told["action"] for told in desk.audit()] == ["discarded", action.value]
    assert (first_close(desk) == 101.0) is (action is Action.RELEASED)


def test_a_release_that_was_cut_off_and_then_overtaken_is_told_and_not_published(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(reached: str, _session: date) -> None:
        if reached == "release.decided":
            raise KeyboardInterrupt

    row = of_close(desk, 101.0)
    with monkeypatch.context() as deadly:
        deadly.setattr("bellwether.quarantine.release.reach", die)
        with pytest.raises(KeyboardInterrupt):
            desk.release(row)
    corrected(desk)
    again = desk.release(row)
    assert (again.decisions, again.published, len(desk.audit())) == ((), (), 1)
    assert [each.state for each in again.judged.decided] == [State.SETTLED]
    assert first_close(desk) == bars("SPY")["close"][0].as_py()


def test_of_several_sessions_the_one_that_somebody_decided_otherwise_about_is_left_out(desk: Desk) -> None:
    later = desk.on(date(2025, 7, 2))
    rows = [row for row in find(desk.lake, ALL) if row.values["close"] == 101.0]
    seen = judge(desk.lake, Action.RELEASED, rows)
    later.discard(*(row for row in rows if row.session == later.session), by="bob")
    before = later.manifest
    settled = settle(desk.lake, desk.config, seen, by="ann", why="w", run_id="r")
    assert settled.touched == settled.published == (("equities", SESSION),)
    [left_out] = settled.left_out
    assert "was discarded by bob" in left_out
    assert left_out.endswith("nothing was changed of equities 2025-07-02")
    assert (first_close(desk), later.manifest) == (101.0, before)


def test_of_two_who_decide_at_once_the_second_is_told_what_the_first_decided(desk: Desk) -> None:
    row = of_close(desk, 101.0)
    meant = Selection(rows=(row.row_id,))
    seen = judge(desk.lake, Action.RELEASED, chosen(desk.lake, meant, Action.RELEASED))
    before = desk.manifest
    desk.discard(row, by="ann")
    with pytest.raises(QuarantineError, match=r"was discarded by ann at 2025-07-10 .*: looked at it; nothing was"):
        settle(desk.lake, desk.config, seen, by="bob", why="no", run_id="r")
    assert desk.manifest == before


def test_whoever_writes_at_the_same_instant_gets_the_next_number(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from bellwether.quarantine import release as room

    mine, other = of_close(desk, 101.0), of_close(desk, 100.0)
    append = room.append
    calls: list[int] = []

    def beaten(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            desk.discard(other, by="bob")
        return append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "append", beaten)
    settled = desk.release(mine)
    assert settled.decisions == ("equities.2025-07-01.0002",)


def test_a_discarded_row_may_still_be_released_and_a_released_one_not_discarded(desk: Desk) -> None:
    row = of_close(desk, 101.0)
    desk.discard(row)
    desk.release(row, by="bob")
    assert first_close(desk) == 101.0
    with pytest.raises(QuarantineError, match="released by bob"):
        desk.discard(row)


def test_what_drift_holds_back_is_decided_as_drift(desk: Desk) -> None:
    now = datetime(2025, 7, 10, tzinfo=UTC)
    change = Change("equities", "n", Kind.NULLS, "0.5")
    write_down(
        desk.lake,
        Sighting(
            change=change,
            session=SESSION,
            stage_id="s5",
            subjects=("SPY",),
            first_utc=now,
            raw={},
            evidence="half of them",
            version=1,
            seen_utc=now,
        ),
    )
    held = with_close(bars("SPY"), 98.0).slice(0, 1).append_column(REASON_COLUMN, [[f"Drifted: {change}"]])
    desk.lake.write_parquet(paths.quarantine("equities", SESSION, "s5"), held.cast(quarantine_schema("equities")))
    row = of_close(desk, 98.0)
    with pytest.raises(QuarantineError, match=r"held back by equities.n.nulls, which is open: decide about that"):
        desk.release(row)
    reject(desk.lake, "equities.n.nulls", by="ann", reason="theirs")
    with pytest.raises(QuarantineError, match="which is rejected"):
        desk.release(row)


def test_nobody_decides_without_saying_which_rows_and_why(desk: Desk) -> None:
    with pytest.raises(QuarantineError, match="say which rows are meant"):
        chosen(desk.lake, Selection(), Action.RELEASED)
    with pytest.raises(QuarantineError, match="no row in quarantine that waits for somebody"):
        chosen(desk.lake, Selection(tickers=("AAPL",)), Action.RELEASED)
    judged = judge(desk.lake, Action.DISCARDED, desk.rows())
    with pytest.raises(QuarantineError, match="say why"):
        settle(desk.lake, desk.config, judged, by="ann", why=" ", run_id="r")


def test_publishing_what_is_released_again_changes_nothing(desk: Desk) -> None:
    desk.release(of_close(desk, 101.0))
    assert not put_released(desk.lake, desk.config, "equities", SESSION, run_id="r")
    assert pc.count_distinct(desk.published()["ts"]).as_py() == 5


def test_rows_of_several_files_keep_their_values(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.vendor.tables["QQQ"] = with_close(bars("QQQ"), 90.0, 91.0)
    desk.capture("s2", force=True, tickers=["QQQ"])
    settled = desk.release(of_close(desk, 91.0), of_close(desk, 100.0))
    [entry] = read_log(desk.lake, "equities", SESSION).entries
    assert [row.subject for row in entry.decision.rows] == entry.table["ticker"].to_pylist()
    assert settled.published == (("equities", SESSION),)
    assert (first_close(desk), desk.published("QQQ")["close"][0].as_py()) == (100.0, 91.0)
