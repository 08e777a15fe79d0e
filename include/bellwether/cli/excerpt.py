"""A few rows of gold, for people to look at."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.lake import read

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "minutes": ("ticker", "ts", "close", "volume", "vix", "mom_since_open", "ind_rsi", "chain_volume"),
    "chain": ("ticker", "ts", "close", "spot", "iv", "delta", "gamma", "theta", "iv_status"),
}
_AFTER_THE_OPEN = timedelta(hours=1)
_ROWS = 5


def excerpt(root: str, dataset: str, session: date) -> Table:
    """Return some rows of a session from an hour after the open on, of tickers with options where there are any.

    Parameters
    ----------
    root
        The lake.
    dataset
        `minutes` or `chain`.
    session
        Published or not; without rows the table is empty.
    """
    columns = _COLUMNS[dataset]
    rows = read(dataset, session, session, root=root, columns=list(columns))
    rows = rows.filter(pc.greater_equal(rows["ts"], pa.scalar(get_calendar().hours(session).open + _AFTER_THE_OPEN)))
    told = "iv" if dataset == "chain" else "chain_volume"
    known = rows.filter(pc.is_valid(rows[told]))
    table = Table(*columns, title=f"{dataset} of {session}, times in New York")
    for row in (known if len(known) else rows).slice(0, _ROWS).to_pylist():
        table.add_row(*(_shown(row[column]) for column in columns))
    return table


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
    if hasattr(value, "astimezone"):
        return f"{value.astimezone(NEW_YORK):%H:%M}"
    return str(value)
