"""What has come and is not yet on disk, in order: frames as they came, and notes of what happened between them.

The reader only appends, the writer takes from the front and says when it is done; both live in one event loop, so
nothing is locked. What the inbox has no room for is counted, and the count takes its place in the order: never a
silent loss.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """A message of the feed; `arrived_ms` is the feed's time, ms UTC."""

    content: bytes
    arrived_ms: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone, or could not be made."""

    cause: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Listening:
    """Every topic of a new connection is acknowledged."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Alive:
    """A silent connection answered what it was asked at `asked_ms`: nothing was broadcast before that did not come."""

    asked_ms: int


@dataclass(frozen=True, slots=True)
class Added:
    """Tickers joined without a new connection."""

    tickers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The vendor does not serve some tickers, in its words."""

    tickers: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Frames found no room, the last of them at `until_ms`."""

    frames: int
    until_ms: int


type Note = Lost | Listening | Alive | Added | Refused | Dropped
type Item = Frame | Note


class Inbox:
    """A bounded queue.

    Parameters
    ----------
    most_bytes
        What frames may take, those being written included.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._items: deque[Item] = deque()
        self._dropped: Dropped | None = None
        self._latest_ms = 0
        self.events = 0
        self.notes = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, frame: Frame) -> None:
        """Append a frame, or count it where there is no room.

        A clock that is set back must not make what came later older: the last word on a minute is the last to come.
        """
        if frame.arrived_ms < self._latest_ms:
            frame = Frame(frame.content, self._latest_ms)
        self._latest_ms = frame.arrived_ms
        if self._bytes + len(frame.content) > self._most_bytes:
            before = self._dropped.frames if self._dropped else 0
            self._dropped = Dropped(before + 1, frame.arrived_ms)
            return
        self._tell_of_drops()
        self._items.append(frame)
        self._bytes += len(frame.content)
        self.events += _events(frame)

    def note(self, note: Note) -> None:
        """Append a note; there is always room."""
        self._tell_of_drops()
        self._items.append(note)
        self.notes += 1

    def waiting(self) -> list[Item]:
        """Return what is to be written, in order; it stays until `done`."""
        if not self._items:
            self._tell_of_drops()
        return list(self._items)

    def done(self, count: int) -> None:
        """Forget so many items from the front: they are on disk."""
        for _ in range(count):
            item = self._items.popleft()
            if isinstance(item, Frame):
                self._bytes -= len(item.content)
                self.events -= _events(item)
            else:
                self.notes -= 1

    def _tell_of_drops(self) -> None:
        if self._dropped is not None:
            self._items.append(self._dropped)
            self.notes += 1
            self._dropped = None


def _events(frame: Frame) -> int:
    return frame.content.count(b"}")


def stretches(items: list[Item], most_events: int) -> Iterator[list[Frame] | Note]:
    """Yield the items in order, frames that follow each other together, up to about so many events."""
    frames: list[Frame] = []
    events = 0
    for item in items:
        if frames and (events >= most_events or not isinstance(item, Frame)):
            yield frames
            frames, events = [], 0
        if isinstance(item, Frame):
            frames.append(item)
            events += _events(item)
        else:
            yield item
    if frames:
        yield frames
