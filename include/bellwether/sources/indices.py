"""Minute bars of indices: computed, not traded, so that some go on repeating a value after the close."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import SessionHours
from bellwether.schemas import INDICES
from bellwether.sources.minute_bars import MinuteBars
from bellwether.sources.source import Answer

_PRICES = ("open", "high", "low", "close")


class IndexBars(MinuteBars):
    """Every one-minute bar of an index on an exchange date: a `Source`."""

    def rows(self, subject: str, answers: Sequence[Answer], hours: SessionHours) -> pa.Table:
        """Return the bars, the stale ones marked; `NotFound` where the vendor knows no such index."""
        bars = super().rows(subject, answers, hours)
        return bars.append_column(INDICES.field("is_stale").with_nullable(True), mark_stale(bars, hours))


def mark_stale(bars: pa.Table, hours: SessionHours) -> pa.Array:
    """Return which bars merely repeat the last value: after the close, and flat at the close of the bar before.

    Seen in the vendor's format on 2021-01-04: I:SPX goes on for 20 minutes at 3700.65. A value that stands still
    during the session is no reason to doubt it.

    Parameters
    ----------
    bars
        One index, ascending.
    hours
        The session's bounds; regular trading of stocks decides, also for an index that is computed longer.
    """
    columns = {name: bars[name].combine_chunks() for name in ("ts", *_PRICES)}
    if not len(bars):
        return pa.array([], pa.bool_())
    before = pa.concat_arrays([pa.nulls(1, pa.float64()), columns["close"].slice(0, len(bars) - 1)])
    is_stale = pc.greater_equal(columns["ts"], pa.scalar(hours.close, columns["ts"].type))
    for name in _PRICES:
        is_stale = pc.and_(is_stale, pc.equal(columns[name], before).fill_null(False))
    return is_stale
