"""A replaced file's bytes stay where a reader in the middle of the swap looks for them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

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


def publications(count: int, step: timedelta, minutes: int = 300) -> list[bytes]:
    files: list[bytes] = []
    for number in range(count):
        table = bars("SPY", minutes=minutes + 7 * (number % 5), seed=number)
        files.append(LAYOUT.compose(table, {b"n": b"1"}, files[-1] if files else None, NOW + number * step))
    return files


def test_a_first_publication_is_a_plain_parquet_file() -> None:
    [content] = publications(1, timedelta(0))
    assert rows(content).equals(bars("SPY", minutes=300, seed=0))
    assert pq.read_metadata(pa.BufferReader(content)).metadata[b"n"] == b"1"


def test_the_replaced_publication_is_still_readable_by_its_own_footer_and_its_own_length() -> None:
    files = publications(20, timedelta(minutes=5))
    for number, (old, new) in enumerate(pairwise(files)):
        assert rows(new).equals(bars("SPY", minutes=300 + 7 * ((number + 1) % 5), seed=number + 1))
        assert rows_by(old, new).equals(rows(old))
        assert rows(new[: len(old)]).equals(rows(old))


def test_every_publication_of_the_last_seconds_is_kept_however_fast_they_come() -> None:
    files = publications(30, timedelta(milliseconds=50))
    for old in files:
        assert rows_by(old, files[-1]).equals(rows(old))


def test_slow_revisions_take_no_more_than_about_three_times_the_room() -> None:
    files = publications(60, timedelta(minutes=5))
    assert len(files[-1]) < 60 * 2_500 + 3 * len(files[0])


def test_partitions_without_rows_can_be_replaced_and_can_replace() -> None:
    empty, full = bars("SPY", minutes=0), bars("SPY")
    first = LAYOUT.compose(empty, {}, None, NOW)
    second = LAYOUT.compose(full, {}, first, NOW + timedelta(seconds=1))
    third = LAYOUT.compose(empty, {}, second, NOW + timedelta(seconds=2))
    assert [rows(content).num_rows for content in (first, second, third)] == [0, 5, 0]
    assert rows_by(second, third).equals(full)
