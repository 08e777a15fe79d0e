"""What `AM` says of a symbol over a day."""

import json
from datetime import date
from typing import Any

import numpy as np
import pytest

from bellwether.calendar import get_calendar
from bellwether.simulator.bars import Bars
from bellwether.simulator.feed.broadcasts import Broadcasts, broadcasts, minute_events
from bellwether.simulator.market import GeneratedMarket

DAY = date(2024, 7, 3)  # a half day
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3, tickers=["SPY", "AAPL"])


def sent(market: GeneratedMarket, ticker: str = "AAPL", late_share: float = 0.3) -> tuple[Bars, Broadcasts]:
    bars = market.bars(ticker, DAY)
    return bars, broadcasts(bars, ticker, DAY, 7, late_share)


def events(told: Broadcasts, ticker: str = "AAPL", since_ms: int = 0) -> list[dict[str, Any]]:
    return [json.loads(event.text) for event in minute_events(told, ticker, since_ms)]


def test_the_last_broadcast_of_every_minute_is_the_bar_that_rest_serves(market: GeneratedMarket) -> None:
    bars, told = sent(market)
    assert len(told.due_ms) > len(bars.start_ms)
    last = {event["s"]: event for event in events(told)}
    columns = dict(zip(("o", "h", "l", "c", "v", "vw"), bars[1:7], strict=True))
    assert list(last) == bars.start_ms.tolist()
    for name, column in columns.items():
        assert [event[name] for event in last.values()] == column.tolist()


def test_a_minute_is_broadcast_within_two_seconds_and_changed_within_fifteen_minutes(market: GeneratedMarket) -> None:
    _, told = sent(market)
    assert (np.diff(told.due_ms) >= 0).all()
    first_ms: dict[int, int] = {}
    for due_ms, start_ms in zip(told.due_ms.tolist(), told.start_ms.tolist(), strict=True):
        after_ms = due_ms - start_ms - MINUTE_MS
        limit_ms = 15 * MINUTE_MS if start_ms in first_ms else 2_000
        assert 0 < after_ms <= limit_ms
        first_ms.setdefault(start_ms, due_ms)


def test_a_changed_minute_gains_volume_and_never_loses_range(market: GeneratedMarket) -> None:
    seen: dict[int, dict[str, Any]] = {}
    gained = 0
    for event in events(sent(market)[1]):
        before = seen.setdefault(event["s"], event)
        if before is not event:
            assert event["v"] > before["v"]
            assert event["h"] >= before["h"]
            assert event["l"] <= before["l"]
            assert (event["o"], event["c"]) == (before["o"], before["c"])
            assert before["l"] <= before["vw"] <= before["h"]
            gained += 1
    assert gained > 100


def test_the_days_volume_and_average_are_those_of_all_that_was_broadcast(market: GeneratedMarket) -> None:
    bars, told = sent(market)
    known: dict[int, tuple[float, float]] = {}
    for event in events(told):
        known[event["s"]] = event["v"], event["v"] * event["vw"]
        volume, dollars = (sum(column) for column in zip(*known.values(), strict=True))
        assert event["av"] == volume
        assert event["a"] == pytest.approx(dollars / volume, abs=1e-3)
    assert event["av"] == bars.volume.sum()


def test_there_is_no_official_open_before_the_opening_minute_is_over(market: GeneratedMarket) -> None:
    bars, told = sent(market, late_share=0)
    open_ms = int(get_calendar().hours(DAY).open.timestamp()) * 1000
    opening = float(bars.open[np.searchsorted(bars.start_ms, open_ms)])
    assert {(event["s"] >= open_ms, event["op"]) for event in events(told)} == {(False, 0), (True, opening)}


def test_an_index_has_prices_alone_and_is_sometimes_stamped_off_the_minute(market: GeneratedMarket) -> None:
    bars, told = sent(market, "I:VIX")
    said = events(told, "I:VIX")
    assert {frozenset(event) for event in said} == {frozenset({"ev", "sym", "op", "o", "c", "h", "l", "s", "e"})}
    assert [event["s"] // MINUTE_MS * MINUTE_MS for event in said] == bars.start_ms.tolist()
    odd = [event for event in said if event["s"] % MINUTE_MS]
    assert 0 < len(odd) < len(said) / 4
    assert all(event["s"] == event["e"] for event in odd)


def test_the_fields_of_a_stock_are_the_vendors(market: GeneratedMarket) -> None:
    event = events(sent(market)[1])[0]
    assert list(event) == ["ev", "sym", "v", "av", "op", "vw", "o", "c", "h", "l", "a", "z", "s", "e"]
    assert (event["ev"], event["sym"]) == ("AM", "AAPL")
    assert event["e"] - event["s"] == MINUTE_MS


def test_unknown_averages_and_counts_are_left_out(market: GeneratedMarket) -> None:
    bars = market.bars("AAPL", DAY)
    blank = bars._replace(vwap=np.full(len(bars.start_ms), np.nan), transactions=np.full(len(bars.start_ms), -1))
    event = events(broadcasts(blank, "AAPL", DAY, 7, 0.3))[-1]
    assert {"vw", "z"}.isdisjoint(event)
    assert bars.low.min() < event["a"] < bars.high.max()


def test_broadcasts_from_a_moment_on_are_the_end_of_all(market: GeneratedMarket) -> None:
    _, told = sent(market)
    middle = int(told.due_ms[200])
    assert events(told, since_ms=middle) == events(told)[int(np.searchsorted(told.due_ms, middle, side="right")) :]
