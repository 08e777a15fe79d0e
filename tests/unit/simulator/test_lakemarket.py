"""A lake served as a market: what was published comes back as the vendor's."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.errors import LakeError
from bellwether.lake import Lake
from bellwether.schemas import DIVIDENDS, NEWS, OPTIONS_SNAPSHOT, RATES, SPLITS
from bellwether.simulator.lakemarket import LakeMarket
from bellwether.simulator.records import NEVER, ContractQuery
from tests.builders import SESSION, bars
from tests.unit.consolidate.lakes import contracts, index_bars, prints, put
from tests.unit.consolidate.market import DAY
from tests.unit.consolidate.prints import CALL, PUT

BEFORE = get_calendar().previous(DAY)
OPEN = get_calendar().hours(DAY).open
PUBLISHED = OPEN - timedelta(hours=1)


def article(ticker: str, seen_after: timedelta, title: str, source: str = "vendor") -> dict[str, object]:
    return {
        "article_id": "a1",
        "ticker": ticker,
        "published_utc": PUBLISHED,
        "first_seen_utc": PUBLISHED + seen_after,
        "version": 1,
        "title": title,
        "publisher": "Wire",
        "article_url": "https://example.com/a1",
        "keywords": "markets|energy",
        "language": "en",
        "sentiment": 1.0,
        "sentiment_label": "positive",
        "sentiment_source": source,
        "sentiment_reasoning": "orders",
        "content_hash": title,
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    lake = Lake.open(folder, simulated=True)
    day = DAY - timedelta(days=30)
    put(lake, "equities", pa.concat_tables([bars("AAPL", BEFORE), bars("SPY", BEFORE)]), BEFORE)
    put(lake, "equities", pa.concat_tables([bars("AAPL", DAY), bars("SPY", DAY)]))
    put(lake, "options", prints(CALL, PUT))
    put(lake, "contracts", contracts())
    put(lake, "indices", index_bars())
    split = {"ticker": "AAPL", "execution_date": DAY, "split_from": 1.0, "split_to": 4.0, "split_id": "s1"}
    put(lake, "splits", pa.Table.from_pylist([split], SPLITS))
    paid = {"ticker": "AAPL", "ex_dividend_date": day, "cash_amount": 0.25, "dividend_type": "CD", "dividend_id": "d1"}
    put(lake, "dividends", pa.Table.from_pylist([paid], DIVIDENDS))
    rates = [{"date": BEFORE, "tenor_months": months, "rate": 0.04 + months / 1e4} for months in (3, 120)]
    put(lake, "rates", pa.Table.from_pylist(rates, RATES))
    quote = {"ticker": CALL, "underlying": "AAPL", "ts": OPEN + timedelta(hours=6), "right": "call", "strike": 200.0}
    quote |= {"exercise_style": "american", "expiration": date(2025, 7, 18), "multiplier": 100.0, "open_interest": 42}
    quote |= {"bid": None, "ask": 1.25, "ask_size": 7, "quote_ts": OPEN + timedelta(hours=6, minutes=-1)}
    put(lake, "options_snapshot", pa.Table.from_pylist([quote], OPTIONS_SNAPSHOT))
    told = [
        article("AAPL", timedelta(minutes=1), "First"),
        article("SPY", timedelta(minutes=1), "First", "vader 3.3.2"),
        article("AAPL", timedelta(hours=3), "Corrected"),
    ]
    put(lake, "news", pa.Table.from_pylist(told, NEWS))
    return folder


@pytest.fixture(scope="module")
def market(root: Path) -> LakeMarket:
    return LakeMarket(root)


@pytest.mark.parametrize("ticker", ["AAPL", "SPY"])
def test_bars_come_back_value_for_value(market: LakeMarket, ticker: str) -> None:
    told, published = market.bars(ticker, DAY), bars(ticker, DAY)
    assert told.start_ms.tolist() == published["ts"].cast(pa.int64()).to_pylist()
    for column, name in zip(told[1:], published.column_names[2:], strict=True):
        assert column.tolist() == published[name].to_pylist()


def test_an_index_has_no_volume_and_an_option_without_counts_none(market: LakeMarket) -> None:
    assert np.isnan(market.bars("I:VIX", DAY).volume).all()
    option = market.bars(CALL, DAY)
    assert np.isnan(option.vwap).all()
    assert set(option.transactions.tolist()) == {-1}
    assert len(market.bars("AAPL", DAY + timedelta(days=1)).start_ms) == 0


def test_what_has_rows_is_known_and_listed(market: LakeMarket) -> None:
    assert [market.has_ticker(ticker) for ticker in ("AAPL", "I:VIX", CALL, "NONE")] == [True, True, True, False]
    assert market.equities() == ["AAPL", "SPY"]
    assert [(row.ticker, row.market) for row in market.listings(DAY)] == [
        ("AAPL", "stocks"),
        ("SPY", "stocks"),
        ("I:VIX", "indices"),
    ]


def test_only_the_sessions_asked_for_are_served(root: Path) -> None:
    assert LakeMarket(root).days(date.min, date.max) == [BEFORE, DAY]
    assert LakeMarket(root, start=DAY).days(date.min, date.max) == [DAY]
    assert LakeMarket(root, end=BEFORE).days(date.min, date.max) == [BEFORE]


def test_splits_scale_what_was_before_them(market: LakeMarket) -> None:
    assert market.scale("AAPL", BEFORE, DAY) == 4.0
    assert market.scale("AAPL", DAY, DAY) == market.scale("SPY", BEFORE, DAY) == 1.0
    assert [split.id for split in market.splits("AAPL")] == ["s1"]
    assert [(paid.id, paid.cash_amount) for paid in market.dividends(None)] == [("d1", 0.25)]
    assert market.splits("SPY") == market.dividends("SPY") == []


def test_yields_are_percent(market: LakeMarket) -> None:
    (row,) = market.yields(BEFORE, DAY)
    assert (row.date, row.yield_3_month, row.yield_10_year) == (BEFORE.isoformat(), 4.03, 5.2)
    assert market.yields(DAY, DAY) == []


def test_contracts_are_those_of_the_last_session_that_has_any(market: LakeMarket) -> None:
    def asked(as_of: date, underlying: str | None = None, expired: bool = False) -> list[str]:
        query = ContractQuery(underlying, as_of, expired=expired, first=date(2025, 1, 1), last=date(2025, 12, 31))
        return [contract.ticker for contract in market.contracts(query)]

    assert asked(DAY) == asked(DAY + timedelta(days=1), "AAPL") == sorted([CALL, PUT])
    assert asked(BEFORE) == asked(DAY, "SPY") == asked(DAY, expired=True) == []
    assert asked(date(2025, 8, 1), expired=True) == sorted([CALL, PUT])


def test_quotes_are_the_snapshots_once_it_was_taken(market: LakeMarket) -> None:
    query = ContractQuery("AAPL", DAY, expired=False, first=DAY, last=date(2025, 12, 31))
    chosen = sorted(market.contracts(query), key=lambda contract: contract.ticker != CALL)
    early = market.quotes("AAPL", chosen, OPEN + timedelta(hours=5))
    assert early.updated_ms.tolist() == [NEVER, NEVER]
    late = market.quotes("AAPL", chosen, OPEN + timedelta(hours=6))
    assert (np.isnan(late.bid[0]), late.ask[0], late.bid_size[0], late.ask_size[0]) == (True, 1.25, 0, 7)
    assert late.updated_ms.tolist() == [int((OPEN + timedelta(hours=6, minutes=-1)).timestamp() * 1000), NEVER]
    assert [market.open_interest(contract, DAY) for contract in chosen] == [42, None]
    assert market.model("AAPL", chosen, OPEN) is None


def test_the_spot_is_the_last_close_that_is_over(market: LakeMarket) -> None:
    closes = bars("AAPL", DAY)["close"].to_pylist()
    assert market.spot("AAPL", OPEN + timedelta(minutes=2, seconds=59)) == closes[1]
    assert market.spot("AAPL", OPEN) == bars("AAPL", BEFORE)["close"].to_pylist()[-1]
    assert market.spot("NONE", OPEN) is None


@pytest.mark.parametrize(("hours", "title"), [(0, "First"), (2, "First"), (4, "Corrected")])
def test_an_article_is_told_as_it_had_been_seen(market: LakeMarket, hours: int, title: str) -> None:
    as_of = PUBLISHED + timedelta(hours=hours)
    (told,) = market.articles(PUBLISHED, PUBLISHED, None, newest_first=True, as_of=as_of)
    assert (told.title, told.published_utc) == (title, PUBLISHED.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert (told.tickers, told.keywords) == (["AAPL", "SPY"], ["markets", "energy"])
    assert [(each.ticker, each.sentiment) for each in told.insights or []] == [("AAPL", "positive")]


def test_articles_are_found_by_time_and_ticker(market: LakeMarket) -> None:
    def found(first: datetime, last: datetime, ticker: str | None) -> int:
        return len(list(market.articles(first, last, ticker, newest_first=False, as_of=OPEN)))

    assert found(PUBLISHED, PUBLISHED, "SPY") == 1
    assert found(PUBLISHED, PUBLISHED, "QQQ") == 0
    assert found(PUBLISHED + timedelta(seconds=1), OPEN, None) == 0


def test_a_lake_without_anything_but_bars_serves_those(tmp_path: Path) -> None:
    put(Lake.open(tmp_path, simulated=True), "equities", bars("AAPL"), SESSION)
    market = LakeMarket(tmp_path)
    assert market.days(date.min, date.max) == [SESSION]
    assert market.splits(None) == market.dividends(None) == market.yields(date.min, date.max) == []
    assert not list(market.contracts(ContractQuery(None, SESSION, expired=False, first=date.min, last=date.max)))
    assert not list(market.articles(datetime.min.replace(tzinfo=UTC), OPEN, None, newest_first=True, as_of=OPEN))


def test_there_must_be_a_lake(tmp_path: Path) -> None:
    with pytest.raises(LakeError):
        LakeMarket(tmp_path / "absent")
