"""The inside of a minute: a handful of prints that fold to its bar, told as trades, index values or seconds.

The market knows minutes and no prints, so these are made up: opening, high, low and closing price are among them, and
their sizes add up to the volume. A bar that whole prints cannot make (one contract at two prices) is come near to.
"""

from collections.abc import Iterator
from datetime import date
from itertools import groupby
from typing import NamedTuple

import msgspec
import numpy as np

from bellwether.simulator.bars import Bars
from bellwether.simulator.feed.broadcasts import MINUTE_MS, Opening
from bellwether.simulator.feed.events import Aggregate, Event, Trade, Value, encode
from bellwether.simulator.seeds import draw

_PRINTS = 6
_STEP_MS = MINUTE_MS // _PRINTS
_INDEX_MOMENTS_MS = (0, 15_000, 30_000, 45_000)  # Cboe disseminates VIX every 15 seconds
_SECOND_MS, _SECOND_DELAY_MS = 1000, 100
_EXCHANGES, _TAPE = 19, 3


class Print(NamedTuple):
    """A price at a moment, ms UTC; size NaN for indices."""

    at_ms: int
    price: float
    size: float


def prints(bars: Bars, ticker: str, day: date, seed: int, since_ms: int) -> Iterator[Print]:
    """Yield the prints of the minutes that end after a moment, ascending by time."""
    rng, count = draw(seed, "prints", ticker, day.isoformat()), len(bars.start_ms)
    low_first = rng.random(count) < 0.5
    within_ms = rng.integers(0, _STEP_MS, (count, _PRINTS)) + np.arange(_PRINTS) * _STEP_MS
    between = np.sort(rng.random((count, 2)))
    inner = np.round(bars.low[:, None] + (bars.high - bars.low)[:, None] * between, 2)
    inner = np.clip(inner, bars.low[:, None], bars.high[:, None])
    extremes = np.where(low_first, bars.low, bars.high), np.where(low_first, bars.high, bars.low)
    prices = np.column_stack([bars.open, inner[:, 0], *extremes, inner[:, 1], bars.close])
    for row in np.flatnonzero(bars.start_ms + MINUTE_MS > since_ms).tolist():
        told, volume, moments_ms = prices[row].tolist(), float(bars.volume[row]), within_ms[row].tolist()
        if not volume >= _PRINTS:  # few shares, or an index
            told = [told[0], *told[2:4], told[5]]
        if np.isnan(volume):
            moments_ms = _INDEX_MOMENTS_MS
        elif volume < _PRINTS:
            told = [price for price, _ in groupby(told)]
        start_ms = int(bars.start_ms[row])
        for at_ms, price, size in zip(moments_ms, told, _sizes(volume, len(told)), strict=False):
            yield Print(start_ms + at_ms, price, size)


def trade_events(told: Iterator[Print], ticker: str) -> Iterator[Event]:
    """Yield prints as trades; of options without what stocks alone have."""
    stock = not ticker.startswith("O:")
    for number, each in enumerate(told, 1):
        trade = Trade(
            ev="T",
            sym=ticker,
            x=1 + each.at_ms % _EXCHANGES,
            p=each.price,
            s=_whole(each.size),
            c=[0] if stock else [209],
            t=each.at_ms,
            q=number,
            i=str(number) if stock else msgspec.UNSET,
            z=_TAPE if stock else msgspec.UNSET,
        )
        yield Event(each.at_ms, encode(trade))


def value_events(told: Iterator[Print], ticker: str) -> Iterator[Event]:
    """Yield prints as values of an index."""
    for each in told:
        yield Event(each.at_ms, encode(Value("V", each.price, ticker, each.at_ms)))


def second_events(told: Iterator[Print], ticker: str, opening: Opening, since_ms: int) -> Iterator[Event]:
    """Yield the seconds of a day that have prints, each a little after its end, those due after a moment."""
    day_volume = day_dollars = 0.0
    for second, group in groupby(told, lambda each: each.at_ms // _SECOND_MS):
        inside = list(group)
        volume = sum(each.size for each in inside)
        dollars = sum(each.size * each.price for each in inside)
        day_volume, day_dollars = day_volume + volume, day_dollars + dollars
        end_ms = (second + 1) * _SECOND_MS
        if end_ms + _SECOND_DELAY_MS > since_ms:
            values = (volume, day_volume, dollars / volume, day_dollars / day_volume)
            opened = opening.price if inside[-1].at_ms >= opening.at_ms else 0.0
            aggregate = _second(ticker, end_ms, inside, opened, None if np.isnan(volume) else values)
            yield Event(end_ms + _SECOND_DELAY_MS, encode(aggregate))


def _second(
    ticker: str,
    end_ms: int,
    inside: list[Print],
    opened: float,
    values: tuple[float, float, float, float] | None,
) -> Aggregate:
    told = [each.price for each in inside]
    volume, day_volume, vwap, day_vwap = (msgspec.UNSET,) * 4 if values is None else map(_whole, values)
    return Aggregate(
        ev="A",
        sym=ticker,
        v=volume,
        av=day_volume,
        op=opened,
        vw=vwap,
        o=told[0],
        c=told[-1],
        h=max(told),
        l=min(told),
        a=day_vwap,
        z=msgspec.UNSET if values is None else max(round(values[0] / len(told)), 1),
        s=end_ms - _SECOND_MS,
        e=end_ms,
    )


def _sizes(volume: float, count: int) -> list[float]:
    if np.isnan(volume):
        return [volume] * count
    each = max(volume // count, 1.0)
    return [each] * (count - 1) + [max(volume - each * (count - 1), 1.0)]


def _whole(value: float) -> float:
    return int(value) if value == int(value) else round(value, 4)
