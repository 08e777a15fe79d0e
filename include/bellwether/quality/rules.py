"""Which rules the rows of each dataset must keep, and what is counted of them: one row per dataset.

The gate applies them in Arrow; the dataset's suite says the same in Great Expectations' words, and a test holds the
two together. This room imports neither.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from bellwether.quality import bar_rules, news_rules, option_rules, reference_rules, snapshot_rules

if TYPE_CHECKING:
    from bellwether.calendar import SessionHours

type Columns = Mapping[str, pa.Array]
"""The columns of a table, one array each, by name."""


def _nothing_counted(_table: pa.Table, _good: pa.Table, _hours: "SessionHours") -> dict[str, int]:
    return {}


@dataclass(frozen=True)
class Rules:
    """The rules of one dataset. NaN counts as null, and null breaks only the rules about nulls.

    Attributes
    ----------
    broken
        For each rule the mask of rows that break it. Null keys and repeated keys are the gate's own.
    warnings
        Of good rows, the mask of each oddity.
    derived
        The table with the columns appended that the suite needs and Great Expectations cannot compute on pandas.
    derived_columns
        Their names.
    counts
        What is counted of the table and its good rows beyond single rows, by `WarningName`.
    """

    broken: Callable[[Columns, "SessionHours"], dict[str, pa.Array]]
    warnings: Callable[[Columns, "SessionHours"], dict[str, pa.Array]]
    derived: Callable[[pa.Table], pa.Table]
    derived_columns: tuple[str, ...] = ()
    counts: Callable[[pa.Table, pa.Table, "SessionHours"], dict[str, int]] = _nothing_counted


RULES: Final[Mapping[str, Rules]] = {
    "equities": Rules(
        bar_rules.broken_of("equities"),
        bar_rules.traded_warnings,
        bar_rules.with_traded_columns,
        ("ms_past_minute", "has_sub_penny_price"),
        bar_rules.missing_regular_minutes,
    ),
    "daily_bars": Rules(
        bar_rules.broken_day,
        bar_rules.traded_warnings,
        bar_rules.with_sub_penny_column,
        ("has_sub_penny_price",),
    ),
    "contracts": Rules(
        option_rules.broken_contract,
        option_rules.contract_warnings,
        option_rules.with_symbol_columns,
        ("has_malformed_symbol", "has_symbol_mismatch"),
    ),
    "options": Rules(
        bar_rules.broken_of("options"),
        bar_rules.traded_warnings,
        bar_rules.with_traded_columns,
        ("ms_past_minute", "has_sub_penny_price"),
        option_rules.prints_after_close,
    ),
    "options_snapshot": Rules(
        snapshot_rules.broken,
        snapshot_rules.warnings,
        snapshot_rules.with_derived_columns,
        ("symbol_verdict", "quote_verdict"),
    ),
    "indices": Rules(
        bar_rules.broken_of("indices"),
        bar_rules.index_warnings,
        bar_rules.with_ms_past_minute,
        ("ms_past_minute",),
        bar_rules.missing_regular_minutes,
    ),
    "news": Rules(news_rules.broken, news_rules.warnings, lambda table: table),
    "splits": Rules(reference_rules.split_broken, reference_rules.no_warnings, reference_rules.as_it_is),
    "dividends": Rules(reference_rules.dividend_broken, reference_rules.no_warnings, reference_rules.as_it_is),
    "rates": Rules(reference_rules.rate_broken, reference_rules.no_warnings, reference_rules.as_it_is),
    "tickers": Rules(reference_rules.ticker_broken, reference_rules.no_warnings, reference_rules.as_it_is),
}
