"""Values of an index folded to minutes: those that were not broadcast as minutes.

The order is that of the vendor's stamps, not of arrival: a value that came late has its place, not the last word.
"""

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.streaming.rows import LIVE_BARS

_KEY = ["ticker", "ts"]
_ORDER = (*_KEY, "value_utc", "arrived_utc", "writer", "arrival")
_MINUTE = pa.scalar(60_000, pa.duration("ms"))


def minutes_of(recorded: pa.Table) -> pa.Table:
    """Return the minutes that were broadcast as such, of rows as `with_values_folded` takes them, or have no values."""
    if "value_utc" in recorded.column_names:
        recorded = recorded.filter(pc.is_null(recorded["value_utc"]))
    return recorded.select([*LIVE_BARS.names, "writer"])


def with_values_folded(recorded: pa.Table) -> pa.Table:
    """Return the minutes that were broadcast, and those that only values tell of.

    A minute that was broadcast stands, whatever values say. One that may go on, since nothing came after it, is left
    out.

    Parameters
    ----------
    recorded
        Schema `LIVE_VALUES`, and the name of the `writer`; in any order.

    Returns
    -------
    pyarrow.Table
        Schema `LIVE_BARS`, and the `writer`.
    """
    bars = minutes_of(recorded)
    last = pc.max(recorded["arrived_utc"])
    is_value = pc.is_valid(recorded["value_utc"])
    values = recorded.filter(pc.and_(is_value, pc.less_equal(pc.add(recorded["ts"], _MINUTE), last)))
    values = values.join(bars.select(_KEY), _KEY, join_type="left anti")
    minutes = (
        values.sort_by([(name, "ascending") for name in _ORDER])
        .group_by(_KEY, use_threads=False)
        .aggregate(
            [
                ("open", "first"),
                ("high", "max"),
                ("low", "min"),
                ("close", "last"),
                ("volume", "first"),
                ("vwap", "first"),
                ("arrived_utc", "max"),
                ("arrival", "max"),
                ("writer", "last"),
            ]
        )
        .rename_columns([*LIVE_BARS.names, "writer"])
    )
    return pa.concat_tables([bars, minutes.cast(bars.schema)])
