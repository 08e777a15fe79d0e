"""The generated market's volatility, and its indices: I:SPX follows SPY, I:VIX follows from the smile on it.

An underlying's volatility at the money wanders between sessions, rises when its price falls, and is known at every
minute. So options, the chain's snapshot and I:VIX tell one story. This room knows no contracts and no HTTP.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from bellwether.calendar import get_calendar
from bellwether.simulator.actions import ETFS
from bellwether.simulator.bars import NO_COUNT, Bars, Floats, Ints
from bellwether.simulator.equities import MARKET_SIGMA, Equities
from bellwether.simulator.seeds import draw
from bellwether.simulator.smile import VIX_YEARS, at_the_money, volatility_index

INDICES = {"I:SPX": "S&P 500 Index (simulated)", "I:VIX": "Cboe Volatility Index (simulated)"}
"""Tickers and names."""

LATE = timedelta(minutes=15)
"""How long after the close, on half days too, options on indices and index funds trade, and I:VIX is computed.

Cboe also computes VIX from 03:15 to 09:15 New York; those minutes are not served.
"""

_SPX_STALE = timedelta(minutes=21)  # real files of I:SPX repeat the closing value until 16:20

_SPX_PER_SPY = 10.0
_LATE_UNDERLYINGS = ETFS | {"I:SPX"}
_PULL = 0.96  # share of yesterday's log distance from the usual volatility that remains
_LEVERAGE = 4.0  # log volatility per log price, downwards
_NOISE = 0.03


@cache
def trading_end(underlying: str, day: date) -> datetime:
    """Return when options on a ticker (`I:SPX`, or a stock) end trading on a session."""
    return get_calendar().hours(day).close + (LATE if underlying in _LATE_UNDERLYINGS else timedelta(0))


class Minutes(NamedTuple):
    """An underlying over its minutes: starts (n), price and volatility of the moment at their bounds (n + 1).

    `usual` is the volatility to which that of the moment returns.
    """

    start_ms: Ints
    spot: Floats
    volatility: Floats
    usual: float

    def at(self, moment_ms: float) -> int:
        """Return the number of the last bound at or before a moment, 0 before the first."""
        return int(np.clip((moment_ms - self.start_ms[0]) // 60_000, 0, len(self.start_ms)))


class Indices:
    """Volatility of every stock, and the bars of the indices.

    Parameters
    ----------
    seed
        Of the volatility's own movement.
    equities
        The prices it follows.
    rate
        The risk-free rate of a session, continuously compounded.
    """

    def __init__(self, seed: int, equities: Equities, rate: Callable[[date], float]) -> None:
        self._seed = seed
        self._equities = equities
        self._rate = rate
        self._daily = lru_cache(maxsize=256)(self._draw_daily)
        self.minutes = lru_cache(maxsize=512)(self._draw_minutes)

    def bars(self, ticker: str, day: date) -> Bars:
        """Return the bars of an index, values only: I:SPX with its stale tail, I:VIX as long as its options trade."""
        minutes = self.minutes("I:SPX", day)
        level = minutes.spot
        if ticker == "I:VIX":
            count = int(np.searchsorted(minutes.start_ms, trading_end("I:SPX", day).timestamp() * 1000))
            minutes = minutes._replace(start_ms=minutes.start_ms[:count])
            at_30_days = at_the_money(minutes.volatility[: count + 1], minutes.usual, VIX_YEARS)
            level = volatility_index(at_30_days, self._rate(day))
        wiggle = np.abs(np.diff(level)) * np.abs(draw(self._seed, ticker, day.isoformat()).standard_normal((2, 1)))
        first, last = level[:-1], level[1:]
        high, low = np.maximum(first, last) + 0.3 * wiggle[0], np.minimum(first, last) - 0.3 * wiggle[1]
        first, high, low, last = (np.round(column, 2) for column in (first, high, low, last))
        unknown = np.full(len(first), np.nan)
        return Bars(minutes.start_ms, first, high, low, last, unknown, unknown, np.full(len(first), NO_COUNT))

    def _draw_minutes(self, underlying: str, day: date) -> Minutes:
        """Return an underlying's minutes; an index stands still once the minute after the close has settled it."""
        index = underlying == "I:SPX"
        ticker = "SPY" if index else underlying
        spot, grid = self._equities.levels(ticker, day)
        path, number = self._equities.daily(ticker), self._equities.number(day)
        usual, distance = self._daily(ticker)
        before = distance[number - 1] if number else 0.0
        progress = np.linspace(0, 1, len(spot))
        # Ends where the daily path does: pull * before - leverage * return + noise.
        moved = np.log(spot / spot[-1]) + path[number] - (path[number - 1] if number else path[number])
        rest = distance[number] - before + _LEVERAGE * (path[number] - path[max(number - 1, 0)])
        volatility = usual * np.exp(before - _LEVERAGE * moved + rest * progress)
        hours = get_calendar().hours(day)
        end = hours.close + _SPX_STALE if index else trading_end(underlying, day)
        low, close, high = (
            int((moment - hours.pre_open) / timedelta(minutes=1)) for moment in (hours.open, hours.close, end)
        )
        spot = spot[low : high + 1]
        if index:
            spot = _SPX_PER_SPY * np.where(np.arange(len(spot)) > close - low, spot[close - low + 1], spot)
        return Minutes(grid.start_ms[low:high], spot, volatility[low : high + 1], usual)

    def _draw_daily(self, ticker: str) -> tuple[float, Floats]:
        """Return the usual volatility and every session's log distance from it at its end."""
        profile = self._equities.profile(ticker)
        usual = float(np.sqrt(252) * np.hypot(profile.beta * MARKET_SIGMA, profile.sigma))
        returns = np.diff(self._equities.daily(ticker), prepend=self._equities.daily(ticker)[0])
        noise = _NOISE * draw(self._seed, ticker, "volatility").standard_normal(len(returns))
        steps = -_LEVERAGE * returns + noise
        path = accumulate(steps.tolist(), lambda distance, step: min(max(_PULL * distance + step, -1.0), 1.5))
        return usual, np.array(list(path))
