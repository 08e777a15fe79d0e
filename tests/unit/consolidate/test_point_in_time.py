"""No feature of a minute knows anything that became known after its end."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.config.features import IndicatorSettings, NewsSettings
from bellwether.consolidate.align import closes_as_of
from bellwether.consolidate.grid import MINUTE_MS, session_grid
from bellwether.consolidate.indicators import indicators
from bellwether.consolidate.momentum import momentum
from bellwether.consolidate.news_features import news_features
from bellwether.schemas import EQUITIES, TIMESTAMP
from tests.unit.consolidate.future import articles, with_another_future, with_other_news
from tests.unit.consolidate.market import DAY, placed, walk

GRID = session_grid(DAY, warmup_sessions=1)
TICKERS = ["AAPL", "SPY"]


def features(bars: pa.Table, news: pa.Table, engine: str = "fast") -> dict[str, pa.Array]:
    trades = placed(bars, TICKERS, GRID)
    vix, vix_age_s = closes_as_of(bars.filter(pc.equal(bars["ticker"], "SPY")), GRID, max_age_s=300)
    moves = momentum(trades, GRID, (1, 5, 60))
    said = news_features(news, TICKERS, GRID, NewsSettings())
    once = {"vix": vix[GRID.last_session], "vix_age_s": vix_age_s[GRID.last_session]}
    return {
        **{name: pa.concat_arrays([column, column]) for name, column in once.items()},
        **indicators(trades, GRID, IndicatorSettings.model_validate({"engine": engine})),
        **{f"mom {name}": column for name, column in vars(moves).items()},
        **{f"news {name}": column for name, column in vars(said).items()},
    }


def until(columns: dict[str, pa.Array], minute: int) -> dict[str, pa.Array]:
    """Return what stands in the rows up to a minute, of every ticker."""
    rows = pa.array([ticker * 390 + each for ticker in range(len(TICKERS)) for each in range(minute + 1)])
    return {name: column.take(rows) for name, column in columns.items()}


def check(minute: int, seed: int, engine: str) -> dict[str, tuple[pa.Array, pa.Array]]:
    rng = np.random.default_rng(seed)
    bars, news = walk(GRID, TICKERS, seed, silent=0.2), articles(TICKERS, seed)
    end_ms = int(GRID.ends_ms[GRID.last_session][minute])
    before = until(features(bars, news, engine), minute)
    after = until(features(with_another_future(bars, end_ms, rng), with_other_news(news, end_ms, rng), engine), minute)
    return {name: (before[name], after[name]) for name in before}


@settings(deadline=None, max_examples=15)
@given(minute=st.integers(0, 388), seed=st.integers(0, 1000))
def test_another_future_leaves_the_past_as_it_was(minute: int, seed: int) -> None:
    for name, (before, after) in check(minute, seed, "fast").items():
        assert before.equals(after), name


def test_nor_does_the_reference_look_ahead_but_for_a_rounding() -> None:
    for name, (before, after) in check(200, 0, "pandas_ta").items():
        if name.startswith("ind_"):
            past, same = (column.to_numpy(zero_copy_only=False) for column in (before, after))
            np.testing.assert_allclose(past, same, rtol=0, atol=1e-9, err_msg=name)


def test_the_check_itself_sees_a_minute_of_the_future() -> None:
    bars = walk(GRID, TICKERS, 0, silent=0.0)
    early = bars.set_column(
        1, EQUITIES.field("ts"), pc.subtract(bars["ts"].cast(pa.int64()), MINUTE_MS).cast(TIMESTAMP)
    )
    end_ms = int(GRID.ends_ms[GRID.last_session][100])
    other = with_another_future(bars, end_ms, np.random.default_rng(0))
    shifted = other.set_column(
        1, EQUITIES.field("ts"), pc.subtract(other["ts"].cast(pa.int64()), MINUTE_MS).cast(TIMESTAMP)
    )
    before, after = (until(features(table, articles(TICKERS, 0)), 100) for table in (early, shifted))
    assert not before["ind_ema"].equals(after["ind_ema"])
    assert not before["mom log_returns"].equals(after["mom log_returns"])
    assert not before["vix"].equals(after["vix"])
