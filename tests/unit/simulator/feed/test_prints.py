"""What is made up of a minute: trades, values and seconds that fold to its bar."""

import json
from collections import defaultdict
from datetime import date
from typing import Any

import numpy as np
import pytest

from bellwether.simulator.bars import Bars
from bellwether.simulator.feed.broadcasts import official_open
from bellwether.simulator.feed.prints import prints, second_events, trade_events, value_events
from bellwether.simulator.market import GeneratedMarket

DAY = date(2024, 7, 3)
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3, tickers=["SPY"])


def folded(events: list[dict[str, Any]], price: str, moment: str) -> dict[int, tuple[float, ...]]:
    minutes: dict[int, list[float]] = defaultdict(list)
    for event in events:
        minutes[event[moment] // MINUTE_MS * MINUTE_MS].append(event[price])
    return {start: (told[0], max(told), min(told), told[-1]) for start, told in minutes.items()}


def expected(bars: Bars) -> dict[int, tuple[float, ...]]:
    rows = zip(*(column.tolist() for column in bars[:5]), strict=True)
    return {start: tuple(prices) for start, *prices in rows}


def test_trades_fold_to_the_bars(market: GeneratedMarket) -> None:
    bars = market.bars("SPY", DAY)
    told = [json.loads(event.text) for event in trade_events(prints(bars, "SPY", DAY, 7, 0), "SPY")]
    assert folded(told, "p", "t") == expected(bars)
    assert sum(trade["s"] for trade in told) == bars.volume.sum()
    assert [trade["t"] for trade in told] == sorted(trade["t"] for trade in told)
    assert set(told[0]) == {"ev", "sym", "x", "i", "z", "p", "s", "c", "t", "q"}


def test_values_of_an_index_fold_to_its_bars_at_every_quarter_of_a_minute(market: GeneratedMarket) -> None:
    bars = market.bars("I:VIX", DAY)
    told = [json.loads(event.text) for event in value_events(prints(bars, "I:VIX", DAY, 7, 0), "I:VIX")]
    assert folded(told, "val", "t") == expected(bars)
    assert {value["t"] % MINUTE_MS for value in told} == {0, 15_000, 30_000, 45_000}
    assert set(told[0]) == {"ev", "val", "T", "t"}


def test_seconds_add_up_to_the_day(market: GeneratedMarket) -> None:
    bars = market.bars("SPY", DAY)
    opening = official_open(bars, "SPY", DAY)
    events = list(second_events(prints(bars, "SPY", DAY, 7, 0), "SPY", opening, 0))
    told = [json.loads(event.text) for event in events]
    assert sum(second["v"] for second in told) == told[-1]["av"] == bars.volume.sum()
    assert all(second["e"] - second["s"] == 1000 and second["l"] <= second["vw"] <= second["h"] for second in told)
    assert {second["op"] for second in told} == {0, opening.price}
    middle = events[500].due_ms
    assert list(second_events(prints(bars, "SPY", DAY, 7, 0), "SPY", opening, middle)) == events[501:]


def test_a_bar_of_few_shares_has_no_more_prints_than_prices() -> None:
    one = np.array([1.0])
    bars = Bars(np.array([0]), one * 5, one * 7, one * 4, one * 6, one * 5, one * 5, np.array([4]))
    told = list(prints(bars, "O:SPY240703C00550000", DAY, 7, -1))
    assert {each.price for each in told} == {5, 7, 4, 6}
    assert sum(each.size for each in told) == 5
    still = bars._replace(high=one * 5, low=one * 5, close=one * 5, volume=one)
    assert [(each.price, each.size) for each in prints(still, "O:SPY240703C00550000", DAY, 7, -1)] == [(5.0, 1.0)]


def test_an_options_trade_has_neither_id_nor_tape(market: GeneratedMarket) -> None:
    bars = market.bars("SPY", DAY)
    event = next(trade_events(prints(bars, "O:X", DAY, 7, 0), "O:X"))
    assert set(json.loads(event.text)) == {"ev", "sym", "x", "p", "s", "c", "t", "q"}
