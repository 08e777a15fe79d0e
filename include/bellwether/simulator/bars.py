"""Minute bars as the simulator holds them, and their JSON as the vendor writes it.

This room knows columns and bytes. It knows nothing of HTTP, of paging or of where the bars come from.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

NO_COUNT = -1
"""Stands for "unknown" among the integer transaction counts; an unknown vwap is NaN."""

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]


class Bars(NamedTuple):
    """Columns of bars of one ticker, ascending by start; all of one length.

    `start_ms` is the bar's start in ms UTC; prices are in dollars; `volume` in shares or contracts, NaN for
    indices; `vwap` NaN and `transactions` NO_COUNT where unknown.
    """

    start_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vwap: Floats
    transactions: Ints

    def rows(self, chosen: slice | NDArray[np.bool_] | Ints) -> "Bars":
        """Return the chosen rows: of a slice, of a mask, or by number."""
        return Bars._make(column[chosen] for column in self)


class BarSource(Protocol):
    """Where bars come from."""

    def has_ticker(self, ticker: str) -> bool:
        """Return whether the market knows `ticker`, with or without bars."""
        ...

    def days(self, start: date, end: date) -> list[date]:
        """Return the New York dates with data from `start` to `end`, both included, ascending."""
        ...

    def bars(self, ticker: str, day: date) -> Bars:
        """Return the one-minute bars of a known ticker on one of the market's days, ascending; may be empty."""
        ...

    def scale(self, ticker: str, day: date, until: date) -> float:
        """Return how many shares at `until` one share of `day` has become; 1 but for splits."""
        ...


EMPTY = Bars._make(np.empty(0, dtype) for dtype in (np.int64, *6 * [np.float64], np.int64))
"""No bars."""


class EncodedBars(NamedTuple):
    """Bars as JSON objects joined by commas, and where each begins.

    A page of any length is a join of slices: serving costs a copy, not an encoding.
    """

    start_ms: Ints
    text: bytes
    offsets: Ints

    def cut(self, low: int, high: int) -> bytes:
        """Return the objects from `low` to before `high`, joined by commas; `low` < `high`."""
        return self.text[self.offsets[low] : self.offsets[high] - 1]


_NAMES = {
    "volume": "v",
    "vwap": "vw",
    "open": "o",
    "close": "c",
    "high": "h",
    "low": "l",
    "start_ms": "t",
    "transactions": "n",
}


class _WireBar(msgspec.Struct, rename=_NAMES):
    volume: float | msgspec.UnsetType  # indices have none
    vwap: float | msgspec.UnsetType  # the vendor leaves `vw` and `n` out where it has none; it never writes null
    open: float
    close: float
    high: float
    low: float
    start_ms: int
    transactions: int | msgspec.UnsetType


_ENCODER = msgspec.json.Encoder()


def encode(bars: Bars) -> EncodedBars:
    """Return `bars` as the vendor's JSON objects."""
    volume, vwap = known(bars.volume), known(bars.vwap)
    counts: list[int | msgspec.UnsetType] = list(bars.transactions.tolist())
    for row in np.flatnonzero(bars.transactions == NO_COUNT).tolist():
        counts[row] = msgspec.UNSET
    prices = [numbers(column) for column in (bars.open, bars.close, bars.high, bars.low)]
    rows = list(map(_WireBar, volume, vwap, *prices, bars.start_ms.tolist(), counts))
    lines = _ENCODER.encode_lines(rows)
    # No string stands in a bar, so every newline ends one and can become the comma of the array.
    ends = np.flatnonzero(np.frombuffer(lines, dtype=np.uint8) == ord("\n")) + 1
    return EncodedBars(bars.start_ms, lines.replace(b"\n", b","), np.concatenate([[0], ends]))


def known(column: Floats) -> list[float | msgspec.UnsetType]:
    """Return a column's values as JSON shows them, UNSET where there is none."""
    values: list[float | msgspec.UnsetType] = list(numbers(column))
    for row in np.flatnonzero(np.isnan(column)).tolist():
        values[row] = msgspec.UNSET
    return values


def numbers(column: Floats) -> list[float]:
    """Return a column's values as JSON shows them."""
    # The vendor writes 650 where a number is whole, not 650.0; decoders have to take both.
    whole = column == np.floor(column)
    values: list[float] = column.tolist()
    for row in np.flatnonzero(whole).tolist():
        values[row] = int(values[row])
    return values


def join(parts: Sequence[Bars]) -> Bars:
    """Return the rows of all `parts`, in that order; at least one part."""
    return Bars._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def adjust(bars: Bars, scale: float) -> Bars:
    """Return `bars` in shares of which each old one has become `scale`."""
    if scale == 1.0:
        return bars
    return bars._replace(
        open=np.round(bars.open / scale, 4),
        high=np.round(bars.high / scale, 4),
        low=np.round(bars.low / scale, 4),
        close=np.round(bars.close / scale, 4),
        volume=np.round(bars.volume * scale, 4),
        vwap=np.round(bars.vwap / scale, 4),
    )


def resample(bars: Bars, window_ms: int) -> Bars:
    """Return `bars` in wider windows aligned to the epoch; windows without a bar stay absent."""
    windows = bars.start_ms // window_ms
    first = np.flatnonzero(np.diff(windows, prepend=-1))
    last = np.append(first[1:], len(windows)) - 1
    volume = np.add.reduceat(bars.volume, first)
    uncounted = np.minimum.reduceat(bars.transactions, first) == NO_COUNT
    return Bars(
        start_ms=windows[first] * window_ms,
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[last],
        volume=volume,
        vwap=np.round(np.add.reduceat(bars.vwap * bars.volume, first) / volume, 4),
        transactions=np.where(uncounted, NO_COUNT, np.add.reduceat(bars.transactions, first)),
    )
