"""What listed contracts must be, and what is counted of them and of their bars."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.options.symbols import OptionSymbol
from bellwether.quality.prepare import any_of, column_of
from bellwether.quality.reasons import RowReason, WarningName

if TYPE_CHECKING:  # the calendar loads pandas, which the gate must not
    from bellwether.calendar import SessionHours

type _Columns = Mapping[str, pa.Array]

RIGHTS = ("call", "put")
_TOLD = ("expiration", "right", "strike")


def broken_contract(columns: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return the rules of listed contracts."""
    symbols = _symbols(columns["ticker"])
    right = columns["right"]
    prices = (columns["strike"], columns["opening_price"])
    return {
        RowReason.NOT_FINITE: any_of(*(pc.is_inf(number) for number in (*prices, columns["multiplier"]))),
        RowReason.PRICE_NOT_POSITIVE: any_of(*(pc.less_equal(price, 0.0) for price in prices)),
        RowReason.MALFORMED_SYMBOL: _is_malformed(columns["ticker"], symbols),
        RowReason.SYMBOL_MISMATCH: _is_mismatched(columns, symbols),
        RowReason.NOT_CALL_OR_PUT: any_of(pc.and_(right.is_valid(), pc.invert(pc.is_in(right, pa.array(RIGHTS))))),
        RowReason.MULTIPLIER_NOT_POSITIVE: any_of(pc.less_equal(columns["multiplier"], 0.0)),
    }


def contract_warnings(good: _Columns, _hours: "SessionHours") -> dict[str, pa.Array]:
    """Return which contracts are adjusted, and which were chosen by another day's price."""
    return {
        WarningName.ADJUSTED_CONTRACT: good["is_adjusted"],
        WarningName.CHOSEN_BY_PREVIOUS_CLOSE: any_of(pc.equal(good["opening_price_source"], "previous_close")),
    }


def with_symbol_columns(table: pa.Table) -> pa.Table:
    """Return the table with the columns `has_malformed_symbol` and `has_symbol_mismatch` appended."""
    columns = {name: column_of(table, name) for name in ("ticker", "is_adjusted", *_TOLD)}
    symbols = _symbols(columns["ticker"])
    table = table.append_column("has_malformed_symbol", _is_malformed(columns["ticker"], symbols))
    return table.append_column("has_symbol_mismatch", _is_mismatched(columns, symbols))


def prints_after_close(_table: pa.Table, good: pa.Table, hours: "SessionHours") -> dict[str, int]:
    """Count the good bars that start at or after the end of their contract's own trading: trades reported late.

    A symbol that cannot be read has no end to be after.
    """
    from bellwether.options.hours import last_trading_day, trading_hours  # noqa: PLC0415 - loads pandas

    tickers = good["ticker"].unique()
    ends: list[datetime | None] = []
    for symbol in _symbols(tickers):
        if symbol is None:
            ends.append(None)
        elif last_trading_day(symbol.root, symbol.expiration) < hours.session:
            ends.append(hours.open)
        else:
            ends.append(trading_hours(symbol.root, symbol.expiration, hours.session)[1])
    ts = good["ts"]
    end = pa.array(ends, ts.type).take(pc.index_in(good["ticker"], tickers).combine_chunks())
    late = pc.sum(pc.greater_equal(ts, pa.chunked_array([end]))).as_py() or 0
    return {WarningName.PRINT_AFTER_CLOSE.value: late}


def _symbols(tickers: pa.Array) -> list[OptionSymbol | None]:
    """Return what each symbol says; None for one that cannot be read."""

    def parsed(ticker: str | None) -> OptionSymbol | None:
        try:
            return None if ticker is None else OptionSymbol.parse(ticker)
        except ValueError:
            return None

    return [parsed(ticker) for ticker in tickers.to_pylist()]


def _is_malformed(tickers: pa.Array, symbols: list[OptionSymbol | None]) -> pa.Array:
    return pc.and_(tickers.is_valid(), pa.array([symbol is None for symbol in symbols], pa.bool_()))


def _is_mismatched(columns: _Columns, symbols: list[OptionSymbol | None]) -> pa.Array:
    """Return where the symbol says another thing than the row; an adjusted strike may stand in the row alone."""
    told = zip(symbols, *(columns[name].to_pylist() for name in ("is_adjusted", *_TOLD)), strict=True)
    return pa.array(
        [
            symbol is not None
            and (
                expiration not in (None, symbol.expiration)
                or (right in RIGHTS and right != symbol.right)
                or (not adjusted and strike is not None and strike != symbol.strike)
            )
            for symbol, adjusted, expiration, right, strike in told
        ],
        pa.bool_(),
    )
