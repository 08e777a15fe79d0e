"""Frames to columns: minute bars and values of indices as the vendor broadcasts them, a batch of frames in one go.

What cannot be read is set apart with its place and its beginning, and takes nothing else with it. Which broadcast of a
minute stands is not decided here: every one is a row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bellwether.schemas import TIMESTAMP
from bellwether.streaming.inbox import Frame
from bellwether.streaming.rows import LIVE_BARS, LIVE_VALUES

MINUTE_MS = 60_000
_EXCERPT_BYTES = 120
_AT_ONCE_BYTES = 250_000  # read together: few calls, in memory that the next reading finds warm

# Years 2000 to 2100: what Arrow and datetime can hold, and nothing that could push the watermark out of reach.
_Stamp = Annotated[int, msgspec.Meta(ge=946_684_800_000, lt=4_102_444_800_000)]


# Fields stand in the order the vendor writes them: msgspec then finds each at its first guess.
class _Bar(msgspec.Struct, gc=False, tag_field="ev", tag="AM", kw_only=True):
    sym: str
    v: float
    vw: float | None = None
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    s: _Stamp


class _IndexBar(msgspec.Struct, gc=False, tag_field="ev", tag="AM", kw_only=True):
    sym: str
    v: float | None = None
    vw: float | None = None
    o: float
    c: float
    h: float
    l: float  # noqa: E741
    s: _Stamp


class _Value(msgspec.Struct, gc=False, tag_field="ev", tag="V", kw_only=True):
    val: float
    T: str  # symbols have another name here
    t: _Stamp


class _Status(msgspec.Struct, gc=False, tag_field="ev", tag="status"):
    pass


# What msgspec raises besides its own: of what is no UTF-8, and of brackets in thousands.
UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


@dataclass(frozen=True)
class _Decoders:
    """Of many frames, of one, and of one event."""

    all: Callable[[bytes], list[list[Any]]]
    one: Callable[[bytes], list[Any]]
    event: Callable[[bytes | msgspec.Raw], Any]


_Traded = _Bar | _Value | _Status
_OfIndex = _IndexBar | _Value | _Status
_OF_TRADED, _OF_INDICES = (
    _Decoders(
        msgspec.json.Decoder(list[list[_Traded]]).decode,
        msgspec.json.Decoder(list[_Traded]).decode,
        msgspec.json.Decoder(_Traded).decode,
    ),
    _Decoders(
        msgspec.json.Decoder(list[list[_OfIndex]]).decode,
        msgspec.json.Decoder(list[_OfIndex]).decode,
        msgspec.json.Decoder(_OfIndex).decode,
    ),
)


@dataclass(frozen=True)
class Unreadable:
    """A frame of which something could not be read: when it came (ms UTC, feed time), why, and how it begins."""

    arrived_ms: int
    why: str


@dataclass(frozen=True)
class Decoded:
    """What frames held.

    Attributes
    ----------
    table
        In the order of arrival. Schema `LIVE_BARS`, or `LIVE_VALUES` where values of indices are among the rows.
    newest_ms
        The latest end of a minute, or moment of a value, ms UTC, no later than its frame came; None without rows.
    unreadable
        Frames with something that could not be read, what else they held being in the table.
    """

    table: pa.Table
    newest_ms: int | None
    unreadable: list[Unreadable]


def decode(frames: Sequence[Frame], first_arrival: int, *, is_of_indices: bool = False) -> Decoded:
    """Turn frames into rows.

    Parameters
    ----------
    frames
        In the order in which they came.
    first_arrival
        The number of the first row.
    is_of_indices
        Whether bars may have no volume; else one without it cannot be read.
    """
    decoders = _OF_INDICES if is_of_indices else _OF_TRADED
    events: list[list[Any]] = []
    unreadable: list[Unreadable] = []
    for together in _pieces(frames):
        events += _read(together, decoders, unreadable)
    arrived_ms = np.repeat(np.array([frame.arrived_ms for frame in frames], np.int64), [len(read) for read in events])
    rows: list[Any] = list(chain.from_iterable(events))
    kinds = set(map(type, rows))
    if _Status in kinds:
        is_row = np.array([type(event) is not _Status for event in rows])
        rows, arrived_ms = [event for event in rows if type(event) is not _Status], arrived_ms[is_row]
    arrival = np.arange(first_arrival, first_arrival + len(rows), dtype=np.int64)
    if _Value not in kinds:
        return Decoded(*_bars(rows, arrived_ms, arrival), unreadable)
    is_value = np.array([type(event) is _Value for event in rows])
    bars, newest_bar_ms = _bars(
        [event for event in rows if type(event) is not _Value], arrived_ms[~is_value], arrival[~is_value]
    )
    values, newest_value_ms = _values(
        [event for event in rows if type(event) is _Value], arrived_ms[is_value], arrival[is_value]
    )
    table = pa.concat_tables([bars, values], promote_options="default").sort_by("arrival").cast(LIVE_VALUES)
    return Decoded(table, max(newest_bar_ms or 0, newest_value_ms), unreadable)


def _pieces(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    piece: list[Frame] = []
    size = 0
    for frame in frames:
        piece.append(frame)
        size += len(frame.content)
        if size >= _AT_ONCE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _read(frames: list[Frame], decoders: _Decoders, unreadable: list[Unreadable]) -> list[list[Any]]:
    """Return the events of each frame, and add what cannot be read to `unreadable`."""
    try:
        events = decoders.all(b"[%b]" % b",".join([frame.content for frame in frames]))
    except UNREADABLE:
        events = []
    # Halves of frames that join to something readable would not be as many.
    if len(events) == len(frames):
        return events
    events = []
    for frame in frames:
        read, why = _one(frame.content, decoders)
        events.append(read)
        if why:
            unreadable.append(Unreadable(frame.arrived_ms, why))
    return events


def _one(content: bytes, decoders: _Decoders) -> tuple[list[Any], str]:
    """Return the events of one frame that can be read, and why not all can."""
    try:
        return decoders.one(content), ""
    except UNREADABLE as error:
        why = f"{error}: {content[:_EXCERPT_BYTES].decode(errors='replace')}"
    try:
        parts = msgspec.json.decode(content, type=list[msgspec.Raw])
    except UNREADABLE:
        return [], why
    events: list[Any] = []
    for part in parts:
        try:
            events.append(decoders.event(part))
        except UNREADABLE:
            continue  # what `why` tells of
    return events, why


def _bars(bars: list[Any], arrived_ms: NDArray[np.int64], arrival: NDArray[np.int64]) -> tuple[pa.Table, int | None]:
    if not bars:
        return LIVE_BARS.empty_table(), None
    start_ms = np.array([bar.s for bar in bars], np.int64)
    start_ms -= start_ms % MINUTE_MS  # some minutes of indices are stamped within the minute
    # Column by column: reading an attribute of all costs a quarter of reading all attributes of one.
    columns = (
        [bar.o for bar in bars],
        [bar.h for bar in bars],
        [bar.l for bar in bars],
        [bar.c for bar in bars],
        [bar.v for bar in bars],
        [bar.vw for bar in bars],
    )
    table = pa.Table.from_arrays(
        [
            pa.array([bar.sym for bar in bars], pa.string()),
            pa.array(start_ms).view(TIMESTAMP),
            *(pa.array(column, pa.float64()) for column in columns),
            pa.array(arrived_ms).view(TIMESTAMP),
            pa.array(arrival),
        ],
        schema=LIVE_BARS,
    )
    return table, int(np.minimum(start_ms + MINUTE_MS, arrived_ms).max())


def _values(values: list[Any], arrived_ms: NDArray[np.int64], arrival: NDArray[np.int64]) -> tuple[pa.Table, int]:
    at_ms = np.array([value.t for value in values], np.int64)
    price = pa.array([value.val for value in values], pa.float64())
    unknown = pa.nulls(len(values), pa.float64())
    table = pa.Table.from_arrays(
        [
            pa.array([value.T for value in values], pa.string()),
            pa.array(at_ms - at_ms % MINUTE_MS).view(TIMESTAMP),
            *(price,) * 4,
            *(unknown,) * 2,
            pa.array(arrived_ms).view(TIMESTAMP),
            pa.array(arrival),
            pa.array(at_ms).view(TIMESTAMP),
        ],
        schema=LIVE_VALUES,
    )
    return table, int(np.minimum(at_ms, arrived_ms).max())
