"""Answers that come too late: what is published stays, what differs waits in quarantine, once, and is counted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from msgspec import structs

from bellwether.config import SinkSettings
from bellwether.faultpoints import LATE_KEPT
from bellwether.lake import Coverage, Lake, Manifest, TickerCoverage, paths, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Publication, Submission, publish
from bellwether.lake.storage import Entry
from bellwether.quality.late import Window
from bellwether.quarantine.kept import Origin, read_kept
from bellwether.schemas import EQUITIES
from tests.builders import SESSION, bars, complete, submission

LAYOUT = FileLayout(SinkSettings(), "snappy")
UNTIL = datetime(2025, 7, 8, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
IN_TIME, LATE = UNTIL, UNTIL + timedelta(seconds=1)


@pytest.fixture
def lake(root: str) -> Lake:
    return Lake.open(root, simulated=True)


def answered(*tables: pa.Table, at: datetime, stage_id: str, **changes: Any) -> Submission:
    """Return a submission of answers fetched at an instant."""
    coverage = {t: structs.replace(known, fetched_utc=at) for t, known in complete(*tables, stage_id=stage_id).items()}
    coverage |= changes.pop("beside", {})
    return submission(*tables, stage_id=stage_id, coverage=coverage, window=Window(UNTIL), **changes)


def take(lake: Lake, *tables: pa.Table, at: datetime, stage_id: str, **changes: Any) -> Publication:
    return publish(lake, answered(*tables, at=at, stage_id=stage_id, **changes), LAYOUT)


def revised(ticker: str, minute: int = 1, volume: float = 1.0) -> pa.Table:
    """Return a ticker's bars with another volume in one minute."""
    rows = bars(ticker).to_pylist()
    rows[minute]["volume"] = volume
    return pa.Table.from_pylist(rows, EQUITIES)


def files(lake: Lake) -> list[Entry]:
    return sorted(lake.storage.list(paths.quarantine("equities", SESSION, "x").parent), key=lambda each: each.key)


def waiting(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Return the rows in quarantine, by the stage of their answer."""
    return {each.key.name.split("~")[0]: lake.read_parquet(each.key).to_pylist() for each in files(lake)}


def counted(manifest: Manifest) -> tuple[int | None, int | None]:
    return manifest.warnings.get("late_rows"), manifest.warnings.get("late_removals")


def rows(lake: Lake, ticker: str) -> pa.Table:
    return read("equities", SESSION, SESSION, [ticker], root=lake.root)


def test_within_the_window_an_answer_is_a_new_revision_and_nothing_is_counted(lake: Lake) -> None:
    take(lake, bars("SPY"), at=IN_TIME - timedelta(days=1), stage_id="s1")
    publication = take(lake, revised("SPY"), at=IN_TIME, stage_id="s2")
    assert rows(lake, "SPY").equals(revised("SPY"))
    assert counted(publication.manifest) == (None, None)


def test_beyond_it_the_rows_that_differ_wait_in_quarantine_whole_and_what_is_published_stays(lake: Lake) -> None:
    first = take(lake, bars("SPY"), bars("AAPL"), at=IN_TIME, stage_id="s1").manifest
    publication = take(lake, revised("SPY"), bars("AAPL"), at=LATE, stage_id="s2")
    assert (publication.changed, publication.refused) == (True, {})
    assert publication.manifest.revision == first.revision
    assert publication.manifest.coverage["SPY"] == first.coverage["SPY"], "its raw answer is still the first"
    assert counted(publication.manifest) == (1, 0)
    assert waiting(lake) == {"s2": [revised("SPY").to_pylist()[1] | {"reason": "late"}]}


def test_what_is_new_beside_published_rows_is_late_and_what_is_gone_stays_and_is_counted(lake: Lake) -> None:
    take(lake, bars("SPY"), at=IN_TIME, stage_id="s1")
    before = bars("SPY").to_pylist()
    moved = [*before[1:], before[-1] | {"ts": before[-1]["ts"] + timedelta(minutes=9)}]
    publication = take(lake, pa.Table.from_pylist(moved, EQUITIES), at=LATE, stage_id="s2")
    assert rows(lake, "SPY").equals(bars("SPY"))
    assert counted(publication.manifest) == (1, 1)
    assert waiting(lake)["s2"] == [moved[-1] | {"reason": "late"}]
    assert counted(take(lake, bars("SPY"), at=LATE + HOUR, stage_id="s3").manifest) == (1, 0)


@pytest.mark.parametrize("state", [None, Coverage.FAILED, Coverage.NOT_ENTITLED, Coverage.UNKNOWN_TICKER])
def test_a_first_answer_is_never_late(lake: Lake, state: Coverage | None) -> None:
    beside = {} if state is None else {"SPY": TickerCoverage(state, stage_id="s1", reason="as it was")}
    take(lake, bars("AAPL"), at=IN_TIME, stage_id="s1", beside=beside)
    publication = take(lake, bars("SPY"), at=LATE, stage_id="s2")
    assert rows(lake, "SPY").equals(bars("SPY"))
    assert counted(publication.manifest) == (None, None)


def test_after_proof_that_there_was_nothing_rows_are_late(lake: Lake) -> None:
    empty = TickerCoverage(Coverage.EMPTY, stage_id="s1", fetched_utc=IN_TIME, reason="no rows")
    take(lake, bars("AAPL"), at=IN_TIME, stage_id="s1", beside={"SPY": empty})
    assert counted(take(lake, bars("SPY"), at=LATE, stage_id="s2").manifest) == (5, 0)
    assert rows(lake, "SPY").num_rows == 0


def test_a_late_answer_that_says_the_same_changes_nothing(lake: Lake) -> None:
    take(lake, bars("SPY"), at=IN_TIME, stage_id="s1")
    assert take(lake, bars("SPY"), at=LATE, stage_id="s2").changed is False
    assert waiting(lake) == {}


def test_published_again_a_late_answer_changes_nothing_and_a_row_that_comes_again_counts_once(lake: Lake) -> None:
    take(lake, bars("SPY"), at=IN_TIME, stage_id="s1")
    first = take(lake, revised("SPY"), at=LATE, stage_id="s2")
    [file] = files(lake)
    assert take(lake, revised("SPY"), at=LATE, stage_id="s2").changed is False
    assert files(lake) == [file], "not even written again"
    assert take(lake, revised("SPY"), at=LATE, stage_id="s3").changed is False
    assert waiting(lake)["s2"] == waiting(lake)["s3"]
    third = take(lake, revised("SPY", volume=2.0), at=LATE, stage_id="s4")
    assert (counted(first.manifest), counted(third.manifest)) == ((1, 0), (2, 0))


def test_two_answers_of_one_run_that_come_too_late_are_kept_each_as_old_as_it_is(lake: Lake) -> None:
    take(lake, bars("SPY"), at=IN_TIME, stage_id="s1")
    take(lake, revised("SPY"), at=LATE, stage_id="s2")
    take(lake, revised("SPY", volume=2.0), at=LATE + HOUR, stage_id="s2")
    kept = read_kept(lake, "equities", SESSION)
    assert {(each.table["volume"][0].as_py(), each.origin("SPY")) for each in kept} == {
        (1.0, Origin("s2", LATE)),
        (2.0, Origin("s2", LATE + HOUR)),
    }


def test_the_newest_answer_that_was_refused_whole_is_named_and_an_older_one_does_not_displace_it(lake: Lake) -> None:
    def refused(stage_id: str, at: datetime) -> Publication:
        known = TickerCoverage(
            Coverage.QUARANTINED, quarantined_rows=2, stage_id=stage_id, fetched_utc=at, reason="2 rows in quarantine"
        )
        return publish(lake, submission(stage_id=stage_id, coverage={"SPY": known}), LAYOUT)

    take(lake, bars("AAPL"), at=IN_TIME, stage_id="s0")
    refused("s1", IN_TIME)
    newest = refused("s2", IN_TIME + HOUR)
    assert newest.changed
    assert newest.manifest.coverage["SPY"].stage_id == "s2"
    assert refused("s2", IN_TIME + HOUR).changed is False
    older = refused("s1", IN_TIME)
    assert (older.changed, older.refused) == (False, {"SPY": "2 rows in quarantine; a newer answer is quarantined"})


def test_what_is_accepted_late_is_a_revision_like_any_other(lake: Lake) -> None:
    take(lake, bars("SPY"), at=IN_TIME, stage_id="s1")
    publication = take(lake, revised("SPY"), at=LATE, stage_id="s2", accept_late=True)
    assert rows(lake, "SPY").equals(revised("SPY"))
    assert counted(publication.manifest) == (None, None)


def test_a_publisher_that_dies_between_quarantine_and_swap_is_made_good_by_the_next(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        """Stands for the death of a process."""

    def die(step: str, _session: object) -> None:
        if step == LATE_KEPT:
            raise Died

    first = take(lake, bars("SPY"), at=IN_TIME, stage_id="s1").manifest
    with monkeypatch.context() as patch:
        patch.setattr("bellwether.lake.publish.reach", die)
        with pytest.raises(Died):
            take(lake, revised("SPY"), at=LATE, stage_id="s2")
    assert lake.manifest("equities", SESSION) == first
    assert counted(take(lake, revised("SPY"), at=LATE, stage_id="s2").manifest) == (1, 0)
    assert [len(found) for found in waiting(lake).values()] == [1]
