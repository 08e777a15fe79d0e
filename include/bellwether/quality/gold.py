"""Judges a session of gold before it is published.

Gold is computed: a row that breaks a rule is Bellwether's own mistake, so nothing goes to quarantine; the whole session
is held back. What real data does is counted. The suites say both, in `suites/minutes.json` and `suites/chain.json`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.quality.reasons import TableReason
from bellwether.quality.suite import columns_of, read_suite
from bellwether.quality.validate import Outcome, evaluate
from bellwether.schemas import SCHEMAS

_OK = "ok"
_SOLVED = ("iv", "delta", "gamma", "theta", "vega", "rho", "iv_error")
_SMILES = ("chain_expirations", "chain_atm_iv", "chain_skew_25d", "chain_butterfly_25d")


@dataclass(frozen=True)
class GoldVerdict:
    """What is said of one session of gold.

    Attributes
    ----------
    failures
        Rules that are broken, in words; each begins with its `TableReason` or with `error`. None: it may be published.
    warnings
        Count per warning of the suite.
    result
        Small JSON-able record for the state folder: counts per expectation, no rows.
    seconds
        Wall time, imports included.
    """

    failures: list[str]
    warnings: dict[str, int]
    result: dict[str, Any]
    seconds: float


def judge_gold(
    table: pa.Table,
    *,
    dataset: str,
    session: date,
    span: tuple[datetime, datetime],
    rows_expected: int,
    checked: pa.Table | None = None,
) -> GoldVerdict:
    """Judge all rows of a session.

    Parameters
    ----------
    table
        They, in the order of their key.
    dataset
        Chooses the schema and the suite.
    session
        For the record.
    span
        Between which instants rows start; the second is not included.
    rows_expected
        How many were staged.
    checked
        Columns of the suite that were found beside the rows, as many and in their order.
    """
    started_s = time.perf_counter()
    suite = read_suite(dataset)
    outcomes: list[Outcome] = []
    failures: list[str] = []
    if len(table) != rows_expected:
        failures = [f"{TableReason.ROW_COUNT}: {len(table)} rows, but {rows_expected} were staged"]
    elif len(table):
        try:
            table = table.cast(SCHEMAS[dataset])
        except (pa.ArrowException, ValueError) as error:  # of names and nulls pyarrow tells by a plain ValueError
            failures = [f"{TableReason.SCHEMA}: {error}"]
        else:
            frame = DERIVED[dataset](table)
            if checked is not None:
                frame = pa.table({**_by_name(frame), **_by_name(checked)})
            used = {name for each in suite.expectations for name in columns_of(each["kwargs"])}
            outcomes = evaluate(
                suite,
                frame.select([name for name in frame.column_names if name in used]),
                {"span_start": span[0], "span_end": span[1]},
            )
            failures = [outcome.failure for outcome in outcomes if outcome.failure]
    warnings = {outcome.reason: len(outcome.rows) for outcome in outcomes if outcome.level == "warning"}
    result = {
        "suite": suite.name,
        "dataset": dataset,
        "session": session.isoformat(),
        "passed": not failures,
        "rows": len(table),
        "failures": failures,
        "warnings": warnings,
        "expectations": [outcome.summary() for outcome in outcomes],
    }
    return GoldVerdict(failures, warnings, result, time.perf_counter() - started_s)


def _by_name(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _with_chain_columns(chain: pa.Table) -> pa.Table:
    is_solved = pc.equal(chain["iv_status"], _OK)
    disagrees = [pc.not_equal(pc.is_valid(chain[name]), is_solved) for name in _SOLVED]
    disagrees.append(pc.not_equal(pc.is_valid(chain["spot"]), pc.is_valid(chain["spot_age_s"])))
    return chain.append_column("disagrees", _any_of(disagrees))


def _with_minutes_columns(minutes: pa.Table) -> pa.Table:
    lengths = [pc.list_value_length(minutes[name]) for name in _SMILES]
    disagrees = [pc.fill_null(pc.not_equal(length, lengths[0]), False) for length in lengths]
    disagrees += [pc.not_equal(pc.is_valid(minutes[name]), pc.is_valid(minutes[_SMILES[0]])) for name in _SMILES]
    disagrees.append(pc.not_equal(pc.is_valid(minutes["vix"]), pc.is_valid(minutes["vix_age_s"])))
    disagrees.append(pc.and_(minutes["is_filled"], pc.is_valid(minutes["close"])))
    return minutes.append_column("disagrees", _any_of(disagrees))


def _any_of(masks: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    combined = masks[0]
    for mask in masks[1:]:
        combined = pc.or_(combined, mask)
    return combined


DERIVED: Final[Mapping[str, Callable[[pa.Table], pa.Table]]] = {
    "chain": _with_chain_columns,
    "minutes": _with_minutes_columns,
}
