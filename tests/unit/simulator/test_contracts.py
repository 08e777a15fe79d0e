import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bellwether.clock import SimulatedClock
from bellwether.simulator.answers import Refused
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.contracts import ContractsEndpoint
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import OPEN, PLANS, Plan

NOW = datetime(2024, 7, 2, 18, tzinfo=UTC)
NEAR = {"expiration_date": "2024-07-19", "limit": "250"}


@pytest.fixture(scope="module")
def endpoint() -> ContractsEndpoint:
    return ContractsEndpoint(GeneratedMarket(seed=7, tickers=["SPY", "AAPL"]), SimulatedClock(NOW, speed=0))


def listed(endpoint: ContractsEndpoint, **query: str) -> list[dict[str, Any]]:
    asked = {name.replace("__", "."): text for name, text in {"limit": "1000", **query}.items()}
    return json.loads(endpoint.contracts("/p", asked, "r1")).get("results", [])


def chain(
    endpoint: ContractsEndpoint, plan: Plan = OPEN, underlying: str = "SPY", **query: str
) -> list[dict[str, Any]]:
    return json.loads(endpoint.snapshot(underlying, "/p", NEAR | query, "r1", plan))["results"]


def test_a_contract_has_the_vendors_fields(endpoint: ContractsEndpoint) -> None:
    row = listed(endpoint, underlying_ticker="SPX", expiration_date="2024-07-19")[0]
    assert set(row) == {
        "cfi",
        "contract_type",
        "exercise_style",
        "expiration_date",
        "primary_exchange",
        "shares_per_contract",
        "strike_price",
        "ticker",
        "underlying_ticker",
    }
    assert row["ticker"].startswith("O:SPX240719C0")


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ({}, lambda row: row["expiration_date"] >= "2024-07-02"),
        ({"as_of": "2024-06-03"}, lambda row: row["expiration_date"] >= "2024-06-03"),
        (
            {"expired": "true", "expiration_date__gte": "2024-06-20"},
            lambda row: "2024-06-20" <= row["expiration_date"] < "2024-07-02",
        ),
        ({"expired": "true", "as_of": "2024-06-03"}, lambda row: row["expiration_date"] < "2024-06-03"),
        ({"contract_type": "put"}, lambda row: row["contract_type"] == "put"),
        ({"strike_price__gt": "520", "strike_price__lte": "530"}, lambda row: 520 < row["strike_price"] <= 530),
        ({"expiration_date__lt": "2024-07-05"}, lambda row: "2024-07-02" <= row["expiration_date"] < "2024-07-05"),
    ],
)
def test_every_row_is_within_what_was_asked(endpoint: ContractsEndpoint, query: dict[str, str], holds: Any) -> None:
    rows = listed(endpoint, underlying_ticker="SPY", **query)
    assert rows
    assert all(holds(row) and row["underlying_ticker"] == "SPY" for row in rows)


def test_a_page_goes_on_with_the_date_it_began_with(endpoint: ContractsEndpoint) -> None:
    page = json.loads(endpoint.contracts("/p", {"underlying_ticker": "SPY"}, "r1"))
    assert len(page["results"]) == 10
    later = ContractsEndpoint(
        GeneratedMarket(seed=7, tickers=["SPY"]), SimulatedClock(datetime(2024, 7, 9, tzinfo=UTC), speed=0)
    )
    cursor = {"cursor": page["next_url"].partition("cursor=")[2]}
    assert later.contracts("/p", cursor, "r1") == endpoint.contracts("/p", cursor, "r1")


@pytest.mark.parametrize("as_of", ["0001-01-01", "9999-12-31"])
def test_the_ends_of_time_have_no_contracts_of_this_year(endpoint: ContractsEndpoint, as_of: str) -> None:
    assert not listed(endpoint, underlying_ticker="SPY", as_of=as_of, expiration_date="2024-07-19")


@pytest.mark.parametrize(
    "query",
    [{"as_of": "soon"}, {"expired": "maybe"}, {"expired": "true"}, {"contract_type": "swap"}, {"limit": "1001"}],
)
def test_a_wrong_request_is_refused(endpoint: ContractsEndpoint, query: dict[str, str]) -> None:
    with pytest.raises(Refused, match="bad_request"):
        endpoint.contracts("/p", query, "r1")


def test_the_chain_shows_the_contracts_there_are(endpoint: ContractsEndpoint) -> None:
    rows = chain(endpoint)
    known = listed(endpoint, underlying_ticker="SPY", expiration_date="2024-07-19")
    assert [row["details"]["ticker"] for row in rows] == [row["ticker"] for row in known][:250]
    at_the_money = min(rows, key=lambda row: abs(row["details"]["strike_price"] - row["underlying_asset"]["price"]))
    assert set(at_the_money) == {
        "break_even_price",
        "day",
        "details",
        "greeks",
        "implied_volatility",
        "last_quote",
        "last_trade",
        "open_interest",
        "underlying_asset",
    }
    assert set(at_the_money["greeks"]) == {"delta", "gamma", "theta", "vega"}
    assert at_the_money["last_quote"]["bid"] < at_the_money["last_quote"]["ask"]
    assert at_the_money["day"]["low"] <= at_the_money["day"]["close"] <= at_the_money["day"]["high"]


def test_deep_contracts_have_neither_greeks_nor_volatility(endpoint: ContractsEndpoint) -> None:
    rows = chain(endpoint, contract_type="call")
    deep, other = rows[0], rows[len(rows) // 2]
    assert not {"greeks", "implied_volatility"} & set(deep)
    assert abs(other["greeks"]["delta"]) < 0.995


def test_an_index_has_a_value_and_no_price(endpoint: ContractsEndpoint) -> None:
    asset = chain(endpoint, underlying="I:SPX")[0]["underlying_asset"]
    assert (asset["ticker"], "price" in asset, asset["value"] > 1000) == ("I:SPX", False, True)


@pytest.mark.parametrize(
    ("plan", "parts", "timeframe"),
    [(PLANS["realtime"], {"last_quote", "last_trade"}, "REAL-TIME"), (PLANS["delayed"], set(), "DELAYED")],
)
def test_parts_are_those_of_the_plan(endpoint: ContractsEndpoint, plan: Plan, parts: set[str], timeframe: str) -> None:
    rows = chain(endpoint, plan)
    assert {"last_quote", "last_trade"} & {name for row in rows for name in row} == parts
    behind_s = (plan.delay or 0 * (NOW - NOW)).total_seconds()
    for row in rows:
        assert row["underlying_asset"]["timeframe"] == timeframe
        assert row["underlying_asset"]["last_updated"] == (NOW.timestamp() - behind_s) * 1e9
        assert row.get("day", {"last_updated": 0})["last_updated"] <= row["underlying_asset"]["last_updated"]


@pytest.mark.parametrize(
    ("underlying", "plan", "kind"),
    [
        ("SPY", PLANS["free"], "not_entitled"),
        ("SPY", Plan(classes=frozenset({"stocks"})), "not_entitled"),
        ("NOPE", OPEN, "not_found"),
    ],
)
def test_who_gets_no_chain(endpoint: ContractsEndpoint, underlying: str, plan: Plan, kind: str) -> None:
    with pytest.raises(Refused, match=kind):
        endpoint.snapshot(underlying, "/p", {}, "r1", plan)


def test_a_page_of_the_chain_has_at_most_250_rows(endpoint: ContractsEndpoint) -> None:
    with pytest.raises(Refused, match="250"):
        endpoint.snapshot("SPY", "/p", {"limit": "251"}, "r1", OPEN)


def test_a_side_without_a_quote_is_nought_with_size_nought(endpoint: ContractsEndpoint) -> None:
    quotes = [row["last_quote"] for row in chain(endpoint, PLANS["realtime"], contract_type="put", sort="strike_price")]
    worthless = [quote for quote in quotes if quote["bid_size"] == 0]
    assert 0 < len(worthless) < len(quotes)
    for quote in worthless:
        assert quote["bid"] == 0
        assert quote["ask"] > 0
        assert quote["ask_size"] > 0
        assert quote["midpoint"] == quote["ask"] / 2
    assert all(0 < quote["bid"] < quote["ask"] for quote in quotes if quote["bid_size"])


def test_the_chain_of_an_archive_has_the_quotes_and_the_open_interest_of_its_tables(archive: Path) -> None:
    clock = SimulatedClock(datetime(2014, 6, 6, 19, 50, tzinfo=UTC), speed=0)
    rows = chain(ContractsEndpoint(ArchiveMarket(archive), clock), underlying="TWX", expiration_date="2014-06-21")
    interest = pq.read_table(archive / "open_interest_TWX_20140606.parquet").to_pylist()
    published = {row["ticker"]: row["open_interest"] for row in interest}
    assert len(rows) > 20
    assert all(row["open_interest"] == published[row["details"]["ticker"]] for row in rows)
    assert all(row["last_quote"]["last_updated"] <= clock.now().timestamp() * 1e9 for row in rows)
    assert {row["last_quote"]["bid"] == 0 for row in rows} == {True, False}
    assert not any("greeks" in row or "implied_volatility" in row for row in rows)


def test_what_no_table_tells_of_a_contract_is_left_out(archive: Path) -> None:
    clock = SimulatedClock(datetime(2021, 1, 4, 20, tzinfo=UTC), speed=0)
    rows = chain(
        ContractsEndpoint(ArchiveMarket(archive), clock),
        underlying="I:SPX",
        expiration_date="2021-01-04",
    )
    names = ("open_interest", "last_quote")
    without = {name: {row["details"]["ticker"] for row in rows if name not in row} for name in names}
    assert without["open_interest"] == {"O:SPXW210104P03800000"}
    assert without["last_quote"] == {"O:SPXW210104P03820000"}
    assert {row["underlying_asset"]["ticker"] for row in rows} == {"I:SPX"}


def test_a_filter_that_nothing_passes_leaves_an_empty_chain(endpoint: ContractsEndpoint) -> None:
    assert chain(endpoint, strike_price="1") == []
