"""A replaced file's bytes stay where a reader in the middle of the swap looks for them."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.config import SinkSettings
from bellwether.lake.layout import FileLayout
from tests.builders import bars

LAYOUT = FileLayout(SinkSettings(), "snappy")
NOW = datetime(2025, 7, 1, 20, tzinfo=UTC)


def rows_by(footer_of: bytes, content: bytes) -> pa.Table:
    """Read a file's bytes by the footer of an earlier one, as a reader does that was overtaken by a swap."""
    metadata = pq.read_metadata(pa.BufferReader(footer_of))
    return pq.ParquetFile(pa.BufferReader(content), metadata=metadata).read().replace_schema_metadata(None)


def rows(content: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(content)).replace_schema_metadata(None)


def compose(table: pa.Table, replaced: bytes | None, now: datetime) -> bytes:
    return LAYOUT.compose(table, {b"n": b"1"}, replaced, now)


def publications(count: int, step: timedelta, minutes: int = 300) -> list[bytes]:
    files: list[bytes] = []
    for number in range(count):
        table = bars("SPY", minutes=minutes + 7 * (number % 5), seed=number)
        files.append(compose(table, files[-1] if files else None, NOW + number * step))
    return files


def test_a_first_publication_is_a_plain_parquet_file() -> None:
    [content] = publications(1, timedelta(0))
    assert rows(content).equals(bars("SPY", minutes=300, seed=0))
    metadata = pq.read_metadata(pa.BufferReader(content))
    assert metadata.metadata[b"n"] == b"1"
    first = metadata.row_group(0).column(0)
    assert first.dictionary_page_offset == 4


def test_the_replaced_publications_are_readable_by_their_own_footers_and_lengths_whatever_their_age() -> None:
    files = publications(20, timedelta(days=30))
    for number in range(2, 20):
        newest = files[number]
        assert rows(newest).equals(bars("SPY", minutes=300 + 7 * (number % 5), seed=number))
        for old in files[number - 2 : number]:
            assert rows_by(old, newest).equals(rows(old))
            assert rows(newest[: len(old)]).equals(rows(old))


def test_every_publication_of_the_last_seconds_is_kept_however_fast_they_come() -> None:
    files = publications(30, timedelta(milliseconds=50))
    for old in files:
        assert rows_by(old, files[-1]).equals(rows(old))


def test_slow_revisions_keep_no_more_than_three_files_worth_of_bytes() -> None:
    files = publications(60, timedelta(minutes=5), minutes=900)
    blocks = [files[-1][start : start + 4096] for start in range(0, len(files[-1]), 4096)]
    # Extents begin and end inside of blocks: each of the few may cost one more.
    assert 4096 * sum(any(block) for block in blocks) < 4 * len(files[0]) + 8 * 4096


def test_the_manifest_stands_in_the_footer_once() -> None:
    content = LAYOUT.compose(bars("SPY"), {b"manifest": b"once-and-only"}, None, NOW)
    assert content.count(b"once-and-only") == 1


def test_partitions_without_rows_can_be_replaced_and_can_replace() -> None:
    empty, full = bars("SPY", minutes=0), bars("SPY")
    first = compose(empty, None, NOW)
    second = compose(full, first, NOW + timedelta(seconds=1))
    third = compose(empty, second, NOW + timedelta(seconds=2))
    assert [rows(content).num_rows for content in (first, second, third)] == [0, 5, 0]
    assert rows_by(second, third).equals(full)
