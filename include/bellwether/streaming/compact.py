"""One table of what was recorded of a session: the last broadcast of each minute, in order.

Whoever wrote, however often, and however two writers overlapped, the same broadcasts give the same table: what arrived
last wins, and of what two writers heard in the same millisecond the one with more volume, since late prints add to it.
A minute of an index that was broadcast as values only is folded from them. Of news, which are no minutes, every version
stands, from when it was first seen.

A minute that is broadcast anew too long after its end is late: what stood before stays. What REST says is never late,
nor is what is broadcast of a minute for the first time.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bellwether.calendar import midnight
from bellwether.lake import Lake
from bellwether.news.versions import number_versions
from bellwether.schemas import EQUITIES, FORMS, INDEX_BARS, TIMESTAMP
from bellwether.streaming.assignment import NEWS
from bellwether.streaming.batches import REPAIR, Batches
from bellwether.streaming.rows import LIVE_BARS
from bellwether.streaming.values import with_values_folded

type _Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
type _Places = NDArray[np.intp]

_MINUTE = timedelta(minutes=1)
_KEY = ("ticker", "ts")
_VALUES = ("open", "high", "low", "close", "volume", "vwap")
_ORDER = (*_KEY, "arrived_utc", "writer", "arrival")


@dataclass(frozen=True)
class Compacted:
    """A session's minutes as the stream has them.

    Attributes
    ----------
    table
        Schema `EQUITIES` for stocks and options (`transactions` null: they are not broadcast), `INDEX_BARS` for
        indices, `NEWS` for news, sorted by ticker and time.
    arrivals
        Minutes that were recorded, of those folded from values one each.
    repeated
        Of those, such that say what the row before of the same minute says: the vendor's repetitions, or two writers'.
    changed
        Of those, such that say something else of a minute, or an article, than the row before.
    late
        What was broadcast last of minutes that stay as they stood, since it came too late; as `table`.
    """

    table: pa.Table
    arrivals: int
    repeated: int
    changed: int
    late: pa.Table


def compact(lake: Lake, dataset: str, session: date, late_after: timedelta | None = None) -> Compacted:
    """Read what was recorded of a session and return it as one table.

    Parameters
    ----------
    lake, dataset, session
        Of what.
    late_after
        So long after its end a minute may be broadcast anew; by default for ever.
    """
    if dataset == NEWS:
        return _compact_news([table for _, table in Batches(lake, dataset, session).read()])
    schema = INDEX_BARS if dataset == "indices" else EQUITIES
    return compact_rows(recorded(lake, dataset, session), schema, session, late_after)


def recorded(lake: Lake, dataset: str, session: date) -> pa.Table:
    """Return all rows of a session's batches, schema `LIVE_BARS`, each with the name of its `writer`.

    What a recorder stamps later than the first row of one that took over from it was stamped by a clock that is ahead:
    it counts as heard just before that row.
    """
    rows = [
        table.append_column("writer", pa.repeat(writer, table.num_rows))
        for writer, table in Batches(lake, dataset, session).read()
    ]
    if not rows:
        rows = [LIVE_BARS.append(pa.field("writer", pa.string())).empty_table()]
    return _by_one_clock(pa.concat_tables(rows, promote_options="default"))


def _by_one_clock(rows: pa.Table) -> pa.Table:
    is_heard = pc.invert(pc.starts_with(rows["writer"], pattern=REPAIR))
    first = rows.filter(is_heard).group_by("writer", use_threads=False)
    takeovers = first.aggregate([("arrival", "first"), ("arrived_utc", "first")]).sort_by("arrival_first")
    if len(takeovers) < 2:
        return rows
    # Numbers go on rising whoever writes: whose number is less was on disk when the first row of the other came.
    numbers, arrival = takeovers["arrival_first"].to_numpy(), rows["arrival"].to_numpy()
    moments = takeovers["arrived_utc_first"].combine_chunks().view(pa.int64()).to_numpy()
    latest = np.append(np.minimum.accumulate(moments[::-1])[::-1] - 1, np.iinfo(np.int64).max)
    stamped = rows["arrived_utc"].combine_chunks().view(pa.int64()).to_numpy()
    limit = np.where(is_heard.to_numpy(), latest[np.searchsorted(numbers, arrival, side="right")], stamped)
    index = rows.schema.get_field_index("arrived_utc")
    in_order = pa.array(np.minimum(stamped, limit)).view(TIMESTAMP)
    return rows.set_column(index, rows.schema.field(index), in_order)


def compact_rows(rows: pa.Table, schema: pa.Schema, session: date, late_after: timedelta | None = None) -> Compacted:
    """Choose among recorded rows.

    Parameters
    ----------
    rows
        Schema `LIVE_BARS` or `LIVE_VALUES`, and the name of the `writer`; in any order.
    schema
        Of the table wanted.
    session
        Rows of other New York days are left out.
    late_after
        As `compact` takes it.
    """
    own = _in_order(rows, session)
    follows = _equals_row_before(own, _KEY)
    repeated = follows & _equals_row_before(own, _VALUES)
    last, chosen = _choose(own, follows, late_after)
    return Compacted(
        table=_as(schema, own.take(pa.array(chosen))),
        arrivals=len(own),
        repeated=int(repeated.sum()),
        changed=int((follows & ~repeated).sum()),
        late=_as(schema, _otherwise(own, last, chosen)),
    )


def standing(rows: pa.Table, session: date, late_after: timedelta | None = None) -> pa.Table:
    """Return of recorded rows, as `compact_rows` takes them, those that it chooses: the last of each minute in time."""
    own = _in_order(rows, session)
    return own.take(pa.array(_choose(own, _equals_row_before(own, _KEY), late_after)[1]))


def _choose(own: pa.Table, follows: _Mask, late_after: timedelta | None) -> tuple[_Places, _Places]:
    """Return where the last row of each minute is, and where the last one is that did not come too late."""
    ends = np.append(~follows[1:], True)[: len(follows)]
    last = np.flatnonzero(ends)
    if late_after is None or not len(own):
        return last, last
    ages = pc.subtract(own["arrived_utc"].cast(pa.int64()), own["ts"].cast(pa.int64())).to_numpy()
    is_old = ages > (_MINUTE + late_after) / timedelta(milliseconds=1)
    is_heard = pc.invert(pc.starts_with(own["writer"], pattern=REPAIR)).to_numpy()
    in_time = np.where(follows & is_old & is_heard, -1, np.arange(len(own)))
    # The first row of a minute is in time, so that this never reaches into the minute before.
    return last, np.maximum.accumulate(in_time)[last]


def _otherwise(own: pa.Table, last: _Places, chosen: _Places) -> pa.Table:
    """Return the last rows of those minutes of which another one is chosen that says something else."""
    apart = last != chosen
    late, stood = own.take(pa.array(last[apart])), own.take(pa.array(chosen[apart]))
    both = pa.concat_tables([stood, late])
    # Side by side, so that each late row follows the one that is chosen.
    order = np.arange(len(both)).reshape(2, -1).T.ravel()
    says_the_same = _equals_row_before(both.take(pa.array(order)), _VALUES)[1::2]
    return late.filter(pa.array(~says_the_same))


def _as(schema: pa.Schema, chosen: pa.Table) -> pa.Table:
    for field in schema:
        if field.name not in LIVE_BARS.names:
            chosen = chosen.append_column(field, pa.nulls(len(chosen), field.type))
    return chosen.select(schema.names).cast(schema)


def _in_order(rows: pa.Table, session: date) -> pa.Table:
    if "value_utc" in rows.column_names:
        rows = with_values_folded(rows)
    start, end = (
        pa.scalar(midnight(day), LIVE_BARS.field("ts").type) for day in (session, session + timedelta(days=1))
    )
    own = rows.filter(pc.and_(pc.greater_equal(rows["ts"], start), pc.less(rows["ts"], end)))
    own = own.sort_by([(name, "ascending") for name in _ORDER]).combine_chunks()
    at_once = _equals_row_before(own, ("ticker", "ts", "arrived_utc"))
    goes_on = at_once & _equals_row_before(own, ("writer",))
    if not (at_once & ~goes_on).any():
        return own
    # In one millisecond one writer may have heard less than another: the volume it ends with tells.
    ends = np.append(np.flatnonzero(~goes_on)[1:] - 1, len(own) - 1)
    own = own.append_column("ends_with", own["volume"].take(pa.array(ends[np.cumsum(~goes_on) - 1])))
    order = (*_ORDER[:3], "ends_with", *_ORDER[3:])
    return own.sort_by([(name, "ascending") for name in order]).drop_columns("ends_with").combine_chunks()


def _compact_news(recorded: list[pa.Table]) -> Compacted:
    arrivals = sum(map(len, recorded))
    table = number_versions(pa.concat_tables([FORMS[NEWS].schema.empty_table(), *recorded]))
    changed = int(pc.sum(pc.greater(table["version"], 1)).as_py() or 0)
    return Compacted(table, arrivals, repeated=arrivals - len(table), changed=changed, late=table.slice(0, 0))


def _equals_row_before(table: pa.Table, names: tuple[str, ...]) -> _Mask:
    """Return for each row whether these columns are those of the row before, nulls equal to nulls."""
    equal = np.ones(len(table), np.bool_)
    equal[:1] = False
    for name in names:
        column = table[name]
        before, after = column[:-1], column[1:]
        same = pc.or_kleene(pc.equal(before, after).fill_null(False), pc.and_(before.is_null(), after.is_null()))
        if len(table) > 1:
            equal[1:] &= same.to_numpy().astype(np.bool_)
    return equal
