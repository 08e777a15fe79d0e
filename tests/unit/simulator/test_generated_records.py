"""What the generated market tells beside stock bars: contracts, options, indices, actions, yields, news."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from scipy.optimize import brentq

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.simulator.actions import HALTED, LIVES, SPLITTING, trades
from bellwether.simulator.bars import Bars
from bellwether.simulator.chain import parse_symbol
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.options import tick
from bellwether.simulator.records import Article, Contract, ContractQuery
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
    ladders: dict[tuple[str, str], dict[str, list[float]]] = {}
    for contract in contracts:
        assert get_calendar().is_session(date.fromisoformat(contract.expiration_date))
        assert contract.expiration_date >= DAY.isoformat()
        ladder = ladders.setdefault((contract.ticker[:-15], contract.expiration_date), {"call": [], "put": []})
        ladder[contract.contract_type].append(contract.strike_price)
    for ladder in ladders.values():
        assert ladder["call"] == ladder["put"] == sorted(ladder["call"])
        assert ladder["call"][0] < spot < ladder["call"][-1]


def test_the_index_has_monthlies_that_end_with_an_opening_and_weeklies_that_end_at_a_close(
    market: GeneratedMarket,
) -> None:
    third_friday = date(2024, 7, 19)
    roots = {c.ticker[2:-15] for c in chain(market, "SPX") if c.expiration_date == third_friday.isoformat()}
    assert roots == {"SPX", "SPXW"}
    others = {c.ticker[2:-15] for c in chain(market, "SPX") if c.expiration_date == "2024-07-12"}
    assert others == {"SPXW"}
    last = {
        root: max(bars.start_ms[-1] for bars in traded(market, "SPX", third_friday, day, root))
        for root, day in (("SPX", date(2024, 7, 18)), ("SPXW", third_friday))
    }
    assert not list(traded(market, "SPX", third_friday, third_friday, "SPX"))
    assert at_ms(date(2024, 7, 18), 16, 5) <= last["SPX"] < at_ms(date(2024, 7, 18), 16, 15)
    assert last["SPXW"] <= at_ms(third_friday, 15, 59)


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


def test_a_split_into_whole_shares_divides_strikes_and_any_other_leaves_adjusted_contracts_beside_new_ones(
    market: GeneratedMarket,
) -> None:
    """SPLT: 4 for 1 on 2025-07-01, 1 for 4 on 2025-01-02."""

    def ladder(day: date, root: str) -> list[tuple[str, float, int]]:
        return [
            (c.expiration_date, c.strike_price, c.shares_per_contract)
            for c in chain(market, SPLITTING, as_of=day)
            if c.ticker[2:-15] == root and c.contract_type == "call"
        ]

    before, after = ladder(date(2025, 6, 30), "SPLT"), ladder(date(2025, 7, 1), "SPLT")
    assert [(end, strike / 4, shares) for end, strike, shares in before] == after[: len(before)]
    assert not ladder(date(2025, 7, 1), "SPLT1")
    before, adjusted = ladder(date(2024, 12, 31), "SPLT"), ladder(date(2025, 1, 2), "SPLT1")
    assert [(end, strike, 25) for end, strike, _ in before] == adjusted
    spot = market.spot(SPLITTING, datetime(2025, 1, 2, 18, tzinfo=UTC))
    assert spot is not None
    assert min(s for _, s, _ in ladder(date(2025, 1, 2), "SPLT")) < spot
    assert all(shares == 100 for _, _, shares in ladder(date(2025, 1, 2), "SPLT"))


def test_an_adjusted_contract_is_worth_what_it_was_and_has_no_greeks(market: GeneratedMarket) -> None:
    after = datetime(2025, 1, 2, 18, tzinfo=UTC)
    contracts = [c for c in chain(market, SPLITTING, as_of=after.date()) if c.ticker.startswith("O:SPLT1")]
    quotes, model = market.quotes(SPLITTING, contracts, after), market.model(SPLITTING, contracts, after)
    spot = market.spot(SPLITTING, after)
    assert spot is not None
    assert np.isnan(model.iv).all()
    for contract, ask in zip(contracts, quotes.ask, strict=True):
        sign = 1 if contract.contract_type == "call" else -1
        assert ask > sign * (spot * 25 / 100 - contract.strike_price) - 0.01 * spot


def traded(market: GeneratedMarket, underlying: str, expiration: date, day: date, root: str) -> Iterator[Bars]:
    for contract in market.contracts(ContractQuery(underlying, day, False, expiration, expiration)):
        bars = market.bars(contract.ticker, day)
        if contract.ticker[2:-15] == root and len(bars.start_ms):
            yield bars


def at_ms(day: date, hour: int, minute: int) -> int:
    return int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK).timestamp()) * 1000


@pytest.mark.parametrize(("underlying", "ends"), [("AAPL", (16, 0)), ("SPY", (16, 15))])
@pytest.mark.parametrize("half", [False, True])
def test_products_end_at_their_own_time(
    market: GeneratedMarket, underlying: str, ends: tuple[int, int], half: bool
) -> None:
    day, hour = (date(2025, 7, 3), ends[0] - 3) if half else (DAY, ends[0])
    busy = [
        bars.start_ms
        for contract in market.contracts(ContractQuery(underlying, day, False, day + timedelta(days=1), date.max))
        if len(bars := market.bars(contract.ticker, day))
    ]
    last_ms = max(int(starts[-1]) for starts in busy if len(starts))
    assert at_ms(day, hour, ends[1]) - 60_000 * 3 <= last_ms < at_ms(day, hour, ends[1])
    assert min(int(starts[0]) for starts in busy if len(starts)) >= at_ms(day, 9, 30)


@pytest.mark.parametrize("underlying", ["AAPL", "SPY", "SPX", "T0007"])
def test_volatility_inverted_from_a_bars_close_is_the_smiles(market: GeneratedMarket, underlying: str) -> None:
    """With an inversion of its own: each bar against the same minute of the underlying, as a client would."""
    ticker = "I:SPX" if underlying == "SPX" else underlying
    spots = market.bars(ticker, DAY)
    closes = dict(zip(spots.start_ms.tolist(), spots.close.tolist(), strict=True))
    # The three-month yield of the day, and the dividends of the year before over yesterday's close.
    rate = market.yields(DAY, DAY)[0].yield_3_month / 100
    cash = sum(
        d.cash_amount for d in market.dividends(underlying) if "2023-07-03" < d.ex_dividend_date <= DAY.isoformat()
    )
    before = market.bars(ticker, get_calendar().previous(DAY))
    paid = cash / before.close[before.start_ms < at_ms(get_calendar().previous(DAY), 16, 0)][-1]
    checked, errors = 0, []
    for contract in chain(market, underlying)[:: 1 if underlying == "T0007" else 7]:
        symbol = parse_symbol(contract.ticker)
        assert symbol is not None
        hours = get_calendar().hours(symbol.expiration)
        ends = hours.open if symbol.root == "SPX" else hours.close  # 13:00 on 2024-07-03, a half day
        bars = market.bars(contract.ticker, DAY)
        for start_ms, close in list(zip(bars.start_ms.tolist(), bars.close.tolist(), strict=True))[
            :: 1 + len(bars.close) // 3
        ]:
            end_ms = start_ms + 60_000
            years = (ends.timestamp() * 1000 - end_ms) / (365 * 86_400_000)
            asked = (closes.get(start_ms, 0.0), symbol.strike, years, rate, paid, symbol.contract_type == "call")
            if not asked[0] or years <= 0 or start_ms >= at_ms(DAY, 16, 0):
                continue
            model = market.model(underlying, [contract], datetime.fromtimestamp(end_ms / 1000, UTC))
            smile_iv, vega = float(model.iv[0]), float(model.greeks[3, 0]) * 100
            step = tick(underlying).below if close < 3 else tick(underlying).above
            # Half a step of the print, half a cent of the underlying's, a little of the yield's own rounding.
            noise = (step / 2 + 0.01 + 2e-4 * close) / vega if vega else np.inf
            if noise > 0.05:
                continue
            found = brentq(lambda iv, close=close, asked=asked: black_scholes_merton(iv, *asked) - close, 0.01, 20)
            errors.append(abs(found - smile_iv) / noise)
            checked += 1
    assert checked > 10
    assert max(errors) < 1.2


def black_scholes_merton(
    iv: float, spot: float, strike: float, years: float, rate: float, paid: float, call: bool
) -> float:
    forward, deviation = spot * math.exp((rate - paid) * years), iv * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    cdf = NormalDist().cdf
    value = math.exp(-rate * years) * (forward * cdf(d1) - strike * cdf(d1 - deviation))
    return value if call else value - math.exp(-rate * years) * (forward - strike)


def test_the_volatility_at_the_money_has_a_term_structure(market: GeneratedMarket) -> None:
    spot = market.spot("SPY", MOMENT)
    nearest = {}
    for contract in chain(market, "SPY"):
        if contract.contract_type == "call":
            distance = abs(contract.strike_price - spot)
            nearest[contract.expiration_date] = min(
                nearest.get(contract.expiration_date, (distance, contract)), (distance, contract), key=lambda x: x[0]
            )
    iv = market.model("SPY", [contract for _, contract in nearest.values()], MOMENT).iv
    assert abs(iv[0] - iv[-1]) > 0.002
    changes = np.diff(iv[1:])
    assert np.mean(np.sign(changes) == np.sign(iv[-1] - iv[1])) > 0.7


def test_quotes_stand_around_the_models_price_on_the_products_steps(market: GeneratedMarket) -> None:
    for underlying in ("SPY", "AAPL", "T0007", "SPX"):
        contracts = chain(market, underlying)
        quotes = market.quotes(underlying, contracts, MOMENT)
        steps = tick(underlying)
        assert np.all(quotes.ask > 0)
        two = ~np.isnan(quotes.bid)
        assert two.sum() > 0
        assert np.all(quotes.bid[two] < quotes.ask[two])
        assert np.array_equal(quotes.bid_size == 0, ~two)
        for side in (quotes.bid[two], quotes.ask):
            number = side / steps.below
            assert np.allclose(number, np.rint(number), atol=1e-6)
        relative = (quotes.ask - quotes.bid)[two & (quotes.bid > 3)] / quotes.ask[two & (quotes.bid > 3)]
        assert np.median(relative) < 0.08
    assert np.isnan(market.quotes("SPY", chain(market, "SPY"), MOMENT).bid).any()


@pytest.mark.parametrize("underlying", ["AAPL", "SPX"])
def test_trades_are_sparse(market: GeneratedMarket, underlying: str) -> None:
    spot = market.spot(underlying, MOMENT)
    contracts = chain(market, underlying)
    counts = np.array([len(market.bars(contract.ticker, DAY).start_ms) for contract in contracts])
    far = np.array([abs(math.log(contract.strike_price / spot)) > 0.2 for contract in contracts])
    assert 3 <= np.median(counts[counts > 0]) <= 9
    assert np.mean(counts[far] == 0) > 0.7
    volume = market.bars(contracts[int(counts.argmax())].ticker, DAY).volume
    assert np.array_equal(volume, np.rint(volume))
    assert np.all(volume >= 1)


def test_open_interest_is_that_of_the_morning_and_changes_overnight(market: GeneratedMarket) -> None:
    contracts = chain(market, "SPY")[:50]
    today, tomorrow = ([market.open_interest(c, day) for c in contracts] for day in (DAY, get_calendar().next(DAY)))
    assert today == [market.open_interest(c, DAY) for c in contracts]
    assert today != tomorrow
    assert min(today) >= 0


def test_a_halted_stock_has_no_bars_for_a_day_and_its_options_stand_still(market: GeneratedMarket) -> None:
    wednesday = date(2024, 7, 3)
    tuesday, noon = get_calendar().previous(wednesday), datetime(2024, 7, 3, 16, tzinfo=UTC)
    assert not len(market.bars(HALTED, wednesday).start_ms)
    assert len(market.bars(HALTED, tuesday).start_ms)
    contracts = chain(market, HALTED, as_of=wednesday)
    assert contracts
    assert not any(len(market.bars(contract.ticker, wednesday).start_ms) for contract in contracts)
    assert market.spot(HALTED, noon) == market.spot(HALTED, datetime(2024, 7, 2, 20, 30, tzinfo=UTC))
    assert set(market.quotes(HALTED, contracts, noon).updated_ms) == {at_ms(tuesday, 16, 0)}


def test_option_bars_agree_with_the_models_price(market: GeneratedMarket) -> None:
    at_close = datetime(2024, 7, 2, 20, 15, tzinfo=UTC)
    spot = market.spot("SPY", at_close)
    near = [
        c
        for c in chain(market, "SPY")
        if c.expiration_date == EXPIRATION.isoformat() and abs(c.strike_price - spot) < 10
    ]
    quotes, model = market.quotes("SPY", near, at_close), market.model("SPY", near, at_close)
    for contract, bid, ask in zip(near, quotes.bid, quotes.ask, strict=True):
        bars = market.bars(contract.ticker, DAY)
        assert np.all(bars.low > 0)
        assert np.all((bars.low <= bars.open) & (bars.close <= bars.high))
        if len(bars.start_ms) and bars.start_ms[-1] == at_close.timestamp() * 1000 - 60_000:
            assert bid <= bars.close[-1] <= ask
    calls = np.array([c.contract_type == "call" for c in near])
    strikes = np.array([c.strike_price for c in near])
    assert np.all(quotes.ask[calls] >= np.round(np.maximum(spot - strikes[calls], 0), 2) - 0.01)
    assert np.all((model.greeks[0] > 0) == calls)


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


@pytest.mark.parametrize(("day", "close"), [(DAY, 16), (date(2025, 7, 3), 13)])
def test_indices_have_values_only_at_their_own_hours(market: GeneratedMarket, day: date, close: int) -> None:
    for ticker, last in (("I:SPX", (close, 20)), ("I:VIX", (close, 14))):
        bars = market.bars(ticker, day)
        assert bars.start_ms[0] == at_ms(day, 9, 30)
        assert bars.start_ms[-1] == at_ms(day, *last)
        assert np.all(np.diff(bars.start_ms) == 60_000)
        assert np.all(bars.low <= np.minimum(bars.open, bars.close))
        assert np.all(bars.high >= np.maximum(bars.open, bars.close))
        assert np.isnan(bars.volume).all()
    tail = market.bars("I:SPX", day)
    tail = tail.rows(tail.start_ms > at_ms(day, close, 0))
    assert len(tail.close) == 20
    assert len({*tail.open, *tail.high, *tail.low, *tail.close}) == 1


def test_the_volatility_index_is_what_the_listed_options_of_the_index_say(market: GeneratedMarket) -> None:
    """Cboe's sum over strikes of the two expirations around 30 days, with model prices out of the money."""
    at_close = datetime(2024, 7, 2, 20, tzinfo=UTC)
    spot, rate = market.spot("SPX", at_close), market.yields(DAY, DAY)[0].yield_3_month / 100
    variances = []
    for expiration in (date(2024, 7, 26), date(2024, 8, 2)):
        contracts = list(market.contracts(ContractQuery("SPX", DAY, False, expiration, expiration)))
        iv = market.model("SPX", contracts, at_close).iv
        years = (at_ms(expiration, 16, 0) - at_close.timestamp() * 1000) / (365 * 86_400_000)
        forward, total = spot * math.exp(rate * years), 0.0
        rows = [(c.strike_price, v, c.contract_type == "call") for c, v in zip(contracts, iv, strict=True)]
        rows = [row for row in rows if row[2] == (row[0] > forward)]
        strikes = np.array([strike for strike, _, _ in rows])
        order, widths = np.argsort(strikes), np.gradient(np.sort(strikes))
        for (strike, v, call), width in zip([rows[n] for n in order], widths, strict=True):
            value = black_scholes_merton(float(v), spot, strike, years, rate, 0.0, call)
            total += width / strike**2 * math.exp(rate * years) * value
        variances.append((years, 2 / years * total))
    (near, low), (far, high) = variances
    weight = (far - 30 / 365) / (far - near)
    blended = (near * low * weight + far * high * (1 - weight)) * 365 / 30
    bars = market.bars("I:VIX", DAY)
    served = bars.close[bars.start_ms == at_ms(DAY, 15, 59)][0]
    assert 100 * math.sqrt(blended) == pytest.approx(served, rel=0.04)


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
    forward, backward = (
        list(market.articles(first, last, None, newest_first=newest, as_of=last)) for newest in (False, True)
    )
    assert forward == backward[::-1]
    assert len({article.id for article in forward}) == len(forward) > 50
    assert all(one.published_utc < other.published_utc for one, other in pairwise(forward))
    assert forward[0].published_utc >= "2024-06-28T12"
    assert forward[-1].published_utc < "2024-07-01T12:00:01"
    about = list(market.articles(first - timedelta(days=90), last, "SPY", newest_first=True, as_of=last))
    assert about
    assert all("SPY" in article.tickers for article in about)


def test_old_articles_have_no_insights_and_new_ones_one_per_ticker(market: GeneratedMarket) -> None:
    def read(year: int) -> list[Article]:
        day = datetime(year, 7, 1, tzinfo=UTC)
        last = day + timedelta(days=5)
        return list(market.articles(day, last, None, newest_first=False, as_of=last))

    assert not any(article.insights for article in read(2019))
    recent = read(2024)
    assert 0.5 < sum(bool(article.insights) for article in recent) / len(recent) < 0.9
    assert all([i.ticker for i in article.insights] == article.tickers for article in recent if article.insights)


def test_articles_are_of_every_kind_a_reader_meets(market: GeneratedMarket) -> None:
    first, last = datetime(2024, 5, 24, tzinfo=UTC), datetime(2024, 7, 5, tzinfo=UTC)
    articles = list(market.articles(first, last, None, newest_first=False, as_of=last + timedelta(days=1)))
    assert len(articles) > 1000
    assert len({article.title for article in articles}) > 0.9 * len(articles) - sum(not a.tickers for a in articles)
    counts = [len(article.tickers) for article in articles]
    assert {0, 1, 2, 3, 4} == set(counts)
    assert not any(article.insights for article in articles if not article.tickers)
    assert any(not article.title.isascii() for article in articles)
    assert any("&amp;" in article.title for article in articles)
    days = {article.published_utc[:10] for article in articles}
    assert {"2024-05-25", "2024-05-27", "2024-06-19", "2024-07-04"} <= days  # a Saturday, three holidays
    business = sum("10" <= article.published_utc[11:13] < "22" for article in articles)
    assert business > 0.6 * len(articles)


def test_some_articles_are_corrected_under_the_same_id_and_time(market: GeneratedMarket) -> None:
    first, last = datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 7, 5, tzinfo=UTC)
    early, late = (
        {a.id: a for a in market.articles(first, last, None, newest_first=False, as_of=as_of)}
        for as_of in (first, last + timedelta(hours=12))
    )
    changed = {name for name, article in late.items() if article != early[name]}
    assert 0.01 < len(changed) / len(late) < 0.15
    for name in changed:
        assert (late[name].published_utc, late[name].tickers) == (early[name].published_utc, early[name].tickers)
        assert late[name].title.startswith("CORRECTED: ")
