"""What can be said of a published session: equal, different, damaged, or not to be told, and why."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from msgspec import structs

from bellwether.config import Config
from bellwether.errors import NotReproduced
from bellwether.lake import Lake, paths, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import put_in_force
from bellwether.lake.revisions import revision_of
from bellwether.verify.outcome import Outcome, State
from bellwether.verify.report import check, markdown, publish_verification
from bellwether.verify.session import sample, verify
from tests.builders import SESSION, publish_bars
from tests.unit.ingest.conftest import config, lake, vendor
from tests.unit.quarantine.conftest import desk
from tests.unit.quarantine.desk import Desk

__all__ = ["config", "desk", "lake", "vendor"]


def verified(desk: Desk, config: Config | None = None) -> Outcome:
    [outcome] = verify(desk.lake, config or desk.config, SESSION)
    assert outcome.dataset == "equities"
    return outcome


def altered(desk: Desk, **manifest: Any) -> None:
    """Publish other rows in the name of the same answers, as nothing of Bellwether's does."""
    current = desk.lake.partition("equities", SESSION)
    assert current is not None
    volumes = [1.0, *current.table["volume"].to_pylist()[1:]]
    index = current.table.schema.get_field_index("volume")
    table = current.table.set_column(index, current.table.schema.field("volume"), pa.array(volumes))
    values = {"publication_id": "x", "revision": revision_of(table), **manifest}
    layout = FileLayout(desk.config.sinks.equities, "snappy")
    assert put_in_force(desk.lake, table, structs.replace(current.manifest, **values), current, layout)


def partition(desk: Desk) -> Path:
    return Path(desk.lake.root) / paths.partition("equities", SESSION)


def test_what_raw_comes_to_is_equal_also_after_releases_discards_and_late_rows(desk: Desk) -> None:
    assert (verified(desk).state, verified(desk).rows) == (State.EQUAL, 19)
    chosen, other = desk.rows()
    desk.release(chosen)
    desk.discard(other)
    assert (verified(desk).state, verified(desk).rows_rebuilt) == (State.EQUAL, 20)
    late = desk.came_late("QQQ", 88.0)
    assert verified(desk).state is State.EQUAL
    desk.release(late)
    assert verified(desk).state is State.EQUAL


def test_rows_that_raw_does_not_come_to_are_different_and_the_first_is_named(desk: Desk) -> None:
    altered(desk)
    found = verified(desk)
    assert (found.state, found.rows_different, found.columns) == (State.DIFFERENT, 1, ("volume",))
    assert found.why.startswith("AAPL 2025-07-01 13:30:00+00:00 has volume 1.0, and its evidence says ")
    with pytest.raises(NotReproduced, match="equities 2025-07-01: different, AAPL 2025-07-01 13:30"):
        check([found])


def test_what_another_configuration_or_code_may_explain_is_not_called_different(desk: Desk) -> None:
    other = desk.config.model_copy(update={"sources": Config().sources})
    assert other.hash != desk.config.hash
    assert verified(desk, other).state is State.EQUAL, "equal bytes are equal whoever made them"
    altered(desk)
    found = verified(desk, other)
    assert found.state is State.UNVERIFIABLE
    assert found.why.startswith("it was built by another configuration, and by today's: AAPL")
    altered(desk, code_version="0.0.1", publication_id="y")
    assert "it was built by Bellwether 0.0.1" in verified(desk).why
    check([found])


def test_a_file_that_is_cut_or_says_another_revision_is_damaged_and_no_crash(desk: Desk) -> None:
    altered(desk, revision="0" * 64)
    found = verified(desk)
    assert found.state is State.DAMAGED
    assert "its manifest says 000000000000" in found.why
    partition(desk).write_bytes(partition(desk).read_bytes()[:-50])
    found = verified(desk)
    assert (found.state, found.rows) == (State.DAMAGED, None)
    assert "is damaged" in found.why
    with pytest.raises(NotReproduced):
        check([found])


def test_raw_that_is_gone_proves_nothing_and_raw_that_was_changed_is_damaged(desk: Desk) -> None:
    files = sorted((Path(desk.lake.root) / "raw").rglob("*.parquet"))
    content = files[0].read_bytes()
    files[0].write_bytes(files[1].read_bytes())
    assert verified(desk).state is State.DAMAGED
    files[0].unlink()
    found = verified(desk)
    assert found.state is State.UNVERIFIABLE
    assert found.why == "the raw responses about AAPL, MSFT are gone"
    files[0].write_bytes(content)
    assert verified(desk).state is State.EQUAL


def test_the_sample_is_the_same_for_a_night_and_another_for_the_next(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    days = [date(2025, 6, day) for day in (2, 3, 4, 5, 6, 9, 10, 11, 12, 13)]
    for day in days:
        publish_bars(lake, ["SPY"], day)
    nights = {night: tuple(sample(lake, night, 2)) for night in days}
    assert nights == {night: tuple(sample(lake, night, 2)) for night in days}
    assert len(set(nights.values())) > 5
    assert all(chosen == tuple(sorted(chosen)) and max(chosen) <= night for night, chosen in nights.items())
    assert sample(lake, days[0], 2) == days[:1]
    assert sample(lake, date(2025, 5, 1), 2) == []


def test_outcomes_are_a_dataset_and_those_of_other_sessions_stay(desk: Desk) -> None:
    outcome = verified(desk)
    night = date(2025, 7, 8)
    publish_verification(desk.lake, desk.config, night, [outcome], run_id="r1")
    altered(desk)
    found = verified(desk)
    elsewhere = Outcome(date(2025, 6, 30), "news", State.UNVERIFIABLE, "raw | is gone", outcome.verified_utc)
    publish_verification(desk.lake, desk.config, night, [elsewhere], run_id="r2")
    publish_verification(desk.lake, desk.config, night, [found], run_id="r3")
    rows = read("verification", night, night, root=desk.lake.root).to_pylist()
    assert [(row["dataset"], row["state"], row["columns"]) for row in rows] == [
        ("news", "unverifiable", []),
        ("equities", "different", ["volume"]),
    ]
    assert "| 2025-06-30 | news | unverifiable | - | raw / is gone |" in markdown([elsewhere])
