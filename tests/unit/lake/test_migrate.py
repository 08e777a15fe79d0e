"""A lake of schema version 1 is read as it is, and written anew without loss, whatever dies or publishes meanwhile."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Lake, migrations, paths, read, scan
from bellwether.lake import publish as publish_module
from bellwether.lake.history import publications
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import METADATA_KEY, encode
from bellwether.lake.migrate import migrate
from bellwether.lake.migrations import Migration, manifest_of
from bellwether.lake.publish import publish
from bellwether.lake.revisions import revision_of
from bellwether.schemas import SCHEMA_VERSION
from tests.bucket import Bucket
from tests.builders import bars, submission

FIXTURE = Path(__file__).parents[2] / "fixtures" / "lake_v1" / "lake"
LAYOUT = FileLayout(SinkSettings(), "snappy")
FIRST, HEALED = date(2025, 7, 1), date(2025, 7, 3)


@pytest.fixture
def lake(root: str, request: pytest.FixtureRequest) -> Lake:
    """Return a copy of the lake that the code of version 1 wrote."""
    files = {str(path.relative_to(FIXTURE)): path.read_bytes() for path in FIXTURE.rglob("*") if path.is_file()}
    if root.startswith("s3://"):
        bucket: Bucket = request.getfixturevalue("bucket")
        for key, content in files.items():
            bucket.put(f"some/lake/{key}", content)
        return Lake.open(root, simulated=True)
    for key, content in files.items():
        path = Path(root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Lake.open(root, simulated=True)


def rows(lake: Lake, as_of: datetime | None = None) -> pa.Table:
    return read("equities", FIRST, HEALED, root=lake.root, as_of=as_of)


def counts(table: pa.Table) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(table["ticker"]).to_pylist()}


def history(lake: Lake) -> list[tuple[datetime, str]]:
    return [(known.published_utc, known.revision) for _, known in publications(lake, "equities", HEALED)]


def versions(lake: Lake) -> list[int]:
    return [lake.manifest("equities", session).schema_version for session in (FIRST, HEALED)]


def migrate_all(lake: Lake) -> list[bool]:
    return [migrate(lake, "equities", session, LAYOUT) for session in lake.sessions("equities")]


def test_rows_manifests_and_history_of_version_1_are_read_without_migrating(lake: Lake) -> None:
    assert versions(lake) == [1, 1]
    assert lake.manifest("equities", FIRST).replaces is None
    kept = sorted(entry.key.name for entry in lake.storage.list(paths.revisions("equities", HEALED)))
    chain = list(publications(lake, "equities", HEALED))
    assert [manifest.replaces for _, manifest in chain] == [kept[1], kept[0], None]
    assert all(manifest.universe is None for _, manifest in chain)
    newest, clipped, first = [manifest.published_utc for _, manifest in chain]
    whole = read("equities", HEALED, HEALED, root=lake.root)
    assert revision_of(whole) == chain[0][1].revision
    assert scan("equities", HEALED, HEALED, root=lake.root).to_table().equals(whole)
    assert counts(whole) == {"QQQ": 423, "SPY": 440}

    def healed_as_of(instant: datetime) -> dict[str, int]:
        return counts(read("equities", HEALED, HEALED, root=lake.root, as_of=instant))

    assert healed_as_of(newest) == {"QQQ": 423, "SPY": 440}
    assert healed_as_of(newest - timedelta(microseconds=1)) == healed_as_of(clipped) == {"QQQ": 423, "SPY": 220}
    assert healed_as_of(first) == {"QQQ": 423}
    assert healed_as_of(first - timedelta(microseconds=1)) == {}


def test_migrating_keeps_values_revisions_and_every_read_as_of_before(lake: Lake) -> None:
    instants = [instant for instant, _ in history(lake)]
    before = [rows(lake, instant) for instant in instants]
    old, manifest = history(lake), lake.manifest("equities", HEALED)
    assert migrate_all(lake) == [True, True]
    assert versions(lake) == [2, 2]
    migrated = lake.manifest("equities", HEALED)
    assert history(lake)[1:] == old
    assert migrated.revision == manifest.revision == revision_of(read("equities", HEALED, HEALED, root=lake.root))
    assert migrated.coverage == manifest.coverage
    assert migrated.inputs == manifest.inputs
    assert migrated.run_id == "bellwether migrate"
    assert [rows(lake, instant) for instant in instants] == before
    assert lake.storage.read(paths.manifest("equities", HEALED)).content == encode(migrated)


def test_migrating_again_changes_nothing(lake: Lake) -> None:
    migrate_all(lake)
    before = [lake.storage.read(paths.partition("equities", session)) for session in (FIRST, HEALED)]
    assert migrate_all(lake) == [False, False]
    assert [lake.storage.read(paths.partition("equities", session)) for session in (FIRST, HEALED)] == before


@pytest.mark.parametrize("step", ["publish.kept", "publish.swapped", "publish.indexed"])
def test_ended_at_any_step_each_partition_is_old_or_new_and_a_rerun_goes_on(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before, old = rows(lake), history(lake)

    def dies(reached: str, _session: date) -> None:
        if reached == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publish_module, "reach", dies)
        with pytest.raises(KeyboardInterrupt):
            migrate(lake, "equities", HEALED, LAYOUT)
    assert versions(lake) == [1, 1 if step == "publish.kept" else 2]
    assert rows(lake).equals(before)
    migrate_all(lake)
    assert versions(lake) == [2, 2]
    assert history(lake)[1:] == old
    assert rows(lake).equals(before)
    index = lake.storage.read(paths.manifest("equities", HEALED)).content
    assert index == encode(lake.manifest("equities", HEALED))


def test_a_publication_in_the_middle_of_migrating_is_not_lost(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_force = publish_module.put_in_force
    newer = bars("SPY", HEALED, minutes=300, seed=5)

    def overtaken(*arguments: object) -> bool:
        publish(lake, submission(newer, session=HEALED, stage_id="s9"), LAYOUT)
        return put_in_force(*arguments)

    monkeypatch.setattr("bellwether.lake.migrate.put_in_force", overtaken)
    assert not migrate(lake, "equities", HEALED, LAYOUT)  # the newer publication is of today's version already
    assert read("equities", HEALED, HEALED, "SPY", root=lake.root).equals(newer)
    assert versions(lake) == [1, 2]


def test_publishing_onto_version_1_keeps_the_rows_of_others_and_the_history(lake: Lake) -> None:
    old, qqq = history(lake), read("equities", HEALED, HEALED, "QQQ", root=lake.root)
    newer = bars("SPY", HEALED, minutes=300, seed=5)
    publish(lake, submission(newer, session=HEALED, stage_id="s9"), LAYOUT)
    assert read("equities", HEALED, HEALED, root=lake.root).equals(pa.concat_tables([qqq, newer]))
    assert history(lake)[1:] == old


def test_a_partition_of_a_later_version_is_refused_in_words(lake: Lake) -> None:
    key = paths.partition("equities", HEALED)
    words = {"schema_version": SCHEMA_VERSION + 1, "words": "of another age"}
    lake.write_parquet(key, bars("SPY").replace_schema_metadata({METADATA_KEY: msgspec.json.encode(words)}))
    told = r"equities\.parquet is of schema version 3, this Bellwether knows 2: upgrade Bellwether"
    for use in (
        lambda: rows(lake),
        lambda: rows(lake, datetime(2025, 7, 9, tzinfo=UTC)),
        lambda: scan("equities", HEALED, HEALED, root=lake.root).to_table(),
        lambda: lake.manifest("equities", HEALED),
        lambda: migrate(lake, "equities", HEALED, LAYOUT),
        lambda: publish(lake, submission(bars("SPY", HEALED), session=HEALED), LAYOUT),
    ):
        with pytest.raises(LakeError, match=told):
            use()


def test_a_step_that_changes_columns_is_applied_to_rows_too(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def halve(table: pa.Table) -> pa.Table:
        return table.set_column(table.column_names.index("volume"), "volume", pc.divide(table["volume"], 2.0))

    before = rows(lake)
    changed = Migration(migrations.MIGRATIONS[1].manifest, rows=halve)
    monkeypatch.setitem(migrations.MIGRATIONS, 1, changed)
    halved = pc.divide(before["volume"], 2.0)
    assert rows(lake)["volume"].equals(halved)
    with pytest.raises(LakeError, match="run `bellwether migrate`, then scan anew"):
        scan("equities", HEALED, HEALED, root=lake.root).to_table()
    migrate_all(lake)
    assert rows(lake)["volume"].equals(halved)
    assert scan("equities", FIRST, HEALED, root=lake.root).to_table().equals(rows(lake))
    assert lake.manifest("equities", HEALED).revision == revision_of(halve(before).filter(_on(HEALED, before)))


@pytest.mark.parametrize("content", [b"", b"{}", b'{"schema_version": 0}', b'{"schema_version": 1}', b"[]"])
def test_what_is_no_manifest_is_named(content: bytes) -> None:
    with pytest.raises(LakeError, match=r"^here"):
        manifest_of(content, "here", lambda: None)


def test_the_fixture_is_small_and_of_version_1() -> None:
    assert sum(path.stat().st_size for path in FIXTURE.rglob("*") if path.is_file()) < 200_000
    assert PurePosixPath("lake.json") in {PurePosixPath(path.relative_to(FIXTURE)) for path in FIXTURE.rglob("*")}


def _on(session: date, table: pa.Table) -> pa.ChunkedArray:
    return pc.equal(pc.strftime(table["ts"], "%Y-%m-%d"), str(session))
