"""How two tables of a dataset differ, row by row: what is new, what is gone, what says something else.

Rows are told apart by the dataset's key, and columns are compared whole. Pure: it knows tables, not where they come
from, nor which differences matter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bellwether.quality.prepare import column_of
from bellwether.schemas import FORMS

_PRICES = ("open", "high", "low", "close")
# Of codes that are combined to one number; beyond, they are counted through first.
_MOST_CODES = 2**62


@dataclass(frozen=True)
class Difference:
    """How a table differs from an earlier one, both of one dataset.

    Attributes
    ----------
    before, after
        The tables.
    added
        Places in `after` of rows whose key `before` lacks, ascending.
    removed
        Places in `before` of rows whose key `after` lacks, ascending.
    changed_before, changed_after
        Places of the rows that have one key and differ otherwise, side by side; ascending in `after`.
    """

    before: pa.Table
    after: pa.Table
    added: NDArray[np.intp]
    removed: NDArray[np.intp]
    changed_before: NDArray[np.intp]
    changed_after: NDArray[np.intp]

    @property
    def rows(self) -> int:
        """How many rows differ."""
        return len(self.added) + len(self.removed) + len(self.changed_after)

    @property
    def arrived(self) -> pa.Table:
        """The rows of `after` that are new or say something else, in its order."""
        return self.after.take(pa.array(np.sort(np.concatenate([self.added, self.changed_after]))))


def difference(before: pa.Table, after: pa.Table, dataset: str) -> Difference:
    """Compare two tables.

    Parameters
    ----------
    before, after
        Rows with the dataset's schema, none of one key twice.
    dataset
        Says what the key is.
    """
    key = FORMS[dataset].key
    pairs_before, pairs_after = _pairs(before, after, key)
    taken_before, taken_after = _taker(pairs_before, len(before)), _taker(pairs_after, len(after))
    differs = np.zeros(len(pairs_after), np.bool_)
    for name in before.column_names:
        if name not in key:
            old, new = taken_before(column_of(before, name)), taken_after(column_of(after, name))
            if not old.equals(new):  # which is known sooner than where they differ
                differs |= _differs(old, new)
    return Difference(
        before,
        after,
        added=_others(pairs_after, len(after)),
        removed=_others(pairs_before, len(before)),
        changed_before=pairs_before[differs],
        changed_after=pairs_after[differs],
    )


@dataclass(frozen=True)
class BarDifference:
    """What a difference of minute bars comes to.

    Attributes
    ----------
    bars
        How many there were.
    changed, added, removed
        How many say something else, are new, are gone.
    max_move_bp
        The largest move of a price of those that changed, in basis points of what it was; 0.0 without any.
    volume
        What there was; 0.0 of indices.
    volume_difference
        What there is less what there was.
    volume_moved
        The same, of each bar without its sign.
    rows
        A row for each bar that differs, sorted: `ticker`, `ts`, `kind` (`added`, `removed`, `changed`), `move_bp` (null
        unless it changed) and `volume_difference` (null of indices).
    """

    bars: int
    changed: int
    added: int
    removed: int
    max_move_bp: float
    volume: float
    volume_difference: float
    volume_moved: float
    rows: pa.Table


def measure(found: Difference) -> BarDifference:
    """Return what a difference of tables with `ticker`, `ts` and prices comes to."""
    old, new = found.before.take(pa.array(found.changed_before)), found.after.take(pa.array(found.changed_after))
    moves = np.zeros(len(new))
    for name in _PRICES:
        then, now = old[name].to_numpy(), new[name].to_numpy()
        with np.errstate(divide="ignore", invalid="ignore"):
            moves = np.maximum(moves, np.where(now == then, 0.0, np.abs(now - then) / np.abs(then) * 1e4))
    added, removed = found.after.take(pa.array(found.added)), found.before.take(pa.array(found.removed))
    has_volume = "volume" in found.before.column_names
    parts = [
        _part(new, "changed", moves, new["volume"].to_numpy() - old["volume"].to_numpy() if has_volume else None),
        _part(added, "added", None, added["volume"].to_numpy() if has_volume else None),
        _part(removed, "removed", None, -removed["volume"].to_numpy() if has_volume else None),
    ]
    rows = pa.concat_tables(parts).sort_by([("ticker", "ascending"), ("ts", "ascending")]).combine_chunks()
    moved = rows["volume_difference"].drop_null().to_numpy()
    return BarDifference(
        bars=len(found.before),
        changed=len(new),
        added=len(added),
        removed=len(removed),
        max_move_bp=float(moves.max(initial=0.0)),
        volume=float(pc.sum(found.before["volume"]).as_py() or 0.0) if has_volume else 0.0,
        volume_difference=float(moved.sum()),
        volume_moved=float(np.abs(moved).sum()),
        rows=rows,
    )


def _part(
    bars: pa.Table, kind: str, moves: NDArray[np.float64] | None, volumes: NDArray[np.float64] | None
) -> pa.Table:
    nothing = pa.nulls(len(bars), pa.float64())
    return pa.table(
        {
            "ticker": bars["ticker"],
            "ts": bars["ts"],
            "kind": pa.repeat(kind, len(bars)),
            "move_bp": nothing if moves is None else pa.array(moves),
            "volume_difference": nothing if volumes is None else pa.array(volumes),
        }
    )


def _pairs(before: pa.Table, after: pa.Table, key: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of rows of one key in both tables, side by side."""
    if len(before) == len(after) and all(column_of(before, name).equals(column_of(after, name)) for name in key):
        places = np.arange(len(after), dtype=np.intp)
        return places, places
    old, new = _codes(before, after, key)
    if not len(old):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    order = None if (old[1:] > old[:-1]).all() else np.argsort(old, kind="stable")
    old = old if order is None else old[order]
    found = np.minimum(np.searchsorted(old, new), len(old) - 1)
    is_there = old[found] == new
    pairs = found[is_there]
    return pairs if order is None else order[pairs], np.flatnonzero(is_there)


def _codes(before: pa.Table, after: pa.Table, key: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a number for each row, the same for equal keys, another for others."""
    codes, count = _numbered(_both(before, after, key[0]))
    for name in key[1:]:
        column, span = _numbered(_both(before, after, name))
        if count * span > _MOST_CODES:
            distinct, places = np.unique(codes, return_inverse=True)
            codes, count = places.astype(np.int64), len(distinct)
        codes, count = codes * span + column, count * span
    return codes[: len(before)], codes[len(before) :]


def _both(before: pa.Table, after: pa.Table, name: str) -> pa.ChunkedArray:
    return pa.chunked_array([*before[name].chunks, *after[name].chunks], before[name].type)


def _numbered(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], int]:
    """Return the values of a column as numbers from 0 on, and how many numbers there may be."""
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # without a chunk
        return np.zeros(0, np.int64), 1
    if pa.types.is_timestamp(values.type) or pa.types.is_int64(values.type):
        numbers = values.view(pa.int64()).to_numpy()
        low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
        if high - low < 2**40:
            return numbers - low, high - low + 1
    if pa.types.is_string(values.type):  # the first of a key: the same over many rows, one after the other
        runs = pc.run_end_encode(values, run_end_type=pa.int64())
        found = runs.values.dictionary_encode()
        lengths = np.diff(runs.run_ends.to_numpy(), prepend=0)
        return np.repeat(found.indices.to_numpy().astype(np.int64), lengths), max(len(found.dictionary), 1)
    found = values.dictionary_encode()
    return found.indices.to_numpy().astype(np.int64), max(len(found.dictionary), 1)


def _differs(old: pa.Array, new: pa.Array) -> NDArray[np.bool_]:
    """Return where values differ; nulls are equal to each other alone."""
    unequal = pc.not_equal(old, new)
    if unequal.null_count:
        unequal = pc.if_else(pc.is_null(unequal), pc.xor(old.is_null(), new.is_null()), unequal)
    mask: NDArray[np.bool_] = unequal.to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask


def _others(places: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return all places that are not among these, ascending."""
    is_other = np.ones(count, np.bool_)
    is_other[places] = False
    return np.flatnonzero(is_other)


def _taker(places: NDArray[np.intp], count: int) -> Callable[[pa.Array], pa.Array]:
    """Return what takes these places of a column of so many rows; faster where they are in order."""
    if len(places) == count and bool((places == np.arange(count)).all()):
        return lambda column: column
    if len(places) and bool((places[1:] > places[:-1]).all()):
        mask = np.zeros(count, np.bool_)
        mask[places] = True
        is_wanted = pa.array(mask)
        return lambda column: column.filter(is_wanted)
    wanted = pa.array(places)
    return lambda column: column.take(wanted)
