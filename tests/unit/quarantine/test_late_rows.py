"""Rows that came too late, from the vendor's second answer to what people decide about them."""

import pytest

from bellwether.errors import QuarantineError
from bellwether.ingest.finish import publish_stage
from bellwether.lake import paths
from bellwether.monitoring.health import as_markdown, look_back
from bellwether.quarantine.held import late_waiting
from bellwether.quarantine.standing import Row, State
from bellwether.verify.session import verify
from tests.builders import SESSION, bars
from tests.unit.quarantine.desk import Desk, with_close


@pytest.fixture
def late(desk: Desk) -> Row:
    """Return the row of a second answer, of a session that has long been over."""
    settings = desk.config.settings
    late = settings.late.model_copy(update={"rest_sessions": 3})
    desk.config = desk.config.model_copy(update={"settings": settings.model_copy(update={"late": late})})
    desk.vendor.tables["QQQ"] = with_close(bars("QQQ"), 77.0)
    before = desk.published("QQQ")
    desk.capture("s2", force=True)
    assert desk.published("QQQ").equals(before)
    [row] = [row for row in desk.rows(State.OPEN) if row.reasons == ("late",)]
    assert (row.subject, row.values["close"]) == ("QQQ", 77.0)
    return row


def test_a_released_one_takes_the_place_of_the_published_and_the_same_answer_changes_nothing(
    desk: Desk, late: Row
) -> None:
    desk.release(late)
    assert desk.published("QQQ")["close"].to_pylist() == with_close(bars("QQQ"), 77.0)["close"].to_pylist()
    revision = desk.manifest.revision
    desk.capture("s3", force=True)
    assert desk.manifest.revision == revision
    assert [row.state for row in desk.rows() if row.reasons == ("late",)] == [State.RELEASED]


def test_a_discarded_one_does_not_come_back_with_the_same_answer(desk: Desk, late: Row) -> None:
    before = desk.manifest.revision
    desk.discard(late)
    desk.capture("s3", force=True)
    assert desk.manifest.revision == before
    assert [row.state for row in desk.rows() if row.reasons == ("late",)] == [State.DISCARDED]


def test_a_discarded_one_that_is_accepted_with_its_answer_is_settled_and_proven(desk: Desk, late: Row) -> None:
    desk.discard(late)
    desk.staged("s3", force=True, tickers=["QQQ"])
    publish_stage(
        desk.lake, desk.config, "equities", SESSION, stage_id="s3", run_id="run", accept_loss=True, accept_late=True
    )
    assert desk.published("QQQ")["close"][0].as_py() == 77.0
    assert [row.state for row in desk.rows() if row.reasons == ("late",)] == [State.SETTLED]
    [outcome] = verify(desk.lake, desk.config, SESSION)
    assert outcome.state == "equal", outcome.why


def test_one_that_comes_again_after_another_answer_was_taken_waits_anew_and_can_be_released(
    desk: Desk, late: Row
) -> None:
    desk.vendor.tables["QQQ"] = with_close(bars("QQQ"), 88.0)
    accept(desk, "s3")
    assert states(desk) == {77.0: State.SETTLED}
    desk.vendor.tables["QQQ"] = with_close(bars("QQQ"), 77.0)
    desk.capture("s4", force=True)
    [row] = [row for row in desk.rows() if row.row_id == late.row_id]
    assert (row.state, row.origin.stage_id, len(row.seen_utc)) == (State.OPEN, "s4", 2)
    desk.release(row)
    assert desk.published("QQQ")["close"][0].as_py() == 77.0


def test_one_that_was_asked_for_before_the_answer_that_stands_waits_for_nobody_however_late_it_was_published(
    desk: Desk, late: Row
) -> None:
    desk.vendor.tables["QQQ"] = with_close(bars("QQQ"), 66.0)
    desk.staged("s3", force=True)
    desk.vendor.tables["QQQ"] = with_close(bars("QQQ"), 88.0)
    desk.staged("s4", force=True, tickers=["QQQ"])
    desk.publish("s3")
    assert states(desk) == {77.0: State.OPEN, 66.0: State.OPEN}
    publish_stage(desk.lake, desk.config, "equities", SESSION, stage_id="s4", run_id="run", accept_late=True)
    for entry in desk.lake.storage.list(paths.quarantines("equities")):  # as if copied, or restored
        content = desk.lake.storage.read(entry.key)
        assert content is not None
        desk.lake.storage.write(entry.key, content.content)
    assert states(desk) == {77.0: State.SETTLED, 66.0: State.SETTLED}
    with pytest.raises(QuarantineError, match="a newer answer took its place"):
        desk.release(late)
    assert desk.published("QQQ")["close"][0].as_py() == 88.0


def test_only_sessions_are_said_to_have_late_rows_of_which_some_still_wait(desk: Desk, late: Row) -> None:
    assert told(desk) == ["Rows that came too late, in quarantine: equities 2025-07-01 (1)."]
    desk.discard(late)
    assert told(desk) == []
    assert (late_waiting(desk.lake, desk.manifest), desk.manifest.warnings["late_rows"]) == (0, 1)
    desk.vendor.tables["QQQ"] = with_close(bars("QQQ"), 88.0)
    desk.capture("s3", force=True)
    assert late_waiting(desk.lake, desk.manifest) == 1
    accept(desk, "s4")
    assert (late_waiting(desk.lake, desk.manifest), desk.manifest.warnings["late_rows"]) == (0, 2)
    assert late_waiting(desk.lake, None) == 0
    assert told(desk) == []


def told(desk: Desk) -> list[str]:
    lines = as_markdown(look_back(desk.lake, desk.config, SESSION, 1), []).splitlines()
    return [line for line in lines if "too late" in line]


def accept(desk: Desk, stage_id: str) -> None:
    """Ask for the ticker by name, whose answer is taken however late."""
    desk.staged(stage_id, force=True, tickers=["QQQ"])
    publish_stage(desk.lake, desk.config, "equities", SESSION, stage_id=stage_id, run_id="run", accept_late=True)


def states(desk: Desk) -> dict[float, State]:
    return {row.values["close"]: row.state for row in desk.rows() if row.reasons == ("late",)}
