"""The ledger: what is known of every (session, dataset, ticker), read from the partitions themselves.

The ledger judges completeness, not the list of Airflow runs: a session that no run ever touched is
`missing` here. For sessions of which nothing could be published, the record of the last failure speaks.
"""

from dataclasses import dataclass
from datetime import date, datetime

import msgspec
from msgspec import structs

from bellwether.calendar import SessionHours, get_calendar
from bellwether.due import DUE, why_missed
from bellwether.errors import LakeError
from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.lake.manifest import Coverage, Manifest, TickerCoverage, Universe, encode


class FailureRecord(msgspec.Struct, frozen=True):
    """Why nothing of a session could be published, by ticker."""

    coverage: dict[str, TickerCoverage]


@dataclass(frozen=True)
class SessionCoverage:
    """What is known of one session of one dataset.

    Attributes
    ----------
    universe
        What the session is to capture. Empty where only a rule could tell, and none was resolved yet.
    tickers
        Coverage of every ticker of the universe, and of every other that was fetched or published.
    manifest
        The published manifest, None where nothing is published.
    is_due
        Whether the session can be captured by now.
    """

    session: date
    universe: Universe
    tickers: dict[str, TickerCoverage]
    manifest: Manifest | None
    is_due: bool

    @property
    def unproven(self) -> list[str]:
        """Tickers of the universe that still have to be fetched, sorted. Nobody waits for those that left it."""
        return [ticker for ticker in self.universe.tickers if not self.tickers[ticker].state.is_proven]

    @property
    def lacking(self) -> list[str]:
        """The required ones among them."""
        return [ticker for ticker in self.universe.required if not self.tickers[ticker].state.is_proven]

    @property
    def blocking(self) -> list[str]:
        """Required tickers that keep the session from being announced, sorted."""
        return [ticker for ticker in self.universe.required if self.tickers[ticker].state.blocks]

    @property
    def state(self) -> Coverage:
        """The worst state of the required tickers: what the session as a whole can claim."""
        states = {self.tickers[ticker].state for ticker in self.universe.required}
        if not states:
            return Coverage.EMPTY if self.manifest else Coverage.MISSING if self.is_due else Coverage.NOT_YET_DUE
        return next((state for state in _WORST_FIRST if state in states), Coverage.EMPTY)

    @property
    def is_complete(self) -> bool:
        """Whether every required ticker is settled; a session that captures nobody is, once that is published."""
        return bool(self.universe.required or self.manifest) and not self.lacking


_WORST_FIRST = (
    Coverage.FAILED,
    Coverage.MISSING,
    Coverage.NOT_YET_DUE,
    Coverage.VENDOR_LATE,
    Coverage.STALE,
    Coverage.QUARANTINED,
    Coverage.PARTIAL,
    Coverage.COMPLETE,
    Coverage.NOT_ENTITLED,
    Coverage.UNKNOWN_TICKER,
)


def session_coverage(lake: Lake, dataset: str, session: date, named: Universe | None) -> SessionCoverage:
    """Return what is known of one session, judged by the universe stored for it.

    Parameters
    ----------
    lake, dataset, session
        What to look at.
    named
        The tickers the configuration names today: those the stored universe lacks were added since, and the session
        owes them too. None where only a rule could tell.
    """
    manifest = lake.manifest(dataset, session)
    known = dict(manifest.coverage) if manifest else _failures(lake, dataset, session)
    stored = _recorded_universe(lake, dataset, session) or (manifest.universe if manifest else None)
    untouched = _untouched(dataset, get_calendar().hours(session), lake.clock.now())
    # Partitions published before universes were stored are judged by the tickers they hold.
    universe = _with_added(stored, named) if stored or named else Universe(tuple(sorted(known)))
    tickers = dict.fromkeys(universe.tickers, untouched) | known
    return SessionCoverage(session, universe, tickers, manifest, untouched.state is Coverage.MISSING)


def stored_universe(lake: Lake, dataset: str, session: date) -> Universe | None:
    """Return the universe that was resolved for a session: as last planned, else as published; None if never."""
    recorded = _recorded_universe(lake, dataset, session)
    if recorded is not None:
        return recorded
    manifest = lake.manifest(dataset, session)
    return manifest.universe if manifest else None


def store_universe(lake: Lake, dataset: str, session: date, universe: Universe) -> None:
    """Record which tickers a session is to capture; publishing takes the record into the manifest."""
    lake.storage.write(paths.universe(dataset, session), encode(universe))


def record_failures(lake: Lake, dataset: str, session: date, coverage: dict[str, TickerCoverage]) -> None:
    """Record why a session has nothing published; a publication removes the record."""
    if lake.manifest(dataset, session) is None:
        record = FailureRecord(_failures(lake, dataset, session) | coverage)
        lake.storage.write(paths.failures(dataset, session), encode(record))


def _failures(lake: Lake, dataset: str, session: date) -> dict[str, TickerCoverage]:
    stored = lake.storage.read(paths.failures(dataset, session))
    return msgspec.json.decode(stored.content, type=FailureRecord).coverage if stored else {}


def _recorded_universe(lake: Lake, dataset: str, session: date) -> Universe | None:
    key = paths.universe(dataset, session)
    stored = lake.storage.read(key)
    try:
        return msgspec.json.decode(stored.content, type=Universe) if stored else None
    except msgspec.MsgspecError as error:
        msg = f"{lake.storage.url(key)} is damaged ({error}); delete it: the next run resolves the universe anew"
        raise LakeError(msg) from error


def _with_added(stored: Universe | None, named: Universe | None) -> Universe:
    if stored is None or named is None:
        return stored or named or Universe(())
    owed = set(stored.tickers)
    return structs.replace(
        stored,
        required=tuple(sorted({*stored.required, *(set(named.required) - owed)})),
        best_effort=tuple(sorted({*stored.best_effort, *(set(named.best_effort) - owed)})),
    )


def _untouched(dataset: str, hours: SessionHours, now: datetime) -> TickerCoverage:
    if DUE[dataset](hours) <= now:
        return TickerCoverage(Coverage.MISSING, reason=why_missed(dataset, hours, now) or "never fetched")
    return TickerCoverage(Coverage.NOT_YET_DUE, reason="the session is not due")
