"""What was not heard: intervals with their cause, from when they are opened until they are closed with evidence.

Each event of a gap is one small file that is written once, so there is nothing a crash could leave half done: opened
and not ended is a gap that lasts, ended and not closed one that waits to be filled. One that was over when it was
noticed is one event. Of several who say when it ended the latest is right: nobody can shorten what another relies on.
What is filled of it ticker by ticker stands in further files, so that nobody has to ask for all of them in one go.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import PurePosixPath

import msgspec
import pyarrow as pa

from bellwether.errors import LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode
from bellwether.operational_schemas import GAPS

ALL = ("*",)
"""The symbols of a gap that concerns everything that was subscribed to."""

LATE = timedelta(minutes=16)
"""For how long after its end a minute may still be broadcast anew, and then some."""


class _Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened"):
    gap_id: str
    start_utc: datetime
    symbols: tuple[str, ...]
    cause: str
    opened_utc: datetime
    evidence: str
    end_utc: datetime | None = None


class _Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    gap_id: str
    end_utc: datetime
    evidence: str


class Filled(msgspec.Struct, frozen=True):
    """What was found of one ticker in the minutes that a gap may have hidden.

    Attributes
    ----------
    minutes, volume
        That REST has of it; the live rows have them too.
    added, changed
        Of those, minutes that nobody had heard, and such as were heard otherwise.
    refused
        `unknown_ticker` or `not_entitled` where REST told that instead: what was heard stands, and more is not to be
        had.
    taken_back
        Minutes that were heard and REST has not.
    """

    minutes: int
    volume: float
    added: int
    changed: int
    refused: str = ""
    taken_back: int = 0


class _Filled(msgspec.Struct, frozen=True, kw_only=True, tag="filled"):
    gap_id: str
    tickers: dict[str, Filled]


class _Closed(msgspec.Struct, frozen=True, kw_only=True, tag="closed"):
    gap_id: str
    closed_utc: datetime
    evidence: str


_Event = _Opened | _Ended | _Filled | _Closed


@dataclass(frozen=True, kw_only=True)
class Gap:
    """An interval whose broadcasts may not have been heard.

    Attributes
    ----------
    start_utc, end_utc
        The interval in which they were due, by the feed's time; `end_utc` is None while it lasts.
    symbols
        `ALL`, or some.
    cause
        One word.
    opened_utc, closed_utc
        When it was noticed, and when what it hid was filled.
    evidence
        What was seen when it was opened, ended and closed.
    filled
        What is proven to be filled of it so far, by ticker.
    """

    gap_id: str
    start_utc: datetime
    end_utc: datetime | None = None
    symbols: tuple[str, ...]
    cause: str
    opened_utc: datetime
    closed_utc: datetime | None = None
    evidence: str
    filled: Mapping[str, Filled] = field(default_factory=dict)

    @property
    def lasts(self) -> bool:
        """Whether nobody listens yet."""
        return self.end_utc is None

    def minutes_at_risk(self, now: datetime) -> tuple[datetime, datetime]:
        """Return from which minute's start on, and until when, minutes may lack or be out of date.

        A broadcast that was not heard may have been the first of the minute just over, or the last of one long over.
        """
        return self.start_utc - LATE, self.end_utc or now


class GapLog:
    """The gaps of one streamed (dataset, session).

    Parameters
    ----------
    lake, dataset, session
        Whose.
    author
        Part of the gaps' names: whoever opens them.
    """

    def __init__(self, lake: Lake, dataset: str, session: date, author: str) -> None:
        self._storage = lake.storage
        self._dataset = dataset
        self._session = session
        self._folder = paths.gaps(dataset, session)
        self._author = author
        self._mark = secrets.token_hex(4)  # an author's name twice might be too long for a file's
        self._numbers = count(1)

    def open(
        self,
        start: datetime,
        symbols: Sequence[str],
        cause: str,
        now: datetime,
        evidence: str,
        *,
        end: datetime | None = None,
    ) -> Gap:
        """Open a gap, or with `end` tell of one that is over; it is on disk when this returns."""
        gap_id = f"{now:%Y%m%dT%H%M%S%f}-{self._author}-{next(self._numbers)}"
        opened = _Opened(
            gap_id=gap_id,
            start_utc=start,
            symbols=tuple(symbols),
            cause=cause,
            opened_utc=now,
            evidence=evidence,
            end_utc=None if end is None else max(end, start),
        )
        self._write(opened)
        return _begin(opened)

    def end(self, gap: Gap, end: datetime, evidence: str = "") -> Gap:
        """Say from when on somebody listens again; where others say so, too, the latest end stands."""
        ended = _Ended(gap_id=gap.gap_id, end_utc=max(end, gap.start_utc), evidence=evidence)
        self._write(ended, f".{self._mark}")
        return _go_on(gap, ended)

    def end_all(self, end: datetime, evidence: str) -> list[Gap]:
        """End every gap that lasts, whoever opened it, and return those."""
        return [self.end(gap, end, evidence) for gap in self.read() if gap.lasts]

    def fill(self, gap: Gap, tickers: Mapping[str, Filled]) -> Gap:
        """Say of some tickers that what it hid of them is filled."""
        filled = _Filled(gap_id=gap.gap_id, tickers=dict(sorted(tickers.items())))
        self._write(filled, f".{self._author}-{next(self._numbers)}")
        return _go_on(gap, filled)

    def close(self, gap: Gap, now: datetime, evidence: str) -> Gap | None:
        """Say that what it hid is filled, and how that is known; None where another has said so before."""
        closed = _Closed(gap_id=gap.gap_id, closed_utc=now, evidence=evidence)
        if not self._storage.swap(self._key(closed), encode(closed), expected=None):
            return None
        return _go_on(gap, closed)

    def read(self) -> list[Gap]:
        """Return all gaps, in the order in which they were opened."""
        events = [self._event(key) for key in sorted(entry.key for entry in self._storage.list(self._folder))]
        gaps = {event.gap_id: _begin(event) for event in events if isinstance(event, _Opened)}
        for event in sorted((each for each in events if not isinstance(each, _Opened)), key=_order):
            if event.gap_id in gaps:  # a listing may miss what is written while it is made
                gaps[event.gap_id] = _go_on(gaps[event.gap_id], event)
        return sorted(gaps.values(), key=lambda gap: (gap.opened_utc, gap.gap_id))

    def table(self) -> pa.Table:
        """Return all gaps as rows of schema `GAPS`."""
        rows = [
            {**vars(gap), "symbols": list(gap.symbols), "dataset": self._dataset, "session": self._session}
            for gap in self.read()
        ]
        return pa.Table.from_pylist(rows, schema=GAPS)

    def _write(self, event: _Event, part: str = "") -> None:
        self._storage.write(self._key(event, part), encode(event))

    def _key(self, event: _Event, part: str = "") -> PurePosixPath:
        return self._folder / f"{event.gap_id}.{event.__struct_config__.tag}{part}.json"

    def _event(self, key: PurePosixPath) -> _Event:
        stored = self._storage.read(key)
        if stored is None:
            msg = f"{self._storage.url(key)} is gone while it is read: somebody deletes gaps"
            raise LakeError(msg)
        event: _Event = msgspec.json.decode(stored.content, type=_Event)
        return event


def _begin(event: _Opened) -> Gap:
    return Gap(
        gap_id=event.gap_id,
        start_utc=event.start_utc,
        symbols=event.symbols,
        cause=event.cause,
        opened_utc=event.opened_utc,
        evidence=event.evidence,
        end_utc=event.end_utc,
    )


def _order(event: _Ended | _Filled | _Closed) -> tuple[str, bool]:
    return event.gap_id, isinstance(event, _Closed)


def _go_on(gap: Gap, event: _Ended | _Filled | _Closed) -> Gap:
    if isinstance(event, _Filled):
        return replace(gap, filled={**gap.filled, **event.tickers})
    evidence = "; ".join(filter(None, (gap.evidence, event.evidence)))
    if isinstance(event, _Ended):
        return replace(gap, end_utc=max(gap.end_utc or event.end_utc, event.end_utc), evidence=evidence)
    return replace(gap, closed_utc=event.closed_utc, evidence=evidence)
