"""Reads a suite file and refuses one that Great Expectations would run only in part.

It knows the files and the vocabulary of verdicts; it sees no data. Great Expectations is imported when a
suite is built, never with the module (3 s, 270 MB).
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bellwether.errors import ConfigError
from bellwether.quality.prepare import schema_of
from bellwether.quality.reasons import CHAIN_CHECKS, RowReason, TableReason, WarningName
from bellwether.quality.rules import RULES

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

REASONS_OF_LEVEL: dict[str, type[StrEnum]] = {"row": RowReason, "table": TableReason, "warning": WarningName}
GOLD_COLUMNS: dict[str, tuple[str, ...]] = {
    "minutes": ("disagrees",),
    "chain": ("disagrees", *(name.value for name in CHAIN_CHECKS)),
}
"""Columns of gold's suites that are no columns of the dataset."""

_COLUMN_KWARGS = ("column", "column_A", "column_B", "column_list", "column_set")


@dataclass(frozen=True)
class SuiteFile:
    """One suite as its file says it.

    Attributes
    ----------
    name
        Name of the suite; also its file's.
    dataset
        The dataset it judges.
    max_quarantined_share
        Fraction of the rows, 0 to 1; a session with more of them in quarantine is held.
    expectations
        GX's own form: type, kwargs, severity, and meta with `level` and `reason`.
    """

    name: str
    dataset: str
    max_quarantined_share: float
    expectations: list[dict[str, Any]]


def read_suite(dataset: str) -> SuiteFile:
    """Read the suite file of a dataset.

    Raises
    ------
    ConfigError
        There is no such dataset.
    """
    schema_of(dataset)
    raw = json.loads(files("bellwether.quality").joinpath("suites", f"{dataset}.json").read_text("utf-8"))
    return SuiteFile(raw["name"], raw["meta"]["dataset"], raw["meta"]["max_quarantined_share"], raw["expectations"])


def build_suite(suite: SuiteFile) -> "ExpectationSuite":
    """Build Great Expectations' suite, complete or not at all.

    Raises
    ------
    ConfigError
        An expectation has an unknown type, argument, column, level or reason; the message names it.
    """
    import great_expectations as gx  # noqa: PLC0415 - 3 s, 270 MB
    from great_expectations.exceptions.exceptions import GreatExpectationsError  # noqa: PLC0415 - as above
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: PLC0415 - as above

    built = []
    for position, raw in enumerate(suite.expectations, start=1):
        _check_words(suite, position, raw)
        try:
            # ExpectationSuite(**file) would only log an unknown type and leave the expectation out.
            built.append(ExpectationConfiguration(**raw).to_domain_obj())
        except (GreatExpectationsError, ValueError, TypeError) as error:
            raise ConfigError(_complaint(suite, position, raw, str(error))) from error
    return gx.ExpectationSuite(name=suite.name, expectations=built)


def _check_words(suite: SuiteFile, position: int, raw: dict[str, Any]) -> None:
    meta, kwargs = raw.get("meta", {}), raw.get("kwargs", {})
    reasons = REASONS_OF_LEVEL.get(meta.get("level"))
    if reasons is None:
        raise ConfigError(_complaint(suite, position, raw, f"meta.level must be one of {', '.join(REASONS_OF_LEVEL)}"))
    if meta.get("reason") not in list(reasons):
        raise ConfigError(_complaint(suite, position, raw, f"meta.reason must be one of {', '.join(reasons)}"))
    derived = RULES[suite.dataset].derived_columns if suite.dataset in RULES else GOLD_COLUMNS[suite.dataset]
    known = {*schema_of(suite.dataset).names, *derived}
    unknown = [name for name in columns_of(kwargs) if name not in known]
    if unknown:
        raise ConfigError(_complaint(suite, position, raw, f"{suite.dataset} has no column {', '.join(unknown)}"))


def _complaint(suite: SuiteFile, position: int, raw: dict[str, Any], problem: str) -> str:
    return f"quality/suites/{suite.name}.json, expectation {position} ({raw.get('type')}): {problem}"


def columns_of(kwargs: dict[str, Any]) -> list[str]:
    """Return the columns an expectation's arguments name."""
    named = [kwargs[key] for key in _COLUMN_KWARGS if key in kwargs]
    return [name for value in named for name in ([value] if isinstance(value, str) else value)]
