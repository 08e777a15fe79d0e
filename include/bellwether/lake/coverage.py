"""The ledger: what is known of every (session, dataset, ticker), read from the partitions themselves.

The ledger judges completeness, not the list of Airflow runs: a session that no run ever touched is
`missing` here. For sessions of which nothing could be published, the record of the last failure speaks.
"""

from dataclasses import dataclass
from datetime import date

import msgspec

from bellwether.calendar import get_calendar
from bellwether.due import delay
from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.lake.manifest import Coverage, Manifest, TickerCoverage, encode


class FailureRecord(msgspec.Struct, frozen=True):
    """Why nothing of a session could be published, by ticker."""

    coverage: dict[str, TickerCoverage]


@dataclass(frozen=True)
class SessionCoverage:
    """What is known of one session of one dataset.

    Attributes
    ----------
    tickers
        Coverage of every ticker asked for or published.
    manifest
        The published manifest, None where nothing is published.
    """

    session: date
    tickers: dict[str, TickerCoverage]
    manifest: Manifest | None

    @property
    def unproven(self) -> list[str]:
        """Tickers that still have to be fetched, sorted."""
        return sorted(ticker for ticker, known in self.tickers.items() if not known.state.is_proven)

    @property
    def state(self) -> Coverage:
        """The worst state of all tickers: what the session as a whole can claim."""
        states = {known.state for known in self.tickers.values()}
        return next((state for state in _WORST_FIRST if state in states), Coverage.EMPTY)


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


def session_coverage(lake: Lake, dataset: str, session: date, universe: tuple[str, ...]) -> SessionCoverage:
    """Return what is known of one session.

    Parameters
    ----------
    lake, dataset, session
        What to look at.
    universe
        Tickers that should be there; one of which nothing is known is `missing`, or `not_yet_due`.
    """
    manifest = lake.manifest(dataset, session)
    known = dict(manifest.coverage) if manifest else _failures(lake, dataset, session)
    is_due = get_calendar().hours(session).post_close + delay(dataset) <= lake.clock.now()
    absent = TickerCoverage(
        Coverage.MISSING if is_due else Coverage.NOT_YET_DUE,
        reason="never fetched" if is_due else "the session is not due",
    )
    return SessionCoverage(session, {ticker: absent for ticker in universe} | known, manifest)


def record_failures(lake: Lake, dataset: str, session: date, coverage: dict[str, TickerCoverage]) -> None:
    """Record why a session has nothing published; a publication removes the record."""
    if lake.manifest(dataset, session) is None:
        record = FailureRecord(_failures(lake, dataset, session) | coverage)
        lake.storage.write(paths.failures(dataset, session), encode(record))


def _failures(lake: Lake, dataset: str, session: date) -> dict[str, TickerCoverage]:
    stored = lake.storage.read(paths.failures(dataset, session))
    return msgspec.json.decode(stored.content, type=FailureRecord).coverage if stored else {}
