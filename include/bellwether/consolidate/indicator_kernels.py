"""The technical indicators as compiled loops: one pass over each ticker's traded minutes.

Every rule of seeding and rounding is that of pandas-ta's own code (not TA-Lib's) on pandas 3, so that both give the
same numbers from the first row on:

- an EMA starts with the average of its first window; Wilder's average in RSI and ADX with the first value;
- ATR starts with the average of its first window, where the first true range is high - low; ADX leaves that one out;
- a smoothed series that has gaps (0 / 0 in ADX) lets the weight of what was before decay over them;
- the variance of Bollinger's bands is updated by Welford's method, compensated, and taken anew where it cancels;
- a range of zero becomes the smallest float step, so that nothing divides by zero.

Where pandas-ta adds that step to a whole series as soon as any of its values is zero, even a later one, here only the
value that is zero gets it: the difference is below 1e-13 of a range, and nothing depends on what comes later.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import cast

import numpy as np
from numba import njit

from bellwether.consolidate.greeks.jit import compiled
from bellwether.consolidate.grid import Floats, Integers

COLUMNS = (
    *("ind_sma", "ind_ema", "ind_rsi", "ind_macd", "ind_macd_signal", "ind_macd_histogram"),
    *("ind_bollinger_lower", "ind_bollinger_middle", "ind_bollinger_upper", "ind_atr", "ind_vwap", "ind_obv"),
    *("ind_adx", "ind_adx_plus", "ind_adx_minus", "ind_stochastic_k", "ind_stochastic_d"),
)
"""What the first axis of the result stands for."""

_COUNT = len(COLUMNS)
_STEP = 2.0**-52
_CANCELLED = 1000 * _STEP


def _compiled[F: Callable[..., object]](function: F) -> F:
    return cast("F", njit(error_model="numpy")(function))  # 0 / 0 is NaN


@_compiled
def _average(values: Floats, length: int, out: Floats) -> None:
    """Write the plain average of the last `length` values; NaN where one of them is."""
    weight = 1.0 / length
    for row in range(len(values)):
        total = 0.0 if row >= length - 1 else np.nan
        for back in range(min(length, row + 1)):
            total += weight * values[row - back]
        out[row] = total


@_compiled
def _smooth(values: Floats, alpha: float, out: Floats) -> None:
    """Write the exponential average, from the first value on that is there."""
    alpha = 1 / (1 + (1 - alpha) / alpha)
    level = np.nan
    weight = 1.0
    for row in range(len(values)):
        value = values[row]
        if np.isnan(level):
            level = value
        else:
            weight *= 1 - alpha
            if not np.isnan(value):
                if value != level:
                    level = (weight * level + alpha * value) / (weight + alpha)
                weight = 1.0
        out[row] = level


@_compiled
def _seeded(values: Floats, length: int, alpha: float, out: Floats) -> None:
    """Write the exponential average that starts with the plain one of the first `length` values that are there."""
    total = level = 0.0
    count = 0
    for row in range(len(values)):
        value = values[row]
        if count < length:
            if not np.isnan(value):
                count += 1
                total += value
            level = total / length
        elif value != level:
            level = (1 - alpha) * level + alpha * value
        out[row] = level if count == length else np.nan


@_compiled
def _macd(close: Floats, fast: int, slow: int, signal: int, out: Floats) -> None:
    _seeded(close, fast, 2 / (fast + 1), out[0])
    _seeded(close, slow, 2 / (slow + 1), out[1])
    for row in range(len(close)):
        out[0, row] -= out[1, row]
    _seeded(out[0], signal, 2 / (signal + 1), out[1])
    for row in range(len(close)):
        out[2, row] = out[0, row] - out[1, row]


@_compiled
def _rsi(close: Floats, length: int, out: Floats) -> None:
    gains = np.empty((2, len(close)))
    for row in range(len(close)):
        change = close[row] - close[row - 1] if row > 0 else np.nan
        gains[0, row] = 0.0 if change < 0 else change
        gains[1, row] = 0.0 if change > 0 else -change
    _smooth(gains[0], 1 / length, gains[0])
    _smooth(gains[1], 1 / length, gains[1])
    for row in range(len(close)):
        total = gains[0, row] + gains[1, row]
        out[row] = 100 * gains[0, row] / total


@_compiled
def _deviation(values: Floats, length: int, out: Floats) -> None:
    """Write the standard deviation of a sample over the last `length` values."""
    mean = squares = added = removed = count = 0.0
    for row in range(len(values)):
        cancelled = False
        if row >= length:
            gone = values[row - length]
            before, kept = mean - removed, squares
            target = gone - removed
            step = target - mean
            removed = step + mean - target
            count -= 1
            mean -= step / count
            squares -= (gone - before) * (gone - mean)
            cancelled = kept * _CANCELLED > squares
        mean, squares, added, count, again = _welford(values[row], mean, squares, added, count)
        if cancelled or again:
            mean = squares = added = removed = count = 0.0
            for other in range(max(row - length + 1, 0), row + 1):
                mean, squares, added, count, again = _welford(values[other], mean, squares, added, count)
        out[row] = math.sqrt(squares / (length - 1)) if row >= length - 1 else np.nan


@_compiled
def _welford(
    value: float, mean: float, squares: float, lost: float, count: float
) -> tuple[float, float, float, float, bool]:
    before = mean - lost
    target = value - lost
    step = target - mean
    lost = step + mean - target
    count += 1
    mean += step / count
    grown = squares + (value - before) * (value - mean)
    return mean, grown, lost, count, squares * _CANCELLED > grown


@_compiled
def _true_range(high: Floats, low: Floats, close: Floats, out: Floats) -> None:
    for row in range(len(close)):
        spread = high[row] - low[row]
        if spread == 0:
            spread = _STEP
        if row > 0:
            spread = max(spread, abs(high[row] - close[row - 1]), abs(close[row - 1] - low[row]))
        out[row] = spread


@_compiled
def _adx(high: Floats, low: Floats, spread: Floats, length: int, out: Floats) -> None:
    scratch = np.empty((3, len(high)))
    plus, minus, ranges = scratch[0], scratch[1], scratch[2]
    total = 0.0
    for row in range(len(high)):
        up = high[row] - high[row - 1] if row > 0 else np.nan
        down = low[row - 1] - low[row] if row > 0 else np.nan
        plus[row] = 0.0 if up <= down or up < _STEP else up
        minus[row] = 0.0 if down <= up or down < _STEP else down
        total += spread[row] if 0 < row < length else 0.0
        ranges[row] = spread[row] if row >= length else total / (length - 1) if row == length - 1 else np.nan
    _smooth(plus, 1 / length, plus)
    _smooth(minus, 1 / length, minus)
    _smooth(ranges, 1 / length, ranges)
    for row in range(len(high)):
        out[1, row] = plus[row] * (100 / ranges[row])
        out[2, row] = minus[row] * (100 / ranges[row])
        ranges[row] = 100 * abs(out[1, row] - out[2, row]) / (out[1, row] + out[2, row])
    _smooth(ranges, 1 / length, out[0])


@_compiled
def _stochastic(high: Floats, low: Floats, close: Floats, lengths: Integers, out: Floats) -> None:
    length, smooth, signal = lengths[0], lengths[1], lengths[2]
    fast = np.empty(len(close))
    for row in range(len(close)):
        lowest, highest = low[row], high[row]
        for back in range(1, min(length, row + 1)):
            lowest, highest = min(lowest, low[row - back]), max(highest, high[row - back])
        spread = highest - lowest if highest != lowest else _STEP
        fast[row] = 100 * (close[row] - lowest) / spread if row >= length - 1 else np.nan
    _average(fast, smooth, out[0])
    _average(out[0], signal, out[1])


@_compiled
def _volumes(prices: Floats, volume: Floats, sessions: Integers, vwap: Floats, obv: Floats) -> None:
    """Write both sums over volume: the session's average price, and the balance since the first row."""
    high, low, close = prices[0], prices[1], prices[2]
    balance = paid = paid_lost = traded = traded_lost = 0.0
    for row in range(len(volume)):
        if row == 0 or sessions[row] != sessions[row - 1]:
            paid = paid_lost = traded = traded_lost = 0.0
        part = (high[row] + low[row] + close[row]) / 3 * volume[row] - paid_lost
        grown = paid + part
        paid_lost, paid = grown - paid - part, grown
        part = volume[row] - traded_lost
        grown = traded + part
        traded_lost, traded = grown - traded - part, grown
        vwap[row] = paid / traded
        if row > 0:
            change = close[row] - close[row - 1]
            balance += volume[row] if change > 0 else -volume[row] if change < 0 else 0.0
        obv[row] = balance if row > 0 else np.nan


@_compiled
def _one_ticker(
    prices: Floats, volume: Floats, sessions: Integers, lengths: Integers, width: float, out: Floats
) -> None:
    high, low, close = prices[0], prices[1], prices[2]
    _average(close, lengths[0], out[0])
    _seeded(close, lengths[1], 2 / (lengths[1] + 1), out[1])
    _rsi(close, lengths[2], out[2])
    _macd(close, lengths[3], lengths[4], lengths[5], out[3:6])
    _average(close, lengths[6], out[7])
    _deviation(close, lengths[6], out[8])
    for row in range(len(close)):
        out[6, row] = out[7, row] - width * out[8, row]
        out[8, row] = out[7, row] + width * out[8, row]
    spread = np.empty(len(close))
    _true_range(high, low, close, spread)
    _seeded(spread, lengths[7], 1 / lengths[7], out[9])
    _volumes(prices, volume, sessions, out[10], out[11])
    _adx(high, low, spread, lengths[8], out[12:15])
    _stochastic(high, low, close, lengths[9:12], out[15:17])


@_compiled
def _traded(close: Floats) -> Integers:
    """Return the minutes in which a ticker traded."""
    places = np.empty(len(close), np.int64)
    bars = 0
    for minute in range(len(close)):
        if not np.isnan(close[minute]):
            places[bars] = minute
            bars += 1
    return places[:bars]


def indicator_grid(
    prices: Floats, volume: Floats, sessions: Integers, first: int, lengths: Integers, width: float
) -> Floats:
    """Compute all indicators of all tickers.

    Parameters
    ----------
    prices
        High, low and close x tickers x minutes, C-contiguous; a close of NaN is a minute without a trade.
    volume
        Tickers x minutes.
    sessions
        Of which session each minute is, ascending; the VWAP begins anew with each.
    first
        The first minute to return; those before are warm-up.
    lengths
        In bars: SMA, EMA, RSI, MACD fast, slow, signal, Bollinger, ATR, ADX, Stochastic %K, slowing, %D.
    width
        Of Bollinger's bands, standard deviations.

    Returns
    -------
    numpy.ndarray
        `COLUMNS` x tickers x minutes from `first` on; NaN where there is no trade, or not enough bars yet.
    """
    return machine_code()(prices, volume, sessions, first, lengths, width)


@cache
def machine_code() -> Callable[[Floats, Floats, Integers, int, Integers, float], Floats]:
    """Return the compiled loops, from the cache if they are there; else this takes seconds, once."""
    return compiled(_fill, "f8[:,:,::1](f8[:,:,::1], f8[:,::1], i8[::1], i8, i8[::1], f8)")


def _fill(prices: Floats, volume: Floats, sessions: Integers, first: int, lengths: Integers, width: float) -> Floats:
    tickers, minutes = volume.shape
    out = np.empty((_COUNT, tickers, minutes - first))
    for ticker in range(tickers):
        places = _traded(prices[2, ticker])
        bars = len(places)
        own_prices, own_volume, own_sessions = np.empty((3, bars)), np.empty(bars), np.empty(bars, np.int64)
        for bar in range(bars):
            for number in range(3):
                own_prices[number, bar] = prices[number, ticker, places[bar]]
            own_volume[bar], own_sessions[bar] = volume[ticker, places[bar]], sessions[places[bar]]
        values = np.empty((_COUNT, bars))
        _one_ticker(own_prices, own_volume, own_sessions, lengths, width, values)
        for column in range(_COUNT):
            for minute in range(minutes - first):
                out[column, ticker, minute] = np.nan
            for bar in range(bars):
                if places[bar] >= first:
                    out[column, ticker, places[bar] - first] = values[column, bar]
    return out
