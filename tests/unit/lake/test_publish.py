"""Publishing merges by ticker, swaps atomically, keeps what it replaces and loses against nobody."""

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Coverage, Lake, TickerCoverage, paths, read
from bellwether.lake import publish as publish_module
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import encode
from bellwether.lake.publish import Publication, Submission
from tests.builders import SESSION, bars, complete, failed, submission

LAYOUT = FileLayout(SinkSettings(), "snappy")


@pytest.fixture
def lake(root: str) -> Lake:
    return Lake.open(root, simulated=True, clock=SimulatedClock(datetime(2025, 7, 2, tzinfo=UTC), speed=1))


def publish(lake: Lake, what: Submission) -> Publication:
    return publish_module.publish(lake, what, LAYOUT)


def rows(lake: Lake, **options: object) -> pa.Table:
    return read("equities", SESSION, SESSION, root=lake.root, **options)


def keys(lake: Lake, folder: PurePosixPath) -> list[PurePosixPath]:
    return sorted(entry.key for entry in lake.storage.list(folder))


def test_first_publication_writes_sorted_rows_and_manifest_in_one_file(lake: Lake) -> None:
    spy, aapl = bars("SPY"), bars("AAPL")
    publication = publish(lake, submission(spy, aapl))
    assert publication.changed
    assert rows(lake).equals(pa.concat_tables([aapl, spy]))
    manifest = lake.manifest("equities", SESSION)
    assert manifest == publication.manifest
    assert (manifest.rows, manifest.provenance, manifest.run_id) == (10, "simulated", "run-s1")
    assert manifest.warnings == {"rows_seen": 10, "duplicates_dropped": 0}
    partition = paths.partition("equities", SESSION)
    assert keys(lake, partition.parent) == [partition]
    assert lake.storage.read(paths.manifest("equities", SESSION)).content == encode(manifest)


def test_same_values_again_change_nothing_whatever_their_order_or_stage(lake: Lake) -> None:
    first = publish(lake, submission(bars("SPY"), bars("AAPL")))
    [before] = lake.storage.list(paths.partition("equities", SESSION).parent)
    again = publish(lake, submission(bars("AAPL"), bars("SPY").slice(0).take([4, 3, 2, 1, 0]), stage_id="s2"))
    assert not again.changed
    assert again.manifest == first.manifest
    assert list(lake.storage.list(before.key.parent)) == [before]


def test_submitted_tickers_replace_only_their_own_rows(lake: Lake) -> None:
    publish(lake, submission(bars("SPY"), bars("AAPL")))
    newer = bars("SPY", minutes=3, seed=1)
    publish(lake, submission(newer, stage_id="s2"))
    assert rows(lake, tickers=["SPY"]).equals(newer)
    assert rows(lake, tickers=["AAPL"]).equals(bars("AAPL"))
    manifest = lake.manifest("equities", SESSION)
    assert {ticker: known.stage_id for ticker, known in manifest.coverage.items()} == {"AAPL": "s1", "SPY": "s2"}
    assert manifest.inputs == {"s1/b000.parquet": "hash", "s2/b000.parquet": "hash"}


def test_the_replaced_revision_is_kept_byte_for_byte_and_named_by_the_one_in_force(lake: Lake) -> None:
    first = publish(lake, submission(bars("SPY"))).manifest
    content = lake.storage.read(paths.partition("equities", SESSION)).content
    second = publish(lake, submission(bars("SPY", seed=1), stage_id="s2")).manifest
    [kept] = keys(lake, paths.revisions("equities", SESSION))
    assert kept == paths.revision(first)
    assert (first.replaces, second.replaces) == (None, kept.name)
    assert lake.storage.read(kept).content == content
    assert lake.storage.read(paths.partition("equities", SESSION)).content != content


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
    assert keys(lake, paths.dataset_folder("equities")) == []


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
        if step == "publish.merged" and intruders:
            publish(lake, intruders.pop())
        reach(step, SESSION)

    monkeypatch.setattr(publish_module, "reach", intrude)
    publish(lake, submission(bars("AAPL"), stage_id="s2"))
    assert sorted(lake.manifest("equities", SESSION).coverage) == ["AAPL", "MSFT", "QQQ", "SPY"]
    assert rows(lake).num_rows == 20
    assert keys(lake, paths.INCOMING) == []


def test_an_index_left_behind_by_a_killed_publisher_is_mended_by_the_next(lake: Lake) -> None:
    publish(lake, submission(bars("SPY")))
    index = paths.manifest("equities", SESSION)
    content = lake.storage.read(index).content
    lake.storage.write(index, b"{}")
    assert not publish(lake, submission(bars("SPY"))).changed
    assert lake.storage.read(index).content == content


def test_an_index_written_late_names_the_publication_in_force(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    intruders = [submission(bars("MSFT"), stage_id="s2")]
    reach = publish_module.reach

    def intrude(step: str, session: object) -> None:
        if step == "publish.swapped" and intruders:
            publish(lake, intruders.pop())
        reach(step, SESSION)

    monkeypatch.setattr(publish_module, "reach", intrude)
    publish(lake, submission(bars("SPY")))
    assert lake.storage.read(paths.manifest("equities", SESSION)).content == encode(lake.manifest("equities", SESSION))


def test_another_reason_for_the_same_failure_is_no_new_publication(lake: Lake) -> None:
    first = submission(bars("AAPL"), coverage=complete(bars("AAPL")) | failed(["SPY"]))
    again = submission(bars("AAPL"), coverage=complete(bars("AAPL")) | failed(["SPY"], "Truncated: cut"))
    publish(lake, first)
    assert not publish(lake, again).changed


def test_losing_every_round_is_an_error_not_a_silent_loss(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_module, "put_in_force", lambda *_: False)
    with pytest.raises(LakeError, match="other publications came in between"):
        publish(lake, submission(bars("SPY")))


def test_a_clock_that_stands_still_does_not_confuse_two_publications(root: str) -> None:
    still = SimulatedClock(datetime(2025, 7, 2, tzinfo=UTC), speed=0)
    lake = Lake.open(root, simulated=True, clock=still)
    for seed in range(3):
        publish(lake, submission(bars("SPY", seed=seed), stage_id=f"s{seed}"))
    for ticker in ("AAPL", "MSFT"):  # coverage alone: the revision stays as well
        publish(lake, submission(coverage={ticker: TickerCoverage(Coverage.EMPTY, reason="no bars")}, stage_id=ticker))
    assert len(keys(lake, paths.revisions("equities", SESSION))) == 4


def test_layout_follows_the_sink(lake: Lake) -> None:
    publish_module.publish(
        lake, submission(bars("SPY")), FileLayout(SinkSettings(dictionary_columns=("ticker",)), "zstd")
    )
    metadata = pq.read_metadata(lake.storage.open(paths.partition("equities", SESSION)))
    column = metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.has_dictionary_page
    assert not metadata.row_group(0).column(2).has_dictionary_page


def test_a_file_not_published_here_is_refused(lake: Lake) -> None:
    lake.write_parquet(paths.partition("equities", SESSION), bars("SPY"))
    with pytest.raises(LakeError, match="carries no readable manifest"):
        publish(lake, submission(bars("SPY")))


def test_publication_takes_the_time_of_the_lakes_clock(lake: Lake) -> None:
    manifest = publish(lake, submission(bars("SPY"))).manifest
    assert timedelta(0) <= manifest.published_utc - datetime(2025, 7, 2, tzinfo=UTC) < timedelta(seconds=30)
