"""A chain becomes rows: every value as the vendor wrote it, what is absent null, and when each row came."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bellwether.calendar import get_calendar
from bellwether.errors import BadResponse, LakeError, NotFound
from bellwether.schemas import OPTIONS_SNAPSHOT
from bellwether.sources import endpoints
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.options_snapshot import OptionsSnapshot, mid
from bellwether.sources.raw import RawPage, Request
from tests.unit.sources.bodies import next_url, page, row

HOURS = get_calendar().hours(date(2024, 1, 18))
CAME = datetime(2024, 1, 18, 20, 50, 0, 123_999, tzinfo=UTC)
PATH = "/v3/snapshot/options/SPY"
SOURCE = OptionsSnapshot()


def contract(strike: int = 470, **changes: Any) -> dict[str, Any]:
    details = row("options_snapshot")["details"] | {
        "ticker": f"O:SPY240119C{strike * 1000:08d}",
        "strike_price": strike,
    }
    return row("options_snapshot", details=details, **changes)


def answer(*pages: list[dict[str, Any]]) -> Listing[Any]:
    chain: ListingChain[Any] = ListingChain.asking(endpoints.OPTIONS_SNAPSHOT, {"underlying": "SPY"})
    raw = []
    for number, rows in enumerate(pages):
        more = {"next_url": next_url(PATH, number)} if number < len(pages) - 1 else {}
        body = page(rows, **more)
        chain.take(body, url=f"https://vendor{PATH}")
        came = CAME + number * timedelta(seconds=1)
        raw.append(RawPage(chain.request, "c", number, PATH, 200, "r1", {}, came, body))
    return chain.answer(tuple(raw), len(raw))


def rows(*contracts: dict[str, Any]) -> list[dict[str, Any]]:
    table = SOURCE.rows("SPY", [answer(list(contracts))], HOURS)
    assert table.schema.names == OPTIONS_SNAPSHOT.names
    assert table.schema.types == OPTIONS_SNAPSHOT.types
    return table.to_pylist()


def test_every_value_stands_as_the_vendor_wrote_it() -> None:
    trade = {"price": 4.71, "size": 3, "sip_timestamp": 1636573458756383499, "conditions": [209]}
    [found] = rows(contract(last_trade=trade))
    assert found == {
        **{"underlying": "SPY", "ticker": "O:SPY240119C00470000", "ts": CAME.replace(microsecond=123_000)},
        **{"right": "call", "exercise_style": "american", "expiration": date(2024, 1, 19), "strike": 470.0},
        **{"multiplier": 100.0, "bid": 4.6, "ask": 4.8, "bid_size": 1, "ask_size": 2, "mid": 4.7},
        # Nanoseconds to milliseconds without a float in between.
        "quote_ts": datetime(2021, 11, 10, 19, 44, 18, 756_000, tzinfo=UTC),
        **{"last_price": 4.71, "last_size": 3},
        "last_ts": datetime(2021, 11, 10, 19, 44, 18, 756_000, tzinfo=UTC),
        **{"day_volume": 58.0, "open_interest": 8133, "vendor_iv": 0.3},
        **{"vendor_delta": 0.5, "vendor_gamma": 0.01, "vendor_theta": -0.02, "vendor_vega": 0.7},
        **{"underlying_price": 146.99, "break_even_price": 151.2},
    }


def test_what_the_vendor_leaves_out_is_null() -> None:
    absent = ("break_even_price", "day", "greeks", "implied_volatility", "last_quote", "open_interest")
    asset = {"ticker": "SPY"}
    [found] = rows(contract(**dict.fromkeys(absent, ...), underlying_asset=asset))
    given = {name for name, value in found.items() if value is not None}
    assert given == {field.name for field in OPTIONS_SNAPSHOT if not field.nullable}


@pytest.mark.parametrize(
    ("quote", "bid", "bid_size", "middle"),
    [
        ({"bid": 0, "ask": 0.05, "bid_size": 0, "ask_size": 7}, 0.0, 0, None),
        ({"ask": 0.05, "bid_size": 0, "ask_size": 7}, None, None, None),
        ({"bid": 0.04, "ask": 0.05, "bid_size": 2, "ask_size": 7, "midpoint": 9.9}, 0.04, 2, 0.045),
    ],
    ids=["a bid of 0 stays 0", "a side that is left out has no size", "the middle is ours"],
)
def test_a_side_that_nobody_quotes_makes_no_middle(
    quote: dict[str, Any], bid: float | None, bid_size: int | None, middle: float | None
) -> None:
    [found] = rows(contract(last_quote=quote))
    assert (found["bid"], found["bid_size"], found["ask"], found["ask_size"]) == (bid, bid_size, 0.05, 7)
    assert found["mid"] == middle
    assert found["quote_ts"] is None


def test_a_time_of_zero_is_no_time() -> None:
    [found] = rows(contract(last_quote={"bid": 1, "ask": 2, "last_updated": 0}))
    assert found["quote_ts"] is None


@pytest.mark.parametrize(("bid", "ask"), [(None, 1.0), (1.0, None), (0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_there_is_no_middle_of_one_side(bid: float | None, ask: float | None) -> None:
    assert mid(bid, ask) is None


def test_an_index_has_its_value_as_price() -> None:
    [found] = rows(contract(underlying_asset={"ticker": "SPY", "value": 4750.5}))
    assert found["underlying_price"] == 4750.5


def test_each_row_is_stamped_with_its_own_page_and_a_contract_on_two_pages_with_the_first() -> None:
    first, second, third = contract(470), contract(471), contract(472)
    found = SOURCE.rows("SPY", [answer([first, second], [second, third])], HOURS).to_pylist()
    came = CAME.replace(microsecond=123_000)
    assert [(each["strike"], each["ts"] - came) for each in found] == [
        (470.0, timedelta(0)),
        (471.0, timedelta(0)),
        (472.0, timedelta(seconds=1)),
    ]


def test_an_underlying_without_options_has_no_rows() -> None:
    chain: ListingChain[Any] = ListingChain.asking(endpoints.OPTIONS_SNAPSHOT, {"underlying": "SPY"})
    body = page([])
    chain.take(body, url=PATH)
    empty = chain.answer((RawPage(chain.request, "c", 0, PATH, 200, "r1", {}, CAME, body),), 1)
    assert SOURCE.rows("SPY", [empty], HOURS).num_rows == 0


def test_an_unknown_underlying_is_told_from_one_without_options() -> None:
    unknown = NotFound("Ticker not found.", url="http://x", status=404)
    with pytest.raises(NotFound):
        SOURCE.rows("NONE", [unknown], HOURS)

    def listing(*_: object, **__: object) -> None:
        raise unknown

    assert list(SOURCE.ask(SimpleNamespace(listing=listing), "NONE", HOURS, None)) == [unknown]  # type: ignore[arg-type]


def test_the_chain_of_an_index_is_asked_for_by_its_own_ticker_and_kept_under_that_of_its_contracts() -> None:
    asked: list[dict[str, str]] = []
    vendor = SimpleNamespace(listing=lambda _endpoint, filters, **_: asked.append(filters))
    list(SOURCE.ask(vendor, "SPX", HOURS, None))  # type: ignore[arg-type]
    list(SOURCE.ask(vendor, "SPXL", HOURS, None))  # type: ignore[arg-type]
    assert asked == [{"underlying": "I:SPX"}, {"underlying": "SPXL"}]
    assert SOURCE.subject_of(Request("options_snapshot", asked[0])) == "SPX"


def test_half_a_contract_is_refused_and_not_rounded() -> None:
    with pytest.raises(BadResponse, match=r"should be whole is not: .*12\.5"):
        rows(contract(open_interest=12.5))


def test_an_answer_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="not an answer of kind Listing: str"):
        SOURCE.rows("SPY", ["bars"], HOURS)  # type: ignore[list-item]


def test_a_stored_request_names_its_underlying_and_must_have_been_for_the_whole_chain() -> None:
    whole = Request("options_snapshot", {"underlying": "SPY"})
    assert SOURCE.subject_of(whole) == "SPY"
    SOURCE.check_asked(whole, HOURS)
    with pytest.raises(LakeError, match="a part of the chain, by contract_type"):
        SOURCE.check_asked(Request("options_snapshot", {"underlying": "SPY", "contract_type": "put"}), HOURS)
    with pytest.raises(ValueError, match="no request for a chain: contracts"):
        SOURCE.subject_of(Request("contracts", {}))
