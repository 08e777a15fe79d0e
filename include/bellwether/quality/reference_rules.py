"""What splits, dividends, Treasury yields and listings must be."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.quality.bar_rules import is_missing
from bellwether.quality.prepare import any_of
from bellwether.quality.reasons import RowReason

if TYPE_CHECKING:  # the calendar loads pandas, which the gate must not
    from bellwether.calendar import SessionHours

type _Columns = Mapping[str, pa.Array]


def split_broken(columns: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return the rules of splits: both factors are there, finite and positive."""
    factors = [columns[name] for name in ("split_from", "split_to")]
    return {
        RowReason.NULL_VALUE: any_of(*(is_missing(factor) for factor in factors)),
        RowReason.NOT_FINITE: any_of(*(pc.is_inf(factor) for factor in factors)),
        RowReason.FACTOR_NOT_POSITIVE: any_of(*(pc.less_equal(factor, 0.0) for factor in factors)),
    }


def dividend_broken(columns: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return the rules of dividends: the amount is there, finite and not negative, and of a kind."""
    amount = columns["cash_amount"]
    return {
        RowReason.NULL_VALUE: any_of(is_missing(amount), columns["dividend_type"].is_null()),
        RowReason.NOT_FINITE: any_of(pc.is_inf(amount)),
        RowReason.NEGATIVE_AMOUNT: any_of(pc.less(amount, 0.0)),
    }


def rate_broken(columns: _Columns, hours: "SessionHours") -> dict[str, pa.Array]:
    """Return the rules of yields: finite, negative ones too, and of days whose yields the session could know."""
    day = columns["date"]
    return {
        RowReason.NULL_VALUE: is_missing(columns["rate"]),
        RowReason.NOT_FINITE: any_of(pc.is_inf(columns["rate"])),
        RowReason.NOT_KNOWN_YET: any_of(pc.greater_equal(day, pa.scalar(hours.session, day.type))),
    }


def ticker_broken(columns: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return the rules of listings: each is of some market."""
    return {RowReason.NULL_VALUE: columns["market"].is_null()}


def no_warnings(_good: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return no oddities: none is known."""
    return {}


def as_it_is(table: pa.Table) -> pa.Table:
    """Return the table: its suite needs no column of its own."""
    return table
