"""Which option contracts exist in a generated market, on any date: expirations, strike ladders, symbols.

A ladder is fixed when its expiration is listed. A split into a whole number of shares divides strikes, which renames
the contracts; any other leaves them as they are, under a root with a digit and for another number of shares, beside
new contracts around the new price: as the clearing house does. This room knows no option prices.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bellwether.calendar import get_calendar
from bellwether.simulator.actions import Actions, trades
from bellwether.simulator.equities import WELL_KNOWN, Equities
from bellwether.simulator.records import Contract, ContractQuery, Split

_SYMBOL = re.compile(r"O:([A-Z0-9a-z]+?)(\d{6})([CP])(\d{8})")
_DAILY = frozenset({"SPY", "QQQ", "IWM", "SPX"})
_ADJUSTED = "1"  # ends the roots of adjusted contracts
AM_SETTLED = "SPX"
"""Root of the monthlies that end with the opening of their expiration; SPXW, also on that Friday, end at the close."""

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


class Series(NamedTuple):
    """Contracts of one root and expiration: their strikes, and the shares each delivers."""

    root: str
    strikes: tuple[float, ...]
    shares: int = 100


class Terms(NamedTuple):
    """What a contract is about: its underlying, and the shares it delivers for a hundred times its strike."""

    underlying: str
    shares: int


def spot_ticker(underlying: str) -> str:
    """Return the ticker whose price moves an underlying's options: `I:SPX` for SPX, itself for a stock."""
    return "I:SPX" if underlying == "SPX" else underlying


class Chains:
    """The contracts of a generated market.

    Parameters
    ----------
    underlyings
        Tickers of stocks that have options; SPX, of the roots SPX and SPXW, comes with SPY.
    equities, actions
        Where prices stand when strikes are listed, and what splits do to them.
    """

    def __init__(self, underlyings: tuple[str, ...], equities: Equities, actions: Actions) -> None:
        self.underlyings = (*underlyings, "SPX") if "SPY" in underlyings else underlyings
        plain = {underlying.replace(".", ""): underlying for underlying in self.underlyings}
        adjusted = {f"{root}{_ADJUSTED}": underlying for root, underlying in plain.items()}
        self._roots = adjusted | plain | ({"SPXW": "SPX"} if "SPX" in self.underlyings else {})
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

    def terms(self, ticker: str, day: date) -> Terms | None:
        """Return what a contract that is listed on `day` is about; None where none of that name is."""
        symbol = parse_symbol(ticker)
        if symbol is None or symbol.expiration < day or symbol.root not in self._roots:
            return None
        underlying = self._roots[symbol.root]
        for series in self._series(underlying, symbol.expiration, day):
            if series.root == symbol.root and symbol.strike in series.strikes:
                return Terms(underlying, series.shares)
        return None

    def underlying(self, ticker: str) -> str | None:
        """Return the underlying of an option ticker of this market, or None."""
        symbol = parse_symbol(ticker)
        return None if symbol is None else self._roots.get(symbol.root)

    def _listed(self, underlying: str, expiration: date, day: date) -> Iterator[Contract]:
        iso, european = expiration.isoformat(), underlying == "SPX"
        for root, strikes, shares in self._series(underlying, expiration, day):
            for strike in strikes:
                for side, contract_type in (("C", "call"), ("P", "put")):
                    yield Contract(
                        cfi=f"O{side}{'EIP' if european else 'ASP'}{'S' if shares == 100 else 'N'}",
                        contract_type=contract_type,
                        exercise_style="european" if european else "american",
                        expiration_date=iso,
                        primary_exchange="XCBO" if european else "BATO",
                        shares_per_contract=shares,
                        strike_price=int(strike) if strike.is_integer() else strike,
                        ticker=f"O:{root}{expiration:%y%m%d}{side}{round(strike * 1000):08d}",
                        underlying_ticker=underlying,
                    )

    def _series(self, underlying: str, expiration: date, day: date) -> Iterator[Series]:
        """Yield the series listed on `day` for an expiration, strikes in prices of that day."""
        for root, kind in self._kinds_of(underlying, expiration):
            listed = expiration - timedelta(days=kind.days)
            if day < listed or not trades(underlying, day):
                continue
            splits = [] if underlying == "SPX" else self._actions.between(underlying, listed, day)
            strikes = _divided(self._ladder(underlying, listed, kind), splits)
            odd = [split for split in splits if not split.ratio.is_integer()]
            if odd:
                yield Series(f"{root}{_ADJUSTED}", strikes, round(100 * math.prod(split.ratio for split in odd)))
                last = date.fromisoformat(odd[-1].execution_date)
                strikes = _divided(self._ladder(underlying, last, kind), self._actions.between(underlying, last, day))
            yield Series(root, strikes)

    def _kinds_of(self, underlying: str, expiration: date) -> Iterator[tuple[str, Kind]]:
        """Yield the roots of an underlying that have such an expiration, and its kind for each."""
        kind, root = self._kinds.get(expiration), underlying.replace(".", "")
        if kind is None:
            return
        if underlying == "SPX":
            if kind is _MONTHLY:
                yield AM_SETTLED, kind
            if expiration >= _WEEKLY_SINCE:
                yield "SPXW", _WEEKLY if kind is _MONTHLY else kind
        elif underlying in _DAILY or (underlying in WELL_KNOWN and kind is not _EVERY_DAY):
            yield root, kind
        elif underlying not in WELL_KNOWN and kind is _MONTHLY:
            yield root, _THIN

    def _draw_ladder(self, underlying: str, listed: date, kind: Kind) -> tuple[float, ...]:
        """Return strikes around the price at which the session before the listing ended."""
        ticker = "SPY" if underlying == "SPX" else underlying
        scale = 10.0 if underlying == "SPX" else self._actions.scale(ticker, listed)
        position = max(bisect_left(self._sessions, listed) - 1, 0)
        price = scale * float(np.exp(self._equities.daily(ticker)[position]))
        wanted = price * kind.step
        unit = 10.0 ** np.floor(np.log10(wanted))
        step = max(min(_NICE, key=lambda nice: abs(nice * unit - wanted)) * float(unit), 0.5)
        low, high = np.ceil(price * (1 - kind.reach) / step), np.floor(price * (1 + kind.reach) / step)
        return tuple(round(float(number * step), 3) for number in range(max(int(low), 1), int(high) + 1))

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


def _divided(strikes: tuple[float, ...], splits: Sequence[Split]) -> tuple[float, ...]:
    """Return strikes as the whole splits among `splits` leave them; two that round alike are one."""
    ratio = math.prod(split.ratio for split in splits if split.ratio.is_integer())
    return tuple(dict.fromkeys(round(strike / ratio, 3) for strike in strikes))
