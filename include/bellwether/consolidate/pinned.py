"""The inputs of one consolidation, each read in the revision that its plan names and in no other."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.consolidate.inputs import told_of
from bellwether.errors import InputsChanged
from bellwether.lake import Lake, paths
from bellwether.lake.partition import PartitionFile
from bellwether.schemas import FORMS


class Pinned:
    """What a session's gold is built from.

    Attributes
    ----------
    session
        Whose gold.
    inputs
        As in `bellwether.consolidate.inputs`.
    """

    def __init__(self, lake: Lake, session: date, inputs: Mapping[str, str]) -> None:
        self._lake = lake
        self.session = session
        self.inputs = inputs

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
        wanted = list(columns or FORMS[dataset].schema.names)

        def see(file: PartitionFile) -> pa.Table:
            rows = file.read(wanted if tickers is None else list(dict.fromkeys([*wanted, "ticker"])))
            if tickers is not None:
                rows = rows.filter(pc.is_in(rows["ticker"], value_set=pa.array(list(tickers), pa.string())))
            return rows.select(wanted)

        schema = pa.schema([FORMS[dataset].schema.field(name) for name in wanted])
        rows = self._look(dataset, session, see)
        return schema.empty_table() if rows is None else rows.cast(schema)

    def told(self, dataset: str) -> set[str]:
        """Return of whom one of `TELLING` tells; nobody where the dataset is no input."""
        return self._look(dataset, None, lambda file: told_of(dataset, file.manifest.coverage)) or set()

    def sessions_before(self, dataset: str) -> list[date]:
        """Return the earlier sessions of a dataset that are inputs, ascending."""
        names = (name.partition("@") for name in self.inputs)
        return sorted(date.fromisoformat(session) for name, _, session in names if session and name == dataset)

    def _look[T](self, dataset: str, session: date | None, see: Callable[[PartitionFile], T]) -> T | None:
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


def _changed(dataset: str, session: date) -> str:
    return f"{dataset} {session} was published anew while gold was being built from it"
