"""The lake at the size of a whole index: publishing a session of 500 tickers, and the two usual reads of it.

Publishing is the DAG's own step, from the validated stage to the swapped file, in wall-clock seconds, since
disk syncs are part of it. Reads are in CPU time of all threads: on an idle machine a user waits no longer
than that, and it stays the same on a busy one. The rows come from the generated market: how well prices
compress decides these figures.
"""

import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import pyarrow as pa
import structlog

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.ingest.finish import publish_stage
from bellwether.lake import Lake, read
from bellwether.lake.stage import Stage, ValidatedRecord
from bellwether.schemas import EQUITIES
from bellwether.simulator.market import GeneratedMarket, universe
from tests.bench import BenchRow
from tests.builders import SESSION, complete

_TICKERS = sorted(universe(500))
_ONE_TICKER = len(_TICKERS) // 2
_PUBLICATIONS, _READS = 9, 61
# Generous: plain pyarrow took 19 ms and 14 ms for such reads of a folder of 20 sessions.
_PUBLISH_S, _ONE_TICKER_MS, _TWO_COLUMNS_MS = 2.0, 25.0, 20.0


def run() -> list[BenchRow]:
    """Publish one session into fresh lakes, then read the last of them again and again."""
    tables = _regular_minutes()
    whole = pa.concat_tables(tables)
    with tempfile.TemporaryDirectory() as folder:
        lakes = [Lake.open(Path(folder) / f"lake{number}", simulated=True) for number in range(_PUBLICATIONS)]
        for lake in lakes:
            record = ValidatedRecord(coverage=complete(*tables), api_calls=len(tables), raw={}, timings_s={})
            Stage(lake, "equities", SESSION, "s1").write_validated(whole, record)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        publish_s = median([_elapsed(time.perf_counter, partial(_publish, lake)) for lake in lakes])
        structlog.reset_defaults()
        root = lakes[-1].root

        def one_ticker() -> pa.Table:
            return read("equities", SESSION, SESSION, [_TICKERS[_ONE_TICKER]], root=root)

        def two_columns() -> pa.Table:
            return read("equities", SESSION, SESSION, columns=["ts", "close"], root=root)

        _check(one_ticker().equals(tables[_ONE_TICKER]))
        _check(two_columns().equals(whole.select(["ts", "close"])))
        one_ms, two_ms = _median_ms(one_ticker), _median_ms(two_columns)
    return [
        _row(f"publish {whole.num_rows:,} rows of {len(tables)} tickers", publish_s, _PUBLISH_S, "s"),
        _row(f"read one ticker of {len(tables)}, one session", one_ms, _ONE_TICKER_MS, "ms CPU"),
        _row(f"read two columns of {len(tables)} tickers, one session", two_ms, _TWO_COLUMNS_MS, "ms CPU"),
    ]


def _regular_minutes() -> list[pa.Table]:
    """Return each ticker's bars between the opening and the close, about 390."""
    market, hours = GeneratedMarket(tickers=_TICKERS), get_calendar().hours(SESSION)
    open_ms, close_ms = (int(moment.timestamp()) * 1000 for moment in (hours.open, hours.close))
    tables = []
    for ticker in _TICKERS:
        day = market.bars(ticker, SESSION)
        day = day.rows((day.start_ms >= open_ms) & (day.start_ms < close_ms))
        tables.append(pa.table([pa.repeat(ticker, len(day.start_ms)), *day], schema=EQUITIES))
    return tables


def _publish(lake: Lake) -> None:
    _check(publish_stage(lake, Config(), "equities", SESSION, stage_id="s1", run_id="bench").changed)


def _check(holds: bool) -> None:
    if not holds:
        message = "the lake does not hold what was staged: a fast wrong answer is no figure"
        raise AssertionError(message)


def _median_ms(call: Callable[[], object]) -> float:
    return 1000 * median([_elapsed(time.process_time, call) for _ in range(_READS)])


def _elapsed(clock_s: Callable[[], float], call: Callable[[], object]) -> float:
    started_s = clock_s()
    call()
    return clock_s() - started_s


def _row(name: str, value: float, target: float, unit: str) -> BenchRow:
    return BenchRow(name, value, target, unit, value <= target)
