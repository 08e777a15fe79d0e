"""The rows of `minutes`: every ticker at every minute, whatever of the session is missing."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.config.settings import ConsolidationSettings
from bellwether.consolidate.chain import Terms, build_chain
from bellwether.consolidate.greeks.conventions import BELLWETHER
from bellwether.consolidate.grid import session_grid
from bellwether.consolidate.minutes import MinuteInputs, build_minutes
from bellwether.errors import QualityError
from bellwether.schemas import CONTRACTS, EQUITIES, INDICES, MINUTES, NEWS, RATES
from tests.unit.consolidate.market import DAY, HALF_DAY, walk

TICKERS = ["AAPL", "SPY"]
LISTS = {"mom_log_returns": 5, "news_counts": 3, "news_sentiments": 3}


def built(day: date = DAY, settings: Mapping[str, Any] | None = None, **changes: Any) -> list[dict[str, Any]]:
    """Return the rows of a session, of which everything is there but what `changes` says."""
    known = ConsolidationSettings.model_validate(settings or {})
    bars = changes.get("bars", walk(session_grid(day), TICKERS, silent=0.0))
    inputs: dict[str, Any] = {
        "tickers": TICKERS,
        "bars": bars,
        "warmup": walk(session_grid(get_calendar().previous(day)), TICKERS, seed=1, silent=0.0),
        "vix": index_bars(bars),
        "news": NEWS.empty_table(),
        "chains": {"AAPL": chain_of(bars, day)},
    }
    table = build_minutes(day, MinuteInputs(**inputs | changes), known)
    assert table.column_names == MINUTES.names
    for name, size in LISTS.items():
        assert table[name].type.list_size == size, name
    rows: list[dict[str, Any]] = table.cast(MINUTES).to_pylist()
    return rows


def index_bars(bars: pa.Table) -> pa.Table:
    of = bars.filter(pc.equal(bars["ticker"], "SPY"))
    return of.append_column("is_stale", pa.repeat(False, len(of))).select(INDICES.names).cast(INDICES)


def chain_of(bars: pa.Table, day: date) -> pa.Table:
    """Return a chain of prints around the money every five minutes."""
    prices = bars.filter(pc.equal(bars["ticker"], "AAPL")).select(["ts", "close"])
    opened = get_calendar().hours(day).open
    rows = [
        {"ticker": f"O:AAPL250718{right}{strike * 1000:08d}", "ts": opened + timedelta(minutes=minute), "volume": 2.0}
        | dict.fromkeys(("open", "high", "low", "close"), 7.0)
        for minute in range(0, 120, 5)
        for right, strike in (("C", 100), ("C", 105), ("P", 100), ("P", 95))
    ]
    return build_chain(
        "AAPL",
        pa.Table.from_pylist(rows, EQUITIES),
        CONTRACTS.empty_table(),
        prices,
        session_grid(day, extended=True),
        Terms(BELLWETHER, "kernel", curve=RATES.empty_table(), rate=0.04, dividend_yield=0.0),
        spot_max_age=timedelta(minutes=5),
    )


def without(bars: pa.Table, ticker: str, minutes: range) -> pa.Table:
    """Return bars without those of a ticker in some minutes after the open."""
    grid = session_grid(DAY)
    gone = pc.and_(
        pc.equal(bars["ticker"], ticker),
        pc.is_in(bars["ts"].cast(pa.int64()), pa.array(grid.starts_ms[minutes.start : minutes.stop])),
    )
    return bars.filter(pc.invert(gone))


def of(rows: list[dict[str, Any]], ticker: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["ticker"] == ticker]


@pytest.mark.parametrize(
    ("day", "settings", "minutes"),
    [(DAY, {}, 390), (HALF_DAY, {}, 210), (DAY, {"extended_hours": True}, 960)],
    ids=["regular", "half day", "extended"],
)
def test_every_ticker_has_a_row_for_every_minute_in_the_order_of_the_key(
    day: date, settings: dict[str, Any], minutes: int
) -> None:
    rows = built(day, settings)
    hours = get_calendar().hours(day)
    first = hours.pre_open if settings else hours.open
    assert [(row["ticker"], row["ts"]) for row in rows] == [
        (ticker, first + timedelta(minutes=minute)) for ticker in TICKERS for minute in range(minutes)
    ]


def test_a_minute_carries_its_bar_and_everything_known_at_its_end() -> None:
    bars = walk(session_grid(DAY), TICKERS, silent=0.0)
    row = of(built(bars=bars), "AAPL")[60]
    for name in EQUITIES.names:
        assert row[name] == bars[name][60].as_py(), name
    assert row["vix"] == bars["close"][390 + 60].as_py()
    assert (row["vix_age_s"], row["is_filled"]) == (0, False)
    assert None not in row["mom_log_returns"]
    assert all(row[name] is not None for name in MINUTES.names if name.startswith("ind_"))
    assert row["chain_volume"] == 8.0
    assert row["chain_atm_iv"] != [None]


def test_holes_are_rows_with_null_bars_and_no_indicators_whose_price_is_carried() -> None:
    bars = walk(session_grid(DAY), TICKERS, silent=0.0)
    rows = of(built(bars=without(bars, "SPY", range(100, 160))), "SPY")
    assert len(rows) == 390
    for row in rows[100:160]:
        assert [row[name] for name in EQUITIES.names[2:]] == [None] * 7
        assert row["is_filled"]
        assert row["mom_since_open"] == rows[99]["mom_since_open"]
        assert {row[name] for name in MINUTES.names if name.startswith("ind_")} == {None}
    assert rows[160]["ind_ema"] is not None


def test_while_the_underlying_is_silent_for_an_hour_the_chain_has_volumes_but_no_money() -> None:
    bars = walk(session_grid(DAY), TICKERS, silent=0.0)
    rows = of(built(bars=without(bars, "AAPL", range(30, 90))), "AAPL")
    assert {row["chain_atm_iv"][0] is None for row in rows[10:45]} == {False}  # its price is 15 minutes old at most
    assert [row["chain_atm_iv"] for row in rows[45:90]] == [[None]] * 45
    assert [row["chain_volume"] for row in rows[30:90:5]] == [8.0] * 12
    assert rows[95]["chain_atm_iv"] != [None]


def test_before_the_first_bar_nothing_is_filled() -> None:
    bars = walk(session_grid(DAY), TICKERS, silent=0.0)
    rows = of(built(bars=without(bars, "SPY", range(30))), "SPY")
    assert {(row["is_filled"], row["close"], row["mom_since_open"]) for row in rows[:30]} == {(False, None, None)}
    assert rows[30]["mom_since_open"] is not None


def test_without_the_index_its_value_and_age_are_null() -> None:
    rows = built(vix=INDICES.empty_table())
    assert {(row["vix"], row["vix_age_s"]) for row in rows} == {(None, None)}


def test_the_index_is_carried_with_its_age_and_dropped_when_it_is_too_old() -> None:
    bars = walk(session_grid(DAY), TICKERS, silent=0.0)
    rows = built(vix=index_bars(without(bars, "SPY", range(10, 60))), settings={"align": {"vix_max_age_s": 120}})
    assert [row["vix_age_s"] for row in rows[8:14]] == [0, 0, 60, 120, None, None]
    assert rows[13]["vix"] is None


def test_no_news_counts_nothing_and_no_news_dataset_knows_nothing() -> None:
    [row, *_] = built(news=NEWS.empty_table())
    assert (row["news_counts"], row["news_sentiments"], row["news_minutes_since"]) == ([0] * 3, [None] * 3, None)
    [row, *_] = built(news=None)
    assert (row["news_counts"], row["news_sentiments"], row["news_minutes_since"]) == ([None] * 3, [None] * 3, None)


def test_a_ticker_without_a_chain_has_nulls_where_one_with_an_empty_chain_has_nothing_in_it() -> None:
    rows = built(chains={"AAPL": chain_of(walk(session_grid(DAY), TICKERS), DAY).slice(0, 0)})
    chains = [name for name in MINUTES.names if name.startswith("chain_")]
    assert {name: of(rows, "SPY")[0][name] for name in chains} == dict.fromkeys(chains)
    assert (of(rows, "AAPL")[0]["chain_expirations"], of(rows, "AAPL")[0]["chain_volume"]) == ([], 0.0)


def test_without_the_session_before_indicators_and_momentum_begin_at_the_open() -> None:
    rows = of(built(warmup=EQUITIES.empty_table()), "AAPL")
    assert [row["ind_sma"] is None for row in rows[:25]] == [True] * 19 + [False] * 6
    assert [row["mom_log_returns"][1] is None for row in rows[:7]] == [True] * 5 + [False] * 2
    assert rows[0]["mom_since_open"] is not None


def test_of_a_session_before_with_holes_the_bars_that_are_there_count() -> None:
    grid = session_grid(get_calendar().previous(DAY))
    broken = walk(grid, TICKERS, seed=1, silent=0.9)
    kept = broken.filter(pc.equal(broken["ticker"], "AAPL"))
    rows = built(warmup=kept)
    assert of(rows, "AAPL")[0]["ind_sma"] == pytest.approx(
        np.mean([*kept["close"].to_pylist()[-19:], of(rows, "AAPL")[0]["close"]])
    )
    assert of(rows, "SPY")[0]["ind_sma"] is None


def test_a_bar_that_comes_twice_counts_once_and_two_that_differ_are_refused() -> None:
    bars = walk(session_grid(DAY), TICKERS, silent=0.0)
    twice = pa.concat_tables([bars, bars.slice(7, 3)])
    assert built(bars=twice) == built(bars=bars)
    other = bars.slice(7, 1).set_column(6, EQUITIES.field("volume"), pa.array([-1.0]))
    with pytest.raises(QualityError, match="two different bars of AAPL"):
        built(bars=pa.concat_tables([bars, other]))


def test_a_session_in_which_nothing_traded_still_has_its_minutes() -> None:
    rows = built(bars=EQUITIES.empty_table(), vix=INDICES.empty_table())
    assert len(rows) == 780
    assert {row["close"] for row in rows} == {None}


def test_a_session_without_tickers_has_no_rows() -> None:
    assert built(tickers=[], chains={}) == []
