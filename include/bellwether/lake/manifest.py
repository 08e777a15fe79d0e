"""What is known of a published partition, carried in the Parquet file itself.

One rename therefore commits data and manifest together. This room knows the words, not the files.
"""

import re
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

import msgspec

from bellwether.schemas import LIVE

METADATA_KEY = b"bellwether"

Provenance = Literal["final", "provisional", "simulated"]


class Coverage(StrEnum):
    """What is known of (session, dataset, ticker)."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    EMPTY = "empty"
    UNKNOWN_TICKER = "unknown_ticker"
    NOT_ENTITLED = "not_entitled"
    VENDOR_LATE = "vendor_late"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    MISSING = "missing"
    STALE = "stale"
    NOT_YET_DUE = "not_yet_due"

    @property
    def is_proven(self) -> bool:
        """Whether the vendor's answer settled the matter, so that there is nothing to fetch again."""
        return self in _PROVEN

    @property
    def blocks(self) -> bool:
        """Whether a required ticker in this state keeps its session from being announced."""
        return self in _BLOCKING


_PROVEN = frozenset(
    {Coverage.COMPLETE, Coverage.PARTIAL, Coverage.EMPTY, Coverage.UNKNOWN_TICKER, Coverage.NOT_ENTITLED}
)
_BLOCKING = frozenset(
    {Coverage.FAILED, Coverage.MISSING, Coverage.QUARANTINED, Coverage.VENDOR_LATE, Coverage.NOT_YET_DUE}
)


class Releases(msgspec.Struct, frozen=True):
    """What became of the refused rows of one ticker that people released.

    Attributes
    ----------
    regarded
        The number of the last decision that was taken into account.
    rows
        Digests of released rows that stand among the published ones.
    beside
        Those among them that another answer is the proof of than the one that is published.
    """

    regarded: int
    rows: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()


class TickerCoverage(msgspec.Struct, frozen=True):
    """Coverage of one ticker in one session.

    Attributes
    ----------
    state
        What is known.
    rows
        Published rows.
    quarantined_rows
        Rows refused, kept in quarantine with their reasons.
    duplicates_dropped
        Identical rows the vendor sent more than once.
    stage_id
        The stage this was learnt in, hence the folder of the raw responses that prove it.
    fetched_utc
        When the vendor was asked; an older answer never displaces a newer one. Of equal answers in a row the first,
        or the last where they were refused whole.
    reason
        Why, for every state but `complete`.
    released
        What people released of its refused rows; None where nobody did.
    """

    state: Coverage
    rows: int = 0
    quarantined_rows: int = 0
    duplicates_dropped: int = 0
    stage_id: str = ""
    fetched_utc: datetime | None = None
    reason: str = ""
    released: Releases | None = None


class Universe(msgspec.Struct, frozen=True):
    """The tickers a session is to capture, as they stood at that session: later changes do not rewrite it.

    Attributes
    ----------
    required
        The session is announced only when each is captured or proven, sorted.
    best_effort
        Captured if possible, sorted.
    origin
        The list, file or rule it was resolved from, in words.
    spec_hash
        Hash of that list or rule; another one means that the universe is to be resolved anew.
    resolved_utc
        When.
    raw
        Hash of each raw response file that a rule was resolved from, by name.
    left_out
        Names the rule gave that are no tickers, at most twenty: nothing can ask for them.
    """

    required: tuple[str, ...]
    best_effort: tuple[str, ...] = ()
    origin: str = ""
    spec_hash: str = ""
    resolved_utc: datetime | None = None
    raw: dict[str, str] = msgspec.field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def tickers(self) -> tuple[str, ...]:
        """All tickers, sorted."""
        return tuple(sorted((*self.required, *self.best_effort)))

    @property
    def roles(self) -> dict[str, str]:
        """The role of each ticker: `required` or `best_effort`."""
        return dict.fromkeys(self.required, "required") | dict.fromkeys(self.best_effort, "best_effort")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The record of one publication of one partition.

    Attributes
    ----------
    revision
        Hash of the sorted values (`bellwether.lake.revisions`).
    publication_id
        Unique to this publication; what compare-and-swap compares.
    stage_id, run_id
        The stage it was published from and the run that did it.
    replaces
        Name of the kept revision file that this publication replaced; None for the first of its session.
    inputs
        Revisions of the datasets it was computed from; for a clean dataset, hashes of the raw
        response files by `stage_id/file`.
    warnings
        Counted oddities of the published rows, by name.
    timings_s
        Seconds by step.
    universe
        What the session was to capture when it was published; None where nobody recorded it (schema version 1).
    """

    dataset: str
    session: date
    revision: str
    publication_id: str
    stage_id: str
    run_id: str
    published_utc: datetime
    rows: int
    coverage: dict[str, TickerCoverage]
    schema_version: int
    code_version: str
    config_hash: str
    provenance: Provenance
    replaces: str | None = None
    inputs: dict[str, str] = msgspec.field(default_factory=dict)
    warnings: dict[str, int] = msgspec.field(default_factory=dict)
    api_calls: int = 0
    timings_s: dict[str, float] = msgspec.field(default_factory=dict)
    universe: Universe | None = None

    @property
    def is_provisional(self) -> bool:
        """Whether it comes from streams, or was computed from what does: the daily pull has the last word.

        Told by what it is and was made of, so of a simulated lake, too, whose provenance is `simulated` throughout.
        """
        return any(dataset_of(name) in LIVE for name in (self.dataset, *self.inputs))

    @property
    def quarantined_rows(self) -> int:
        """Rows of this session that were refused."""
        return sum(ticker.quarantined_rows for ticker in self.coverage.values())

    @property
    def blocking(self) -> list[str]:
        """Tickers that keep the session from being announced, sorted."""
        return sorted(ticker for ticker, known in self.coverage.items() if known.state.blocks)


def dataset_of(name: str) -> str:
    """Return the dataset of an input of gold, which is named after it: see `bellwether.consolidate.inputs`."""
    return re.split("[@#]", name)[0]


def encode(record: msgspec.Struct) -> bytes:
    """Return a record as JSON with sorted keys."""
    return msgspec.json.encode(record, order="deterministic")
