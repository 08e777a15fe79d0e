"""How two tables of a dataset differ, row by row: what is new, what is gone, what says something else.

Rows are told apart by the dataset's key, and columns are compared whole. Pure: it knows tables, not where they come
from, nor which differences matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bellwether.quality.prepare import column_of
from bellwether.schemas import FORMS

_PRICES = ("open", "high", "low", "close")
# Beyond these, numbers that are combined to one are counted through first.
_MOST_CODES, _MOST_APART = 2**62, 2**40
_BLOCK_ROWS = 128


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
    paired = _paired(before, after, key)
    differs = np.zeros(len(paired.places_after), np.bool_)
    for name in before.column_names:
        if name not in key:
            differs |= _differs(paired.before(column_of(before, name)), paired.after(column_of(after, name)))
    return Difference(
        before,
        after,
        added=paired.added,
        removed=paired.removed,
        changed_before=paired.places_before[differs],
        changed_after=paired.places_after[differs],
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


class _Paired:
    """The rows of two tables that have one key, side by side, in the order of the later one.

    Parameters
    ----------
    found
        For each row of the later table the place in the earlier one.
    is_there
        Whether it is there at all.
    count
        How many rows the earlier one has.
    """

    def __init__(self, found: NDArray[np.intp], is_there: NDArray[np.bool_], count: int) -> None:
        self.places_after = np.flatnonzero(is_there)
        self.places_before = found[self.places_after]
        was_there = np.zeros(count, np.bool_)
        was_there[self.places_before] = True
        self.added, self.removed = np.flatnonzero(~is_there), np.flatnonzero(~was_there)
        is_in_order = bool((self.places_before[1:] > self.places_before[:-1]).all())
        # As masks, which is faster, wherever that keeps the order.
        self._after = _mask(is_there)
        self._before = _mask(was_there) if is_in_order else pa.array(self.places_before)

    def before(self, column: pa.Array) -> pa.Array:
        """Return the earlier table's values."""
        return _taken(column, self._before)

    def after(self, column: pa.Array) -> pa.Array:
        """Return the later table's values."""
        return _taken(column, self._after)


def _mask(values: NDArray[np.bool_]) -> pa.Array:
    bits = pa.py_buffer(np.packbits(values, bitorder="little"))  # ten times as fast as pa.array(values)
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])


def _taken(column: pa.Array, wanted: pa.Array) -> pa.Array:
    return column.filter(wanted) if pa.types.is_boolean(wanted.type) else column.take(wanted)


def _paired(before: pa.Table, after: pa.Table, key: Sequence[str]) -> _Paired:
    old, new = _codes(before, after, key)
    if not len(old):
        return _Paired(np.zeros(len(new), np.intp), np.zeros(len(new), np.bool_), 0)
    if (old[1:] > old[:-1]).all():
        return _Paired(*_search(old, new), len(old))
    order = np.argsort(old, kind="stable")
    found, is_there = _search(old[order], new)
    return _Paired(order[found], is_there, len(old))


def _search(old: NDArray[np.int64], new: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return for each of `new` its place in `old`, which ascends, and whether it is there.

    Few rows come or go, so most lie as far from the first of their block as they do in `old`: only the others are
    searched for.
    """
    block = min(_BLOCK_ROWS, len(old))
    firsts = np.minimum(np.searchsorted(old, new[::block]), len(old) - block)
    found = (firsts[:, np.newaxis] + np.arange(block)).ravel()[: len(new)]
    is_there = old[found] == new
    missed = np.flatnonzero(~is_there)
    found[missed] = np.minimum(np.searchsorted(old, new[missed]), len(old) - 1)
    is_there[missed] = old[found[missed]] == new[missed]
    return found, is_there


def _codes(before: pa.Table, after: pa.Table, key: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return a number for each row of both tables, the same for equal keys, another for others."""
    codes, scale = _numbered(column_of(before, key[-1]), column_of(after, key[-1]), 1)
    for name in reversed(key[:-1]):
        if scale > _MOST_CODES // max(len(before) + len(after), 1):  # more numbers than rows
            distinct, places = np.unique(np.concatenate(codes), return_inverse=True)
            codes, scale = _parted(places.astype(np.int64), len(before)), len(distinct)
        numbers, span = _numbered(column_of(before, name), column_of(after, name), scale)
        # In place, unless they are the column itself.
        codes = [
            np.add(code, number, out=number if number.flags.writeable else None)
            for code, number in zip(codes, numbers, strict=True)
        ]
        scale *= span
    return codes


def _parted(numbers: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    return [numbers[:count], numbers[count:]]


def _numbered(old: pa.Array, new: pa.Array, scale: int) -> tuple[list[NDArray[np.int64]], int]:
    """Return multiples of `scale` for the values of two columns, and within how many multiples they lie."""
    if scale == 1 and (pa.types.is_timestamp(old.type) or pa.types.is_int64(old.type)):
        numbers = [column.view(pa.int64()).to_numpy() for column in (old, new)]
        bounds = [bound for each in numbers if len(each) for bound in (int(each.min()), int(each.max()))] or [0]
        if max(bounds) - min(bounds) < _MOST_APART:
            return numbers, max(bounds) - min(bounds) + 1
    both = (old, new)
    # The first of a key says the same over many rows, one after the other.
    firsts = [_firsts(column) for column in both]
    values = pa.concat_arrays([column.take(pa.array(at)) for column, at in zip(both, firsts, strict=True)])
    found = values.dictionary_encode()
    lengths = [np.diff(at, append=len(column)) for column, at in zip(both, firsts, strict=True)]
    codes = found.indices.to_numpy().astype(np.int64) * scale
    return _parted(np.repeat(codes, np.concatenate(lengths)), len(old)), max(len(found.dictionary), 1)


def _firsts(column: pa.Array) -> NDArray[np.intp]:
    """Return the places of values, none of them null, that are not the one before."""
    if not len(column):
        return np.zeros(0, np.intp)
    is_other = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1))
    return np.concatenate([[0], pc.indices_nonzero(is_other).to_numpy().astype(np.intp) + 1])


def _differs(old: pa.Array, new: pa.Array) -> NDArray[np.bool_]:
    """Return where values differ; nulls are equal to each other alone."""
    if pa.types.is_primitive(old.type) and not (old.null_count or new.null_count):
        plain: NDArray[np.bool_] = old.to_numpy(zero_copy_only=False) != new.to_numpy(zero_copy_only=False)
        return plain
    unequal = pc.not_equal(old, new)
    if unequal.null_count:
        unequal = pc.if_else(pc.is_null(unequal), pc.xor(old.is_null(), new.is_null()), unequal)
    mask: NDArray[np.bool_] = unequal.to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask
