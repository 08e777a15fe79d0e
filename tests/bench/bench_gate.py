"""The Arrow gate against the Great Expectations suite: same rules, same verdicts, one run.

The suite is given every advantage: imported, built, its context open and the frame converted before the
clock starts, and the default SUMMARY result, cheaper than what validation really uses.
"""

import logging
import time
from collections.abc import Callable
from statistics import median

import great_expectations as gx
import pyarrow as pa
from great_expectations.data_context.types.base import ProgressBarsConfig

from bellwether.quality.bar_rules import with_traded_columns
from bellwether.quality.gate import check_batch
from bellwether.quality.suite import build_suite, read_suite
from bellwether.quality.validate import validate_session
from bellwether.schemas import EQUITIES
from tests.bench import BenchRow
from tests.unit.quality.frames import HOURS, good_row, spoilt_rows, table_of

_MINUTES = 390
_ROUNDS = 15
_FRAMES = 5


def run() -> list[BenchRow]:
    """Time both on one ticker-day of 390 bars, in turns, and compare their verdicts on seeded bad frames."""
    table = pa.Table.from_pylist([good_row(minute=minute) for minute in range(_MINUTES)], schema=EQUITIES)
    run_suite = _suite_on(table)
    run_suite()
    suite_ms, gate_ms = [], []
    for _ in range(_ROUNDS):
        suite_ms.append(_elapsed_ms(run_suite))
        gate_ms.append(median(_elapsed_ms(lambda: check_batch(table, HOURS, "equities")) for _ in range(20)))
    ratio = median(suite_ms) / median(gate_ms)
    agreeing = sum(_verdicts_agree(seed) for seed in range(_FRAMES))
    return [
        BenchRow(f"Arrow gate vs GX suite, {_MINUTES} rows", ratio, 100, "x faster", ratio >= 100),
        BenchRow("Arrow gate and GX suite agree, seeded bad frames", agreeing, _FRAMES, "frames", agreeing == _FRAMES),
    ]


def _suite_on(table: pa.Table) -> Callable[[], object]:
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("bench").add_dataframe_asset("bars")
    definition = asset.add_batch_definition_whole_dataframe("all")
    batch = definition.get_batch({"dataframe": with_traded_columns(table).to_pandas()})
    suite = build_suite(read_suite("equities"))
    bounds = {"span_start": HOURS.pre_open, "span_end": HOURS.post_close, "rows_expected": len(table)}
    return lambda: batch.validate(suite, result_format="SUMMARY", expectation_parameters=bounds)


def _elapsed_ms(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    call()
    return (time.perf_counter() - started_s) * 1000


def _verdicts_agree(seed: int) -> bool:
    table = table_of(spoilt_rows(seed))
    gate = check_batch(table, HOURS, "equities")
    verdict = validate_session(table, dataset="equities", session_hours=HOURS, rows_expected=len(table))
    marked = gate.table.append_column("reason", gate.reasons).filter(gate.reasons.is_valid())
    # Text, since NaN equals nothing.
    return str(marked.to_pylist()) == str(verdict.quarantined.to_pylist()) and verdict.warnings == gate.warnings
