"""Reads as of an instant give what was in force then, or say why they cannot; pruning ends a history on purpose."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Lake, paths, read
from bellwether.lake.history import prunable, prune, publications
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from tests.builders import SESSION, bars, submission

LAYOUT = FileLayout(SinkSettings(), "snappy")
NOON = datetime(2025, 7, 2, 12, tzinfo=UTC)
NEVER = datetime(2025, 7, 1, tzinfo=UTC)


class Watch:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def lake(root: str, watch: Watch) -> Lake:
    return Lake.open(root, simulated=True, clock=watch)


def hour(number: int) -> datetime:
    return NOON + timedelta(hours=number)


def publish_at(lake: Lake, watch: Watch, *hours: int) -> None:
    """Publish one revision at each hour: its seed is its place in the order, from 0 on."""
    for seed, number in enumerate(hours):
        watch.time = hour(number)
        publish(lake, submission(bars("SPY", seed=seed), stage_id=f"s{seed}"), LAYOUT)


def as_of(lake: Lake, instant: datetime) -> pa.Table:
    return read("equities", SESSION, SESSION, root=lake.root, as_of=instant)


def seed_as_of(lake: Lake, instant: datetime) -> int | None:
    table = as_of(lake, instant)
    if table.num_rows == 0:
        return None
    [seed] = [seed for seed in range(10) if table.equals(bars("SPY", seed=seed))]
    return seed


def kept(lake: Lake) -> int:
    return len(list(lake.storage.list(paths.revisions("equities", SESSION))))


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ((0, 1, 2), {-1: None, 0: 0, 1: 1, 2: 2, 9: 2}),
        ((0, 1, 1), {0: 0, 1: 2}),
        ((0, 3, 1), {0: 0, 1: 2, 2: 2, 3: 2, 9: 2}),
    ],
    ids=["in order", "two in one instant: the later", "a clock that went back: the last in the chain"],
)
def test_what_was_in_force_at_an_instant_is_read(
    lake: Lake, watch: Watch, hours: tuple[int, ...], expected: dict[int, int | None]
) -> None:
    publish_at(lake, watch, *hours)
    assert {number: seed_as_of(lake, hour(number)) for number in expected} == expected


def test_each_session_is_read_as_it_was_then_with_tickers_and_columns(lake: Lake, watch: Watch) -> None:
    publish_at(lake, watch, 0, 1)
    other = SESSION + timedelta(days=1)
    publish(lake, submission(bars("AAPL", other), bars("SPY", other), session=other), LAYOUT)
    assert read("equities", SESSION, other, ["SPY"], ["close"], root=lake.root, as_of=hour(1)).equals(
        pa.concat_tables([bars("SPY", seed=1), bars("SPY", other)]).select(["close"])
    )
    assert as_of(lake, hour(0)).equals(bars("SPY"))


def test_an_instant_without_a_time_zone_is_refused(lake: Lake) -> None:
    with pytest.raises(LakeError, match="has no time zone"):
        as_of(lake, datetime(2025, 7, 2))  # noqa: DTZ001 - what is refused


def test_a_copy_left_by_a_publisher_that_died_before_its_swap_is_no_history(lake: Lake, watch: Watch) -> None:
    publish_at(lake, watch, 0, 1)
    content = lake.storage.read(paths.partition("equities", SESSION)).content
    lake.storage.write(paths.revisions("equities", SESSION) / "20250702T120000000000Z-stray.parquet", content)
    assert seed_as_of(lake, hour(0)) == 0


def test_a_swap_in_the_middle_of_the_read_gives_the_same_answer(
    lake: Lake, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_at(lake, watch, 0, 1)
    look, seen = Lake.look, []

    def overtaken(self: Lake, key: object, see: object) -> object:
        found = look(self, key, see)
        if not seen:
            seen.append(key)
            watch.time = hour(2)
            publish(lake, submission(bars("SPY", seed=7), stage_id="late"), LAYOUT)
        return found

    monkeypatch.setattr(Lake, "look", overtaken)
    assert seed_as_of(lake, hour(0)) == 0
    assert seen
    assert seed_as_of(lake, hour(1)) == 1


def test_a_missing_revision_is_named_and_no_other_is_read(lake: Lake, watch: Watch) -> None:
    publish_at(lake, watch, 0, 1, 2)
    [_, (key, _), _] = publications(lake, "equities", SESSION)
    lake.storage.delete(key)
    gone = rf"equities 2025-07-01: revision {key.name}, in force until 2025-07-02 14:00:00 UTC .* is missing, and no "
    for number in (0, 1):
        with pytest.raises(LakeError, match=gone):
            as_of(lake, hour(number))
    assert seed_as_of(lake, hour(2)) == 2


def test_a_partition_lost_and_published_anew_tells_no_empty_past(lake: Lake, watch: Watch) -> None:
    publish_at(lake, watch, 0, 1)
    lake.storage.delete(paths.partition("equities", SESSION))
    publish_at(lake, watch, 2)
    with pytest.raises(LakeError, match="was lost and published anew"):
        as_of(lake, hour(1))
    assert as_of(lake, hour(-1)).num_rows == 0
    assert seed_as_of(lake, hour(2)) == 0


@pytest.mark.parametrize("chain", [(0, 1, 2, 3), (0, 5, 2, 3)], ids=["in order", "a clock went back"])
def test_pruning_leaves_every_read_as_of_the_horizon_and_later_alone(
    lake: Lake, watch: Watch, chain: tuple[int, ...]
) -> None:
    publish_at(lake, watch, *chain)
    before = {number: seed_as_of(lake, hour(number)) for number in range(2, 9)}
    watch.time = hour(8)
    what = prunable(lake, "equities", SESSION, hour(2) + timedelta(minutes=30))
    assert (len(what.entries), kept(lake)) == (2, 3)
    assert what.size_bytes == sum(entry.size_bytes for entry in what.entries) > 0
    prune(lake, what)
    assert kept(lake) == 1
    assert {number: seed_as_of(lake, hour(number)) for number in range(3, 9)} == {n: before[n] for n in range(3, 9)}
    gone = r"equities 2025-07-01: revision 2025\w+-\w+-\w+\.parquet, .* was pruned on 2025-07-02 20:00:00 UTC; reads "
    with pytest.raises(LakeError, match=gone + "as of 2025-07-02 14:30:00 UTC and later work"):
        as_of(lake, hour(0))
    assert prunable(lake, "equities", SESSION, hour(2) + timedelta(minutes=30)).entries == ()


def test_what_an_interrupted_pruning_left_is_still_reached_and_pruned_by_the_next(
    lake: Lake, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_at(lake, watch, 0, 1, 2, 3)
    delete, deleted = type(lake.storage).delete, []

    def dies(self: object, key: object) -> None:
        if deleted:
            raise KeyboardInterrupt
        delete(self, key)
        deleted.append(key)

    with monkeypatch.context() as patched:
        patched.setattr(type(lake.storage), "delete", dies)
        with pytest.raises(KeyboardInterrupt):
            prune(lake, prunable(lake, "equities", SESSION, hour(9)))
    assert [seed_as_of(lake, hour(number)) for number in (1, 2, 3)] == [1, 2, 3]
    prune(lake, prunable(lake, "equities", SESSION, hour(9)))
    assert kept(lake) == 0
    assert seed_as_of(lake, hour(9)) == 3


def test_pruning_takes_second_copies_of_old_revisions_but_not_the_copy_a_publisher_is_about_to_name(
    lake: Lake, watch: Watch
) -> None:
    publish_at(lake, watch, 0, 1)
    folder = paths.revisions("equities", SESSION)
    [first] = [entry.key for entry in lake.storage.list(folder)]
    lake.storage.write(folder / "second.parquet", lake.storage.read(first).content)
    in_force = lake.storage.read(paths.partition("equities", SESSION)).content
    about_to_be_named = paths.revision(lake.manifest("equities", SESSION))
    lake.storage.write(about_to_be_named, in_force)
    prune(lake, prunable(lake, "equities", SESSION, hour(9)))
    assert [entry.key for entry in lake.storage.list(folder)] == [about_to_be_named]


def test_what_is_left_of_a_lost_history_is_told_apart_and_never_pruned(lake: Lake, watch: Watch) -> None:
    publish_at(lake, watch, 0, 1, 2)
    lost = {key.name for key, _ in publications(lake, "equities", SESSION)} - {"equities.parquet"}
    lake.storage.delete(paths.partition("equities", SESSION))
    publish_at(lake, watch, 3, 4)
    for horizon, pruned in ((NEVER, 0), (hour(9), 1)):
        what = prunable(lake, "equities", SESSION, horizon)
        assert (len(what.entries), {entry.key.name for entry in what.apart}) == (pruned, lost)
    prune(lake, what)
    assert {entry.key.name for entry in lake.storage.list(paths.revisions("equities", SESSION))} == lost


def test_what_an_older_publication_put_back_left_behind_is_never_pruned(lake: Lake, watch: Watch) -> None:
    publish_at(lake, watch, 0, 1, 2)
    [_, (undone, _), (first, _)] = publications(lake, "equities", SESSION)
    lake.storage.write(paths.partition("equities", SESSION), lake.storage.read(first).content)
    what = prunable(lake, "equities", SESSION, hour(9))
    # The first is both in force and kept: its copy is what the next publication will name.
    assert (what.entries, [entry.key for entry in what.apart]) == ((), [undone])


def test_a_history_younger_than_the_horizon_stays_whole(lake: Lake, watch: Watch) -> None:
    publish_at(lake, watch, 0, 1, 2)
    assert prunable(lake, "equities", SESSION, NEVER).entries == ()
