"""What the work of this process costs: counted where it is done, for whoever wants to know.

The transport, the rate limit, the lake and the stage add to the one meter that is on; where none is, nothing is
counted. Adding takes a microsecond and cannot fail. This room knows no dataset, no task and no file.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bellwether.clock import SystemClock
from bellwether.errors import NotFound, RateLimited, VendorError

type Span = Literal["vendor_s", "read_s", "write_s", "limit_wait_s"]
type Amount = Literal["api_calls", "limit_waits", "rows", "bytes_received", "bytes_written"]

MOST_TIMES = 500
"""Of how many errors of a class the times are kept."""

_clock = SystemClock()
_lock = threading.Lock()


@dataclass
class Errors:
    """Errors of one class.

    Attributes
    ----------
    words
        Of the first one, secrets masked.
    times_utc
        When they came, of the first 500.
    last_utc
        When the last one came.
    """

    words: str
    last_utc: datetime
    count: int = 0
    times_utc: list[datetime] = field(default_factory=list)


@dataclass
class Meter:
    """What has been done since it was switched on; seconds, counts and bytes.

    Attributes
    ----------
    vendor_s
        Waiting for the vendor's answers, bodies included.
    read_s, write_s
        Reading and writing the lake.
    limit_wait_s, limit_waits
        Waiting for the turn that a rate limit grants, and how often.
    rows
        Handed on: staged, streamed or published.
    bytes_received
        Bodies of the vendor's, as they came over the line.
    bytes_written
        Into the lake.
    doing
        What is being waited for now, and since when by `time.monotonic`.
    started_utc, started_s, started_cpu_s
        When it was switched on: by the clock, by `time.monotonic`, and what the processor had done by then.
    errors
        The vendor's, by class, those that a further try mended included; that a ticker is unknown is none.
    """

    vendor_s: float = 0.0
    read_s: float = 0.0
    write_s: float = 0.0
    limit_wait_s: float = 0.0
    limit_waits: int = 0
    api_calls: int = 0
    rows: int = 0
    bytes_received: int = 0
    bytes_written: int = 0
    doing: tuple[Span, float] | None = None
    started_utc: datetime = field(default_factory=_clock.now)
    started_s: float = field(default_factory=time.monotonic)
    started_cpu_s: float = field(default_factory=time.process_time)
    errors: dict[str, Errors] = field(default_factory=dict)

    def note(self, name: str, words: str) -> None:
        """Count an error of a class."""
        now = _clock.now()
        with _lock:
            known = self.errors.setdefault(name, Errors(words, now))
            known.count += 1
            known.last_utc = now
            if len(known.times_utc) < MOST_TIMES:
                known.times_utc.append(now)


class _Thread(threading.local):
    """What holds for one thread: what it does within a span belongs to that one, and what measures is not measured."""

    is_timed = False
    is_uncounted = False


_thread = _Thread()
_current: Meter | None = None


def switch_on() -> Meter:
    """Count from now on, into a new meter."""
    global _current  # noqa: PLW0603 - one task has one process
    _current = Meter()
    return _current


def switch_off() -> None:
    """Count no longer."""
    global _current  # noqa: PLW0603
    _current = None


@contextmanager
def timed(span: Span) -> Iterator[None]:
    """Add the time spent in the block; what is timed within another block counts as that alone."""
    meter = _current
    if meter is None or _thread.is_timed or _thread.is_uncounted:
        yield
        return
    began_s = time.monotonic()
    _thread.is_timed, meter.doing = True, (span, began_s)
    try:
        yield
    finally:
        _thread.is_timed, meter.doing = False, None
        with _lock:
            setattr(meter, span, getattr(meter, span) + time.monotonic() - began_s)


@contextmanager
def uncounted() -> Iterator[None]:
    """Count nothing that this thread does in the block."""
    _thread.is_uncounted = True
    try:
        yield
    finally:
        _thread.is_uncounted = False


def count(amount: Amount, number: int = 1) -> None:
    """Add to an amount."""
    meter = _current
    if meter is not None and not _thread.is_uncounted:
        with _lock:
            setattr(meter, amount, getattr(meter, amount) + number)


def note_error(error: VendorError) -> None:
    """Count an answer that was none; that a ticker is unknown is one, and to wait one's turn is no error."""
    meter = _current
    is_turn = isinstance(error, RateLimited) and error.status is None
    if meter is not None and not is_turn and not isinstance(error, NotFound):
        meter.note(type(error).__name__, error.message)
