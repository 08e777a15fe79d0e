"""A revision is the identity of values, not of bytes, chunks or library versions."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.lake.revisions import revision_of
from tests.builders import bars

TABLE = pa.concat_tables([bars("AAPL"), bars("SPY")])


def test_chunking_slicing_and_metadata_do_not_matter() -> None:
    padded = pa.concat_tables([bars("AAA"), TABLE]).slice(5)
    rechunked = pa.Table.from_batches(TABLE.to_batches(max_chunksize=3)).replace_schema_metadata({"a": "b"})
    assert revision_of(padded) == revision_of(rechunked) == revision_of(TABLE)


def test_negative_zero_equals_zero() -> None:
    def with_volume(value: float) -> pa.Table:
        return bars("SPY", minutes=1).set_column(6, "volume", pa.array([value]))

    assert revision_of(with_volume(0.0)) == revision_of(with_volume(-0.0))


def test_known_revision_stays_the_same_over_versions() -> None:
    table = pa.table({"ticker": ["A", "BB"], "v": [1.5, None]})
    assert revision_of(table) == "bb86f94e4fe0b0055613cf13b55a1f38a44d8a902c999133fbca2bb618102a25"


@pytest.mark.parametrize(
    "other",
    [
        TABLE.slice(1),
        TABLE.rename_columns(["ticker", "ts", "open", "high", "low", "close", "volume", "vw", "transactions"]),
        TABLE.set_column(7, "vwap", pa.nulls(10, pa.float64())),
        TABLE.set_column(7, "vwap", pa.array([0.0] * 10)),
        TABLE.set_column(0, "ticker", pa.array(["AAPLS"] * 5 + ["PY"] * 5)),
        TABLE.take(list(range(9, -1, -1))),
    ],
    ids=["fewer rows", "renamed column", "nulls", "zeros for nulls", "other split of the same letters", "other order"],
)
def test_any_difference_of_content_is_another_revision(other: pa.Table) -> None:
    assert revision_of(other) != revision_of(TABLE)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=3), st.one_of(st.none(), st.floats(allow_nan=False))), max_size=6))
def test_equal_rows_and_only_equal_rows_share_a_revision(rows: list[tuple[str, float | None]]) -> None:
    def build(values: list[tuple[str, float | None]]) -> pa.Table:
        columns = {"t": [t for t, _ in values], "v": [v for _, v in values]}
        return pa.table(columns, schema=pa.schema([("t", pa.string()), ("v", pa.float64())]))

    assert revision_of(build(rows)) == revision_of(build(list(rows)))
    assert revision_of(build(rows)) != revision_of(build([*rows, ("x", 1.0)]))


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float64(), 2)])
def test_lists_are_told_apart_by_their_items_their_ends_and_their_nulls(kind: pa.DataType) -> None:
    contents = [[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], None], [[1.0, 2.0], [3.0, None]], [[1.0, 2.0], [3.0, 5.0]]]
    if pa.types.is_list(kind):
        contents += [[[1.0], [2.0, 3.0, 4.0]], [[1.0, 2.0], []]]
    revisions = [revision_of(pa.table({"a": pa.array(content, kind)})) for content in contents]
    assert len(set(revisions)) == len(contents)
    padded = pa.table({"a": pa.array([[9.0, 9.0], *contents[0]], kind)}).slice(1)
    assert revision_of(padded) == revisions[0]


def test_a_type_without_canonical_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match="struct"):
        revision_of(pa.table({"a": [{"b": 1}]}))
