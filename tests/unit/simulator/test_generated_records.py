"""What the generated market tells beside stock bars: contracts, options, indices, actions, yields, news."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from bellwether.calendar import get_calendar
from bellwether.simulator.actions import LIVES, trades
from bellwether.simulator.chain import parse_symbol
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.records import Contract, ContractQuery
from bellwether.simulator.yields import bond_holiday

DAY, EXPIRATION = date(2024, 7, 2), date(2024, 7, 19)
MOMENT = datetime(2024, 7, 2, 18, tzinfo=UTC)


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=7)


def chain(market: GeneratedMarket, underlying: str, as_of: date = DAY, expired: bool = False) -> list[Contract]:
    return list(market.contracts(ContractQuery(underlying, as_of, expired, as_of - timedelta(days=40), date.max)))


@pytest.mark.parametrize(
    ("underlying", "style"), [("SPY", "american"), ("AAPL", "american"), ("T0007", "american"), ("SPX", "european")]
)
def test_a_chain_has_calls_and_puts_around_the_price_on_sessions_to_come(
    market: GeneratedMarket, underlying: str, style: str
) -> None:
    contracts, spot = chain(market, underlying), market.spot(underlying, MOMENT)
    assert spot is not None
    assert len({contract.ticker for contract in contracts}) == len(contracts)
    assert {contract.exercise_style for contract in contracts} == {style}
    for expiration in {contract.expiration_date for contract in contracts}:
        assert get_calendar().is_session(date.fromisoformat(expiration))
        assert expiration >= DAY.isoformat()
        strikes = {
            side: [c.strike_price for c in contracts if (c.expiration_date, c.contract_type) == (expiration, side)]
            for side in ("call", "put")
        }
        assert strikes["call"] == strikes["put"] == sorted(strikes["call"])
        assert strikes["call"][0] < spot < strikes["call"][-1]


def test_symbols_say_what_the_contract_is(market: GeneratedMarket) -> None:
    for contract in chain(market, "SPY"):
        symbol = parse_symbol(contract.ticker)
        assert symbol is not None
        assert (symbol.root, symbol.expiration.isoformat()) == ("SPY", contract.expiration_date)
        assert (symbol.contract_type, symbol.strike) == (contract.contract_type, contract.strike_price)


@pytest.mark.parametrize(
    "text", ["SPY", "O:SPY", "O:SPY241332C00525000", "O:SPY240719X00525000", "O:SPY240719C0052500"]
)
def test_other_texts_are_no_symbols(text: str) -> None:
    assert parse_symbol(text) is None


def test_expired_contracts_are_those_that_had_ended(market: GeneratedMarket) -> None:
    living, expired = chain(market, "SPY"), chain(market, "SPY", expired=True)
    assert all(contract.expiration_date < DAY.isoformat() for contract in expired)
    assert not {contract.ticker for contract in living} & {contract.ticker for contract in expired}
    before = {contract.ticker for contract in chain(market, "SPY", as_of=DAY - timedelta(days=1))}
    ended = {contract.ticker for contract in expired if contract.expiration_date == "2024-07-01"}
    assert ended
    assert ended <= before


def test_a_split_renames_contracts_and_keeps_them_around_the_price() -> None:
    market = GeneratedMarket(seed=7)
    split = next(split for split in market.splits("AAPL"))
    after = date.fromisoformat(split.execution_date)
    before = get_calendar().previous(after)
    old, new = (chain(market, "AAPL", as_of=day) for day in (before, after))
    kept = {contract.expiration_date for contract in old} & {contract.expiration_date for contract in new}
    expiration = max(kept)
    strikes = [[c.strike_price for c in contracts if c.expiration_date == expiration] for contracts in (old, new)]
    assert np.allclose(np.array(strikes[0]), np.array(strikes[1]) * split.split_to / split.split_from)


def test_option_bars_are_worth_no_less_than_exercise_and_agree_with_the_smile(market: GeneratedMarket) -> None:
    at_close = get_calendar().hours(DAY).close
    spot = market.spot("SPY", at_close)
    near = [
        c
        for c in chain(market, "SPY")
        if c.expiration_date == EXPIRATION.isoformat() and abs(c.strike_price - spot) < 10
    ]
    quotes = market.quotes("SPY", near, at_close)
    assert quotes is not None
    for contract, price in zip(near, quotes.price, strict=True):
        bars = market.bars(contract.ticker, DAY)
        assert np.all(bars.low > 0)
        assert np.all((bars.low <= bars.open) & (bars.close <= bars.high))
        if len(bars.start_ms) and bars.start_ms[-1] == at_close.timestamp() * 1000 - 60_000:
            assert bars.close[-1] == price
    calls = np.array([c.contract_type == "call" for c in near])
    strikes = np.array([c.strike_price for c in near])
    assert np.all(quotes.price[calls] >= np.round(np.maximum(spot - strikes[calls], 0), 2) - 0.01)
    assert np.all((quotes.greeks[0] > 0) == calls)


def test_contracts_trade_only_while_they_are_listed(market: GeneratedMarket) -> None:
    contract = min(chain(market, "SPY"), key=lambda c: (c.expiration_date, abs(c.strike_price - 525)))
    assert len(market.bars(contract.ticker, date.fromisoformat(contract.expiration_date)).start_ms)
    later = get_calendar().next(date.fromisoformat(contract.expiration_date))
    assert not len(market.bars(contract.ticker, later).start_ms)
    assert not len(market.bars(contract.ticker, later - timedelta(days=60)).start_ms)
    assert not market.has_ticker("O:NOPE240719C00525000")


def test_the_volatility_index_rises_when_the_market_falls(market: GeneratedMarket) -> None:
    days = market.days(date(2024, 1, 2), date(2024, 3, 28))
    spx, vix = ([market.bars(ticker, day).close[-1] for day in days] for ticker in ("I:SPX", "I:VIX"))
    assert np.corrcoef(np.diff(np.log(spx)), np.diff(np.log(vix)))[0, 1] < -0.5
    assert 5 < min(vix) < max(vix) < 90


def test_indices_have_values_only_and_go_on_15_minutes(market: GeneratedMarket) -> None:
    for ticker in ("I:SPX", "I:VIX"):
        bars = market.bars(ticker, DAY)
        assert len(bars.start_ms) == 405
        assert np.all(bars.low <= np.minimum(bars.open, bars.close))
        assert np.all(bars.high >= np.maximum(bars.open, bars.close))
        assert np.isnan(bars.volume).all()


def test_a_split_is_a_jump_in_prices_and_none_in_adjusted_ones(market: GeneratedMarket) -> None:
    jumps = []
    for split in list(market.splits(None))[:40]:
        after = date.fromisoformat(split.execution_date)
        before = get_calendar().previous(after)
        old, new = market.bars(split.ticker, before), market.bars(split.ticker, after)
        if len(old.close) and len(new.open):
            assert market.scale(split.ticker, before, after) == split.ratio
            jumps.append(np.log(old.close[-1] / split.ratio / new.open[0]))
    assert len(jumps) > 20
    assert max(map(abs, jumps)) < 0.15


def test_symbols_come_and_go_and_one_company_trades_on_under_a_new_name(market: GeneratedMarket) -> None:
    for ticker, (_, first, last) in LIVES.items():
        for day, alive in (
            (first, True),
            (first and get_calendar().previous(first), False),
            (last, True),
            (last and get_calendar().next(last), False),
        ):
            if day is not None:
                assert trades(ticker, day) is bool(len(market.bars(ticker, day).start_ms)) is alive
    old, new = market.bars("PREV", date(2024, 5, 31)), market.bars("POST", date(2024, 6, 3))
    assert abs(np.log(old.close[-1] / new.open[0])) < 0.1


def test_listings_are_those_of_the_day(market: GeneratedMarket) -> None:
    on = {day: {row.ticker: row for row in market.listings(day)} for day in (date(2020, 1, 2), DAY)}
    assert "LNCA" not in on[date(2020, 1, 2)]
    assert on[date(2020, 1, 2)]["ENDA"].active
    assert not on[DAY]["ENDA"].active
    assert on[DAY]["ENDA"].delisted_utc == "2022-11-14T00:00:00Z"
    assert on[DAY]["OLDN"].cik == on[DAY]["NEWN"].cik
    assert (on[DAY]["SPY"].type, on[DAY]["I:VIX"].market) == ("ETF", "indices")


def test_a_market_of_names_has_only_those() -> None:
    market = GeneratedMarket(tickers=["SPY", "ENDA"])
    assert list(market.equities()) == ["SPY", "ENDA"]
    assert not market.has_ticker("LNCA")


def test_dividends_are_dated_in_order(market: GeneratedMarket) -> None:
    dividends = list(market.dividends("SPY"))
    assert len(dividends) > 90
    for dividend in dividends:
        assert (dividend.declaration_date or "") < dividend.ex_dividend_date <= dividend.record_date < dividend.pay_date
        assert dividend.cash_amount > 0
    assert all(one.ex_dividend_date < other.ex_dividend_date for one, other in pairwise(dividends))
    assert len({dividend.id for dividend in market.dividends(None)}) == sum(1 for _ in market.dividends(None))


def test_yields_rest_on_bond_holidays_and_leave_out_what_did_not_exist(market: GeneratedMarket) -> None:
    dates = [row.date for row in market.yields(date(2024, 10, 10), date(2024, 11, 12))]
    assert not {"2024-10-14", "2024-11-11"} & set(dates)
    assert {"2024-10-11", "2024-10-15", "2024-11-12"} <= set(dates)
    early, middle = (market.yields(day, day)[0] for day in (date(2001, 3, 1), date(2004, 3, 1)))
    assert (bool(early.yield_1_month), bool(early.yield_30_year)) == (False, True)
    assert (bool(middle.yield_1_month), bool(middle.yield_30_year)) == (True, False)
    assert 0 < early.yield_10_year < 15


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2024, 10, 14), "Columbus Day"),
        (date(2024, 11, 11), "Veterans Day"),
        (date(2018, 11, 12), "Veterans Day"),
        (date(2024, 11, 12), None),
        (DAY, None),
    ],
)
def test_bond_holidays(day: date, name: str | None) -> None:
    assert bond_holiday(day) == name


def test_news_reads_the_same_in_both_directions(market: GeneratedMarket) -> None:
    first, last = datetime(2024, 6, 28, 12, tzinfo=UTC), datetime(2024, 7, 1, 12, tzinfo=UTC)
    forward, backward = (list(market.articles(first, last, None, newest_first=newest)) for newest in (False, True))
    assert forward == backward[::-1]
    assert len({article.id for article in forward}) == len(forward) > 50
    assert all(one.published_utc <= other.published_utc for one, other in pairwise(forward))
    assert forward[0].published_utc >= "2024-06-28T12"
    assert forward[-1].published_utc < "2024-07-01T12:00:01"
    about = list(market.articles(first - timedelta(days=90), last, "SPY", newest_first=True))
    assert about
    assert all("SPY" in article.tickers for article in about)


def test_old_articles_have_no_insights_and_new_ones_one_per_ticker(market: GeneratedMarket) -> None:
    def read(year: int) -> list[object]:
        day = datetime(year, 7, 1, tzinfo=UTC)
        return [
            (article.insights, article.tickers)
            for article in market.articles(day, day + timedelta(days=5), None, newest_first=False)
        ]

    assert not any(insights for insights, _ in read(2019))
    recent = read(2024)
    assert 0.6 < sum(bool(insights) for insights, _ in recent) / len(recent) < 0.95
    assert all([insight.ticker for insight in insights] == tickers for insights, tickers in recent if insights)
