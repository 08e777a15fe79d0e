"""The lake at the size of a whole index: publishing a session of 500 tickers, and the two usual reads of it.

Wall-clock, since a user waits for it and since threads and disk take part; medians, since others use the
machine too. Publishing is the DAG's own step, from the validated stage to the swapped file, disk syncs included.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pyarrow as pa
from tests.bench import BenchRow
from tests.builders import SESSION, bars, complete

from bellwether.config import Config
from bellwether.ingest.finish import publish_stage
from bellwether.lake import Lake, read
from bellwether.lake.stage import Stage, ValidatedRecord
from bellwether.simulator.market import universe

_TICKERS = 500
_MINUTES = 390
_PUBLICATIONS = 7
_READS = 41
_PUBLISH_S, _ONE_TICKER_MS, _TWO_COLUMNS_MS = 2.0, 25.0, 20.0


def run() -> list[BenchRow]:
    """Publish the same session into fresh lakes, then read the last of them again and again."""
    tables = [bars(ticker, minutes=_MINUTES) for ticker in sorted(universe(_TICKERS))]
    with tempfile.TemporaryDirectory() as folder:
        lakes = [Lake.open(Path(folder) / f"lake{number}", simulated=True) for number in range(_PUBLICATIONS)]
        for lake in lakes:
            _stage(lake, tables)
        publish_s = median(_elapsed_s(lambda lake=lake: _publish(lake)) for lake in lakes)
        root = lakes[-1].paths.root
        ticker = tables[_TICKERS // 2]["ticker"][0].as_py()

        def one_ticker() -> pa.Table:
            return read("equities", SESSION, SESSION, [ticker], root=root)

        def two_columns() -> pa.Table:
            return read("equities", SESSION, SESSION, columns=["ts", "close"], root=root)

        _check(one_ticker().equals(tables[_TICKERS // 2]), "one ticker")
        _check(two_columns().equals(pa.concat_tables(tables).select(["ts", "close"])), "two columns")
        one_ms, two_ms = _median_ms(one_ticker), _median_ms(two_columns)
    return [
        _row(f"publish {_TICKERS} tickers x {_MINUTES} minutes", publish_s, _PUBLISH_S, "s"),
        _row(f"read one ticker of {_TICKERS}, one session", one_ms, _ONE_TICKER_MS, "ms"),
        _row(f"read two columns of {_TICKERS} tickers, one session", two_ms, _TWO_COLUMNS_MS, "ms"),
    ]


def _stage(lake: Lake, tables: list[pa.Table]) -> None:
    record = ValidatedRecord(coverage=complete(*tables), api_calls=_TICKERS, raw={}, timings_s={})
    Stage(lake, "equities", SESSION, "s1").write_validated(pa.concat_tables(tables), record)


def _publish(lake: Lake) -> None:
    publication = publish_stage(lake, Config(), "equities", SESSION, stage_id="s1", run_id="bench")
    _check(publication.changed and publication.manifest.rows == _TICKERS * _MINUTES, "the publication")


def _check(holds: bool, what: str) -> None:
    if not holds:
        message = f"{what} is not what was staged: a fast wrong answer is no figure"
        raise AssertionError(message)


def _median_ms(call: Callable[[], object]) -> float:
    return 1000 * median(_elapsed_s(call) for _ in range(_READS))


def _elapsed_s(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def _row(name: str, value: float, target: float, unit: str) -> BenchRow:
    return BenchRow(name, value, target, unit, value <= target)
