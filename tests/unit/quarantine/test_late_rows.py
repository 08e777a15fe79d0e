"""Rows that came too late, from the vendor's second answer to what people decide about them."""

import pytest

from bellwether.ingest.finish import publish_stage
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
