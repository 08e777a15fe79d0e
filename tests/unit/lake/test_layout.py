"""A replaced file's bytes stay where a reader in the middle of the swap looks for them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

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


def compose(folder: Path, table: pa.Table, replaced: bytes | None, now: datetime) -> bytes:
    path = folder / "incoming.parquet"
    LAYOUT.write(path, table, {b"n": b"1"}, replaced, now)
    return path.read_bytes()


def publications(folder: Path, count: int, step: timedelta, minutes: int = 300) -> list[bytes]:
    files: list[bytes] = []
    for number in range(count):
        table = bars("SPY", minutes=minutes + 7 * (number % 5), seed=number)
        files.append(compose(folder, table, files[-1] if files else None, NOW + number * step))
    return files


def test_a_first_publication_is_a_plain_parquet_file(tmp_path: Path) -> None:
    [content] = publications(tmp_path, 1, timedelta(0))
    assert rows(content).equals(bars("SPY", minutes=300, seed=0))
    metadata = pq.read_metadata(pa.BufferReader(content))
    assert metadata.metadata[b"n"] == b"1"
    first = metadata.row_group(0).column(0)
    assert first.dictionary_page_offset == 4


def test_the_replaced_publications_are_readable_by_their_own_footers_and_lengths_whatever_their_age(
    tmp_path: Path,
) -> None:
    files = publications(tmp_path, 20, timedelta(days=30))
    for number in range(2, 20):
        newest = files[number]
        assert rows(newest).equals(bars("SPY", minutes=300 + 7 * (number % 5), seed=number))
        for old in files[number - 2 : number]:
            assert rows_by(old, newest).equals(rows(old))
            assert rows(newest[: len(old)]).equals(rows(old))


def test_every_publication_of_the_last_seconds_is_kept_however_fast_they_come(tmp_path: Path) -> None:
    files = publications(tmp_path, 30, timedelta(milliseconds=50))
    for old in files:
        assert rows_by(old, files[-1]).equals(rows(old))


def test_slow_revisions_take_no_more_than_about_three_times_the_room_on_disk(tmp_path: Path) -> None:
    files = publications(tmp_path, 60, timedelta(minutes=5), minutes=900)
    blocks = (tmp_path / "incoming.parquet").stat().st_blocks * 512
    # Extents begin and end inside of blocks: each of the few may cost one more.
    assert blocks < 4 * len(files[0]) + 8 * 4096


def test_the_manifest_stands_in_the_footer_once(tmp_path: Path) -> None:
    LAYOUT.write(tmp_path / "x", bars("SPY"), {b"manifest": b"once-and-only"}, None, NOW)
    assert (tmp_path / "x").read_bytes().count(b"once-and-only") == 1


def test_partitions_without_rows_can_be_replaced_and_can_replace(tmp_path: Path) -> None:
    empty, full = bars("SPY", minutes=0), bars("SPY")
    first = compose(tmp_path, empty, None, NOW)
    second = compose(tmp_path, full, first, NOW + timedelta(seconds=1))
    third = compose(tmp_path, empty, second, NOW + timedelta(seconds=2))
    assert [rows(content).num_rows for content in (first, second, third)] == [0, 5, 0]
    assert rows_by(second, third).equals(full)
