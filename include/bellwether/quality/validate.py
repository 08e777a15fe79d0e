"""Runs the suite once over a session's staged rows and splits them into good and quarantined.

Great Expectations and pandas are imported inside the run only. Nothing is written here, and no data
context outlives a call, so any number of processes may validate at once.
"""

import logging
import os
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.due import SPANS
from bellwether.quality.prepare import (
    REASON_COLUMN,
    normalise,
    quarantine_schema,
    schema_errors,
    schema_of,
    spell_reasons,
    staged_schema,
)
from bellwether.quality.reasons import TableReason, WarningName
from bellwether.quality.rules import RULES
from bellwether.quality.suite import SuiteFile, build_suite, columns_of, read_suite

if TYPE_CHECKING:  # the calendar loads pandas before it is needed
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    from bellwether.calendar import SessionHours


@dataclass(frozen=True)
class Verdict:
    """What validation says about one session.

    Attributes
    ----------
    passed
        No table rule failed; `good` may be published.
    good
        Rows to publish, sorted, in the dataset's schema; no rows where the session did not pass.
    quarantined
        Rows that break a row rule, with the text column `reason` (several joined by ", ").
    warnings
        Count per warning of the dataset, over the good rows.
    failures
        Table rules that failed, in words; each begins with its `TableReason` or with `error`.
    result
        Small JSON-able record for the state folder: counts per expectation, no rows.
    seconds
        Wall time of the validation, imports included.
    """

    passed: bool
    good: pa.Table
    quarantined: pa.Table
    warnings: dict[str, int]
    failures: list[str]
    result: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """One expectation's answer.

    Attributes
    ----------
    rows
        Positions of the rows that broke it.
    failure
        Why the session fails by it, in words.
    """

    type: str
    columns: list[str]
    level: str
    reason: str
    severity: str
    success: bool
    rows: list[int]
    failure: str | None

    def summary(self) -> dict[str, Any]:
        """Return it for the record."""
        return {
            "type": self.type,
            "columns": self.columns,
            "level": self.level,
            "reason": self.reason,
            "severity": self.severity,
            "success": self.success,
            "unexpected_count": len(self.rows),
            "failure": self.failure,
        }


def validate_session(
    table: pa.Table,
    *,
    dataset: str,
    session_hours: "SessionHours",
    rows_expected: int,
    duplicates_dropped: int = 0,
) -> Verdict:
    """Judge the whole staged partition of a session.

    Parameters
    ----------
    table
        All staged rows of the session, any order. No rows at all is a valid session (every ticker
        proven empty).
    dataset
        Name of the dataset; chooses the schema and the suite.
    session_hours
        Bounds of the session.
    rows_expected
        Rows recorded when the batches were staged; another number fails the session (a file was missed).
    duplicates_dropped
        Identical rows the gate dropped before staging, to be counted with those dropped here.

    Raises
    ------
    ConfigError
        There is no such dataset, or its suite file is wrong.
    """
    started_s = time.perf_counter()
    suite = read_suite(dataset)
    failures = [f"{TableReason.SCHEMA}: {error}" for error in schema_errors(table, dataset)]
    outcomes: list[Outcome] = []
    if failures:
        # On columns of another kind half of the expectations would raise and hide the reason.
        table = staged_schema(dataset).empty_table()
    elif len(table) == 0:
        failures = [f"{TableReason.ROW_COUNT}: no rows, but {rows_expected} were staged"] if rows_expected else []
    else:
        table, dropped = normalise(table, dataset)
        duplicates_dropped += dropped
        parameters = {
            **_span(dataset, session_hours),
            "session": session_hours.session,
            "rows_expected": rows_expected - dropped,
        }
        outcomes = evaluate(suite, RULES[dataset].derived(table), parameters)
        failures = [outcome.failure for outcome in outcomes if outcome.failure]
    reasons = spell_reasons(_masks(outcomes, "row", len(table)), len(table))
    good, quarantined = _split(table, reasons, dataset)
    failures += _share_failure(len(quarantined), len(table), suite.max_quarantined_share)
    warnings = _count_warnings(suite, outcomes, reasons) | RULES[dataset].counts(table, good, session_hours)
    warnings[WarningName.DUPLICATES_DROPPED.value] = duplicates_dropped
    result = {
        "suite": suite.name,
        "dataset": dataset,
        "session": session_hours.session.isoformat(),
        "passed": not failures,
        "rows": len(table),
        "quarantined_rows": len(quarantined),
        "failures": failures,
        "warnings": warnings,
        "expectations": [outcome.summary() for outcome in outcomes],
    }
    publishable = (good.slice(0, 0) if failures else good).cast(schema_of(dataset))
    seconds = time.perf_counter() - started_s
    return Verdict(not failures, publishable, quarantined, warnings, failures, result, seconds)


def evaluate(suite: SuiteFile, table: pa.Table, parameters: dict[str, Any]) -> list[Outcome]:
    """Return what each expectation of a suite says of a table.

    Parameters
    ----------
    suite
        The suite.
    table
        The rows, with the columns derived for the suite.
    parameters
        Values of its $PARAMETERs.
    """
    # GX 1.24 sends nothing home; the variable keeps it so should that change.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx  # noqa: PLC0415 - 3 s, 270 MB
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415 - as above

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("staged").add_dataframe_asset(suite.dataset)
    definition = asset.add_batch_definition_whole_dataframe("session")
    # A fresh frame is indexed 0..n-1: the labels GX reports are positions in the table.
    batch = definition.get_batch({"dataframe": table.to_pandas()})
    # What is kept is a summary; the rows themselves are needed here, for the split.
    answer = batch.validate(build_suite(suite), result_format="COMPLETE", expectation_parameters=parameters)
    return [_outcome(each) for each in answer.results]


def _span(dataset: str, hours: "SessionHours") -> dict[str, datetime]:
    if dataset not in SPANS:
        return {}
    start, end = SPANS[dataset](hours)
    return {"span_start": start, "span_end": end}


def _outcome(answer: "ExpectationValidationResult") -> Outcome:
    config = cast("ExpectationConfiguration", answer.expectation_config)
    columns = columns_of(config.kwargs)
    level, reason = config.meta["level"], config.meta["reason"]
    rows = answer.result.get("unexpected_index_list") or []
    broken_rows = answer.result.get("unexpected_count", 0)
    failure = None
    raised = raised_exceptions(answer.exception_info)
    where = f"{config.type}({', '.join(columns)})"
    if raised:
        failure = f"error: {where} could not be evaluated: {'; '.join(raised)}"
    elif level == "table" and not answer.success:
        observed = answer.result.get("observed_value", f"{broken_rows} rows")
        failure = f"{reason}: {where} failed; observed {observed}"
    elif level != "table" and (len(rows) != broken_rows or (not answer.success and not rows)):
        # Publishing rows that are known to be bad but not by position is worse than holding the session.
        failure = f"error: {where} found {broken_rows} bad rows and named {len(rows)}"
    return Outcome(config.type, columns, level, reason, config.severity, bool(answer.success), rows, failure)


def raised_exceptions(exception_info: dict[str, Any]) -> list[str]:
    """Return the messages of the exceptions an expectation raised; GX reports one flat or many by metric."""
    entries = [exception_info, *(value for value in exception_info.values() if isinstance(value, dict))]
    return [str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")]


def _masks(outcomes: list[Outcome], level: str, rows: int) -> dict[str, pa.Array]:
    masks: dict[str, np.ndarray[Any, np.dtype[np.bool_]]] = {}
    for outcome in outcomes:
        if outcome.level == level:
            masks.setdefault(outcome.reason, np.zeros(rows, np.bool_))[outcome.rows] = True
    return {reason: pa.array(mask) for reason, mask in masks.items()}


def _split(table: pa.Table, reasons: pa.Array, dataset: str) -> tuple[pa.Table, pa.Table]:
    bad = table.append_column(REASON_COLUMN, reasons).filter(reasons.is_valid())
    return table.filter(reasons.is_null()), bad.cast(quarantine_schema(dataset))


def _share_failure(quarantined: int, rows: int, max_share: float) -> list[str]:
    if quarantined <= rows * max_share:
        return []
    share = quarantined / rows
    numbers = f"{quarantined} of {rows} rows ({share:.1%}) break a rule; at most {max_share:.0%} may"
    return [f"{TableReason.QUARANTINED_SHARE}: {numbers}"]


def _count_warnings(suite: SuiteFile, outcomes: list[Outcome], reasons: pa.Array) -> dict[str, int]:
    masks = _masks(outcomes, "warning", len(reasons))
    good = reasons.is_null()
    counted = {name: pc.sum(pc.and_(mask, good)).as_py() or 0 for name, mask in masks.items()}
    names = {raw["meta"]["reason"] for raw in suite.expectations if raw["meta"]["level"] == "warning"}
    return {name.value: counted.get(name.value, 0) for name in WarningName if name in names}
