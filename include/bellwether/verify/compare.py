"""Two tables that should be one: equal to the byte as they would be written, or where they first differ.

A published file carries its history and when it was made, so files of equal rows differ; the encoded rows do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.lake.layout import FileLayout
from bellwether.quality.prepare import any_of, column_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Difference:
    """How what is published and what was built again differ.

    Attributes
    ----------
    rows
        That only one of both has, or that differ.
    columns
        In which rows of one key differ.
    first
        The first such row, in words.
    """

    rows: int
    columns: tuple[str, ...]
    first: str


def difference(published: pa.Table, rebuilt: pa.Table, key: Sequence[str], layout: FileLayout) -> Difference | None:
    """Return how two tables differ; None where every byte of them is equal.

    Parameters
    ----------
    published, rebuilt
        Sorted by key.
    key
        The columns that tell rows apart.
    layout
        How the rows are encoded.
    """
    others = tuple(sorted({name for name, _ in _columns(published) ^ _columns(rebuilt)}))
    if others:
        return Difference(published.num_rows, others, f"its columns are not those of today: {', '.join(others)}")
    published = published.combine_chunks()
    rebuilt = pa.Table.from_arrays(rebuilt.combine_chunks().columns, schema=published.schema)
    if _encoded(published, layout) == _encoded(rebuilt, layout):
        return None
    places = pa.array(range(max(published.num_rows, rebuilt.num_rows)), pa.int64())
    sides = [
        table.select(list(key)).append_column(name, places.slice(0, table.num_rows))
        for table, name in ((published, "_published"), (rebuilt, "_rebuilt"))
    ]
    pairs = sides[0].join(sides[1], keys=list(key), join_type="full outer").combine_chunks()
    here, there = column_of(pairs, "_published"), column_of(pairs, "_rebuilt")
    both = pairs.filter(pc.and_(here.is_valid(), there.is_valid())).sort_by("_published").combine_chunks()
    pairs_of_rows = (published.take(both["_published"]), rebuilt.take(both["_rebuilt"]))
    changed = _changed(*pairs_of_rows, key) if both.num_rows else {}
    columns = tuple(name for name, mask in changed.items() if pc.any(mask, min_count=0).as_py())
    differs = any_of(*(changed[name] for name in columns)) if columns else pa.array([False] * both.num_rows, pa.bool_())
    unproven, lacking = pairs.filter(there.is_null()), pairs.filter(here.is_null())
    told = [
        *_first(unproven.sort_by("_published"), key, "is published, and nothing proves it"),
        *_first(lacking.sort_by("_rebuilt"), key, "is not published, and should be"),
    ]
    if columns:
        place = pc.index(differs, True).as_py()
        name = next(name for name in columns if changed[name][place].as_py())
        is_value, would_be = (
            table[name][both[side][place].as_py()].as_py()
            for table, side in ((published, "_published"), (rebuilt, "_rebuilt"))
        )
        told += _first(both.slice(place), key, f"has {name} {is_value!r}, and its evidence says {would_be!r}")
    rows = unproven.num_rows + lacking.num_rows + (pc.sum(differs).as_py() or 0)
    return Difference(rows, columns, min(told, default="its rows are equal, and their encoding is not"))


def _columns(table: pa.Table) -> set[tuple[str, str]]:
    return {(field.name, str(field.type)) for field in table.schema}


def _encoded(table: pa.Table, layout: FileLayout) -> bytes:
    return layout.compose(table, {}, None, _EPOCH)


def _changed(published: pa.Table, rebuilt: pa.Table, key: Sequence[str]) -> dict[str, pa.Array]:
    """Return where rows of one key differ, by column; by their bits, so that NaN is NaN and -0.0 is not 0.0."""
    names = [name for name in published.schema.names if name not in key]
    return {name: _differs(column_of(published, name), column_of(rebuilt, name)) for name in names}


def _differs(one: pa.Array, other: pa.Array) -> pa.Array:
    if pa.types.is_list(one.type) or pa.types.is_fixed_size_list(one.type):
        pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
        return pa.array([str(a) != str(b) for a, b in pairs], pa.bool_())
    if pa.types.is_floating(one.type):
        one, other = (each.cast(pa.float64()).view(pa.int64()) for each in (one, other))
    is_other = pc.not_equal(one, other.cast(one.type)).fill_null(False)
    return any_of(is_other, pc.xor(one.is_null(), other.is_null()))


def _first(rows: pa.Table, key: Sequence[str], what: str) -> list[str]:
    return [f"{' '.join(map(str, row.values()))} {what}" for row in rows.slice(0, 1).select(list(key)).to_pylist()]
