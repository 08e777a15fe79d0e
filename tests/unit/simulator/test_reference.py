import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bellwether.clock import SimulatedClock
from bellwether.simulator.answers import Refused
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.reference import ReferenceEndpoints
from bellwether.sources.endpoints import DIVIDENDS, NEWS, SPLITS, TICKERS, TREASURY_YIELDS
from bellwether.sources.listing import ListingChain

NOW = datetime(2024, 7, 2, 18, tzinfo=UTC)
LISTS = ("tickers", "dividends", "splits", "news", "yields")


@pytest.fixture(scope="module")
def endpoints() -> ReferenceEndpoints:
    return ReferenceEndpoints(GeneratedMarket(seed=7, tickers=60), SimulatedClock(NOW, speed=0))


def ask(endpoints: ReferenceEndpoints, name: str, **query: str) -> list[dict[str, Any]]:
    asked = {key.replace("__", "."): text for key, text in {"limit": "1000", **query}.items()}
    return json.loads(getattr(endpoints, name)("/p", asked, "r1")).get("results", [])


@pytest.mark.parametrize(
    ("name", "query", "holds"),
    [
        ("tickers", {}, lambda row: row["active"] and "delisted_utc" not in row),
        ("tickers", {"active": "false"}, lambda row: not row["active"] and row["delisted_utc"] <= "2024-07-02Z"),
        ("tickers", {"type": "ETF"}, lambda row: row["ticker"] in {"SPY", "QQQ", "IWM"}),
        ("tickers", {"market": "indices"}, lambda row: row["ticker"] in {"I:SPX", "I:VIX"}),
        ("tickers", {"search": "spy"}, lambda row: row["ticker"] == "SPY"),
        ("tickers", {"date": "2021-09-14", "ticker__gte": "LN", "ticker__lt": "M"}, lambda row: False),
        ("tickers", {"date": "2021-09-15", "ticker": "LNCA"}, lambda row: row["active"]),
        ("dividends", {}, lambda row: row.get("declaration_date", row["ex_dividend_date"]) <= "2024-07-02"),
        ("dividends", {"ticker": "SPY"}, lambda row: row["ticker"] == "SPY" and row["frequency"] == 4),
        ("dividends", {"ex_dividend_date__gte": "2024-01-01"}, lambda row: row["ex_dividend_date"] >= "2024-01-01"),
        ("splits", {}, lambda row: row["execution_date"] <= "2024-07-16" and "reverse_split" not in row),
        ("splits", {"reverse_split": "true"}, lambda row: row["split_to"] < row["split_from"]),
        ("news", {}, lambda row: row["published_utc"] <= "2024-07-02T18:00:00Z"),
        ("news", {"ticker": "SPY"}, lambda row: "SPY" in row["tickers"]),
        (
            "news",
            {"published_utc__gte": "2024-07-01", "published_utc__lt": "2024-07-02"},
            lambda row: row["published_utc"][:10] == "2024-07-01",
        ),
        ("yields", {}, lambda row: row["date"] < "2024-07-02"),
        ("yields", {"date__any_of": "2024-07-01,2024-06-28"}, lambda row: row["date"] in {"2024-07-01", "2024-06-28"}),
    ],
)
def test_every_row_is_within_what_was_asked_and_happened(
    endpoints: ReferenceEndpoints, name: str, query: dict[str, str], holds: Any
) -> None:
    rows = ask(endpoints, name, **query)
    assert bool(rows) is (query.get("date") != "2021-09-14")
    assert all(map(holds, rows))


@pytest.mark.parametrize(
    ("name", "field", "default_limit"),
    [
        ("dividends", "ex_dividend_date", 10),
        ("splits", "execution_date", 10),
        ("news", "published_utc", 10),
        ("yields", "date", 100),
    ],
)
def test_the_newest_come_first_in_pages_of_the_default_size(
    endpoints: ReferenceEndpoints, name: str, field: str, default_limit: int
) -> None:
    values = [row[field] for row in json.loads(getattr(endpoints, name)("/p", {}, "r1"))["results"]]
    assert values == sorted(values, reverse=True)
    assert len(values) == default_limit


def test_news_pages_in_either_direction_hold_every_article_once(endpoints: ReferenceEndpoints) -> None:
    window = {"published_utc.gte": "2024-06-28", "published_utc.lte": "2024-07-01"}
    for order in ("asc", "desc"):
        whole = ask(endpoints, "news", order=order, **{name.replace(".", "__"): text for name, text in window.items()})
        query, rows = {**window, "order": order, "limit": "7"}, []
        while query:
            page = json.loads(endpoints.news("/p", query, "r1"))
            rows += page["results"]
            query = {"cursor": page["next_url"].partition("cursor=")[2]} if "next_url" in page else {}
        assert rows == whole


def test_nothing_absent_is_written_as_null(endpoints: ReferenceEndpoints) -> None:
    for name in LISTS:
        assert all(value is not None for row in ask(endpoints, name) for value in row.values())


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("query", [{"limit": "0"}, {"order": "up"}, {"sort": "mood"}])
def test_wrong_values_are_refused(endpoints: ReferenceEndpoints, name: str, query: dict[str, str]) -> None:
    with pytest.raises(Refused, match="bad_request"):
        ask(endpoints, name, **query)


def test_a_wrong_date_is_refused(endpoints: ReferenceEndpoints) -> None:
    with pytest.raises(Refused, match="bad_request"):
        ask(endpoints, "tickers", date="yesterday")


@pytest.mark.parametrize(
    ("name", "endpoint", "filters"),
    [
        ("tickers", TICKERS, {"ticker": "NOPE"}),
        ("dividends", DIVIDENDS, {"ticker": "NOPE"}),
        ("splits", SPLITS, {"ticker": "SPY"}),
        ("news", NEWS, {"ticker": "NOPE"}),
        ("yields", TREASURY_YIELDS, {"date": date(2024, 7, 4)}),
    ],
)
def test_the_transport_believes_what_a_list_of_nothing_says(
    endpoints: ReferenceEndpoints, name: str, endpoint: Any, filters: dict[str, Any]
) -> None:
    chain = ListingChain.asking(endpoint, filters)
    body = getattr(endpoints, name)("/p", chain.request.arguments, "r1")
    assert chain.take(body, url="u") == ("r1", None)
    assert chain.answer((), 1).rows == ()


def test_the_days_yield_is_not_known_before_its_evening() -> None:
    market = GeneratedMarket(seed=7, tickers=["SPY"])
    for now, newest in [
        (datetime(2024, 7, 3, 1, tzinfo=UTC), "2024-07-01"),  # 21:00 in New York on the second
        (datetime(2024, 7, 3, 5, tzinfo=UTC), "2024-07-02"),
        (datetime(2024, 10, 15, 12, tzinfo=UTC), "2024-10-11"),  # Columbus Day
    ]:
        endpoints = ReferenceEndpoints(market, SimulatedClock(now, speed=0))
        assert ask(endpoints, "yields", limit="1")[0]["date"] == newest


def test_an_article_reads_as_the_clock_stands() -> None:
    market, window = GeneratedMarket(seed=7, tickers=60), {"published_utc__gte": "2024-06-25", "order": "asc"}
    texts = []
    for now in (datetime(2024, 6, 26, tzinfo=UTC), NOW):
        endpoints = ReferenceEndpoints(market, SimulatedClock(now, speed=0))
        rows = ask(endpoints, "news", published_utc__lt="2024-06-26", **window)
        texts.append({row["id"]: (row["published_utc"], row["title"]) for row in rows})
    changed = [name for name in texts[0] if texts[0][name] != texts[1][name]]
    assert changed
    assert all(texts[0][name][0] == texts[1][name][0] for name in changed)
