"""The vendor's events as JSON: statuses, aggregates, index values, trades, quotes (POLYGON.md section 2).

Field names are the vendor's; what has no value is left out. Every frame is an array of events, even of one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from bellwether.simulator.records import Maybe

MOST_EVENTS = 1000
"""Events of one frame: of aggregates, a quarter of the 1 MiB that WebSocket clients accept unless told otherwise."""


class Event(NamedTuple):
    """An event as JSON, and when it is broadcast, in ms UTC."""

    due_ms: int
    text: bytes


class Status(msgspec.Struct, frozen=True):
    """What the server says of the connection."""

    status: str
    message: str
    ev: str = "status"


class Aggregate(msgspec.Struct, frozen=True):
    """A bar of a minute (`AM`) or a second (`A`); indices have neither volumes nor averages."""

    ev: str
    sym: str
    v: Maybe[float]
    av: Maybe[float]
    op: float
    vw: Maybe[float]
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    a: Maybe[float]
    z: Maybe[int]
    s: int
    e: int


class Value(msgspec.Struct, frozen=True):
    """An index at a moment."""

    ev: str
    val: float
    T: str
    t: int


class Trade(msgspec.Struct, frozen=True):
    """A trade; of options without id, tape and reporting facility."""

    ev: str
    sym: str
    x: int
    p: float
    s: float
    c: list[int]
    t: int
    q: int
    i: Maybe[str] = msgspec.UNSET
    z: Maybe[int] = msgspec.UNSET


class Quote(msgspec.Struct, frozen=True, rename={"ask_size": "as"}):
    """A quote of an option; a side without an offer has price 0 and size 0."""

    ev: str
    sym: str
    bx: int
    bp: float
    bs: int
    ax: int
    ap: float
    ask_size: int
    t: int
    q: int


encode = msgspec.json.Encoder().encode
"""Return the JSON of an event."""


def status(name: str, message: str) -> bytes:
    """Return the frame of one status."""
    return frame([encode(Status(name, message))])


def frame(texts: Sequence[bytes]) -> bytes:
    """Return the frame of events."""
    return b"[" + b",".join(texts) + b"]"


def frames(texts: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the frames of any number of events."""
    for low in range(0, len(texts), MOST_EVENTS):
        yield frame(texts[low : low + MOST_EVENTS])
