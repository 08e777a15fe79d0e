"""A folder of real history served as it is: tables `bars_equity*.parquet`, whatever days they hold.

Columns `ticker, t, o, h, l, c, v, vw, n` with `t` the bar's start in ms UTC, `vw` and `n` nullable.
This room reads files and cuts them by day. It repairs, filters and sorts away nothing.
"""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.calendar import NEW_YORK
from bellwether.errors import ConfigError
from bellwether.simulator.bars import NO_COUNT, Bars

_PATTERN = "bars_equity*.parquet"
_SCHEMA = pa.schema(
    [("ticker", pa.string()), ("t", pa.int64())]
    + [(name, pa.float64()) for name in ("o", "h", "l", "c", "v", "vw")]
    + [("n", pa.int64())]
)
_NULLABLE = ("vw", "n")


class ArchiveMarket:
    """The equity bars of a folder.

    Parameters
    ----------
    folder
        Where the tables lie.
    start, end
        First and last New York date served; None leaves that side open.

    Raises
    ------
    ConfigError
        The folder has no equity table, or a table is not of the format; names the file.
    """

    def __init__(self, folder: Path, *, start: date | None = None, end: date | None = None) -> None:
        files = sorted(folder.glob(_PATTERN))
        if not files:
            msg = f"archive {folder}: no file {_PATTERN}"
            raise ConfigError(msg)
        table = pa.concat_tables([_read(file) for file in files]).sort_by([("ticker", "ascending"), ("t", "ascending")])
        self._bars: dict[tuple[str, date], Bars] = {}
        self.tickers = frozenset(table["ticker"].unique().to_pylist())
        self._split(table, start or date.min, end or date.max)
        self._days = sorted({day for _, day in self._bars})

    def has_ticker(self, ticker: str) -> bool:
        """Return whether any table holds `ticker`."""
        return ticker in self.tickers

    def days(self, start: date, end: date) -> list[date]:
        """Return the dates of which any ticker has bars, from `start` to `end`, ascending."""
        return [day for day in self._days if start <= day <= end]

    def bars(self, ticker: str, day: date) -> Bars:
        """Return the bars of `ticker` on `day`, verbatim; none where the archive has none."""
        return self._bars.get((ticker, day), _EMPTY)

    def _split(self, table: pa.Table, start: date, end: date) -> None:
        bars = _columns(table)
        tickers = table["ticker"].combine_chunks().dictionary_encode()
        local = pd.to_datetime(bars.start_ms, unit="ms", utc=True).tz_convert(NEW_YORK)
        day_number = local.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)
        codes = tickers.indices.to_numpy()
        changes = np.flatnonzero((np.diff(codes, prepend=-1) != 0) | (np.diff(day_number, prepend=-1) != 0))
        names = tickers.dictionary.to_pylist()
        for low, high in zip(changes, [*changes[1:], len(codes)], strict=True):
            day = local[low].date()
            if start <= day <= end:
                self._bars[names[codes[low]], day] = bars.rows(slice(low, high))


def _read(file: Path) -> pa.Table:
    try:
        table = pq.read_table(file).select(_SCHEMA.names).cast(_SCHEMA)
    except (KeyError, pa.ArrowException) as error:
        msg = f"archive table {file}: not of the format {', '.join(_SCHEMA.names)}: {error}"
        raise ConfigError(msg) from error
    nulls = [name for name in _SCHEMA.names if name not in _NULLABLE and table[name].null_count]
    if nulls:
        msg = f"archive table {file}: null values in {', '.join(nulls)}; only {' and '.join(_NULLABLE)} may be null"
        raise ConfigError(msg)
    return table


def _columns(table: pa.Table) -> Bars:
    table = table.set_column(table.column_names.index("n"), "n", table["n"].fill_null(NO_COUNT))
    return Bars._make(table[name].to_numpy() for name in ("t", "o", "h", "l", "c", "v", "vw", "n"))


_EMPTY = _columns(_SCHEMA.empty_table())
