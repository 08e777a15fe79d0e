"""Generated prices of stocks: any ticker and any session at random access, the same for the same seed.

A daily path per ticker (one draw for all sessions the calendar knows) fixes where each session ends;
the minutes of a session are drawn only when asked for and bridge the two ends. So prices go on from
session to session, and no session needs the ones before it. Prices are those of the day: a split shows as a
jump. This room knows no HTTP.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from bellwether.calendar import SessionHours, get_calendar
from bellwether.simulator.actions import Actions, halted, life, trades
from bellwether.simulator.bars import EMPTY, Bars, Floats, Ints
from bellwether.simulator.seeds import draw

_MINUTE_MS = 60_000
MARKET_SIGMA = 0.010  # standard deviation of the common factor's daily log return
_DAILY_PULL = 0.998  # share of yesterday's distance from the base price that remains: keeps decades plausible
_OVERNIGHT_SHARE = 0.35  # of a day's move, how much happens before the first minute
_POST_MARKET = timedelta(hours=4)  # 16:00-20:00 New York; 13:00-17:00 on half days (POLYGON.md section 3)
_EXTENDED_VOLUME_SHARE = 0.03
_ODD_VWAP_SHARE = 0.005  # bars whose vwap lies outside [low, high]: real ones count late and odd-lot trades
_MEAN_TRADE_SHARES = 120.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What a ticker is like: base price ($), beta, own daily log sigma, mean daily volume (shares)."""

    price: float
    beta: float
    sigma: float
    volume: float

    @property
    def liquidity(self) -> float:
        """Between 0.05 and 1; decides how many minutes stay without a trade."""
        return float(np.clip(np.log10(self.volume / 1e5) / 3, 0.05, 1.0))


WELL_KNOWN = {
    "AAPL": Profile(190, 1.15, 0.010, 55e6),
    "AMZN": Profile(150, 1.20, 0.012, 45e6),
    "GOOGL": Profile(140, 1.10, 0.011, 28e6),
    "IWM": Profile(200, 1.10, 0.005, 30e6),
    "JPM": Profile(170, 1.00, 0.008, 9e6),
    "META": Profile(350, 1.25, 0.014, 17e6),
    "MSFT": Profile(370, 1.05, 0.008, 24e6),
    "NVDA": Profile(480, 1.70, 0.018, 42e6),
    "QQQ": Profile(400, 1.15, 0.003, 45e6),
    "SPY": Profile(460, 1.00, 0.001, 75e6),
    "TSLA": Profile(240, 1.70, 0.022, 110e6),
    "XOM": Profile(105, 0.70, 0.010, 18e6),
}


class Equities:
    """Paths and minutes of stocks.

    Parameters
    ----------
    seed
        Equal seeds give equal prices, whatever is asked for and in whichever order.
    actions
        The splits that scale them, and who trades when.
    """

    def __init__(self, seed: int, actions: Actions) -> None:
        self._seed = seed
        self._actions = actions
        calendar = get_calendar()
        sessions = calendar.sessions(calendar.first, calendar.last)
        self._index = {session: number for number, session in enumerate(sessions)}
        self._market_returns = MARKET_SIGMA * self._rng("daily").standard_normal(len(sessions))
        self._daily_path = lru_cache(maxsize=1024)(self._draw_daily_path)
        self._grid = lru_cache(maxsize=64)(self._draw_grid)

    def bars(self, ticker: str, day: date) -> Bars:
        """Return the session's minutes in which `ticker` traded, in prices and shares of that day."""
        if not trades(ticker, day) or halted(ticker, day):
            return EMPTY
        rng, profile, grid = self._rng(ticker, day.isoformat()), self.profile(ticker), self._grid(day)
        level, minute_sigma = self._minute_path(ticker, day, profile, grid, rng)
        noise = rng.standard_normal((3, grid.length))
        scale = self._actions.scale(ticker, day)
        first = scale * np.exp(level[:-1] + 0.2 * minute_sigma * noise[0])
        last = scale * np.exp(level[1:])
        high = np.maximum(first, last) * (1 + 0.4 * minute_sigma * np.abs(noise[1]))
        low = np.minimum(first, last) * (1 - 0.4 * minute_sigma * np.abs(noise[2]))
        # Rounding is monotone, so low <= open, close <= high survives it.
        first, high, low, last = (np.maximum(np.round(price, 2), 0.01) for price in (first, high, low, last))
        volume = np.maximum(np.rint(_minute_volume(profile, grid, rng) / scale), 100.0)
        prints = np.rint(volume / (_MEAN_TRADE_SHARES * rng.lognormal(0.0, 0.3, grid.length)))
        vwap = np.round((first + high + low + last) / 4, 4)
        odd = rng.random(grid.length) < _ODD_VWAP_SHARE
        vwap[odd] = np.round(high[odd] * 1.0005 + 0.005, 4)
        count = np.clip(prints, 1, volume).astype(np.int64)
        bars = Bars(grid.start_ms, first, high, low, last, volume, vwap, count)
        return bars.rows(rng.random(grid.length) < grid.presence(profile.liquidity))

    def levels(self, ticker: str, day: date) -> tuple[Floats, "Grid"]:
        """Return the price at each bound of the session's minutes (n + 1) without gaps or rounding, and the minutes."""
        grid = self._grid(day)
        level, _ = self._minute_path(ticker, day, self.profile(ticker), grid, self._rng(ticker, day.isoformat()))
        return self._actions.scale(ticker, day) * np.exp(level), grid

    def daily(self, ticker: str) -> Floats:
        """Return the log price at the end of every session the calendar knows, in shares as all splits leave them."""
        return self._daily_path(life(ticker).company)

    def number(self, day: date) -> int:
        """Return the position of a session in `daily`."""
        return self._index[day]

    def profile(self, ticker: str) -> Profile:
        """Return what `ticker` is like."""
        if ticker in WELL_KNOWN:
            return WELL_KNOWN[ticker]
        price, beta, sigma, volume = self._rng(life(ticker).company, "profile").random(4)
        return Profile(
            price=8.0 * 50.0**price,
            beta=0.4 + 1.2 * beta,
            sigma=0.008 + 0.017 * sigma,
            volume=2e5 * 40.0**volume,
        )

    def _minute_path(
        self, ticker: str, day: date, profile: Profile, grid: "Grid", rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Return the log price at each minute's bounds (n + 1) and each minute's sigma (n)."""
        number = self._index[day]
        path = self.daily(ticker)
        start = path[number - 1] if number else path[number]
        move = path[number] - start
        start = start + _OVERNIGHT_SHARE * move
        own = profile.sigma * rng.standard_normal(grid.length)
        steps = (profile.beta * MARKET_SIGMA * grid.market_noise + own) * np.sqrt(grid.variance)
        walk = np.cumsum(steps)
        # A bridge: the walk's own end is replaced, in proportion to elapsed variance, by the daily path's.
        elapsed = np.cumsum(grid.variance)
        level = start + walk + ((1 - _OVERNIGHT_SHARE) * move - walk[-1]) * elapsed
        sigma = np.hypot(profile.beta * MARKET_SIGMA, profile.sigma) * np.sqrt(grid.variance)
        return np.concatenate([[start], level]), sigma

    def _draw_daily_path(self, ticker: str) -> Floats:
        """Return the log price at the end of every session the calendar knows."""
        profile = self.profile(ticker)
        own = profile.sigma * self._rng(ticker, "daily").standard_normal(len(self._index))
        # x[i] = pull * x[i-1] + r[i], written as one cumulative sum; pull^-7000 is about 1e6, no loss of digits.
        weight = _DAILY_PULL ** np.arange(len(self._index))
        distance = weight * np.cumsum((profile.beta * self._market_returns + own) / weight)
        path: Floats = np.log(profile.price) + distance
        return path

    def _draw_grid(self, day: date) -> "Grid":
        hours = get_calendar().hours(day)
        noise = self._rng("minutes", day.isoformat()).standard_normal(hours.expected_minutes(extended=True))
        return Grid(hours, noise)

    def _rng(self, *names: str) -> np.random.Generator:
        return draw(self._seed, *names)


class Grid:
    """The minutes of a session, extended hours included, and what all tickers share in them."""

    def __init__(self, hours: SessionHours, market_noise: Floats) -> None:
        self.length = len(market_noise)
        self.market_noise = market_noise
        minute = np.arange(self.length)
        opening, closing, silent = (
            int((moment - hours.pre_open) / timedelta(minutes=1))
            for moment in (hours.open, hours.close, hours.close + _POST_MARKET)
        )
        self.start_ms: Ints = int(hours.pre_open.timestamp()) * 1000 + minute * _MINUTE_MS
        self.regular = (minute >= opening) & (minute < closing)
        self.tradable = minute < silent
        # -1 at the opening, +1 at the close: trading is U-shaped in between.
        position = np.clip((minute - opening) / (closing - 1 - opening) * 2 - 1, -1, 1)
        away = np.maximum(np.maximum(opening - minute, minute - closing), 0)
        self.nearness = np.where(self.tradable, np.exp(-away / 60), 0.0)
        u_shape = np.where(self.regular, 0.6 + 2.2 * position**2, 0.0)
        u_shape[closing - 1] *= 3
        self.regular_volume = u_shape / u_shape.sum()
        outside = np.where(self.regular, 0.0, self.nearness)
        self.extended_volume = outside / outside.sum()
        variance = np.where(self.regular, 1 + 1.5 * position**2, 0.12 * self.tradable)
        self.variance = variance / variance.sum()

    def presence(self, liquidity: float) -> Floats:
        """Return the chance of a trade in each minute."""
        regular = 0.999 - 0.02 * (1 - liquidity)
        extended = liquidity * (0.3 * self.tradable + 0.65 * self.nearness)
        return np.where(self.regular, regular, extended)


def _minute_volume(profile: Profile, grid: Grid, rng: np.random.Generator) -> Floats:
    day = profile.volume * rng.lognormal(0.0, 0.3)
    share = (1 - _EXTENDED_VOLUME_SHARE) * grid.regular_volume + _EXTENDED_VOLUME_SHARE * grid.extended_volume
    volume: Floats = day * share * rng.lognormal(0.0, 0.4, grid.length)
    return volume
