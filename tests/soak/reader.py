"""A reader that never stops while processes die: it must see whole publications only.

Every read is compared by its revision: that of a mix of the markets, or the rows were torn.
"""

from collections import Counter
from collections.abc import Callable, Container, Mapping
from datetime import date
from multiprocessing.synchronize import Event
from typing import Any

import pyarrow as pa

from bellwether.lake import Lake, paths, read
from bellwether.lake.revisions import revision_of
from bellwether.schemas import SCHEMAS
from tests.soak.scene import DATASET, Scene

_SCHEMA = SCHEMAS[DATASET]
_MOST_WORDS = 5
_PAUSE_S = 0.05  # leaves the processor to those who write


def read_until(stop: Event, scene: Scene, mixes: Mapping[date, Container[str]]) -> dict[str, Any]:
    """Read all sessions over and over until `stop` is set; return the reads by reader and what went wrong."""
    reads: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    words: list[str] = []
    while not stop.wait(_PAUSE_S):
        for session in scene.sessions:
            lake = scene.lake()
            if lake.manifest(DATASET, session) is None:
                continue
            for name, reader in _readers().items():
                reads[name] += 1
                try:
                    table = reader(lake, session)
                except Exception as error:  # noqa: BLE001 - any failure of any reader counts
                    wrong["reads failed"] += 1
                    words.append(f"{name} {session}: {error!r}")
                    continue
                if revision_of(table) not in mixes[session]:
                    wrong["reads torn"] += 1
                    words.append(f"{name} {session}: rows that were never published together")
    return {"reads": reads, "wrong": wrong, "words": words[:_MOST_WORDS]}


def _readers() -> dict[str, Callable[[Lake, date], pa.Table]]:
    # Imported here, in the reader's own process: both start threads.
    import duckdb
    import polars as pl

    def through_polars(lake: Lake, session: date) -> pa.Table:
        frame = pl.read_parquet(lake.storage.url(paths.partition(DATASET, session)), columns=_SCHEMA.names)
        return frame.to_arrow().cast(_SCHEMA)

    def through_duckdb(lake: Lake, session: date) -> pa.Table:
        path = lake.storage.url(paths.partition(DATASET, session))
        with duckdb.connect() as connection:
            return connection.read_parquet(path).select(*_SCHEMA.names).to_arrow_table().cast(_SCHEMA)

    return {
        "lake.read": lambda lake, session: read(DATASET, session, session, root=lake.root),
        "Polars": through_polars,
        "DuckDB": through_duckdb,
    }
