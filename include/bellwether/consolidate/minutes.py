"""The rows of `minutes`: every equity at every minute of a session, with all that was known at the minute's end.

Puts the columns of the features beside the bars; knows tables, not the lake.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.config.settings import ConsolidationSettings
from bellwether.consolidate.align import closes_as_of
from bellwether.consolidate.grid import MinuteGrid, Trades, minute_rows, rows_on_grid, session_grid, trades_on_grid
from bellwether.consolidate.indicators import indicators
from bellwether.consolidate.momentum import momentum
from bellwether.consolidate.news_features import news_features
from bellwether.consolidate.smile import AGGREGATES, aggregate_chain
from bellwether.schemas import EQUITIES, MINUTES


@dataclass(frozen=True)
class MinuteInputs:
    """What a session's minutes are made of.

    Attributes
    ----------
    tickers
        Whose minutes, sorted.
    bars
        Rows of `equities` of the session.
    warmup
        Rows of `equities` of the sessions before, in the shares of this one; of tickers of which that cannot be told
        none.
    vix
        Rows of `indices` of the volatility index; empty where there is none.
    news
        Rows of `news`; None where there is no such dataset.
    chains
        Rows of `chain` by the ticker that its contracts are on.
    until
        When the last minute to build is over, of a session that goes on; by default the session is whole.
    """

    tickers: Sequence[str]
    bars: pa.Table
    warmup: pa.Table
    vix: pa.Table
    news: pa.Table | None
    chains: Mapping[str, pa.Table]
    until: datetime | None = None


def build_minutes(session: date, inputs: MinuteInputs, settings: ConsolidationSettings) -> pa.Table:
    """Return the minutes of one session: the columns of `MINUTES`, in the order of its key.

    Raises
    ------
    QualityError
        Two different bars are of one ticker and minute.
    """
    grid = session_grid(
        session, warmup_sessions=settings.warmup_sessions, extended=settings.extended_hours, until=inputs.until
    )
    here = grid.last_session
    tickers = list(inputs.tickers)
    own = rows_on_grid(inputs.bars, tickers, grid)
    bars = pa.concat_tables([inputs.warmup.select(EQUITIES.names), inputs.bars.select(EQUITIES.names)])
    trades = trades_on_grid(bars, rows_on_grid(bars, tickers, grid))
    moved = momentum(trades, grid, settings.momentum.windows_min)
    told = news_features(inputs.news, tickers, grid, settings.news)
    vix, vix_age = closes_as_of(inputs.vix, grid, max_age_s=settings.align.vix_max_age_s)
    columns = {name: column for name, column in _by_name(minute_rows(inputs.bars, own, tickers, grid))}
    columns |= {
        "is_filled": moved.is_filled,
        "vix": _for_each(vix[here.start :], tickers),
        "vix_age_s": _for_each(vix_age[here.start :], tickers),
        "mom_log_returns": moved.log_returns,
        "mom_since_open": moved.since_open,
        **indicators(trades, grid, settings.indicators),
        "news_counts": told.counts,
        "news_sentiments": told.sentiments,
        "news_minutes_since": told.minutes_since,
        **dict(_by_name(_chains(inputs.chains, tickers, trades, grid, settings.chain.print_max_age))),
    }
    return pa.table({name: columns[name] for name in MINUTES.names})


def _by_name(table: pa.Table) -> list[tuple[str, pa.ChunkedArray]]:
    return list(zip(table.column_names, table.columns, strict=True))


def _for_each(values: pa.Array, tickers: Sequence[str]) -> pa.ChunkedArray:
    return pa.chunked_array([values] * len(tickers), values.type)


def _chains(
    chains: Mapping[str, pa.Table], tickers: Sequence[str], trades: Trades, grid: MinuteGrid, max_age: timedelta
) -> pa.Table:
    """Return what the chains say, ticker by ticker; nulls where there is none."""
    here = grid.last_session
    minutes = here.stop - here.start
    nothing = pa.table([pa.nulls(minutes, field.type) for field in AGGREGATES], schema=AGGREGATES)
    tables = [AGGREGATES.empty_table()]
    for number, ticker in enumerate(tickers):
        if ticker not in chains:
            tables.append(nothing)
            continue
        closes = pa.table({"ts": grid.ts(), "close": trades.close[number]})
        spots, _ = closes_as_of(closes, grid, max_age_s=max_age.total_seconds())
        spot = pc.fill_null(spots, np.nan).to_numpy()[here]
        tables.append(aggregate_chain(chains[ticker], grid.starts_ms[here], spot, max_age=max_age))
    return pa.concat_tables(tables)
