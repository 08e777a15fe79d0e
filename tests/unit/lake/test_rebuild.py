"""The index is made anew from the partitions alone, byte for byte as publishing wrote it."""

from datetime import date
from pathlib import PurePosixPath

import pytest

from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Lake, Universe, paths
from bellwether.lake.coverage import store_universe
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.lake.rebuild import rebuild, remove_stale
from tests.builders import bars, submission

DAYS = [date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 3)]
UNIVERSE = Universe(("SPY",), origin="a list")
STATE = PurePosixPath("state")


@pytest.fixture
def lake(root: str) -> Lake:
    lake = Lake.open(root, simulated=True)
    for day in DAYS:
        store_universe(lake, "equities", day, UNIVERSE)
        what = submission(bars("SPY", day), session=day, universe=UNIVERSE)
        publish(lake, what, FileLayout(SinkSettings(), "snappy"))
    return lake


def state(lake: Lake) -> dict[PurePosixPath, bytes]:
    entries = lake.storage.list(STATE)
    return {entry.key: lake.storage.read(entry.key).content for entry in entries if entry.key.suffix == ".json"}


def rebuild_all(lake: Lake) -> None:
    for session in lake.sessions("equities"):
        rebuild(lake, "equities", session)


def test_a_deleted_state_is_restored_byte_for_byte(lake: Lake) -> None:
    before = state(lake)
    lake.storage.delete_folder(STATE)
    rebuild_all(lake)
    assert state(lake) == before
    assert len(before) == 2 * len(DAYS)


def test_ended_in_the_middle_a_rerun_completes(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(lake)
    lake.storage.delete_folder(STATE)
    write, written = type(lake.storage).write, []

    def dies(self: object, key: object, content: bytes) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        write(self, key, content)
        written.append(key)

    with monkeypatch.context() as patched:
        patched.setattr(type(lake.storage), "write", dies)
        with pytest.raises(KeyboardInterrupt):
            rebuild_all(lake)
    assert len(state(lake)) == 3
    rebuild_all(lake)
    assert state(lake) == before


def test_a_later_plan_of_the_universe_is_not_overwritten(lake: Lake) -> None:
    later = Universe(("AAPL", "SPY"), origin="a longer list")
    store_universe(lake, "equities", DAYS[0], later)
    before = state(lake)
    rebuild_all(lake)
    assert state(lake) == before


def test_entries_of_partitions_that_are_gone_are_removed_and_no_other(lake: Lake) -> None:
    before = state(lake)
    lake.storage.delete(paths.partition("equities", DAYS[1]))
    lake.storage.write(paths.partition("equities", DAYS[2]), b"damaged")
    alien = paths.manifests("equities") / "copy.json"
    lake.storage.write(alien, b"{}")
    gone = paths.manifest("equities", DAYS[1])
    with pytest.raises(LakeError, match=r"session=2025-07-03/equities\.parquet"):
        rebuild(lake, "equities", DAYS[2])
    assert sorted(remove_stale(lake, "equities")) == [gone, alien]
    assert state(lake) == {key: content for key, content in before.items() if key != gone}


def test_a_partition_without_a_manifest_is_named(lake: Lake) -> None:
    lake.write_parquet(paths.partition("equities", DAYS[0]), bars("SPY"))
    with pytest.raises(LakeError, match=r"session=2025-07-01/equities\.parquet carries no readable manifest"):
        rebuild(lake, "equities", DAYS[0])
