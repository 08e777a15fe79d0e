"""A lake of Bellwether's own served as the vendor would: what was captured, captured again or replayed.

Bars are those of `equities`, `options` and `indices`; contracts, quotes and open interest those of each session's
`contracts` and `options_snapshot`; news, splits, dividends and yields as published. What the lake lacks there is none
of, and it has no model. This room reads published rows; how they become the vendor's records is `lakerows`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from bellwether.calendar import NEW_YORK
from bellwether.lake import Lake
from bellwether.simulator import lakerows
from bellwether.simulator.archive import last_close
from bellwether.simulator.bars import EMPTY, Bars
from bellwether.simulator.lakerows import Version
from bellwether.simulator.records import (
    NEVER,
    Article,
    Contract,
    ContractQuery,
    Dividend,
    Listing,
    Quotes,
    Split,
    TreasuryYield,
)

_PREFIXES = {"O:": "options", "I:": "indices"}
_BARS = ("equities", "options", "indices")
_CACHED_SESSIONS = 16


class LakeMarket:
    """The published rows of a lake.

    Parameters
    ----------
    root
        The lake: a folder, or a URL as `lake.root` of the settings has it.
    start, end
        First and last session served; None leaves that side open.

    Raises
    ------
    LakeError
        There is no such lake.
    """

    def __init__(self, root: str | Path, *, start: date | None = None, end: date | None = None) -> None:
        self._lake = Lake.open(root)
        first, last = start or date.min, end or date.max
        self._sessions = {
            dataset: [session for session in self._lake.sessions(dataset) if first <= session <= last]
            for dataset in (*_BARS, "contracts", "options_snapshot", "news", "splits", "dividends", "rates")
        }
        self._days = sorted({session for dataset in _BARS for session in self._sessions[dataset]})
        self._bars = lru_cache(maxsize=_CACHED_SESSIONS)(self._read_bars)
        self._contracts = lru_cache(maxsize=_CACHED_SESSIONS)(self._read_contracts)
        self._snapshot = lru_cache(maxsize=_CACHED_SESSIONS)(self._read_snapshot)

    def has_ticker(self, ticker: str) -> bool:
        """Return whether rows of `ticker` are published on any session."""
        return ticker in self._known

    def days(self, start: date, end: date) -> list[date]:
        """Return the sessions of which any bars are published, from `start` to `end`, ascending."""
        return [day for day in self._days if start <= day <= end]

    def bars(self, ticker: str, day: date) -> Bars:
        """Return the bars published of `ticker`."""
        return self._bars(_PREFIXES.get(ticker[:2], "equities"), day).get(ticker, EMPTY)

    def daily(self, _ticker: str, _day: date) -> Bars:
        """Return no day bar: minutes make it."""
        return EMPTY

    def scale(self, ticker: str, day: date, until: date) -> float:
        """Return how many shares at `until` one share of `day` has become by the newest published splits."""
        scale = 1.0
        for split in self._splits:
            if split.ticker == ticker and day.isoformat() < split.execution_date <= until.isoformat():
                scale *= split.ratio
        return scale

    def equities(self) -> Sequence[str]:
        """Return the stocks that have bars on any session."""
        return sorted(ticker for ticker in self._known if ":" not in ticker)

    def listings(self, _day: date) -> Iterator[Listing]:
        """Yield what bars tell of symbols: that they are there."""
        for ticker in self.equities():
            yield Listing(ticker=ticker, name=ticker, market="stocks", active=True)
        for ticker in sorted(ticker for ticker in self._known if ticker.startswith("I:")):
            yield Listing(ticker=ticker, name=ticker, market="indices", active=True)

    def splits(self, ticker: str | None) -> list[Split]:
        """Return the splits of the newest partition."""
        return [split for split in self._splits if ticker in {None, split.ticker}]

    def dividends(self, ticker: str | None) -> list[Dividend]:
        """Return the dividends of the newest partition."""
        return [dividend for dividend in self._dividends if ticker in {None, dividend.ticker}]

    def articles(
        self, first: datetime, last: datetime, ticker: str | None, *, newest_first: bool, as_of: datetime
    ) -> Iterator[Article]:
        """Yield the articles published from `first` to `last`, each in the last version seen by `as_of`, or the first.

        Articles captured after their session were seen later than anybody could have read them: they come as captured.
        """
        for published, versions in reversed(self._news) if newest_first else self._news:
            if first <= published <= last:
                seen = [version for version in versions if version.first_seen <= as_of] or versions[:1]
                if ticker is None or ticker in seen[-1].article.tickers:
                    yield seen[-1].article

    def yields(self, first: date, last: date) -> list[TreasuryYield]:
        """Return the yields published by any partition, ascending by day."""
        return [row for row in self._yields if first.isoformat() <= row.date <= last.isoformat()]

    def contracts(self, query: ContractQuery) -> Iterator[Contract]:
        """Yield the contracts asked for, among those of the last session by then that has any."""
        sessions = self._sessions["contracts"]
        at = bisect_right(sessions, query.as_of)
        first, last, as_of = query.first.isoformat(), query.last.isoformat(), query.as_of.isoformat()
        for contract in self._contracts(sessions[at - 1]) if at else ():
            if (
                query.underlying in {None, contract.underlying_ticker}
                and first <= contract.expiration_date <= last
                and (contract.expiration_date < as_of) == query.expired
            ):
                yield contract

    def spot(self, underlying: str, moment: datetime) -> float | None:
        """Return the underlying's last close by `moment`; None where the lake has none of it."""
        index = f"I:{underlying}"
        return last_close(self, index if index in self._known else underlying, moment)

    def quotes(self, _underlying: str, contracts: Sequence[Contract], moment: datetime) -> Quotes:
        """Return the quotes of the session's snapshot, once it has been taken; a session has one."""
        found = self._snapshot(moment.astimezone(NEW_YORK).date())
        now_ms, none = int(moment.timestamp() * 1000), (np.nan, np.nan, 0, 0, NEVER)
        rows = [found.get(contract.ticker, lakerows.NO_SNAPSHOT) for contract in contracts]
        told = [row.quote if 0 <= row.taken_ms <= now_ms else none for row in rows]
        bid, ask, bid_size, ask_size, updated_ms = np.array(told, dtype=np.float64).reshape(-1, 5).T
        return Quotes(bid, ask, bid_size.astype(np.int64), ask_size.astype(np.int64), updated_ms.astype(np.int64))

    def model(self, _underlying: str, _contracts: Sequence[Contract], _moment: datetime) -> None:
        """Return nothing: the lake has no model."""
        return

    def open_interest(self, contract: Contract, day: date) -> int | None:
        """Return the open interest of the session's snapshot."""
        return self._snapshot(day).get(contract.ticker, lakerows.NO_SNAPSHOT).open_interest

    @cached_property
    def _known(self) -> frozenset[str]:
        manifests = (self._lake.manifest(dataset, session) for dataset in _BARS for session in self._sessions[dataset])
        return frozenset(
            ticker
            for manifest in manifests
            if manifest is not None
            for ticker, coverage in manifest.coverage.items()
            if coverage.rows
        )

    @cached_property
    def _splits(self) -> list[Split]:
        return lakerows.splits(self._newest("splits"))

    @cached_property
    def _dividends(self) -> list[Dividend]:
        return lakerows.dividends(self._newest("dividends"))

    @cached_property
    def _yields(self) -> list[TreasuryYield]:
        return lakerows.yields([self._table("rates", session) for session in self._sessions["rates"]])

    @cached_property
    def _news(self) -> list[tuple[datetime, list[Version]]]:
        return lakerows.articles([self._table("news", session) for session in self._sessions["news"]])

    def _newest(self, dataset: str) -> pa.Table | None:
        sessions = self._sessions[dataset]
        return self._table(dataset, sessions[-1]) if sessions else None

    def _table(self, dataset: str, session: date) -> pa.Table | None:
        found = self._lake.partition(dataset, session) if session in self._sessions[dataset] else None
        return None if found is None else found.table

    def _read_bars(self, dataset: str, session: date) -> dict[str, Bars]:
        return lakerows.bars(self._table(dataset, session))

    def _read_contracts(self, session: date) -> list[Contract]:
        return lakerows.contracts(self._table("contracts", session))

    def _read_snapshot(self, session: date) -> dict[str, lakerows.SnapshotRow]:
        return lakerows.snapshot(self._table("options_snapshot", session))
