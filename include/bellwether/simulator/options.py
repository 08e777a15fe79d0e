"""The generated market's option prices: minutes of a contract, and a chain's model values at a moment.

Everything follows from the underlying's minutes and the smile on them, so bars, quotes and Greeks agree.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import cache

import numpy as np

from bellwether.calendar import get_calendar
from bellwether.simulator import smile
from bellwether.simulator.bars import EMPTY, Bars, Floats, Ints
from bellwether.simulator.chain import Chains, parse_symbol, spot_ticker
from bellwether.simulator.equities import Equities
from bellwether.simulator.indices import Indices
from bellwether.simulator.records import Contract, Quote
from bellwether.simulator.seeds import draw
from bellwether.simulator.yields import Yields

_YEAR_MS = 365 * 86_400_000
_BUSIEST = 0.9  # chance of a trade per minute at the money of the most liquid underlying
_TRADED_WIDTH = 1.5  # standard deviations of log-moneyness over which trading thins out


class Options:
    """Prices of the contracts of a generated market."""

    def __init__(self, seed: int, chains: Chains, indices: Indices, equities: Equities, yields: Yields) -> None:
        self._seed = seed
        self._chains = chains
        self._indices = indices
        self._equities = equities
        self._yields = yields

    def bars(self, ticker: str, day: date) -> Bars:
        """Return the minutes in which a contract traded, premium in dollars per share."""
        symbol, underlying = parse_symbol(ticker), self._chains.underlying(ticker)
        if symbol is None or underlying is None or not self._chains.exists(ticker, day):
            return EMPTY
        minutes = self._indices.minutes(spot_ticker(underlying), day)
        years = _years(minutes.start_ms, symbol.expiration)
        years = np.append(years, years[-1] - 60_000 / _YEAR_MS)
        rate, sign = self._yields.rate(day), 1.0 if symbol.contract_type == "call" else -1.0
        iv = smile.implied_volatility(minutes.spot, symbol.strike, np.maximum(years, 0), rate, minutes.atm)
        value = _premium(minutes.spot, symbol.strike, years, rate, iv, sign)
        rng = draw(self._seed, ticker, day.isoformat())
        chance = _activity(minutes.spot[:-1], symbol.strike, years[:-1], minutes.atm[:-1])
        chance *= self._liquidity(underlying)
        count = len(minutes.start_ms)
        traded = (rng.random(count) < chance) & (years[:-1] > 0)
        volume = np.maximum(np.rint(rng.lognormal(1.2, 1.1, count)), 1.0)
        trades = np.minimum(volume, 1 + rng.poisson(volume / 6)).astype(np.int64)
        first, last = value[:-1], value[1:]
        high, low = np.maximum(first, last), np.minimum(first, last)
        vwap = np.round((first + last) / 2, 4)
        return Bars(minutes.start_ms, first, high, low, last, volume, vwap, trades).rows(traded)

    def quotes(self, underlying: str, contracts: Sequence[Contract], moment: datetime, day: date) -> Quote:
        """Return model values of contracts of one underlying at a moment of the session `day`."""
        minutes = self._indices.minutes(spot_ticker(underlying), day)
        bound = minutes.at(moment.timestamp() * 1000)
        moment_ms = int(minutes.start_ms[0]) + bound * 60_000
        spot, atm, rate = minutes.spot[bound], minutes.atm[bound], self._yields.rate(day)
        strike = np.array([contract.strike_price for contract in contracts], dtype=np.float64)
        sign = np.array([1.0 if contract.contract_type == "call" else -1.0 for contract in contracts])
        ends = [date.fromisoformat(contract.expiration_date) for contract in contracts]
        years = np.array([float(_years(np.array([moment_ms]), end)[0]) for end in ends])
        years = np.maximum(years, smile.SHORTEST_YEARS)
        iv = smile.implied_volatility(spot, strike, years, rate, atm)
        value = _premium(spot, strike, years, rate, iv, sign)
        return Quote(value, iv, smile.greeks(spot, strike, years, rate, iv, sign))

    def spot(self, underlying: str, moment: datetime, day: date) -> float:
        """Return the underlying's price at a moment of the session `day`."""
        minutes = self._indices.minutes(spot_ticker(underlying), day)
        return round(float(minutes.spot[minutes.at(moment.timestamp() * 1000)]), 2)

    def open_interest(self, contract: Contract, day: date) -> int:
        """Return a contract's open interest: the same all session long."""
        rng = draw(self._seed, contract.ticker, "open interest", day.isoformat()[:7])
        return int(rng.lognormal(5.5, 1.5) * self._liquidity(contract.underlying_ticker))

    def _liquidity(self, underlying: str) -> float:
        return self._equities.profile("SPY" if underlying == "SPX" else underlying).liquidity


def _years(moment_ms: Ints, expiration: date) -> Floats:
    years: Floats = (_end_ms(expiration) - moment_ms) / _YEAR_MS
    return years


@cache
def _end_ms(expiration: date) -> float:
    """Return the close of the session a contract expires on."""
    return get_calendar().hours(expiration).close.timestamp() * 1000


def _premium(
    spot: smile.Values, strike: smile.Values, years: Floats, rate: float, iv: Floats, sign: smile.Values
) -> Floats:
    """Return prices in cents, never below a cent; at and after expiration what exercise is worth."""
    alive = years >= smile.SHORTEST_YEARS
    value = smile.price(spot, strike, np.maximum(years, smile.SHORTEST_YEARS), rate, iv, sign)
    premium: Floats = np.where(alive, value, np.maximum(sign * (spot - np.asarray(strike)), 0.0))
    return np.maximum(np.round(premium, 2), 0.01)


def _activity(spot: Floats, strike: float, years: Floats, atm: Floats) -> Floats:
    deviation = atm * np.sqrt(np.maximum(years, smile.SHORTEST_YEARS)) + 0.005
    distance = np.log(strike / spot) / deviation
    chance: Floats = _BUSIEST * np.exp(-((distance / _TRADED_WIDTH) ** 2) / 2) * np.exp(-3 * np.maximum(years, 0))
    return chance
