"""What a recorder leaves in a lake, without a recorder: batches, gaps and a lease."""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import count

import pyarrow as pa

from bellwether.lake import Lake
from bellwether.streaming.assignment import whole_session
from bellwether.streaming.batches import Batches, BatchRecord, Writer
from bellwether.streaming.gaps import Gap, GapLog
from bellwether.streaming.lease import Heartbeat, Lease
from bellwether.streaming.rows import LIVE_BARS

WRITER = Writer("run", 1, 4711)
_numbers = count(1)


def record(lake: Lake, bars: pa.Table, arrived_utc: datetime, *, dataset: str, session: date, seq: int = 1) -> None:
    """Write bars of any minute schema as one batch of broadcasts that all came at an instant."""
    rows = len(bars)
    columns = {name: bars[name] for name in bars.column_names} | {
        "arrived_utc": [arrived_utc] * rows,
        "arrival": list(range(rows)),
    }
    table = pa.table({each.name: columns.get(each.name, pa.nulls(rows, each.type)) for each in LIVE_BARS})
    covered_ms = int(arrived_utc.timestamp() * 1000)
    written = BatchRecord(rows=rows, last_arrival=rows - 1, covered_ms=covered_ms)
    Batches(lake, dataset, session).write(WRITER, seq, table.cast(LIVE_BARS), written)


def leave(lake: Lake, dataset: str, session: date, at: datetime, *, state: str = "ended") -> None:
    """Take the lease of a session, and release it with a last heartbeat unless the state is `killed`."""
    lease = Lease(lake, dataset, session, WRITER)
    lease.take(at)
    beat = Heartbeat(at_utc=at, state=state, seq=1, rows=1, gaps=0, covered_utc=at, lag_s=None, quiet=0)
    if state == "killed":
        lease.renew(at, beat)
    else:
        lease.release(at, beat)


def miss(
    lake: Lake,
    dataset: str,
    session: date,
    end: datetime | None,
    *,
    cause: str = "dropped",
    symbols: Sequence[str] = "*",
) -> Gap:
    """Open a gap from the session's start on, and end it where it has an end."""
    start = whole_session(dataset, session).start
    log = GapLog(lake, dataset, session, f"recorder{next(_numbers)}")
    gap = log.open(start, list(symbols), cause, start, "seen in a test")
    return gap if end is None else log.end(gap, end)
