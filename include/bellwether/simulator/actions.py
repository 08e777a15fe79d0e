"""What happens to the companies of a generated market: listings, delistings, new names, splits, dividends.

All of it follows from seed and ticker. Prices are not known here, only how splits scale them.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple

from bellwether.calendar import get_calendar
from bellwether.simulator.records import Dividend, Split
from bellwether.simulator.seeds import draw, identifier

ETFS = frozenset({"SPY", "QQQ", "IWM"})

_SPLIT_COUNTS = (0, 0, 0, 1, 1, 2)
_SPLIT_RATIOS = ((1, 2), (1, 2), (1, 3), (1, 4), (2, 3), (1, 10), (4, 1), (10, 1))
_PAYER_SHARE = 0.5
_DECLARED_AHEAD = timedelta(days=21)
_ANNOUNCED_LATE_SHARE = 0.05  # of dividends without a known declaration date
_T_PLUS_1 = date(2024, 5, 28)  # since when the record date is the ex-date


class Life(NamedTuple):
    """When a symbol trades: first and last session, None for always; and whose symbol it is."""

    company: str
    first: date | None = None
    last: date | None = None


LIVES = {
    "LNCA": Life("LNCA", first=date(2021, 9, 15)),
    "LNCB": Life("LNCB", first=date(2024, 3, 21)),
    "ENDA": Life("ENDA", last=date(2022, 11, 11)),
    "ENDB": Life("ENDB", last=date(2024, 2, 9)),
    "OLDN": Life("NEWN", last=date(2022, 6, 8)),
    "NEWN": Life("NEWN", first=date(2022, 6, 9)),
    "PREV": Life("POST", last=date(2024, 5, 31)),
    "POST": Life("POST", first=date(2024, 6, 3)),
}
"""Symbols that do not live for ever; OLDN became NEWN and PREV became POST. All others are listed on every session."""

HALTED, SPLITTING = "HALT", "SPLT"
"""HALT does not open on Wednesdays. SPLT splits 4 for 1 each July, and 1 for 4 each January, on the first session."""

_WEDNESDAY = 2


def life(ticker: str) -> Life:
    """Return when `ticker` trades."""
    return LIVES.get(ticker, Life(ticker))


def trades(ticker: str, day: date) -> bool:
    """Return whether `ticker` is listed on `day`."""
    _, first, last = life(ticker)
    return (first is None or day >= first) and (last is None or day <= last)


def halted(ticker: str, day: date) -> bool:
    """Return whether trading in a listed `ticker` is halted all day."""
    return ticker == HALTED and day.weekday() == _WEDNESDAY


class Actions:
    """Splits and dividends of a generated market's tickers."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        calendar = get_calendar()
        self._sessions = calendar.sessions(calendar.first, calendar.last)
        self._company_splits = cache(self._draw_splits)

    def splits(self, ticker: str) -> list[Split]:
        """Return the splits executed under this symbol, oldest first."""
        every = self._company_splits(life(ticker).company)
        return [
            Split(split.id, ticker, split.execution_date, split.split_from, split.split_to)
            for split in every
            if trades(ticker, date.fromisoformat(split.execution_date))
        ]

    def between(self, ticker: str, after: date, until: date) -> list[Split]:
        """Return the company's splits executed after a day and until another, included; oldest first."""
        first, last = after.isoformat(), until.isoformat()
        return [split for split in self._company_splits(life(ticker).company) if first < split.execution_date <= last]

    def scale(self, ticker: str, day: date, until: date = date.max) -> float:
        """Return how many shares at `until` one share of `day` has become."""
        return math.prod((split.ratio for split in self.between(ticker, day, until)), start=1.0)

    def dividends(self, ticker: str, price: float) -> Iterator[Dividend]:
        """Yield the dividends of `ticker`, oldest first; `price` is about what a share of today costs."""
        company = life(ticker).company
        rng = draw(self._seed, company, "dividends")
        payer, offset, rate = rng.random() < _PAYER_SHARE, int(rng.integers(3)), 0.005 + 0.03 * rng.random()
        if not payer and ticker not in ETFS:
            return
        for year in range(self._sessions[0].year, self._sessions[-1].year + 1):
            for month in (1 + offset, 4 + offset, 7 + offset, 10 + offset):
                position = bisect_left(self._sessions, date(year, month, int(rng.integers(8, 21))))
                undeclared = rng.random() < _ANNOUNCED_LATE_SHARE
                if position + 11 < len(self._sessions) and trades(ticker, self._sessions[position]):
                    yield self._dividend(ticker, position, price * rate / 4, undeclared=undeclared)

    def _dividend(self, ticker: str, position: int, amount: float, *, undeclared: bool) -> Dividend:
        day = self._sessions[position]
        record = day if day >= _T_PLUS_1 else self._sessions[position + 1]
        dated = {} if undeclared else {"declaration_date": (day - _DECLARED_AHEAD).isoformat()}
        return Dividend(
            id=identifier(self._seed, ticker, "dividend", day.isoformat()),
            ticker=ticker,
            cash_amount=round(float(amount) * self.scale(ticker, day), 4),
            dividend_type="CD",
            ex_dividend_date=day.isoformat(),
            frequency=4,
            pay_date=self._sessions[position + 10].isoformat(),
            record_date=record.isoformat(),
            **dated,
        )

    def _draw_splits(self, company: str) -> tuple[Split, ...]:
        if company in ETFS:
            return ()
        if company == SPLITTING:
            years = range(self._sessions[0].year + 1, self._sessions[-1].year)
            firsts = [date(year, month, 1) for year in years for month in (1, 7)]
            days = [self._sessions[bisect_left(self._sessions, first)] for first in firsts]
            ratios = [(4, 1) if day.month == 1 else (1, 4) for day in days]
        else:
            rng = draw(self._seed, company, "splits")
            rows = rng.integers(1, len(self._sessions), rng.choice(_SPLIT_COUNTS))
            days = sorted(self._sessions[row] for row in rows)
            ratios = [_SPLIT_RATIOS[kind] for kind in rng.integers(len(_SPLIT_RATIOS), size=len(days))]
        return tuple(
            Split(identifier(self._seed, company, "split", day.isoformat()), company, day.isoformat(), old, new)
            for day, (old, new) in zip(days, ratios, strict=True)
        )
