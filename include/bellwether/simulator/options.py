"""The generated market's option prices: minutes of a contract, and a chain's quotes and model values at a moment.

Everything follows from the underlying's minutes and the smile on them, so bars, quotes and Greeks agree: a bar's close
is the model's price at the bar's end, rounded to a tick. Contracts are priced as European ones, whatever their style.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import cache
from typing import NamedTuple

import numpy as np

from bellwether.calendar import get_calendar
from bellwether.simulator import smile
from bellwether.simulator.actions import ETFS, halted
from bellwether.simulator.bars import EMPTY, Bars, Floats
from bellwether.simulator.chain import AM_SETTLED, Chains, parse_symbol, spot_ticker
from bellwether.simulator.equities import WELL_KNOWN, Equities
from bellwether.simulator.indices import Indices, Minutes, trading_end
from bellwether.simulator.records import Contract, Model, Quotes
from bellwether.simulator.seeds import draw
from bellwether.simulator.yields import Yields

_YEAR_MS = 365 * 86_400_000
# Calibrated to a real chain: half of the contracts trade at all, those in 4 or 5 minutes of the day.
_BUSIEST = 0.1  # chance of a trade per minute at the money of the most liquid underlying
_TRADED_WIDTH = 0.9  # standard deviations of log-moneyness over which trading thins out
_POPULARITY = 1.6  # standard deviation of the log of what else makes one contract busier than its neighbour
_STANDARD_SHARES = 100
_HALF_SPREAD_SHARE = 0.006  # of the premium; four times as much where few trade
_TICK_CHANGES_AT = 3.0  # dollars of premium


class Tick(NamedTuple):
    """The least price step of a class of options below and from 3 dollars of premium."""

    below: float
    above: float

    def of(self, premium: Floats) -> Floats:
        """Return the step at each premium."""
        return np.where(premium < _TICK_CHANGES_AT, self.below, self.above)


def tick(underlying: str) -> Tick:
    """Return the price steps of an underlying's options: the penny program's, or the exchanges' ordinary ones."""
    if underlying in ETFS:
        return Tick(0.01, 0.01)
    return Tick(0.01, 0.05) if underlying in WELL_KNOWN else Tick(0.05, 0.10)


class _Valued(NamedTuple):
    """The model's answer for contracts, and what it was asked, as `smile.greeks` takes it."""

    premium: Floats
    iv: Floats
    asked: tuple[smile.Values, ...]


class Options:
    """Prices of the contracts of a generated market.

    Parameters
    ----------
    seed
        Of trades and open interest.
    chains, indices, equities, yields
        What exists, what moves it, how much it trades, and the rate.
    dividend_yield
        The continuous yield of an underlying on a session.
    """

    def __init__(
        self,
        seed: int,
        chains: Chains,
        indices: Indices,
        equities: Equities,
        yields: Yields,
        dividend_yield: Callable[[str, date], float],
    ) -> None:
        self._seed = seed
        self._chains = chains
        self._indices = indices
        self._equities = equities
        self._yields = yields
        self._dividend_yield = dividend_yield

    def bars(self, ticker: str, day: date) -> Bars:
        """Return the minutes in which a contract traded, premium in dollars per share."""
        symbol, terms = parse_symbol(ticker), self._chains.terms(ticker, day)
        if symbol is None or terms is None or halted(terms.underlying, day):
            return EMPTY
        minutes = self._minutes(terms.underlying, day)
        bounds_ms = np.append(minutes.start_ms, minutes.start_ms[-1] + 60_000)
        years = (_end_ms(symbol.root, symbol.expiration) - bounds_ms) / _YEAR_MS
        spot = minutes.spot * (terms.shares / _STANDARD_SHARES)
        rng = draw(self._seed, ticker, day.isoformat())
        chance = _activity(spot[:-1], symbol.strike, years[:-1], minutes.volatility[:-1])
        chance *= self._liquidity(terms.underlying) * rng.lognormal(0.0, _POPULARITY)
        count = len(minutes.start_ms)
        traded = (rng.random(count) < chance) & (years[1:] >= 0)
        if not traded.any():
            return EMPTY
        sign = 1.0 if symbol.contract_type == "call" else -1.0
        valued = self._value(terms.underlying, day, spot, minutes.volatility, minutes.usual, symbol.strike, years, sign)
        step = tick(terms.underlying).of(valued.premium)
        value = np.maximum(np.round(np.rint(valued.premium / step) * step, 2), tick(terms.underlying).below)
        volume = np.maximum(np.rint(rng.lognormal(1.6, 1.3, count)), 1.0)
        trades = np.minimum(volume, 1 + rng.poisson(volume / 6)).astype(np.int64)
        first, last = value[:-1], value[1:]
        high, low = np.maximum(first, last), np.minimum(first, last)
        vwap = np.round((first + last) / 2, 4)
        return Bars(minutes.start_ms, first, high, low, last, volume, vwap, trades).rows(traded)

    def model(self, underlying: str, contracts: Sequence[Contract], moment: datetime, day: date) -> Model:
        """Return model values of contracts of one underlying at a moment of the session `day`."""
        valued, _ = self._at(underlying, contracts, moment, day)
        adjusted = np.array([contract.shares_per_contract != _STANDARD_SHARES for contract in contracts], dtype=bool)
        return Model(np.where(adjusted, np.nan, valued.iv), np.where(adjusted, np.nan, smile.greeks(*valued.asked)))

    def quotes(self, underlying: str, contracts: Sequence[Contract], moment: datetime, day: date) -> Quotes:
        """Return quotes around the model's price; a contract worth less than half a step has no bid."""
        valued, moment_ms = self._at(underlying, contracts, moment, day)
        step = tick(underlying).of(valued.premium)
        share = _HALF_SPREAD_SHARE * (1 + 3 * (1 - self._liquidity(underlying)))
        half = np.maximum(share * valued.premium, step / 2)
        # To the multiples outside; what is one within a millionth counts as one.
        bid = np.round(np.floor((valued.premium - half) / step + 1e-6) * step, 2)
        ask = np.round(np.ceil((valued.premium + half) / step - 1e-6) * step, 2)
        strike = np.array([contract.strike_price for contract in contracts], dtype=np.float64)
        size = 1 + np.floor(strike * 7 + moment_ms / 60_000 * 13).astype(np.int64) % 97
        worthless = bid <= 0
        return Quotes(
            bid=np.where(worthless, np.nan, bid),
            ask=ask,
            bid_size=np.where(worthless, 0, size),
            ask_size=1 + size * 31 % 97,
            updated_ms=np.full(len(bid), moment_ms),
        )

    def spot(self, underlying: str, moment: datetime, day: date) -> float:
        """Return the underlying's price at a moment of the session `day`; of a halted one, that of the one before."""
        minutes = self._minutes(underlying, day)
        return round(float(minutes.spot[minutes.at(moment.timestamp() * 1000)]), 2)

    def open_interest(self, contract: Contract, day: date) -> int:
        """Return a contract's open interest at the start of a session: it grows as the expiration nears."""
        rng = draw(self._seed, contract.ticker, "open interest")
        most = rng.lognormal(5.5, 1.5) * self._liquidity(contract.underlying_ticker)
        left = (date.fromisoformat(contract.expiration_date) - day).days
        change = draw(self._seed, contract.ticker, "open interest", day.isoformat()).normal(1.0, 0.02)
        return int(most * np.exp(-left / 45) * change)

    def _at(self, underlying: str, contracts: Sequence[Contract], moment: datetime, day: date) -> tuple[_Valued, int]:
        """Return the values at the last bound of a minute by a moment, and that bound."""
        minutes = self._minutes(underlying, day)
        bound = minutes.at(moment.timestamp() * 1000)
        moment_ms = int(minutes.start_ms[0]) + bound * 60_000
        strike = np.array([contract.strike_price for contract in contracts], dtype=np.float64)
        sign = np.array([1.0 if contract.contract_type == "call" else -1.0 for contract in contracts])
        shares = np.array([contract.shares_per_contract for contract in contracts], dtype=np.float64)
        symbols = [symbol for contract in contracts if (symbol := parse_symbol(contract.ticker)) is not None]
        ends_ms = np.array([_end_ms(symbol.root, symbol.expiration) for symbol in symbols])
        spot, volatility = minutes.spot[bound] * shares / _STANDARD_SHARES, minutes.volatility[bound]
        years = (ends_ms - moment_ms) / _YEAR_MS
        return self._value(underlying, day, spot, volatility, minutes.usual, strike, years, sign), moment_ms

    def _value(
        self,
        underlying: str,
        day: date,
        spot: Floats,
        volatility: smile.Values,
        usual: float,
        strike: smile.Values,
        years: Floats,
        sign: smile.Values,
    ) -> _Valued:
        """Return the model's values; at and after expiration the premium is what exercise is worth."""
        rate, paid = self._yields.rate(day), self._dividend_yield(underlying, day)
        left = np.maximum(years, smile.SHORTEST_YEARS)
        atm = smile.at_the_money(volatility, usual, left)
        iv = smile.implied_volatility(spot, strike, left, rate, atm, paid)
        value = smile.price(spot, strike, left, rate, iv, sign, paid)
        premium = np.where(years >= smile.SHORTEST_YEARS, value, np.maximum(sign * (spot - np.asarray(strike)), 0.0))
        return _Valued(premium, iv, (spot, strike, left, rate, iv, sign, paid))

    def _minutes(self, underlying: str, day: date) -> Minutes:
        """Return the minutes in which options on the underlying trade; of a halted one, those of the session before."""
        ticker = spot_ticker(underlying)
        if halted(ticker, day):
            day = get_calendar().previous(day)
        minutes = self._indices.minutes(ticker, day)
        count = int(np.searchsorted(minutes.start_ms, trading_end(ticker, day).timestamp() * 1000))
        return Minutes(
            minutes.start_ms[:count], minutes.spot[: count + 1], minutes.volatility[: count + 1], minutes.usual
        )

    def _liquidity(self, underlying: str) -> float:
        return self._equities.profile("SPY" if underlying == "SPX" else underlying).liquidity


@cache
def _end_ms(root: str, expiration: date) -> float:
    """Return when contracts end: with the close of their expiration, or its opening where that settles them."""
    hours = get_calendar().hours(expiration)
    return (hours.open if root == AM_SETTLED else hours.close).timestamp() * 1000


def _activity(spot: Floats, strike: float, years: Floats, volatility: Floats) -> Floats:
    deviation = volatility * np.sqrt(np.maximum(years, smile.SHORTEST_YEARS)) + 0.005
    distance = np.log(strike / spot) / deviation
    chance: Floats = _BUSIEST * np.exp(-((distance / _TRADED_WIDTH) ** 2) / 2) * np.exp(-6 * np.maximum(years, 0))
    return chance
