"""Reading published data: what users call from a notebook."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.config import Config
from bellwether.errors import LakeError
from bellwether.lake.history import read_as_of
from bellwether.lake.lake import Lake
from bellwether.lake.location import Location, default_location
from bellwether.lake.partition import PartitionFile
from bellwether.schemas import SCHEMAS

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


def read(
    dataset: str,
    start: date | str,
    end: date | str,
    tickers: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    as_of: datetime | None = None,
    root: str | Path | None = None,
    options: Mapping[str, str] | None = None,
) -> pa.Table:
    """Read the published rows of a dataset.

    Parameters
    ----------
    dataset
        One of `bellwether.schemas.SCHEMAS`.
    start, end
        First and last session, both included; dates or `YYYY-MM-DD`.
    tickers
        Only these, or only this one; all by default.
    columns
        Only these, in this order; all of the schema by default.
    as_of
        Read what was in force at this instant, aware; sessions of which nothing was published by then have no rows. By
        default, what is in force now. A publication is stamped a moment before it is in force: an instant that lies
        a minute in the past gives the same answer for ever.
    root
        The lake; by default where `AIRFLOW_CONN_LAKE_DEFAULT` says, else `lake.root` of the settings.
    options
        How to reach a root in a bucket: see `bellwether.lake.location.open_storage`.

    Returns
    -------
    pyarrow.Table
        Rows sorted by session, ticker and time. Sessions without a partition contribute none:
        `bellwether coverage` tells absent from empty.

    Raises
    ------
    LakeError
        There is no such lake, dataset or column; `as_of` names no instant, or one of which revisions are kept no
        longer: never are rows of another one returned. Or a partition was withdrawn meanwhile.
    """
    if as_of is not None and as_of.tzinfo is None:
        msg = f"as_of {as_of.isoformat()} has no time zone: say which instant, e.g. datetime(..., tzinfo=UTC)"
        raise LakeError(msg)
    wanted = select(dataset, columns)
    tickers = [tickers] if isinstance(tickers, str) else tickers
    lake, sessions = find(dataset, start, end, root, options)

    def see(partition: PartitionFile) -> pa.Table:
        table = partition.read(list(dict.fromkeys([*wanted.names, *(["ticker"] if tickers is not None else [])])))
        if tickers is not None:
            table = table.filter(pc.is_in(table["ticker"], value_set=pa.array(list(tickers), pa.string())))
        return table.select(wanted.names).cast(wanted)

    tables = [read_as_of(lake, dataset, session, as_of or _FOR_EVER, see) for session in sessions]
    return pa.concat_tables([wanted.empty_table(), *(table for table in tables if table is not None)])


def select(dataset: str, columns: Sequence[str] | None) -> pa.Schema:
    """Return the schema of what is asked for.

    Raises
    ------
    LakeError
        There is no such dataset or column.
    """
    schema = SCHEMAS.get(dataset)
    if schema is None:
        msg = f"no dataset {dataset!r}; there are: {', '.join(sorted(SCHEMAS))}"
        raise LakeError(msg)
    unknown = sorted(set(columns or ()) - set(schema.names))
    if unknown:
        msg = f"{dataset} has no column {', '.join(unknown)}; it has: {', '.join(schema.names)}"
        raise LakeError(msg)
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def find(
    dataset: str, start: date | str, end: date | str, root: str | Path | None, options: Mapping[str, str] | None
) -> tuple[Lake, list[date]]:
    """Return the lake that `root` names, or the default, and its published sessions of a range."""
    where = Location(str(root), options or {}) if root else default_location(Config.load())
    lake = Lake.open(where.root, options=where.options)
    first, last = (date.fromisoformat(day) if isinstance(day, str) else day for day in (start, end))
    return lake, [session for session in lake.sessions(dataset) if first <= session <= last]
