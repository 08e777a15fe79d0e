"""What the vendor sends, by endpoint: the forms of its OpenAPI document, shortened."""

import json
from typing import Any

T0 = 1_720_000_800_000
"""2024-07-03 10:00 UTC."""

BARS_PATH = "/v2/aggs/ticker/SPY/range/1/minute"
TICKERS_PATH = "/v3/reference/tickers"

ROWS: dict[str, dict[str, Any]] = {
    "tickers": {
        "ticker": "SPY",
        "name": "SPDR S&P 500 ETF Trust",
        "market": "stocks",
        "locale": "us",
        "primary_exchange": "ARCX",
        "type": "ETF",
        "active": True,
        "currency_name": "usd",
        "cik": "0000884394",
        "composite_figi": "BBG000BDTBL9",
        "last_updated_utc": "2024-07-03T00:00:00Z",
    },
    "contracts": {
        "ticker": "O:SPY240119C00470000",
        "underlying_ticker": "SPY",
        "contract_type": "call",
        "exercise_style": "american",
        "expiration_date": "2024-01-19",
        "strike_price": 470,
        "shares_per_contract": 100,
        "primary_exchange": "BATO",
        "cfi": "OCASPS",
        "additional_underlyings": [{"type": "equity", "underlying": "VMW", "amount": 44}],
    },
    "news": {
        "id": "8ec6",
        "title": "Markets are cheering",
        "author": "Sam Boughedda",
        "published_utc": "2024-06-24T18:33:53Z",
        "article_url": "https://example.com/a",
        "tickers": ["UBS", "SPY"],
        "publisher": {"name": "Investing.com", "homepage_url": "https://example.com/"},
        "keywords": ["Federal Reserve"],
        "insights": [{"ticker": "UBS", "sentiment": "positive", "sentiment_reasoning": "raised"}],
    },
    "options_snapshot": {
        "break_even_price": 151.2,
        "day": {"open": 4.6, "close": 4.75, "volume": 58, "vwap": 4.69, "last_updated": 1636520400000000000},
        "details": {
            "ticker": "O:SPY240119C00470000",
            "contract_type": "call",
            "exercise_style": "american",
            "expiration_date": "2024-01-19",
            "strike_price": 470,
            "shares_per_contract": 100,
        },
        "greeks": {"delta": 0.5, "gamma": 0.01, "theta": -0.02, "vega": 0.7},
        "implied_volatility": 0.3,
        "last_quote": {"bid": 4.6, "ask": 4.8, "bid_size": 1, "ask_size": 2, "last_updated": 1636573458756383500},
        "open_interest": 8133,
        "underlying_asset": {"ticker": "SPY", "price": 146.99, "timeframe": "DELAYED"},
    },
    "dividends": {
        "id": "E8e3",
        "ticker": "SPY",
        "cash_amount": 1.5,
        "currency": "USD",
        "ex_dividend_date": "2024-06-21",
        "record_date": "2024-06-21",
        "pay_date": "2024-07-31",
        "frequency": 4,
        "dividend_type": "CD",
    },
    "splits": {"id": "E36a", "ticker": "AAPL", "execution_date": "2020-08-31", "split_from": 1, "split_to": 4},
    "treasury_yields": {"date": "1962-01-02", "yield_1_year": 3.22, "yield_10_year": 4.06},
    "indices_snapshot": {
        "ticker": "I:VIX",
        "name": "Cboe Volatility Index",
        "type": "indices",
        "value": 12.1,
        "market_status": "open",
        "last_updated": 1720000800000000000,
        "timeframe": "REAL-TIME",
        "session": {"open": 12, "high": 12.5, "low": 11.9, "close": 12.1, "previous_close": 12.0},
    },
    "grouped_daily": {
        **{"T": "SPY", "o": 550, "h": 552, "l": 549, "c": 551, "v": 9099618.093, "vw": 550.5, "n": 70},
        "t": 1720036800000,  # 2024-07-03 20:00 UTC: the end of the day's regular trading
    },
    "open_close": {
        **{"status": "OK", "from": "2024-07-03", "symbol": "SPY"},
        **{
            "open": 550,
            "high": 552,
            "low": 549,
            "close": 551,
            "volume": 3.5e7,
            "afterHours": 551.2,
            "preMarket": 549.8,
        },
    },
    "market_status": {
        "market": "extended-hours",
        "serverTime": "2024-07-03T08:00:00-04:00",
        "exchanges": {"nyse": "x"},
    },
    "market_holidays": {
        **{"date": "2024-07-03", "exchange": "NYSE", "name": "Independence Day", "status": "early-close"},
        **{"open": "2024-07-03T13:30:00Z", "close": "2024-07-03T17:00:00Z"},
    },
}


def row(endpoint: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (ROWS[endpoint] | changes).items() if value is not ...}


def page(rows: Any, **changes: Any) -> bytes:
    content = {"status": "OK", "request_id": "r1", "results": rows} | changes
    return json.dumps({name: value for name, value in content.items() if value is not ...}).encode()


def body(endpoint: str, *rows: dict[str, Any]) -> bytes:
    """Return the answer of one page that holds rows, by default the sample one."""
    held = list(rows) or [row(endpoint)]
    if endpoint in {"open_close", "market_status"}:
        return json.dumps(held[0]).encode()
    if endpoint == "market_holidays":
        return json.dumps(held).encode()
    if endpoint == "grouped_daily":
        return page(held, queryCount=len(held), resultsCount=len(held), adjusted=False)
    return page(held)


def bar(minute: int, **changes: Any) -> dict[str, Any]:
    return {"v": 1, "vw": 1, "o": 1, "c": 1, "h": 1, "l": 1, "t": T0 + 60_000 * minute, "n": 1} | changes


def bars(*minutes: int, **changes: Any) -> bytes:
    held = [bar(minute) for minute in minutes]
    head = {"ticker": "SPY", "queryCount": len(held), "resultsCount": len(held), "adjusted": False}
    return page(held, **{**head, **changes})


def tickers(*names: str, **changes: Any) -> bytes:
    return page([row("tickers", ticker=name) for name in names], **{"count": len(names), **changes})


def next_url(path: str, cursor: object, host: str = "https://api.polygon.io:443") -> str:
    return f"{host}{path}?cursor={cursor}"
