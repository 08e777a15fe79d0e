"""Opening a lake: its kind is fixed at creation, and damage is named."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Lake, paths, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.lake.storage import VersionReplaced
from tests.bucket import Bucket, answer_lost
from tests.builders import SESSION, bars, submission


def test_kind_is_fixed_at_creation_and_the_kinds_never_mix(root: str) -> None:
    assert Lake.open(root, simulated=True).provenance == "simulated"
    with pytest.raises(LakeError, match="holds simulated data; production data needs a lake of its own"):
        Lake.open(root, simulated=False)
    assert Lake.open(f"{root}-real", simulated=False).provenance == "final"
    with pytest.raises(LakeError, match="holds production data; simulated data needs a lake of its own"):
        Lake.open(f"{root}-real", simulated=True)


def test_reading_opens_either_kind_but_creates_nothing(root: str) -> None:
    for _ in range(2):
        with pytest.raises(LakeError, match="there is no lake at"):
            Lake.open(root)
    Lake.open(root, simulated=True)
    assert Lake.open(root).simulated


def test_of_two_creators_at_once_the_first_decides(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = type(Lake.open(f"{root}-other", simulated=True).storage)
    swap: Callable[..., bool] = storage.swap

    def create_meanwhile(self: object, *arguments: object, **options: object) -> bool:
        monkeypatch.setattr(storage, "swap", swap)
        Lake.open(root, simulated=False)
        return swap(self, *arguments, **options)

    monkeypatch.setattr(storage, "swap", create_meanwhile)
    with pytest.raises(LakeError, match="holds production data"):
        Lake.open(root, simulated=True)


def test_a_bucket_whose_marker_was_written_without_an_answer_opens(bucket: Bucket) -> None:
    bucket.faults["put_object"] = answer_lost(carried_out=True)
    assert Lake.open("s3://bucket/some/lake", simulated=True).simulated


@pytest.mark.parametrize("condition", ["IfNoneMatch", "IfMatch"])
def test_a_store_that_ignores_conditions_is_read_but_never_written(bucket: Bucket, condition: str) -> None:
    Lake.open("s3://bucket/some/lake", simulated=True)
    before = bucket.objects["some/lake/lake.json"][0]
    bucket.ignores = {condition}
    with pytest.raises(LakeError, match=f"ignores the condition {condition}.*one would be lost"):
        Lake.open("s3://bucket/some/lake", simulated=True)
    assert Lake.open("s3://bucket/some/lake").simulated
    assert bucket.keys() == ["lake.json"]
    assert bucket.objects["some/lake/lake.json"][0] == before


def test_a_damaged_marker_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake.json").write_text("{")
    with pytest.raises(LakeError, match=r"lake\.json is damaged"):
        Lake.open(tmp_path)


def test_what_is_replaced_in_the_middle_of_a_read_is_read_anew_but_not_for_ever(root: str) -> None:
    lake = Lake.open(root, simulated=True)
    publish(lake, submission(bars("SPY")), FileLayout(SinkSettings(), "snappy"))
    seen: list[object] = []

    def overtaken(times: int) -> Callable[[object], int]:
        def see(file: object) -> int:
            seen.append(file)
            if len(seen) <= times:
                msg = "replaced"
                raise VersionReplaced(msg)
            return len(seen)

        return see

    assert lake.look(paths.partition("equities", SESSION), overtaken(3)) == 4
    seen.clear()
    with pytest.raises(LakeError, match="was replaced 20 times while being read"):
        lake.look(paths.partition("equities", SESSION), overtaken(1000))
    assert lake.look(paths.partition("equities", date(2025, 7, 2)), overtaken(0)) is None


def test_a_partition_in_another_sessions_folder_is_refused_instead_of_doubling_its_rows(root: str) -> None:
    lake = Lake.open(root, simulated=True)
    publish(lake, submission(bars("SPY")), FileLayout(SinkSettings(), "snappy"))
    stored = lake.storage.read(paths.partition("equities", SESSION))
    assert stored is not None
    lake.storage.write(paths.partition("equities", date(2025, 7, 2)), stored.content)
    with pytest.raises(LakeError, match="is equities of session=2025-07-01: move it where it belongs"):
        read("equities", SESSION, date(2025, 7, 2), root=root)


def test_a_folder_that_spells_a_session_in_another_way_is_refused(root: str) -> None:
    lake = Lake.open(root, simulated=True)
    publish(lake, submission(bars("SPY")), FileLayout(SinkSettings(), "snappy"))
    lake.storage.write(paths.dataset_folder("equities") / "session=20250701" / "equities.parquet", b"x")
    with pytest.raises(LakeError, match="is not of Bellwether's making"):
        lake.sessions("equities")


@pytest.mark.parametrize("at", [-20, 60], ids=["footer", "page"])
def test_a_damaged_partition_is_named_and_what_to_do(root: str, at: int) -> None:
    lake = Lake.open(root, simulated=True)
    publish(lake, submission(bars("SPY")), FileLayout(SinkSettings(), "snappy"))
    key = paths.partition("equities", SESSION)
    stored = lake.storage.read(key)
    assert stored is not None
    content = bytearray(stored.content)
    content[at : at + 12] = b"\xff" * 12
    lake.storage.write(key, bytes(content))
    with pytest.raises(LakeError, match=r"(?s)equities\.parquet is damaged .* put it back from revisions/ or a backup"):
        lake.partition("equities", SESSION)


def test_gold_and_clean_stand_apart_and_a_session_folder_is_hive_style() -> None:
    assert str(paths.partition("equities", SESSION)) == "clean/equities/session=2025-07-01/equities.parquet"
    assert str(paths.partition("minutes", SESSION)) == "gold/minutes/session=2025-07-01/minutes.parquet"
