"""What a row of an option chain must be, and what real quotes do: the rules of `options_snapshot`.

A quote that is crossed, locked or one-sided is real and kept: it is counted. Two verdicts are text columns, so that
the gate and the suite read the same words.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.quality.bar_rules import is_missing
from bellwether.quality.prepare import any_of, column_of
from bellwether.quality.reasons import RowReason, WarningName
from bellwether.tickers import OPTION_PATTERN

if TYPE_CHECKING:  # the calendar loads pandas, which the gate must not
    from bellwether.calendar import SessionHours

type _Columns = Mapping[str, pa.Array]

_TERMS = ("ts", "right", "exercise_style", "expiration", "strike", "multiplier")
_PRICES = ("bid", "ask", "mid", "last_price", "underlying_price")
_SIZES = ("bid_size", "ask_size", "last_size")
_FLOATS = (
    *("strike", "multiplier", *_PRICES, "day_volume", "break_even_price"),
    *("vendor_iv", "vendor_delta", "vendor_gamma", "vendor_theta", "vendor_vega"),
)

MALFORMED, DISAGREES = "malformed", "disagrees"
_QUOTES: Final = {
    "crossed": WarningName.CROSSED_QUOTE,
    "locked": WarningName.LOCKED_QUOTE,
    "one_sided": WarningName.ONE_SIDED_QUOTE,
    "none": WarningName.NO_QUOTE,
}


def broken(columns: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return for each rule which rows break it."""
    verdict = symbol_verdict(columns)
    return {
        RowReason.NULL_CONTRACT_TERM: any_of(*(is_missing(columns[name]) for name in _TERMS)),
        RowReason.MALFORMED_SYMBOL: any_of(pc.equal(verdict, MALFORMED)),
        RowReason.SYMBOL_MISMATCH: any_of(pc.equal(verdict, DISAGREES)),
        RowReason.NOT_FINITE: any_of(*(pc.is_inf(columns[name]) for name in _FLOATS)),
        RowReason.PRICE_NOT_POSITIVE: any_of(pc.less_equal(columns["strike"], 0.0)),
        RowReason.MULTIPLIER_NOT_POSITIVE: any_of(pc.less_equal(columns["multiplier"], 0.0)),
        RowReason.NEGATIVE_PRICE: any_of(*(pc.less(columns[name], 0.0) for name in _PRICES)),
        RowReason.NEGATIVE_SIZE: any_of(*(pc.less(columns[name], 0) for name in _SIZES)),
        RowReason.NEGATIVE_VOLUME: any_of(pc.less(columns["day_volume"], 0.0)),
        RowReason.NEGATIVE_OPEN_INTEREST: any_of(pc.less(columns["open_interest"], 0)),
    }


def warnings(good: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return what odd rows of a chain are: real, and kept."""
    verdict = quote_verdict(good)
    return {name: pc.equal(verdict, word) for word, name in _QUOTES.items()} | {
        WarningName.NULL_IV: is_missing(good["vendor_iv"])
    }


def with_derived_columns(table: pa.Table) -> pa.Table:
    """Return the table with the columns `symbol_verdict` and `quote_verdict` appended."""
    columns = {name: column_of(table, name) for name in table.column_names}
    table = table.append_column("symbol_verdict", symbol_verdict(columns))
    return table.append_column("quote_verdict", quote_verdict(columns))


def symbol_verdict(columns: _Columns) -> pa.Array:
    """Return what each row's symbol is beside its right, expiration and strike: `agrees`, `malformed` or `disagrees`.

    The symbol is written from the three and compared as text, so that a strike is equal or it is not. Null where a
    null leaves nothing to compare.
    """
    symbol = columns["ticker"]
    well_formed = pc.match_substring_regex(symbol, OPTION_PATTERN)
    agrees = pc.equal(pc.utf8_slice_codeunits(symbol, -15), _tail(columns))
    verdict = pc.if_else(agrees, "agrees", DISAGREES)
    return pc.if_else(well_formed, verdict, MALFORMED)


def _tail(columns: _Columns) -> pa.Array:
    """Return the last 15 letters of the symbol that right, expiration and strike make; null where no symbol can."""
    expiration, strike = columns["expiration"], columns["strike"]
    thousandths = pc.multiply(pc.if_else(pc.is_nan(strike), pa.scalar(None, strike.type), strike), 1000.0)
    letter = pc.if_else(
        pc.equal(columns["right"], "call"), "C", pc.if_else(pc.equal(columns["right"], "put"), "P", "-")
    )
    century = pc.if_else(pc.equal(pc.divide(pc.year(expiration), 100), 20), "", "-")
    whole = pc.round(thousandths)
    # 638.748 x 1000 is 638748.0000000001: as far as float64 goes, a strike of thousandths.
    is_whole = pc.less(pc.abs(pc.subtract(thousandths, whole)), 1e-6)
    fits = pc.and_(is_whole, pc.and_(pc.greater_equal(whole, 0.0), pc.less(whole, 1e8)))
    digits = pc.utf8_lpad(pc.if_else(fits, whole, 0.0).cast(pa.int64()).cast(pa.string()), 8, "0")
    digits = pc.if_else(fits, digits, "-")
    return pc.binary_join_element_wise(century, pc.strftime(expiration, "%y%m%d"), letter, digits, "")


def quote_verdict(columns: _Columns) -> pa.Array:
    """Return what each row's quote is: `none`, `one_sided`, `crossed`, `locked` or `two_sided`.

    A side that is null or 0 is quoted by nobody.
    """
    bid, ask = columns["bid"], columns["ask"]
    has_bid, has_ask = (pc.greater(side, 0.0).fill_null(False) for side in (bid, ask))
    two_sided = pc.if_else(pc.greater(bid, ask), "crossed", pc.if_else(pc.equal(bid, ask), "locked", "two_sided"))
    one_sided = pc.if_else(pc.or_(has_bid, has_ask), "one_sided", "none")
    return pc.if_else(pc.and_(has_bid, has_ask), two_sided, one_sided)
