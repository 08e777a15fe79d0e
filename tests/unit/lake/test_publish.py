"""Publishing merges by ticker, swaps atomically, keeps what it replaces and loses against nobody."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Coverage, Lake, TickerCoverage, read
from bellwether.lake import publish as publish_module
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Publication, Submission
from tests.builders import SESSION, bars, complete, failed, submission

LAYOUT = FileLayout(SinkSettings(), "snappy")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", simulated=True, clock=SimulatedClock(datetime(2025, 7, 2, tzinfo=UTC), speed=1))


def publish(lake: Lake, what: Submission) -> Publication:
    return publish_module.publish(lake, what, LAYOUT)


def rows(lake: Lake, **options: object) -> pa.Table:
    return read("equities", SESSION, SESSION, root=lake.paths.root, **options)


def test_first_publication_writes_sorted_rows_and_manifest_in_one_file(lake: Lake) -> None:
    spy, aapl = bars("SPY"), bars("AAPL")
    publication = publish(lake, submission(spy, aapl))
    assert publication.changed
    assert rows(lake).equals(pa.concat_tables([aapl, spy]))
    manifest = lake.manifest("equities", SESSION)
    assert manifest == publication.manifest
    assert (manifest.rows, manifest.provenance, manifest.run_id) == (10, "simulated", "run-s1")
    assert manifest.warnings == {"rows_seen": 10, "duplicates_dropped": 0}
    assert [path.name for path in lake.paths.partition("equities", SESSION).parent.iterdir()] == ["equities.parquet"]
    assert lake.paths.manifest("equities", SESSION).exists()


def test_same_values_again_change_nothing_whatever_their_order_or_stage(lake: Lake) -> None:
    first = publish(lake, submission(bars("SPY"), bars("AAPL")))
    file = lake.paths.partition("equities", SESSION)
    before = file.stat()
    again = publish(lake, submission(bars("AAPL"), bars("SPY").slice(0).take([4, 3, 2, 1, 0]), stage_id="s2"))
    assert not again.changed
    assert again.manifest == first.manifest
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_submitted_tickers_replace_only_their_own_rows(lake: Lake) -> None:
    publish(lake, submission(bars("SPY"), bars("AAPL")))
    newer = bars("SPY", minutes=3, seed=1)
    publish(lake, submission(newer, stage_id="s2"))
    assert rows(lake, tickers=["SPY"]).equals(newer)
    assert rows(lake, tickers=["AAPL"]).equals(bars("AAPL"))
    manifest = lake.manifest("equities", SESSION)
    assert {ticker: known.stage_id for ticker, known in manifest.coverage.items()} == {"AAPL": "s1", "SPY": "s2"}
    assert manifest.inputs == {"s1/b000.parquet": "hash", "s2/b000.parquet": "hash"}


def test_the_replaced_revision_is_kept_byte_for_byte(lake: Lake) -> None:
    first = publish(lake, submission(bars("SPY"))).manifest
    file = lake.paths.partition("equities", SESSION)
    content = file.read_bytes()
    publish(lake, submission(bars("SPY", seed=1), stage_id="s2"))
    kept = lake.paths.revision("equities", SESSION, first.published_utc, first.revision)
    assert kept.read_bytes() == content
    assert file.read_bytes() != content


def test_a_failed_ticker_keeps_the_rows_an_earlier_run_proved(lake: Lake) -> None:
    publish(lake, submission(bars("SPY"), bars("AAPL")))
    mixed = submission(bars("AAPL", seed=1), coverage=complete(bars("AAPL")) | failed(["SPY"]), stage_id="s2")
    publish(lake, mixed)
    assert rows(lake, tickers=["SPY"]).equals(bars("SPY"))
    assert lake.manifest("equities", SESSION).coverage["SPY"].state is Coverage.COMPLETE


def test_a_failed_ticker_is_recorded_beside_valid_ones_and_healed_later(lake: Lake) -> None:
    publish(lake, submission(bars("AAPL"), coverage=complete(bars("AAPL")) | failed(["SPY"])))
    assert lake.manifest("equities", SESSION).blocking == ["SPY"]
    healed = publish(lake, submission(bars("SPY"), stage_id="s2"))
    assert healed.changed
    assert healed.manifest.blocking == []


def test_nothing_proven_publishes_nothing_and_says_why(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"every ticker failed: ServerError: boom"):
        publish(lake, submission(coverage=failed(["SPY", "AAPL"])))
    assert lake.manifest("equities", SESSION) is None
    assert not lake.paths.partition("equities", SESSION).parent.exists()


def test_a_session_whose_tickers_are_all_proven_empty_is_a_partition_without_rows(lake: Lake) -> None:
    empty = {"SPY": TickerCoverage(Coverage.EMPTY, reason="no bars")}
    assert publish(lake, submission(coverage=empty)).changed
    assert rows(lake).num_rows == 0
    assert lake.sessions("equities") == [SESSION]


def test_coverage_alone_can_change_and_keeps_the_revision(lake: Lake) -> None:
    first = publish(lake, submission(bars("SPY"))).manifest
    second = publish(
        lake, submission(coverage={"AAPL": TickerCoverage(Coverage.EMPTY, reason="no bars")}, stage_id="s2")
    )
    assert second.changed
    assert second.manifest.revision == first.revision
    assert set(second.manifest.coverage) == {"AAPL", "SPY"}


def test_a_publication_that_came_in_between_is_merged_not_overwritten(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, submission(bars("SPY")))
    intruders = [submission(bars("MSFT"), stage_id="s3"), submission(bars("QQQ"), stage_id="s4")]
    reach = publish_module.reach

    def intrude(step: str, session: object) -> None:
        if step == "publish.synced" and intruders:
            publish(lake, intruders.pop())
        reach(step, SESSION)

    monkeypatch.setattr(publish_module, "reach", intrude)
    publish(lake, submission(bars("AAPL"), stage_id="s2"))
    assert sorted(lake.manifest("equities", SESSION).coverage) == ["AAPL", "MSFT", "QQQ", "SPY"]
    assert rows(lake).num_rows == 20
    incoming = lake.paths.incoming("equities", SESSION, "x").parent
    assert list(incoming.iterdir()) == []


def test_an_index_left_behind_by_a_killed_publisher_is_mended_by_the_next(lake: Lake) -> None:
    publish(lake, submission(bars("SPY")))
    index = lake.paths.manifest("equities", SESSION)
    content = index.read_bytes()
    index.write_text("{}")
    assert not publish(lake, submission(bars("SPY"))).changed
    assert index.read_bytes() == content


def test_a_disk_that_is_full_leaves_the_old_revision_and_no_debris(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    old = publish(lake, submission(bars("SPY"))).manifest

    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish_module.files, "sync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        publish(lake, submission(bars("SPY", seed=1), stage_id="s2"))
    assert lake.manifest("equities", SESSION) == old
    assert list(lake.paths.incoming("equities", SESSION, "x").parent.iterdir()) == []


def test_another_reason_for_the_same_failure_is_no_new_publication(lake: Lake) -> None:
    first = submission(bars("AAPL"), coverage=complete(bars("AAPL")) | failed(["SPY"]))
    again = submission(bars("AAPL"), coverage=complete(bars("AAPL")) | failed(["SPY"], "Truncated: cut"))
    publish(lake, first)
    assert not publish(lake, again).changed


def test_losing_every_round_is_an_error_not_a_silent_loss(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_module, "_swap", lambda *_: False)
    with pytest.raises(LakeError, match="other publications came in between"):
        publish(lake, submission(bars("SPY")))


def test_a_clock_that_stands_still_does_not_confuse_two_publications(tmp_path: Path) -> None:
    still = SimulatedClock(datetime(2025, 7, 2, tzinfo=UTC), speed=0)
    lake = Lake.open(tmp_path, simulated=True, clock=still)
    for seed in range(3):
        publish(lake, submission(bars("SPY", seed=seed), stage_id=f"s{seed}"))
    folder = lake.paths.revision("equities", SESSION, still.now(), "x").parent
    assert len(list(folder.iterdir())) == 2


def test_layout_follows_the_sink(lake: Lake) -> None:
    publish_module.publish(
        lake, submission(bars("SPY")), FileLayout(SinkSettings(dictionary_columns=("ticker",)), "zstd")
    )
    metadata = pq.ParquetFile(lake.paths.partition("equities", SESSION)).metadata
    column = metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.has_dictionary_page
    assert not metadata.row_group(0).column(2).has_dictionary_page


def test_a_file_not_published_here_is_refused(lake: Lake) -> None:
    file = lake.paths.partition("equities", SESSION)
    file.parent.mkdir(parents=True)
    pq.write_table(bars("SPY"), file)
    with pytest.raises(LakeError, match="carries no readable manifest"):
        publish(lake, submission(bars("SPY")))


def test_publication_takes_the_time_of_the_lakes_clock(lake: Lake) -> None:
    manifest = publish(lake, submission(bars("SPY"))).manifest
    assert timedelta(0) <= manifest.published_utc - datetime(2025, 7, 2, tzinfo=UTC) < timedelta(seconds=30)
