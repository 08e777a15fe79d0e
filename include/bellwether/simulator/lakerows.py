"""Published rows of a lake as the vendor's records; tables are those of `bellwether.schemas`, None where there is none.

This room reads nothing: it turns tables into what `records` and `bars` hold.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.schemas import KEYWORD_SEPARATOR
from bellwether.simulator.bars import NO_COUNT, Bars
from bellwether.simulator.records import (
    NEVER,
    Article,
    Contract,
    Dividend,
    Insight,
    Maybe,
    Publisher,
    Split,
    TreasuryYield,
)

_PRICES = ("open", "high", "low", "close")
_TENORS = {
    1: "yield_1_month",
    3: "yield_3_month",
    6: "yield_6_month",
    12: "yield_1_year",
    24: "yield_2_year",
    36: "yield_3_year",
    60: "yield_5_year",
    84: "yield_7_year",
    120: "yield_10_year",
    240: "yield_20_year",
    360: "yield_30_year",
}


class SnapshotRow(NamedTuple):
    """A contract in a session's snapshot: when it was taken (ms UTC), quote in the order of `Quotes`, open interest."""

    taken_ms: int
    quote: tuple[float, float, float, float, float]
    open_interest: int | None


NO_SNAPSHOT = SnapshotRow(NEVER, (np.nan, np.nan, 0, 0, NEVER), None)
"""Stands for a contract that no snapshot has."""


class Version(NamedTuple):
    """An article as it was from a moment on."""

    first_seen: datetime
    article: Article


def bars(table: pa.Table | None) -> dict[str, Bars]:
    """Return the bars of each ticker."""
    if table is None or not len(table):
        return {}
    table = table.sort_by([("ticker", "ascending"), ("ts", "ascending")])
    start_ms = pc.cast(table["ts"], pa.int64()).to_numpy()
    prices = [table[name].to_numpy() for name in _PRICES]
    if "volume" in table.column_names:
        averages = [table[name].cast(pa.float64()).to_numpy() for name in ("volume", "vwap")]
        counts = table["transactions"].fill_null(NO_COUNT).to_numpy()
    else:
        averages, counts = [np.full(len(table), np.nan)] * 2, np.full(len(table), NO_COUNT)
    every = Bars._make([start_ms, *prices, *averages, counts])
    names = table["ticker"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    edges = [*np.flatnonzero(np.diff(codes, prepend=-1)).tolist(), len(codes)]
    return {names.dictionary[int(codes[low])].as_py(): every.rows(slice(low, high)) for low, high in pairwise(edges)}


def contracts(table: pa.Table | None) -> list[Contract]:
    """Return the contracts."""
    return [
        Contract(
            contract_type=row["right"],
            exercise_style=row["exercise_style"],
            expiration_date=row["expiration"].isoformat(),
            shares_per_contract=int(row["multiplier"]),
            strike_price=row["strike"],
            ticker=row["ticker"],
            underlying_ticker=row["underlying"],
        )
        for row in _rows(table)
    ]


def snapshot(table: pa.Table | None) -> dict[str, SnapshotRow]:
    """Return each contract's row."""
    found = {}
    for row in _rows(table):
        taken_ms = int(row["ts"].timestamp() * 1000)
        quoted_ms = NEVER if row["quote_ts"] is None else int(row["quote_ts"].timestamp() * 1000)
        sides = [np.nan if row[name] is None else row[name] for name in ("bid", "ask")]
        quote = (sides[0], sides[1], row["bid_size"] or 0, row["ask_size"] or 0, quoted_ms)
        found[row["ticker"]] = SnapshotRow(taken_ms, quote, row["open_interest"])
    return found


def splits(table: pa.Table | None) -> list[Split]:
    """Return the splits."""
    return [
        Split(row["split_id"], row["ticker"], row["execution_date"].isoformat(), row["split_from"], row["split_to"])
        for row in _rows(table)
    ]


def dividends(table: pa.Table | None) -> list[Dividend]:
    """Return the dividends."""
    return [
        Dividend(
            id=row["dividend_id"],
            ticker=row["ticker"],
            cash_amount=row["cash_amount"],
            currency=row["currency"] or "USD",
            declaration_date=_day(row["declaration_date"]),
            dividend_type=row["dividend_type"],
            ex_dividend_date=row["ex_dividend_date"].isoformat(),
            frequency=row["frequency"] or 0,
            pay_date=_day(row["pay_date"]),
            record_date=_day(row["record_date"]),
        )
        for row in _rows(table)
    ]


def yields(tables: Sequence[pa.Table | None]) -> list[TreasuryYield]:
    """Return the yields of all days that any table has, ascending, in percent."""
    days: dict[str, dict[str, float]] = {}
    for row in (row for table in tables for row in _rows(table)):
        days.setdefault(row["date"].isoformat(), {})[_TENORS[row["tenor_months"]]] = round(100 * row["rate"], 6)
    return [TreasuryYield(day, **days[day]) for day in sorted(days)]


def articles(tables: Sequence[pa.Table | None]) -> list[tuple[datetime, list[Version]]]:
    """Return every article's time and versions, the oldest first; ascending by time."""
    rows = sorted((row for table in tables for row in _rows(table)), key=itemgetter("published_utc", "article_id"))
    told = []
    for (published, _), group in groupby(rows, key=itemgetter("published_utc", "article_id")):
        of_article = sorted(group, key=itemgetter("first_seen_utc", "ticker"))
        moments = sorted({row["first_seen_utc"] for row in of_article})
        told.append((published, [Version(moment, _article(of_article, moment)) for moment in moments]))
    return told


def _article(rows: Sequence[dict[str, Any]], as_of: datetime) -> Article:
    """Return an article of the rows, of each ticker the last, that had been seen by a moment."""
    last = {row["ticker"]: row for row in rows if row["first_seen_utc"] <= as_of}
    text = max(last.values(), key=itemgetter("first_seen_utc"))
    insights = [
        Insight(ticker, row["sentiment_label"], row["sentiment_reasoning"] or "")
        for ticker, row in last.items()
        if row["sentiment_source"] == "vendor"
    ]
    return Article(
        id=text["article_id"],
        publisher=Publisher(text["publisher"], "", "", ""),
        title=text["title"],
        author=text["author"] or "",
        published_utc=text["published_utc"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        article_url=text["article_url"],
        tickers=list(last),
        description=text["description"] or msgspec.UNSET,
        keywords=text["keywords"].split(KEYWORD_SEPARATOR) if text["keywords"] else msgspec.UNSET,
        insights=insights or msgspec.UNSET,
    )


def _rows(table: pa.Table | None) -> list[dict[str, Any]]:
    return [] if table is None else table.to_pylist()


def _day(value: Any) -> Maybe[str]:  # noqa: ANN401 - a date, or None
    return msgspec.UNSET if value is None else value.isoformat()
