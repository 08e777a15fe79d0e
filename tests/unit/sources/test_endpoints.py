"""Every endpoint: how it is asked, what its rows become, and what of it is refused."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bellwether.errors import BadResponse, NotFound, Truncated
from bellwether.sources import endpoints, rows
from bellwether.sources.endpoints import ENDPOINTS
from bellwether.sources.rest import PolygonRest
from tests.unit.sources import bodies

Make = Callable[..., PolygonRest]
HOST = "https://api.polygon.io"
DAY = date(2024, 7, 3)

ASKED: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    "tickers": (
        {"date": DAY, "active": True, "market": "stocks", "ticker.gte": "A"},
        "/v3/reference/tickers",
        {"date": "2024-07-03", "active": "true", "market": "stocks", "ticker.gte": "A", "limit": "1000"},
    ),
    "contracts": (
        {"underlying_ticker": "SPY", "as_of": date(2024, 1, 2), "expired": False, "strike_price.lte": 470.5},
        "/v3/reference/options/contracts",
        {"underlying_ticker": "SPY", "as_of": "2024-01-02", "expired": "false", "strike_price.lte": "470.5"},
    ),
    "news": (
        {"ticker": "SPY", "published_utc.gte": datetime(2024, 6, 24, tzinfo=UTC)},
        "/v2/reference/news",
        {"ticker": "SPY", "published_utc.gte": "2024-06-24T00:00:00Z", "sort": "published_utc", "limit": "1000"},
    ),
    "options_snapshot": (
        {"underlying": "SPY", "contract_type": "call", "expiration_date.gte": date(2024, 1, 1)},
        "/v3/snapshot/options/SPY",
        {"contract_type": "call", "expiration_date.gte": "2024-01-01", "limit": "250"},
    ),
    "dividends": (
        {"ticker": "SPY", "ex_dividend_date.lt": DAY, "dividend_type": "CD"},
        "/v3/reference/dividends",
        {"ticker": "SPY", "ex_dividend_date.lt": "2024-07-03", "sort": "ex_dividend_date", "order": "asc"},
    ),
    "splits": (
        {"execution_date": date(2020, 8, 31), "reverse_split": False},
        "/v3/reference/splits",
        {"execution_date": "2020-08-31", "reverse_split": "false", "limit": "1000"},
    ),
    "treasury_yields": (
        {"date.any_of": [date(1962, 1, 2), date(1962, 1, 3)]},
        "/fed/v1/treasury-yields",
        {"date.any_of": "1962-01-02,1962-01-03", "sort": "date.asc", "limit": "50000"},
    ),
    "indices_snapshot": (
        {"ticker.any_of": ["I:VIX", "I:SPX"]},
        "/v3/snapshot/indices",
        {"ticker.any_of": "I:VIX,I:SPX", "limit": "250"},
    ),
    "grouped_daily": (
        {"day": DAY, "include_otc": False},
        "/v2/aggs/grouped/locale/us/market/stocks/2024-07-03",
        {"include_otc": "false", "adjusted": "false"},
    ),
    "open_close": ({"ticker": "SPY", "day": DAY}, "/v1/open-close/SPY/2024-07-03", {"adjusted": "false"}),
    "market_status": ({}, "/v1/marketstatus/now", {}),
    "market_holidays": ({}, "/v1/marketstatus/upcoming", {}),
}


def test_every_endpoint_of_the_table_is_tried_here() -> None:
    assert set(ASKED) == set(ENDPOINTS) == set(bodies.ROWS)


@pytest.mark.parametrize("name", ASKED)
def test_an_endpoint_is_asked_in_the_vendors_spelling_and_answers_typed_rows(
    vendor: Any, make_rest: Make, name: str
) -> None:
    filters, path, parameters = ASKED[name]
    given = dict(filters)
    vendor.answer(bodies.body(name))
    answer = make_rest().listing(ENDPOINTS[name], filters)
    (call,) = vendor.calls
    assert call.url == HOST + path
    assert parameters.items() <= call.fields.items()
    assert filters == given
    (row,) = answer.rows
    assert type(row) is ENDPOINTS[name].row
    assert (answer.api_calls, answer.status, answer.duplicates_dropped) == (1, "OK", 0)
    assert answer.pages[0].body == bodies.body(name)
    assert answer.pages[0].request.endpoint == name


def test_rows_carry_every_field_the_vendor_sends_typed(vendor: Any, make_rest: Make) -> None:
    for name in ("news", "splits", "indices_snapshot"):
        vendor.answer(bodies.body(name))
    rest = make_rest()
    article = rest.listing(endpoints.NEWS, {}).rows[0]
    assert article.published_utc == datetime(2024, 6, 24, 18, 33, 53, tzinfo=UTC)
    assert article.insights == [rows.Insight(ticker="UBS", sentiment="positive", sentiment_reasoning="raised")]
    split = rest.listing(endpoints.SPLITS, {}).rows[0]
    assert (split.execution_date, split.split_from, split.split_to) == (date(2020, 8, 31), 1.0, 4.0)
    index = rest.listing(endpoints.INDICES_SNAPSHOT, {}).rows[0]
    assert index.session is not None
    assert (index.value, index.session.high) == (12.1, 12.5)


def test_the_short_ways_to_ask(vendor: Any, make_rest: Make) -> None:
    rest = make_rest()
    for name in ("grouped_daily", "open_close", "market_status", "market_holidays"):
        vendor.answer(bodies.body(name))
    (bar,) = rest.grouped_daily(DAY).rows
    assert (bar.ticker, bar.v, bar.otc) == ("SPY", 9099618.093, False)
    (day,) = rest.open_close("SPY", DAY).rows
    assert (day.close, day.after_hours, day.pre_market) == (551, 551.2, 549.8)
    assert rest.market_status().server_time.isoformat() == "2024-07-03T08:00:00-04:00"
    (holiday,) = rest.market_holidays().rows
    assert (holiday.status, holiday.close) == ("early-close", datetime(2024, 7, 3, 17, tzinfo=UTC))


def test_the_day_of_an_index_is_a_timestamp_and_has_no_volume(vendor: Any, make_rest: Make) -> None:
    changes = {"symbol": "I:VIX", "from": "2024-07-03T00:00:00.000Z", "volume": ...}
    vendor.answer(bodies.body("open_close", bodies.row("open_close", **changes)))
    (row,) = make_rest().open_close("I:VIX", DAY).rows
    assert row.volume is None


def test_a_day_without_session_is_not_found_and_a_holiday_is_an_empty_market(vendor: Any, make_rest: Make) -> None:
    vendor.answer(b'{"status":"NOT_FOUND","request_id":"r7","message":"Data not found."}', 404)
    vendor.answer(bodies.page(..., queryCount=0, resultsCount=0, adjusted=False))
    with pytest.raises(NotFound) as caught:
        make_rest().open_close("SPY", date(2024, 7, 4))
    assert b"Data not found" in caught.value.pages[0].body
    assert make_rest().grouped_daily(date(2024, 7, 4)).rows == ()


OUTSIDE: dict[str, tuple[str, dict[str, Any], str]] = {
    "other underlying": ("contracts", {"underlying_ticker": "SPYG"}, "underlying_ticker=SPY"),
    "expired before as_of": ("contracts", {"expiration_date": "2024-01-01"}, "as_of=2024-01-02"),
    "strike beyond": ("contracts", {"strike_price": 471}, "strike_price.lte=470.5"),
    "inactive": ("tickers", {"active": False}, "active=true"),
    "activity unsaid": ("tickers", {"active": ...}, "active=true"),
    "other market": ("tickers", {"market": "otc"}, "market=stocks"),
    "about others": ("news", {"tickers": ["UBS"]}, "ticker=SPY"),
    "too old": ("news", {"published_utc": "2024-06-23T23:59:59Z"}, "published_utc.gte="),
    "other chain": ("options_snapshot", {"underlying_asset": {"ticker": "AAPL"}}, "underlying=SPY"),
    "ex-day itself": ("dividends", {"ex_dividend_date": "2024-07-03"}, "ex_dividend_date.lt=2024-07-03"),
    "other type": ("dividends", {"dividend_type": "SC"}, "dividend_type=CD"),
    "reverse split": ("splits", {"split_from": 4, "split_to": 1}, "reverse_split=false"),
    "other day": ("treasury_yields", {"date": "1962-01-04"}, "date.any_of=1962-01-02,1962-01-03"),
    "other index": ("indices_snapshot", {"ticker": "I:NDX"}, "ticker.any_of=I:VIX,I:SPX"),
    "day before": ("grouped_daily", {"t": 1719950400000}, "day=2024-07-03"),
    "beyond any calendar": ("grouped_daily", {"t": 2**62}, "row 0"),
    "beyond any float": ("grouped_daily", {"t": 10**400}, "row 0"),
    "otc": ("grouped_daily", {"otc": True}, "include_otc=false"),
    "other symbol": ("open_close", {"symbol": "QQQ"}, "ticker=SPY"),
    "other date": ("open_close", {"from": "2024-07-02"}, "day=2024-07-03"),
    "no date": ("open_close", {"from": "yesterday"}, "isoformat"),
}


@pytest.mark.parametrize(("name", "changes", "words"), OUTSIDE.values(), ids=OUTSIDE.keys())
def test_a_row_outside_the_filter_is_refused_and_both_are_named(
    vendor: Any, make_rest: Make, name: str, changes: dict[str, Any], words: str
) -> None:
    vendor.answer(bodies.body(name, bodies.row(name, **changes)))
    with pytest.raises(BadResponse, match=r"row 0 .*: \w+\(") as caught:
        make_rest().listing(ENDPOINTS[name], ASKED[name][0])
    assert words in caught.value.message


MALFORMED = {
    "tickers": {"ticker": ""},
    "contracts": {"strike_price": "470"},
    "news": {"published_utc": "2024-06-24T18:33:53"},
    "options_snapshot": {"details": ...},
    "dividends": {"ex_dividend_date": "2024-13-01"},
    "splits": {"split_from": 0},
    "treasury_yields": {"yield_1_year": "3.22"},
    "indices_snapshot": {"ticker": None},
    "grouped_daily": {"t": 1.5},
    "open_close": {"close": None},
    "market_status": {"market": "asleep"},
    "market_holidays": {"status": "open"},
}


@pytest.mark.parametrize("name", ASKED)
def test_a_row_of_another_form_is_refused(vendor: Any, make_rest: Make, name: str) -> None:
    vendor.answer(bodies.body(name, bodies.row(name, **MALFORMED[name])))
    with pytest.raises(BadResponse, match="not what the vendor promises"):
        make_rest().listing(ENDPOINTS[name], ASKED[name][0])


def test_expired_contracts_are_of_the_day_or_before(vendor: Any, make_rest: Make) -> None:
    filters = {"as_of": date(2024, 1, 19), "expired": True}
    vendor.answer(bodies.body("contracts"))
    assert len(make_rest().listing(endpoints.CONTRACTS, filters).rows) == 1
    vendor.answer(bodies.body("contracts", bodies.row("contracts", expiration_date="2024-01-20")))
    with pytest.raises(BadResponse):
        make_rest().listing(endpoints.CONTRACTS, filters)


def test_grouped_bars_without_a_count_are_not_believed(vendor: Any, make_rest: Make) -> None:
    vendor.answer(bodies.page([bodies.row("grouped_daily")]))
    vendor.answer(bodies.page([bodies.row("grouped_daily")], resultsCount=12_000))
    vendor.answer(bodies.page([bodies.row("grouped_daily")], resultsCount=1, adjusted=True))
    rest = make_rest()
    for cls, words in [(BadResponse, "without a resultsCount"), (Truncated, "12000"), (BadResponse, "unadjusted")]:
        with pytest.raises(cls, match=words):
            rest.grouped_daily(DAY)
