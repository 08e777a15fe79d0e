import json
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.simulator.actions import HALTED
from bellwether.simulator.answers import Refused
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.daily import DailyEndpoint, day_bar
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import OPEN, PLANS, Plan

DAY, HALF_DAY = date(2024, 7, 2), date(2024, 7, 3)
AFTER = datetime(2024, 8, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=7, tickers=["SPY", "AAPL", "ENDA"])


def daily(market: GeneratedMarket, now: datetime = AFTER) -> DailyEndpoint:
    return DailyEndpoint(market, SimulatedClock(now, speed=0))


@pytest.mark.parametrize("day", [DAY, HALF_DAY])
def test_open_close_is_made_of_the_minutes(market: GeneratedMarket, day: date) -> None:
    bars, hours = market.bars("SPY", day), get_calendar().hours(day)
    open_ms, close_ms = hours.open.timestamp() * 1000, hours.close.timestamp() * 1000
    inside = bars.rows((bars.start_ms >= open_ms) & (bars.start_ms < close_ms))
    assert json.loads(daily(market).open_close("SPY", day.isoformat(), {}, OPEN)) == {
        "status": "OK",
        "from": day.isoformat(),
        "symbol": "SPY",
        "open": inside.open[0],
        "high": inside.high.max(),
        "low": inside.low.min(),
        "close": inside.close[-1],
        "volume": bars.volume.sum(),
        "preMarket": bars.open[0],
        "afterHours": bars.close[-1],
    }


def test_an_index_has_no_volume_and_a_full_timestamp(market: GeneratedMarket) -> None:
    body = json.loads(daily(market).open_close("I:VIX", "2024-07-02", {}, OPEN))
    assert body["from"] == "2024-07-02T00:00:00.000Z"
    assert set(body) == {"status", "from", "symbol", "open", "high", "low", "close"}


@pytest.mark.parametrize(
    ("ticker", "day", "plan", "kind"),
    [
        ("SPY", "2024-07-04", OPEN, "not_found"),
        ("SPY", "2024-07-06", OPEN, "not_found"),
        ("NOPE", "2024-07-02", OPEN, "not_found"),
        ("ENDA", "2024-07-02", OPEN, "not_found"),
        ("SPY", "2024-08-01", OPEN, "before_end_of_day"),
        ("SPY", "2024-08-01", PLANS["delayed"], "not_found"),
        ("SPY", "2020-07-02", PLANS["free"], "outside_timeframe"),
        ("SPY", "2024-07-02", Plan(classes=frozenset({"options"})), "not_entitled"),
        ("SPY", "20240702", OPEN, "bad_request"),
        ("SPY", "2024-07-32", OPEN, "bad_request"),
    ],
)
def test_refusals(market: GeneratedMarket, ticker: str, day: str, plan: Plan, kind: str) -> None:
    with pytest.raises(Refused, match=kind):
        daily(market).open_close(ticker, day, {}, plan)


def test_grouped_bars_are_the_day_bars_stamped_with_the_close(market: GeneratedMarket) -> None:
    body = json.loads(daily(market).grouped("2024-07-02", {"adjusted": "false"}, "r1", OPEN))
    assert [row["T"] for row in body["results"]] == ["SPY", "AAPL"]  # ENDA no longer trades
    assert (body["resultsCount"], body["adjusted"]) == (2, False)
    for row in body["results"]:
        bar = day_bar(market, row["T"], DAY)
        assert [row[name] for name in "ohlcv"] == [
            column[0] for column in (bar.open, bar.high, bar.low, bar.close, bar.volume)
        ]
        assert row["t"] == get_calendar().hours(DAY).close.timestamp() * 1000


@pytest.mark.parametrize("day", ["2024-07-04", "2024-07-06"])
def test_grouped_bars_of_a_holiday_are_an_answer_without_results(market: GeneratedMarket, day: str) -> None:
    body = json.loads(daily(market).grouped(day, {}, "r1", OPEN))
    assert body["resultsCount"] == 0
    assert "results" not in body


def test_adjusted_prices_go_by_the_splits_up_to_today() -> None:
    market = GeneratedMarket(seed=7, tickers=["AAPL"])
    split = next(market.splits("AAPL"))
    executed = date.fromisoformat(split.execution_date)
    before = get_calendar().previous(executed)
    on_the_eve = daily(market, get_calendar().hours(before).post_close)
    on_the_day = daily(market, get_calendar().hours(executed).post_close)
    raw, eve, adjusted = (
        json.loads(endpoint.open_close("AAPL", before.isoformat(), query, OPEN))
        for endpoint, query in ((on_the_day, {"adjusted": "false"}), (on_the_eve, {}), (on_the_day, {}))
    )
    assert eve == raw
    assert adjusted["close"] == pytest.approx(raw["close"] / split.ratio, abs=1e-4)
    assert adjusted["volume"] == pytest.approx(raw["volume"] * split.ratio)


def test_a_stock_that_did_not_open_has_no_day_but_the_one_before() -> None:
    endpoint = daily(GeneratedMarket(seed=7, tickers=["SPY", HALTED]))
    with pytest.raises(Refused, match="Data not found"):
        endpoint.open_close(HALTED, HALF_DAY.isoformat(), {}, OPEN)
    assert json.loads(endpoint.open_close(HALTED, DAY.isoformat(), {}, OPEN))["close"] > 0
    assert [row["T"] for row in json.loads(endpoint.grouped(HALF_DAY.isoformat(), {}, "r1", OPEN))["results"]] == [
        "SPY"
    ]


def test_days_of_an_archive_are_those_of_its_minutes_or_of_its_table_of_days(archive: Path) -> None:
    endpoint = DailyEndpoint(ArchiveMarket(archive), SimulatedClock(AFTER, speed=0))
    bars = pq.read_table(archive / "bars_option_AAPL_20140606.parquet").to_pandas()
    bars = bars[bars["ticker"] == "O:AAPL140613C00645000"]
    body = json.loads(endpoint.open_close("O:AAPL140613C00645000", "2014-06-06", {}, OPEN))
    assert (body["open"], body["close"]) == (bars["o"].iloc[0], bars["c"].iloc[-1])
    assert (body["high"], body["low"], body["volume"]) == (bars["h"].max(), bars["l"].min(), bars["v"].sum())
    vix = json.loads(endpoint.open_close("I:VIX", "2014-06-06", {}, OPEN))
    assert (vix["from"], vix["low"] == vix["close"]) == ("2014-06-06T00:00:00.000Z", True)
    assert json.loads(endpoint.open_close("I:SPX", "2021-01-04", {}, OPEN))["close"] == 3700.65
