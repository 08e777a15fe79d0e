from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pytest

from bellwether.calendar import get_calendar
from bellwether.simulator.bars import Bars
from bellwether.simulator.market import GeneratedMarket, universe

ORDINARY, HALF_DAY, HOLIDAY = date(2024, 7, 2), date(2025, 7, 3), date(2025, 7, 4)
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=7)


def same(one: Bars, other: Bars) -> bool:
    return all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))


def regular(bars: Bars, day: date) -> Bars:
    hours = get_calendar().hours(day)
    low, high = hours.open.timestamp() * 1000, hours.close.timestamp() * 1000
    return bars.rows((bars.start_ms >= low) & (bars.start_ms < high))


def test_equal_seeds_give_equal_bars_and_other_seeds_others() -> None:
    first, second, other = (GeneratedMarket(seed=seed).bars("SPY", ORDINARY) for seed in (7, 7, 8))
    assert same(first, second)
    assert not np.array_equal(first.close[:100], other.close[:100])


def test_what_was_asked_before_changes_nothing(market: GeneratedMarket) -> None:
    alone = GeneratedMarket(seed=7, tickers=["T0009"], start=ORDINARY, end=ORDINARY).bars("T0009", ORDINARY)
    for ticker in ("T0010", "SPY", "T0009"):
        for day in (HALF_DAY, date(2010, 1, 4), ORDINARY):
            market.bars(ticker, day)
    assert same(market.bars("T0009", ORDINARY), alone)


@pytest.mark.parametrize("ticker", ["SPY", "TSLA", "T0001", "T0042", "T0488"])
@pytest.mark.parametrize("day", [ORDINARY, HALF_DAY, date(2000, 1, 3), date(2000, 1, 4), date(2024, 3, 11)])
def test_bars_are_possible(market: GeneratedMarket, ticker: str, day: date) -> None:
    bars, hours = market.bars(ticker, day), get_calendar().hours(day)
    assert np.all(bars.low <= np.minimum(bars.open, bars.close))
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.all(bars.low > 0)
    assert np.all(bars.volume >= 100)
    assert np.all((bars.transactions >= 1) & (bars.transactions <= bars.volume))
    assert np.all(np.diff(bars.start_ms) >= MINUTE_MS)
    assert np.all(bars.start_ms % MINUTE_MS == 0)
    assert bars.start_ms[0] >= hours.pre_open.timestamp() * 1000
    assert bars.start_ms[-1] < hours.post_close.timestamp() * 1000
    for column in (bars.open, bars.high, bars.low, bars.close):
        assert np.array_equal(column, np.round(column, 2))


@pytest.mark.parametrize(("day", "minutes"), [(ORDINARY, 390), (HALF_DAY, 210)])
def test_few_regular_minutes_are_missing(market: GeneratedMarket, day: date, minutes: int) -> None:
    counts = [len(regular(market.bars(ticker, day), day).start_ms) for ticker in market.tickers[:60]]
    assert all(0.93 * minutes <= count <= minutes for count in counts)
    assert sum(counts) < 60 * minutes


def test_half_day_ends_with_four_hours_of_post_market(market: GeneratedMarket) -> None:
    close_ms = get_calendar().hours(HALF_DAY).close.timestamp() * 1000
    bars = market.bars("SPY", HALF_DAY)
    assert np.any(bars.start_ms >= close_ms)
    assert bars.start_ms[-1] < close_ms + 4 * 3_600_000


def test_extended_hours_are_sparse_and_thin(market: GeneratedMarket) -> None:
    bars = market.bars("SPY", ORDINARY)
    inside = regular(bars, ORDINARY)
    outside = len(bars.start_ms) - len(inside.start_ms)
    assert 100 < outside < 400
    assert bars.volume.sum() - inside.volume.sum() < 0.1 * inside.volume.sum()


def test_volume_is_u_shaped(market: GeneratedMarket) -> None:
    days = market.days(date(2024, 6, 3), date(2024, 6, 28))
    volumes = [regular(market.bars("SPY", day), day).volume for day in days]
    opening, middle, closing = (
        sum(volume[part].sum() for volume in volumes) for part in (slice(30), slice(180, 210), slice(-30, None))
    )
    assert opening > 2 * middle
    assert closing > 2 * middle


def test_vwap_is_mostly_but_not_always_within_the_bar(market: GeneratedMarket) -> None:
    bars = [market.bars(ticker, ORDINARY) for ticker in market.tickers[:40]]
    outside = sum(int(np.sum((bar.vwap < bar.low) | (bar.vwap > bar.high))) for bar in bars)
    assert 0 < outside < 0.02 * sum(len(bar.vwap) for bar in bars)


@pytest.mark.parametrize("ticker", ["SPY", "TSLA", "T0003"])
def test_prices_go_on_from_session_to_session(market: GeneratedMarket, ticker: str) -> None:
    bars = [market.bars(ticker, day) for day in market.days(date(2024, 1, 2), date(2024, 12, 31))]
    gaps = [abs(np.log(after.open[0] / before.close[-1])) for before, after in pairwise(bars)]
    assert max(gaps) < 0.08
    assert 0.3 < bars[-1].close[-1] / bars[0].open[0] < 3


def test_prices_stay_plausible_over_decades(market: GeneratedMarket) -> None:
    closes = [
        market.bars("AAPL", day).close[-1] / market.scale("AAPL", day, date.max)
        for day in market.days(date(2000, 1, 1), date(2025, 12, 31))[::100]
    ]
    assert min(closes) > 190 / 5
    assert max(closes) < 190 * 5


def test_tickers_move_together(market: GeneratedMarket) -> None:
    moves = []
    for ticker in ("SPY", "QQQ"):
        closes = [market.bars(ticker, day).close[-1] for day in market.days(date(2024, 1, 2), date(2024, 12, 31))]
        moves.append(np.diff(np.log(closes)))
    assert np.corrcoef(*moves)[0, 1] > 0.8


def test_the_universe_begins_with_well_known_names() -> None:
    assert universe(2) == ("AAPL", "AMZN")
    assert universe(14)[-3:] == ("XOM", "T0001", "T0002")


def test_only_listed_tickers_exist() -> None:
    market = GeneratedMarket(tickers=["BRK.A", "ZZZZ"])
    assert market.has_ticker("BRK.A")
    assert not market.has_ticker("SPY")
    assert len(market.bars("ZZZZ", ORDINARY).start_ms) > 300


def test_a_malformed_ticker_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a ticker"):
        GeneratedMarket(tickers=["spy"])


def test_days_are_sessions_within_the_markets_range() -> None:
    market = GeneratedMarket(tickers=1, start=HALF_DAY, end=date(2025, 7, 8))
    assert market.days(date(2025, 7, 1), date(2025, 7, 31)) == [HALF_DAY, date(2025, 7, 7), date(2025, 7, 8)]
    assert market.days(HOLIDAY, HOLIDAY) == []


def test_before_its_first_session_a_market_has_no_price_and_no_quotes() -> None:
    market = GeneratedMarket(seed=7, tickers=["SPY"], start=ORDINARY)
    early = datetime(2024, 7, 2, 13, tzinfo=UTC)  # half an hour before the opening
    assert market.spot("SPY", early) is None
    with pytest.raises(LookupError, match="no session of the market has opened"):
        market.quotes("SPY", [], early)
