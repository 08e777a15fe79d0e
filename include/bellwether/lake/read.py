"""Reading published data: what users call from a notebook."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bellwether.config import Config
from bellwether.errors import LakeError
from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.lake.location import Location, default_location
from bellwether.schemas import SCHEMAS


def read(
    dataset: str,
    start: date | str,
    end: date | str,
    tickers: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
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
        There is no such lake, dataset or column.
    """
    schema = SCHEMAS.get(dataset)
    if schema is None:
        msg = f"no dataset {dataset!r}; there are: {', '.join(sorted(SCHEMAS))}"
        raise LakeError(msg)
    unknown = sorted(set(columns or ()) - set(schema.names))
    if unknown:
        msg = f"{dataset} has no column {', '.join(unknown)}; it has: {', '.join(schema.names)}"
        raise LakeError(msg)
    tickers = [tickers] if isinstance(tickers, str) else tickers
    where = Location(str(root), options or {}) if root else default_location(Config.load())
    lake = Lake.open(where.root, options=where.options)
    first, last = (date.fromisoformat(day) if isinstance(day, str) else day for day in (start, end))
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    tables = [
        _read_partition(lake, dataset, session, tickers, wanted)
        for session in lake.sessions(dataset)
        if first <= session <= last
    ]
    return pa.concat_tables([wanted.empty_table(), *tables])


def _read_partition(
    lake: Lake, dataset: str, session: date, tickers: Sequence[str] | None, wanted: pa.Schema
) -> pa.Table:
    def see(partition: pq.ParquetFile) -> pa.Table:
        if tickers is None:
            return partition.read(columns=wanted.names)
        table = partition.read(columns=list(dict.fromkeys([*wanted.names, "ticker"])))
        return table.filter(pc.is_in(table["ticker"], value_set=pa.array(list(tickers), pa.string())))

    table = lake.look(paths.partition(dataset, session), see)
    if table is None:  # withdrawn since the listing
        return wanted.empty_table()
    return table.select(wanted.names).replace_schema_metadata(None).cast(wanted)
