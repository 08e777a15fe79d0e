"""What is asked about an underlying, where its opening price is found, and which rows the answers come to."""

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.errors import BadResponse, LakeError, NotFound, NotPublishedYet
from bellwether.options.rules import ContractSelection
from bellwether.schemas import CONTRACTS
from bellwether.sources.contracts import ListedContracts
from bellwether.sources.raw import Request
from bellwether.sources.rest import PolygonRest
from bellwether.sources.source import EMPTY_REASON, Answer
from tests.unit.sources.conftest import FakeVendor

SESSION = date(2014, 6, 6)
HOURS = get_calendar().hours(SESSION)
SOURCE = ListedContracts(ContractSelection())
WIDE = ListedContracts(ContractSelection.model_validate({"strikes": "wide"}))


class NoLog:
    def read(self, _request: Request) -> list[Any]:
        return []

    def add(self, _page: Any) -> None:
        raise AssertionError

    def drop(self, _request: Request) -> None:
        raise AssertionError


def day(price: float = 645.2, on: date = SESSION, symbol: str = "AAPL") -> bytes:
    prices = {"open": price, "high": price + 1, "low": price - 1, "close": price + 0.5}
    return json.dumps({"status": "OK", "from": str(on), "symbol": symbol, "volume": 1, **prices}).encode()


def bars(*prices: float, hour: int = 9, minute: int = 30, on: date = SESSION) -> bytes:
    start_ms = int(datetime(on.year, on.month, on.day, hour, minute, tzinfo=NEW_YORK).timestamp() * 1000)
    rows = [
        {"v": 1, "vw": p, "o": p, "c": p + 0.5, "h": p + 1, "l": p, "t": start_ms + n * 60_000, "n": 1}
        for n, p in enumerate(prices)
    ]
    head = {"ticker": "AAPL", "status": "OK", "adjusted": False, "queryCount": len(rows), "resultsCount": len(rows)}
    return json.dumps(head | ({"results": rows} if rows else {})).encode()


def contract(ticker: str = "O:AAPL140613C00645000", **changes: Any) -> dict[str, Any]:
    return {
        "ticker": ticker,
        "underlying_ticker": "AAPL",
        "contract_type": "call",
        "exercise_style": "american",
        "expiration_date": "2014-06-13",
        "strike_price": 645,
        "shares_per_contract": 100,
    } | changes


def listing(*contracts: dict[str, Any]) -> bytes:
    return json.dumps({"status": "OK", "request_id": "r", "results": list(contracts)}).encode()


NOT_FOUND = b'{"status":"NOT_FOUND","request_id":"r","message":"Data not found."}'
Ask = Callable[..., list[Answer]]


@pytest.fixture
def ask(vendor: FakeVendor, make_rest: Callable[..., PolygonRest]) -> Ask:
    """Return `ask(*bodies, source=..., subject=...)`: the answers when the vendor says these things in turn."""

    def run(*bodies: bytes, source: ListedContracts = SOURCE, subject: str = "AAPL") -> list[Answer]:
        for body in bodies:
            vendor.answer(body, status=404 if body is NOT_FOUND else 200)
        return list(source.ask(make_rest(), subject, HOURS, NoLog()))

    return run


def rows(answers: list[Answer], source: ListedContracts = SOURCE) -> list[dict[str, Any]]:
    """Return the rows of answers, which come to the same in any order."""
    table = source.rows("AAPL", answers, HOURS)
    assert source.rows("AAPL", answers[::-1], HOURS).equals(table)
    assert table.schema.names == CONTRACTS.names
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def asked(vendor: FakeVendor, number: int) -> dict[str, str]:
    return dict(vendor.calls[number].fields or {})


def test_the_official_open_comes_first_and_bounds_what_is_asked(ask: Ask, vendor: FakeVendor) -> None:
    [row] = rows(ask(day(), listing(contract()), listing()))
    assert row == {
        "ticker": "O:AAPL140613C00645000",
        "underlying": "AAPL",
        "right": "call",
        "exercise_style": "american",
        "expiration": date(2014, 6, 13),
        "strike": 645.0,
        "multiplier": 100.0,
        "is_adjusted": False,
        "additional_underlyings": None,
        "opening_price": 645.2,
        "opening_price_source": "open_close",
        "chosen_by": "strike within 1 % of 645.2; expires within 7 days",
    }
    assert [call.url.partition("api.polygon.io")[2] for call in vendor.calls] == [
        "/v1/open-close/AAPL/2014-06-06",
        *["/v3/reference/options/contracts"] * 2,
    ]
    assert asked(vendor, 1) == {
        "underlying_ticker": "AAPL",
        "as_of": "2014-06-06",
        "expired": "false",
        "expiration_date.gte": "2014-06-06",
        "expiration_date.lte": "2014-06-20",
        "strike_price.gte": "638.748",
        "strike_price.lte": "651.652",
        "sort": "ticker",
        "order": "asc",
        "limit": "1000",
    }
    assert asked(vendor, 2) == asked(vendor, 1) | {"expired": "true"}


def test_without_an_official_open_the_first_regular_minute_is_taken(ask: Ask) -> None:
    [row] = rows(ask(NOT_FOUND, bars(645.0, 700.0), listing(contract()), listing()))
    assert (row["opening_price"], row["opening_price_source"]) == (645.0, "first_minute")


@pytest.mark.parametrize(
    ("bodies", "price"),
    [
        ([day(640, date(2014, 6, 5))], 640.5),
        ([NOT_FOUND, bars(640.0, 641.0, hour=15, on=date(2014, 6, 5))], 641.5),
    ],
    ids=["official", "last bar"],
)
def test_an_underlying_that_did_not_open_is_taken_at_its_last_close_with_a_warning(
    ask: Ask, bodies: list[bytes], price: float, capsys: pytest.CaptureFixture[str]
) -> None:
    [row] = rows(ask(NOT_FOUND, bars(), *bodies, listing(contract()), listing()))
    assert (row["opening_price"], row["opening_price_source"]) == (price, "previous_close")
    assert "did not open" in capsys.readouterr().out


def test_a_price_that_does_not_exist_yet_is_waited_for_and_never_replaced(ask: Ask, vendor: FakeVendor) -> None:
    words = "Attempted to request today's data before end of day. Please upgrade your plan"
    vendor.answer(json.dumps({"status": "NOT_AUTHORIZED", "message": words}).encode(), status=403)
    with pytest.raises(NotPublishedYet):
        ask()


def test_an_open_of_nothing_is_no_price(ask: Ask) -> None:
    [row] = rows(ask(day(0.0), bars(645.0), listing(contract()), listing()))
    assert row["opening_price_source"] == "first_minute"


def test_an_index_is_priced_by_its_own_ticker(ask: Ask, vendor: FakeVendor) -> None:
    spx = contract("O:SPXW140613C01940000", underlying_ticker="SPX", exercise_style="european", strike_price=1940.0)
    answers = ask(day(1942.0, symbol="I:SPX"), listing(spx), listing(), subject="SPX")
    assert "/v1/open-close/I:SPX/2014-06-06" in vendor.calls[0].url
    assert {SOURCE.subject_of(answer.pages[0].request) for answer in answers} == {"SPX"}
    assert SOURCE.rows("SPX", answers, HOURS)["ticker"].to_pylist() == ["O:SPXW140613C01940000"]


def test_expired_and_living_contracts_are_united_and_each_is_there_once(ask: Ask) -> None:
    today = contract("O:AAPL140606C00645000", expiration_date="2014-06-06")
    found = rows(ask(day(), listing(contract(), today), listing(today)))
    assert [row["ticker"] for row in found] == ["O:AAPL140613C00645000", "O:AAPL140606C00645000"]


def test_listings_that_contradict_each_other_give_both_rows_to_the_gate(ask: Ask) -> None:
    today = contract("O:AAPL140606C00645000", expiration_date="2014-06-06")
    found = rows(ask(day(), listing(today), listing(today | {"shares_per_contract": 10})))
    assert [row["multiplier"] for row in found] == [100.0, 10.0]


def test_an_adjusted_contract_is_flagged_and_says_what_else_it_delivers(ask: Ask) -> None:
    more = [{"type": "equity", "underlying": "XYZ", "amount": 10}]
    adjusted = contract("O:AAPL1140613C00645000", additional_underlyings=more, shares_per_contract=103)
    [row] = rows(ask(day(), listing(adjusted), listing()))
    assert (row["is_adjusted"], row["multiplier"]) == (True, 103.0)
    assert json.loads(row["additional_underlyings"]) == more


def test_what_cannot_be_judged_is_handed_to_the_gate_and_not_dropped(ask: Ask) -> None:
    other = contract("O:AAPL140613C00646000", contract_type="other", strike_price=646)
    odd = contract("O:AAPL-JUN-645")
    found = rows(ask(day(), listing(contract(), odd, other), listing()))
    assert [(row["ticker"], row["chosen_by"] is None) for row in found] == [
        ("O:AAPL140613C00645000", False),
        ("O:AAPL-JUN-645", True),
        ("O:AAPL140613C00646000", True),
    ]


def test_none_in_the_band_says_which_band_and_how_many_there_were(ask: Ask) -> None:
    late = contract("O:AAPL140620C00645000", expiration_date="2014-06-20")
    table = SOURCE.rows("AAPL", ask(day(), listing(late), listing()), HOURS)
    assert table.num_rows == 0
    assert table.schema.metadata[EMPTY_REASON].decode() == (
        "of 1 contracts listed nearby none is meant: strike within 1 % of 645.2; expires within 7 days (open_close)"
    )


NO_PRICE = (NOT_FOUND, bars(), NOT_FOUND, bars())


def test_without_any_price_and_contract_the_underlying_is_unknown(ask: Ask) -> None:
    answers = ask(*NO_PRICE, listing(), listing())
    with pytest.raises(NotFound):
        SOURCE.rows("AAPL", answers, HOURS)


def test_contracts_without_any_price_are_an_error_unless_strikes_are_wide(ask: Ask) -> None:
    with pytest.raises(BadResponse, match="no opening price and no previous close"):
        ask(*NO_PRICE, listing(contract()), listing())
    [row] = rows(ask(*NO_PRICE, listing(contract()), listing(), source=WIDE), WIDE)
    assert (row["opening_price"], row["opening_price_source"]) == (None, None)


def test_further_months_are_asked_for_without_an_end(ask: Ask, vendor: FakeVendor) -> None:
    source = ListedContracts(ContractSelection.model_validate({"monthlies": 2}))
    ask(day(), listing(), listing(), source=source)
    assert "expiration_date.lte" not in asked(vendor, 1)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_rows_are_never_made_of_a_part_of_the_answers(ask: Ask, lost: int) -> None:
    answers = ask(day(), listing(contract()), listing())
    with pytest.raises(LakeError, match="there is no answer to"):
        SOURCE.rows("AAPL", [answer for number, answer in enumerate(answers) if number != lost], HOURS)


def test_stored_answers_serve_a_narrower_rule_and_are_refused_by_a_wider_one(ask: Ask) -> None:
    answers = ask(day(), listing(contract()), listing())

    def by(**rule: Any) -> pa.Table:
        return ListedContracts(ContractSelection.model_validate(rule)).rows("AAPL", answers, HOURS)

    assert by(strikes={"percent": 0.5}).num_rows == 1
    assert by(lookahead_days=0).num_rows == 0
    for wider in ({"strikes": {"percent": 2}}, {"strikes": "wide"}, {"lookahead_days": 8}, {"monthlies": 1}):
        with pytest.raises(LakeError, match="today's rule needs"):
            by(**wider)


def test_answers_about_another_session_are_refused(ask: Ask) -> None:
    later = get_calendar().hours(date(2014, 6, 10))
    for answer in ask(day(), listing(contract()), listing()):
        SOURCE.check_asked(answer.pages[0].request, HOURS)
        with pytest.raises(LakeError, match="is not asked so of 2014-06-10"):
            SOURCE.check_asked(answer.pages[0].request, later)
    with pytest.raises(ValueError, match="asks for no contracts"):
        SOURCE.subject_of(Request("market_status", {}))
