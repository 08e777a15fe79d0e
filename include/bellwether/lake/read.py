"""Reading published data: what users call from a notebook."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import reduce
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import NEW_YORK
from bellwether.config import Config
from bellwether.errors import LakeError
from bellwether.lake.adjust import adjust_for_splits
from bellwether.lake.history import read_as_of
from bellwether.lake.lake import Lake
from bellwether.lake.location import Location, default_location
from bellwether.lake.manifest import Coverage, Manifest
from bellwether.lake.partition import PartitionFile
from bellwether.lake.rollup import Every, roll_up
from bellwether.schemas import GOLD, SCHEMAS, SPLITS
from bellwether.universe.spec import shown

# Of a ticker without splits that is proof too; what is not entitled or quarantined in part is none.
_ALL_SPLITS_KNOWN = (Coverage.COMPLETE, Coverage.EMPTY)

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


def read(  # noqa: PLR0913 - what to read, in which form, from where
    dataset: str,
    start: date | str,
    end: date | str,
    tickers: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    adjust: Literal["splits"] | None = None,
    every: Every | None = None,
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
        Only these, or only this one; all by default. Of option chains they may be contracts or underlyings.
    columns
        Only these, in this order; all of the schema by default.
    adjust
        `"splits"`: prices and volumes of equities in the shares of the session of the newest published partition of
        `splits`, which must not be older than the last bar; see `bellwether.lake.adjust`. By default as they traded.
    every
        Combine minute bars into coarser ones, after any adjustment; see `bellwether.lake.rollup`. Minutes by default.
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
        longer: never are rows of another one returned. Or a partition was withdrawn meanwhile. What is to be adjusted
        or combined is none of that kind, or not all splits of a ticker are known.
    """
    if as_of is not None and as_of.tzinfo is None:
        msg = f"as_of {as_of.isoformat()} has no time zone: say which instant, e.g. datetime(..., tzinfo=UTC)"
        raise LakeError(msg)
    wanted = select(dataset, columns)
    _check_computable(dataset, adjust, every)
    # What is computed needs all columns of a bar.
    needed = select(dataset, columns if adjust is None and every is None else None)
    names = None if tickers is None else [tickers] if isinstance(tickers, str) else list(tickers)
    named_by = [] if names is None else naming_columns(dataset)
    lake, sessions = find(dataset, start, end, root, options)

    def see(partition: PartitionFile) -> pa.Table:
        table = partition.read(list(dict.fromkeys([*needed.names, *named_by])))
        if names is not None:
            table = table.filter(is_named([table[name] for name in named_by], names))
        return table.select(needed.names).cast(needed)

    tables = [read_as_of(lake, dataset, session, as_of or _FOR_EVER, see) for session in sessions]
    table = pa.concat_tables([needed.empty_table(), *(table for table in tables if table is not None)])
    if adjust == "splits":
        table = _in_shares_of_the_newest_splits(table, lake, as_of)
    if every is not None:
        table = roll_up(table, every)
    return table.select(wanted.names)


def _check_computable(dataset: str, adjust: str | None, every: str | None) -> None:
    if adjust is not None and (dataset, adjust) != ("equities", "splits"):
        msg = f"adjust={adjust!r} of {dataset}: only equities are adjusted, and only for splits"
        raise LakeError(msg)
    if every is not None and (dataset in GOLD or not {"ts", "close"} <= set(SCHEMAS[dataset].names)):
        msg = f"every={every!r} of {dataset}: only minute bars are combined"
        raise LakeError(msg)


def _in_shares_of_the_newest_splits(bars: pa.Table, lake: Lake, as_of: datetime | None) -> pa.Table:
    """Return bars adjusted by the newest published splits.

    Raises
    ------
    LakeError
        None are of the last bar's session or later, or they do not prove what a ticker's splits were.
    """
    if not len(bars):
        return bars
    last = pc.max(bars["ts"]).as_py().astimezone(NEW_YORK).date()

    def see(partition: PartitionFile) -> tuple[pa.Table, Manifest]:
        return partition.read(SPLITS.names), partition.manifest

    for session in reversed([session for session in lake.sessions("splits") if session >= last]):
        found = read_as_of(lake, "splits", session, as_of or _FOR_EVER, see)
        if found is not None:
            break
    else:
        were = "are published" if as_of is None else f"were published by {as_of.isoformat()}"
        msg = (
            f"no splits of {last} or later {were}, so that those between it and the bars are not known: "
            f"bellwether backfill splits --start {last} --end {last}"
        )
        raise LakeError(msg)
    splits, manifest = found
    tickers = bars["ticker"].unique().to_pylist()
    proven = {ticker for ticker, known in manifest.coverage.items() if known.state in _ALL_SPLITS_KNOWN}
    if unproven := sorted(set(tickers) - proven):
        msg = (
            f"splits of {manifest.session} do not tell those of {shown(unproven)}: fetch them, by bellwether backfill "
            "splits or a run of reference_daily with their names, or leave these tickers out"
        )
        raise LakeError(msg)
    return adjust_for_splits(bars, splits, manifest.session)


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


def naming_columns(dataset: str) -> list[str]:
    """Return the columns in which a ticker is looked for: of option chains the underlying's, too.

    Raises
    ------
    LakeError
        The dataset is of no tickers.
    """
    select(dataset, ["ticker"])
    return [name for name in ("ticker", "underlying") if name in SCHEMAS[dataset].names]


def is_named[Values: (pa.ChunkedArray, pc.Expression)](columns: Sequence[Values], tickers: Sequence[str]) -> Values:
    """Return where any of these columns, or fields of a dataset, holds one of these tickers."""
    values = pa.array(list(tickers), pa.string())
    return reduce(pc.or_kleene, (pc.is_in(column, value_set=values) for column in columns))


def find(
    dataset: str, start: date | str, end: date | str, root: str | Path | None, options: Mapping[str, str] | None
) -> tuple[Lake, list[date]]:
    """Return the lake that `root` names, or the default, and its published sessions of a range."""
    where = Location(str(root), options or {}) if root else default_location(Config.load())
    lake = Lake.open(where.root, options=where.options)
    first, last = (date.fromisoformat(day) if isinstance(day, str) else day for day in (start, end))
    return lake, [session for session in lake.sessions(dataset) if first <= session <= last]
