"""The inputs of one consolidation, each read in the revision that its plan names and in no other.

What was streamed is read as if it were the dataset for which it stands in, and nothing of the session that is not over
by the end of provisional gold, wherever it comes from.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.consolidate.grid import MINUTE_MS
from bellwether.consolidate.inputs import told_of
from bellwether.consolidate.streamed import until_of
from bellwether.errors import InputsChanged
from bellwether.lake import Coverage, Lake, paths
from bellwether.lake.partition import PartitionFile
from bellwether.schemas import FORMS, INDICES, TIMESTAMP
from bellwether.sources.indices import mark_stale
from bellwether.streaming.live import live


class Pinned:
    """What a session's gold is built from.

    Attributes
    ----------
    session
        Whose gold.
    inputs
        As in `bellwether.consolidate.inputs`.
    until
        When the last minute of provisional gold is over; None where the session is whole.
    """

    def __init__(self, lake: Lake, session: date, inputs: Mapping[str, str]) -> None:
        self._lake = lake
        self.session = session
        self.inputs = inputs
        self.until = until_of(inputs)

    def table(
        self,
        dataset: str,
        session: date | None = None,
        *,
        tickers: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return rows of a dataset; none where the dataset is no input.

        Parameters
        ----------
        session
            An earlier one, read for warm-up; the session itself by default.
        tickers
            Only of these.
        columns
            Only these.

        Raises
        ------
        InputsChanged
            Another revision is published by now.
        """
        schema = FORMS[dataset].schema
        wanted = list(columns or schema.names)
        is_cut = session is None and self.until is not None and "ts" in schema.names
        filtered = (["ticker"] if tickers is not None else []) + (["ts"] if is_cut else [])
        needed = list(dict.fromkeys([*wanted, *filtered]))

        def see(file: PartitionFile) -> pa.Table:
            rows = _streamed_indices(file) if file.manifest.dataset == live("indices") else file.read(needed)
            if tickers is not None:
                rows = rows.filter(pc.is_in(rows["ticker"], value_set=pa.array(list(tickers), pa.string())))
            if is_cut:
                rows = rows.filter(self._is_over(rows["ts"]))
            return rows.select(wanted)

        schema = pa.schema([schema.field(name) for name in wanted])
        rows = self._look(dataset, session, see)
        return schema.empty_table() if rows is None else rows.cast(schema)

    def told(self, dataset: str) -> set[str]:
        """Return of whom one of `TELLING` tells; nobody where the dataset is no input.

        Of streamed equities everybody who was heard: see `bellwether.consolidate.inputs.streamed_tickers`.
        """
        return self._look(dataset, None, lambda file: told_of(dataset, file.manifest.coverage)) or set()

    def gaps(self, dataset: str) -> dict[str, str]:
        """Return of whom gaps of a stream may hide something, and why; nobody where the stream does not stand in."""
        if live(dataset) not in self.inputs:
            return {}

        def see(file: PartitionFile) -> dict[str, str]:
            known = file.manifest.coverage.items()
            return {ticker: each.reason for ticker, each in known if each.state is Coverage.PARTIAL}

        return self._look(dataset, None, see) or {}

    def sessions_before(self, dataset: str) -> list[date]:
        """Return the earlier sessions of a dataset that are inputs, ascending."""
        names = (name.partition("@") for name in self.inputs)
        return sorted(date.fromisoformat(session) for name, _, session in names if session and name == dataset)

    def _is_over(self, ts: pa.ChunkedArray) -> pa.ChunkedArray:
        last = self.until - timedelta(milliseconds=MINUTE_MS) if self.until else None
        return pc.less_equal(ts, pa.scalar(last, TIMESTAMP))

    def _look[T](self, dataset: str, session: date | None, see: Callable[[PartitionFile], T]) -> T | None:
        if session is None and live(dataset) in self.inputs:
            dataset = live(dataset)
        revision = self.inputs.get(dataset if session is None else f"{dataset}@{session}")
        if revision is None:
            return None
        of = session or self.session

        def see_revision(file: PartitionFile) -> T:
            if file.manifest.revision != revision:
                raise InputsChanged(_changed(dataset, of))
            return see(file)

        seen = self._lake.look(paths.partition(dataset, of), see_revision)
        if seen is None:
            raise InputsChanged(_changed(dataset, of))
        return seen


def _streamed_indices(file: PartitionFile) -> pa.Table:
    """Return the bars of streamed indices as the daily pull has them: those marked that only repeat a value."""
    bars, hours = file.read(), get_calendar().hours(file.manifest.session)
    each = [bars.filter(pc.equal(bars["ticker"], ticker)) for ticker in bars["ticker"].unique().to_pylist()]
    marked = [rows.append_column(INDICES.field("is_stale"), mark_stale(rows, hours)) for rows in each]
    return pa.concat_tables([INDICES.empty_table(), *marked])


def _changed(dataset: str, session: date) -> str:
    return f"{dataset} {session} was published anew while gold was being built from it"
