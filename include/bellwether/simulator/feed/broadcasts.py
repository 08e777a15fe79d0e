"""The minutes of a symbol's day as `AM` broadcasts them: a little after their end, some of them a second time.

A late print changes a minute that has been broadcast: within fifteen minutes it comes again, with the same start, and
what is known of the day (`av`, `a`) goes by what had been broadcast until then. Of a minute, the last broadcast is the
bar that REST serves. This room knows bars, and nothing of connections.
"""

from collections.abc import Iterator
from datetime import date
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bellwether.simulator.bars import NO_COUNT, Bars, Floats, Ints, join, known, numbers
from bellwether.simulator.daily import regular_minutes
from bellwether.simulator.feed.events import Aggregate, Event, encode
from bellwether.simulator.records import Maybe
from bellwether.simulator.seeds import draw

MINUTE_MS = 60_000
_SLOT_MS, _SLOTS = 100, 20  # a broadcast leaves in one of the tenths of the two seconds after its minute
_LATE_MINUTES = 14  # so that the latest second broadcast is within fifteen minutes
_ODD_SHARE = 0.1  # of an index's bars, those stamped as in the vendor's specification: `s` equal to `e`, off the minute
_AT_ONCE = 64  # rows turned into JSON together


class Broadcasts(NamedTuple):
    """Broadcasts of one symbol on one day, columns of one length, ascending by `due_ms` (ms UTC).

    `bars` are as known then; `day_volume` and `day_vwap` of all broadcast by then; `official_open` 0 before there is
    one; `start_ms` and `end_ms` as stamped.
    """

    due_ms: Ints
    start_ms: Ints
    end_ms: Ints
    bars: Bars
    day_volume: Floats
    day_vwap: Floats
    official_open: Floats

    def rows(self, chosen: slice | NDArray[np.bool_]) -> "Broadcasts":
        """Return the chosen rows."""
        return Broadcasts(
            self.due_ms[chosen],
            self.start_ms[chosen],
            self.end_ms[chosen],
            self.bars.rows(chosen),
            self.day_volume[chosen],
            self.day_vwap[chosen],
            self.official_open[chosen],
        )


class Opening(NamedTuple):
    """When the official opening price was made, ms UTC, and the price; 0 where there was none."""

    at_ms: int
    price: float


def official_open(bars: Bars, ticker: str, day: date) -> Opening:
    """Return the opening of a day's minutes: of stocks, that of regular hours."""
    low, high = regular_minutes(bars, ticker, day)
    return Opening(int(bars.start_ms[low]), float(bars.open[low])) if low < high else Opening(0, 0.0)


def broadcasts(bars: Bars, ticker: str, day: date, seed: int, late_share: float) -> Broadcasts:
    """Return the broadcasts of a day's minutes.

    Parameters
    ----------
    bars
        The minutes as they finally are.
    ticker, day, seed
        What the draws depend on.
    late_share
        Share of minutes that a late print changes, 0 to 1; those of indices and of a single share never are.
    """
    rng, count = draw(seed, "feed", ticker, day.isoformat()), len(bars.start_ms)
    delay_ms = _SLOT_MS * rng.integers(1, _SLOTS, count)
    # The comparison is also false for indices, whose volume is NaN.
    late = (rng.random(count) < late_share) & (bars.volume >= 2)
    first = _before_late_print(bars, late, rng)
    late_ms = MINUTE_MS * rng.integers(1, _LATE_MINUTES + 1, count)
    end_ms = bars.start_ms + MINUTE_MS
    due_ms = np.concatenate([end_ms + delay_ms, (end_ms + delay_ms + late_ms)[late]])
    final = bars.rows(late)
    sent, before = join([first, final]), first.rows(late)
    volume = np.concatenate([first.volume, final.volume - before.volume])
    dollars = np.concatenate([_dollars(first), _dollars(final) - _dollars(before)])
    order = np.argsort(due_ms, kind="stable")
    due_ms, sent = due_ms[order], sent.rows(order)
    day_volume = np.cumsum(volume[order])
    start_ms, end_ms = _stamps(sent, rng, odd_share=_ODD_SHARE if ticker.startswith("I:") else 0.0)
    opening = official_open(bars, ticker, day)
    return Broadcasts(
        due_ms=due_ms,
        start_ms=start_ms,
        end_ms=end_ms,
        bars=sent,
        day_volume=np.round(day_volume, 6),
        day_vwap=np.round(np.cumsum(dollars[order]) / day_volume, 4),
        official_open=np.where(due_ms > opening.at_ms + MINUTE_MS, opening.price, 0.0),
    )


def minute_events(sent: Broadcasts, ticker: str, since_ms: int) -> Iterator[Event]:
    """Yield the broadcasts due after a moment."""
    sent = sent.rows(sent.due_ms > since_ms)  # a copy: what is over need not stay in memory
    for low in range(0, len(sent.due_ms), _AT_ONCE):
        yield from _events(sent.rows(slice(low, low + _AT_ONCE)), ticker)


def _events(sent: Broadcasts, ticker: str) -> Iterator[Event]:
    bars = sent.bars
    rows = map(
        Aggregate,
        repeat("AM"),
        repeat(ticker),
        known(bars.volume),
        known(sent.day_volume),
        numbers(sent.official_open),
        known(bars.vwap),
        *(numbers(column) for column in (bars.open, bars.close, bars.high, bars.low)),
        known(sent.day_vwap),
        _average_sizes(bars),
        sent.start_ms.tolist(),
        sent.end_ms.tolist(),
    )
    return map(Event, sent.due_ms.tolist(), map(encode, rows))


def _before_late_print(bars: Bars, late: NDArray[np.bool_], rng: np.random.Generator) -> Bars:
    """Return the bars without a print of each late one: less volume, for half of them also a smaller range."""
    count = len(late)
    missing = np.maximum(np.rint(bars.volume * rng.uniform(0.02, 0.3, count)), 1.0)
    extreme = late & (rng.random(count) < 0.5)
    low = np.where(extreme, np.minimum(bars.open, bars.close), bars.low)
    high = np.where(extreme, np.maximum(bars.open, bars.close), bars.high)
    return bars._replace(
        high=high,
        low=low,
        volume=np.where(late, bars.volume - missing, bars.volume),
        vwap=np.where(late, np.clip(bars.vwap, low, high), bars.vwap),
    )


def _dollars(bars: Bars) -> Floats:
    dollars: Floats = bars.volume * np.where(np.isnan(bars.vwap), bars.close, bars.vwap)
    return dollars


def _stamps(sent: Bars, rng: np.random.Generator, odd_share: float) -> tuple[Ints, Ints]:
    count = len(sent.start_ms)
    odd, within_ms = rng.random(count) < odd_share, rng.integers(1, MINUTE_MS, count)
    start_ms = sent.start_ms + np.where(odd, within_ms, 0)
    return start_ms, np.where(odd, start_ms, sent.start_ms + MINUTE_MS)


def _average_sizes(bars: Bars) -> list[Maybe[int]]:
    counted = bars.transactions != NO_COUNT
    sizes = np.rint(bars.volume / np.maximum(bars.transactions, 1))
    # Without a count there is no average; an index has neither count nor volume.
    return known(np.where(counted, np.maximum(sizes, 1), np.nan))  # type: ignore[return-value]
