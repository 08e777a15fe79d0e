"""Which option contracts exist in a generated market, on any date: expirations, strike ladders, symbols.

A ladder is fixed when its expiration is listed, in shares as all splits leave them; a split renames the contracts,
as the clearing house does. This room knows no option prices.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bellwether.calendar import get_calendar
from bellwether.simulator.actions import Actions, trades
from bellwether.simulator.equities import WELL_KNOWN, Equities
from bellwether.simulator.records import Contract, ContractQuery

_SYMBOL = re.compile(r"O:([A-Z0-9a-z]+?)(\d{6})([CP])(\d{8})")
_DAILY = frozenset({"SPY", "QQQ", "IWM", "SPX"})
_NICE = (1.0, 2.5, 5.0, 10.0)
_FRIDAY = 4
_WEEKLY_SINCE, _DAILY_SINCE = date(2010, 6, 1), date(2022, 5, 1)  # about when exchanges began to list them


class Kind(NamedTuple):
    """An expiration's kind: days it is listed before it ends, step and reach of its strikes as shares of the price."""

    days: int
    step: float
    reach: float


_MONTHLY, _WEEKLY, _EVERY_DAY = Kind(200, 0.02, 0.5), Kind(42, 0.01, 0.15), Kind(9, 0.005, 0.08)
_THIN = Kind(130, 0.05, 0.35)  # tickers that few trade: monthly expirations only


class Symbol(NamedTuple):
    """What an option ticker says."""

    root: str
    expiration: date
    contract_type: str
    strike: float


def parse_symbol(ticker: str) -> Symbol | None:
    """Return what an option ticker `O:SPY240119C00470000` says, or None where it is none."""
    match = _SYMBOL.fullmatch(ticker)
    if match is None:
        return None
    root, day, side, strike = match.groups()
    try:
        expiration = date.fromisoformat(f"20{day[:2]}-{day[2:4]}-{day[4:]}")
    except ValueError:
        return None
    return Symbol(root, expiration, "call" if side == "C" else "put", int(strike) / 1000)


def spot_ticker(underlying: str) -> str:
    """Return the ticker whose price moves an underlying's options: `I:SPX` for SPX, itself for a stock."""
    return "I:SPX" if underlying == "SPX" else underlying


class Chains:
    """The contracts of a generated market.

    Parameters
    ----------
    underlyings
        Tickers of stocks that have options; SPX comes with SPY.
    equities, actions
        Where prices stand when strikes are listed, and what splits do to them.
    """

    def __init__(self, underlyings: tuple[str, ...], equities: Equities, actions: Actions) -> None:
        self.underlyings = (*underlyings, "SPX") if "SPY" in underlyings else underlyings
        self._roots = {underlying.replace(".", ""): underlying for underlying in self.underlyings}
        self._equities = equities
        self._actions = actions
        calendar = get_calendar()
        self._sessions = calendar.sessions(calendar.first, calendar.last)
        self._ladder = lru_cache(maxsize=65_536)(self._draw_ladder)
        self._kinds = dict(self._expirations())

    def contracts(self, query: ContractQuery) -> Iterator[Contract]:
        """Yield the contracts asked for: the living as listed on the date, or the expired as they ended."""
        chosen = self.underlyings if query.underlying is None else (query.underlying,)
        # Clamped: a date from outside may lie at the ends of time, where no day can be added.
        as_of = min(max(query.as_of, self._sessions[0]), self._sessions[-1])
        first, last = query.first, query.last
        if query.expired:
            last = min(last, as_of - timedelta(days=1))
        else:
            first, last = max(first, as_of), min(last, as_of + timedelta(days=_MONTHLY.days))
        expirations = get_calendar().sessions(first, last)
        for underlying in chosen:
            if underlying not in self.underlyings:
                continue
            for expiration in expirations:
                yield from self._listed(underlying, expiration, min(as_of, expiration))

    def exists(self, ticker: str, day: date) -> bool:
        """Return whether a contract can be traded on `day`."""
        symbol = parse_symbol(ticker)
        if symbol is None or symbol.expiration < day or symbol.root not in self._roots:
            return False
        strikes = self._strikes(self._roots[symbol.root], symbol.expiration, day)
        return symbol.strike in strikes

    def underlying(self, ticker: str) -> str | None:
        """Return the underlying of an option ticker of this market, or None."""
        symbol = parse_symbol(ticker)
        return None if symbol is None else self._roots.get(symbol.root)

    def _listed(self, underlying: str, expiration: date, day: date) -> Iterator[Contract]:
        root, iso = underlying.replace(".", ""), expiration.isoformat()
        european = underlying == "SPX"
        for strike in self._strikes(underlying, expiration, day):
            for side, contract_type in (("C", "call"), ("P", "put")):
                yield Contract(
                    cfi=f"O{side}{'E' if european else 'A'}{'I' if european else 'S'}PS",
                    contract_type=contract_type,
                    exercise_style="european" if european else "american",
                    expiration_date=iso,
                    primary_exchange="XCBO" if european else "BATO",
                    strike_price=int(strike) if strike.is_integer() else strike,
                    ticker=f"O:{root}{expiration:%y%m%d}{side}{round(strike * 1000):08d}",
                    underlying_ticker=underlying,
                )

    def _strikes(self, underlying: str, expiration: date, day: date) -> tuple[float, ...]:
        """Return the strikes listed on `day` for an expiration, in prices of that day; none before it is listed."""
        kind = self._kind(underlying, expiration)
        if kind is None or day < expiration - timedelta(days=kind.days) or not trades(underlying, day):
            return ()
        scale = 1.0 if underlying == "SPX" else self._actions.scale(underlying, day)
        return tuple(round(strike * scale, 3) for strike in self._ladder(underlying, expiration, kind))

    def _kind(self, underlying: str, expiration: date) -> Kind | None:
        kind = self._kinds.get(expiration)
        if underlying in _DAILY or kind is None:
            return kind
        if underlying in WELL_KNOWN:
            return None if kind is _EVERY_DAY else kind
        return _THIN if kind is _MONTHLY else None

    def _draw_ladder(self, underlying: str, expiration: date, kind: Kind) -> tuple[float, ...]:
        ticker, scale = ("SPY", 10.0) if underlying == "SPX" else (underlying, 1.0)
        listed = expiration - timedelta(days=kind.days)
        position = max(bisect_right(self._sessions, listed) - 1, 0)
        price = scale * float(np.exp(self._equities.daily(ticker)[position]))
        wanted = price * kind.step
        unit = 10.0 ** np.floor(np.log10(wanted))
        step = max(min(_NICE, key=lambda nice: abs(nice * unit - wanted)) * float(unit), 0.5)
        low, high = np.ceil(price * (1 - kind.reach) / step), np.floor(price * (1 + kind.reach) / step)
        return tuple(float(number * step) for number in range(max(int(low), 1), int(high) + 1))

    def _expirations(self) -> Iterator[tuple[date, Kind]]:
        """Yield the sessions on which options can expire: third Fridays, later every week's last, later all."""
        fridays = {session + timedelta(days=_FRIDAY - session.weekday()) for session in self._sessions}
        last_of_week = {self._sessions[bisect_right(self._sessions, friday) - 1]: friday for friday in fridays}
        for session in self._sessions:
            friday = last_of_week.get(session)
            if friday is not None and 15 <= friday.day <= 21:
                yield session, _MONTHLY
            elif friday is not None and session >= _WEEKLY_SINCE:
                yield session, _WEEKLY
            elif session >= _DAILY_SINCE:
                yield session, _EVERY_DAY
