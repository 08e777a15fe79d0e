"""No row of gold, taken whole, knows anything that became known after its minute."""

from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.calendar import get_calendar
from bellwether.config.settings import ConsolidationSettings
from bellwether.consolidate.chain import Terms, build_chain
from bellwether.consolidate.greeks.conventions import BELLWETHER
from bellwether.consolidate.grid import MINUTE_MS, session_grid
from bellwether.consolidate.minutes import MinuteInputs, build_minutes
from bellwether.schemas import CHAIN, CONTRACTS, EQUITIES, INDICES, MINUTES, RATES, TIMESTAMP
from tests.unit.consolidate.future import articles, with_another_future, with_other_news
from tests.unit.consolidate.market import DAY, walk

TICKERS = ["AAPL", "SPY"]
INDEX = "I:VIX"
OPTIONS = [
    f"O:AAPL{day}{right}{strike:05d}000" for day in ("250702", "250718") for right in "CP" for strike in (98, 100, 102)
]
GRID = session_grid(DAY)
WARMUP = walk(session_grid(get_calendar().previous(DAY)), TICKERS, seed=9)
TERMS = Terms(BELLWETHER, "kernel", curve=RATES.empty_table(), rate=0.04, dividend_yield=0.0)


class Market(NamedTuple):
    """What a session brings, as it is captured."""

    bars: pa.Table
    index: pa.Table
    prints: pa.Table
    news: pa.Table


def market(seed: int) -> Market:
    return Market(
        walk(GRID, TICKERS, seed, silent=0.2),
        walk(GRID, [INDEX], seed + 1, silent=0.3),
        walk(GRID, OPTIONS, seed + 2, silent=0.8, price=4.0),
        articles(TICKERS, seed),
    )


def another_future(known: Market, end_ms: int, rng: np.random.Generator) -> Market:
    *bars, news = known
    return Market(*(with_another_future(each, end_ms, rng) for each in bars), with_other_news(news, end_ms, rng))


def gold(known: Market) -> tuple[pa.Table, pa.Table]:
    chain = build_chain(
        "AAPL",
        known.prints,
        CONTRACTS.empty_table(),
        known.bars.filter(pc.equal(known.bars["ticker"], "AAPL")).select(["ts", "close"]),
        session_grid(DAY, extended=True),
        TERMS,
        spot_max_age=timedelta(minutes=5),
    )
    vix = known.index.append_column("is_stale", pa.repeat(False, len(known.index))).select(INDICES.names)
    inputs = MinuteInputs(TICKERS, known.bars, WARMUP, vix, known.news, {"AAPL": chain})
    return chain, build_minutes(DAY, inputs, ConsolidationSettings()).cast(MINUTES)


def until(table: pa.Table, end_ms: int) -> pa.Table:
    """Return the rows of minutes that ended by then."""
    return table.filter(pc.less_equal(table["ts"].cast(pa.int64()), end_ms - MINUTE_MS)).combine_chunks()


@settings(deadline=None, max_examples=10)
@given(minute=st.integers(0, 388), seed=st.integers(0, 1000))
def test_another_future_leaves_every_row_before_it_as_it_was(minute: int, seed: int) -> None:
    known, end_ms = market(seed), int(GRID.ends_ms[minute])
    after = gold(another_future(known, end_ms, np.random.default_rng(seed)))
    for schema, before, other in zip((CHAIN, MINUTES), gold(known), after, strict=True):
        past, same = until(before, end_ms), until(other, end_ms)
        assert len(past) == len(same)
        for name in schema.names:
            assert past[name].equals(same[name]), name


def test_the_check_itself_sees_prints_and_prices_of_the_minute_after() -> None:
    known, end_ms = market(3), int(GRID.ends_ms[200])
    other = another_future(known, end_ms, np.random.default_rng(0))

    def told_early(each: Market) -> Market:
        early = [
            table.set_column(
                1, EQUITIES.field("ts"), pc.subtract(table["ts"].cast(pa.int64()), MINUTE_MS).cast(TIMESTAMP)
            )
            for table in each[:3]
        ]
        return Market(*early, each.news)

    for before, after in zip(gold(told_early(known)), gold(told_early(other)), strict=True):
        assert not until(before, end_ms).equals(until(after, end_ms))
