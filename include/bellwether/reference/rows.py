"""From the vendor's reference rows to tables: each thing once, nothing contradictory, nothing impossible.

What cannot be right refuses the whole listing: a split left out or applied twice makes every price before it wrong,
so no table is better than a table without it.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC
from decimal import Decimal

import pyarrow as pa

from bellwether.errors import QualityError
from bellwether.schemas import DIVIDENDS, RATES, SPLITS, TICKERS
from bellwether.sources.rows import Dividend, Split, Ticker, TreasuryYields

TENOR_MONTHS = {
    "yield_1_month": 1,
    "yield_3_month": 3,
    "yield_6_month": 6,
    "yield_1_year": 12,
    "yield_2_year": 24,
    "yield_3_year": 36,
    "yield_5_year": 60,
    "yield_7_year": 84,
    "yield_10_year": 120,
    "yield_20_year": 240,
    "yield_30_year": 360,
}


def splits_table(rows: Iterable[Split]) -> pa.Table:
    """Return splits in the schema `SPLITS`, sorted by ticker and date.

    The same ratio listed twice for a ticker and day, under two ids, is one split: the smaller id stays. Different
    ratios on one day all stay, since a company may split both ways at once to pay out small holders.

    Raises
    ------
    QualityError
        Two rows of one id differ, or a factor is not finite or not positive.
    """
    splits = _distinct(rows, lambda row: row.id, "split")
    for row in splits:
        for factor in (row.split_from, row.split_to):
            if not (math.isfinite(factor) and factor > 0):
                msg = (
                    f"split {row.id} of {row.ticker} on {row.execution_date} makes {row.split_to} shares of "
                    f"{row.split_from}: both must be finite and positive"
                )
                raise QualityError(msg)
    by_id_last = sorted(splits, key=lambda row: row.id, reverse=True)
    events = {(row.ticker, row.execution_date, row.split_from, row.split_to): row for row in by_id_last}
    columns = [
        {
            "ticker": row.ticker,
            "execution_date": row.execution_date,
            "split_from": row.split_from,
            "split_to": row.split_to,
            "split_id": row.id,
        }
        for row in events.values()
    ]
    return _sorted(columns, SPLITS, "ticker", "execution_date", "split_id")


def dividends_table(rows: Iterable[Dividend]) -> pa.Table:
    """Return dividends in the schema `DIVIDENDS`, sorted by ticker and ex-date.

    Raises
    ------
    QualityError
        Two rows of one id differ, or an amount is not finite or negative.
    """
    dividends = _distinct(rows, lambda row: row.id, "dividend")
    for row in dividends:
        if not (math.isfinite(row.cash_amount) and row.cash_amount >= 0):
            msg = (
                f"dividend {row.id} of {row.ticker} on {row.ex_dividend_date} pays {row.cash_amount}: "
                "it must be finite and not negative"
            )
            raise QualityError(msg)
    columns = [
        {name: getattr(row, name) for name in DIVIDENDS.names if name != "dividend_id"} | {"dividend_id": row.id}
        for row in dividends
    ]
    return _sorted(columns, DIVIDENDS, "ticker", "ex_dividend_date", "dividend_id")


def rates_table(days: Iterable[TreasuryYields]) -> pa.Table:
    """Return Treasury yields in the schema `RATES`, one row per day and maturity, sorted so.

    Raises
    ------
    QualityError
        Two rows of one day differ, or a yield is not finite. Negative yields are real.
    """
    columns = []
    for day in _distinct(days, lambda row: row.date, "day of Treasury yields"):
        for name, months in TENOR_MONTHS.items():
            percent = getattr(day, name)
            if percent is None:
                continue
            if not math.isfinite(percent):
                msg = f"{name} of {day.date} is {percent}: a yield must be finite"
                raise QualityError(msg)
            columns.append({"date": day.date, "tenor_months": months, "rate": _fraction(percent)})
    return _sorted(columns, RATES, "date", "tenor_months")


def tickers_table(rows: Iterable[Ticker]) -> pa.Table:
    """Return tickers in the schema `TICKERS`, sorted by ticker, those that last first; times are cut to milliseconds.

    Raises
    ------
    QualityError
        Two rows of one ticker and delisting differ.
    """
    tickers = _distinct(rows, lambda row: (row.ticker, row.delisted_utc), "listing")
    columns = [
        {name: getattr(row, name) for name in TICKERS.names if name not in ("listing_id", "currency")}
        | {"listing_id": _listing_id(row), "currency": row.currency_name}
        for row in tickers
    ]
    return _sorted(columns, TICKERS, "ticker", "listing_id")


def _listing_id(row: Ticker) -> str:
    return row.delisted_utc.astimezone(UTC).isoformat(timespec="milliseconds") if row.delisted_utc else ""


def _fraction(percent: float) -> float:
    """Return the double nearest to a hundredth of what is written: 4.06 gives 0.0406, which 4.06 / 100 may miss."""
    return float(Decimal(repr(percent)).scaleb(-2))


def _distinct[Row](rows: Iterable[Row], key: Callable[[Row], Hashable], what: str) -> list[Row]:
    """Return the rows without repetitions."""
    found: dict[Hashable, Row] = {}
    for row in rows:
        known = found.setdefault(key(row), row)
        if known != row:
            msg = f"the vendor contradicts itself about one {what}: {known} and {row}"
            raise QualityError(msg)
    return list(found.values())


def _sorted(columns: list[dict[str, object]], schema: pa.Schema, *keys: str) -> pa.Table:
    return pa.Table.from_pylist(columns, schema=schema).sort_by([(key, "ascending") for key in keys])
