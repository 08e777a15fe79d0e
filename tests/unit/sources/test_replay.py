"""Raw pages, stored and read again: the same answer without the vendor, or the reason why not."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from bellwether.errors import BadResponse, NotFound, Truncated
from bellwether.sources import endpoints
from bellwether.sources.endpoints import ENDPOINTS
from bellwether.sources.raw import RAW, RawPage, Request, from_table, to_table
from bellwether.sources.replay import chains, replay
from bellwether.sources.rest import PolygonRest
from tests.unit.sources import bodies
from tests.unit.sources.bodies import BARS_PATH, T0, TICKERS_PATH, bars, next_url, tickers
from tests.unit.sources.test_endpoints import ASKED

Make = Callable[..., PolygonRest]


def stored(pages: list[RawPage]) -> list[RawPage]:
    """Return pages as they come back from a file, in any order."""
    table = to_table(pages)
    assert table.schema == RAW
    kept = from_table(table)
    random.Random(3).shuffle(kept)
    return kept


def two_pages(vendor: Any, make_rest: Make) -> Any:
    vendor.answer(bars(0, 1, next_url=next_url(f"{BARS_PATH}/{T0}/{T0}", 1)), headers={"X-Request-Id": "h1"})
    vendor.answer(bars(2))
    return make_rest().aggregates("SPY", T0, T0 + 600_000)


def test_stored_bars_are_the_answer_they_were(vendor: Any, make_rest: Make) -> None:
    live = two_pages(vendor, make_rest)
    [chain] = chains(stored(list(live.pages)))
    again = replay(chain)
    assert again.table.equals(live.table)
    assert (again.ticker, again.status, again.api_calls) == ("SPY", "OK", 0)
    assert again.pages == live.pages
    assert len(vendor.calls) == 2


@pytest.mark.parametrize("name", ASKED)
def test_a_stored_listing_is_judged_by_the_filters_it_was_asked_by(vendor: Any, make_rest: Make, name: str) -> None:
    vendor.answer(bodies.body(name))
    live = make_rest().listing(ENDPOINTS[name], ASKED[name][0])
    [chain] = chains(stored(list(live.pages)))
    assert replay(chain).rows == live.rows


def test_a_stored_row_outside_its_filter_is_refused(vendor: Any, make_rest: Make) -> None:
    vendor.answer(bodies.body("tickers"))
    (page,) = make_rest().listing(endpoints.TICKERS, {"market": "stocks"}).pages
    with pytest.raises(BadResponse, match="market=otc"):
        replay([replace(page, request=Request("tickers", {"market": "otc"}))])


def test_a_stored_404_is_the_same_proof_again(vendor: Any, make_rest: Make) -> None:
    vendor.answer(b'{"status":"NOT_FOUND","request_id":"r7","message":"Ticker not found."}', 404)
    with pytest.raises(NotFound) as live:
        make_rest().aggregates("NOSUCH", T0, T0)
    with pytest.raises(NotFound) as again:
        replay(stored(list(live.value.pages)))
    assert str(again.value) == str(live.value)


def test_pages_fall_into_their_answers_in_the_order_these_began(vendor: Any, make_rest: Make) -> None:
    rest = make_rest()
    vendor.answer(bodies.body("open_close"))
    day = rest.open_close("SPY", date(2024, 7, 3))
    vendor.answer(tickers("A", next_url=next_url(TICKERS_PATH, 1)))
    vendor.answer(tickers("B"))
    listing = rest.listing(endpoints.TICKERS, {})
    found = chains(stored([*day.pages, *listing.pages]))
    assert sorted(len(chain) for chain in found) == [1, 2]
    assert [page.number for chain in found for page in chain if len(chain) == 2] == [0, 1]


def test_missing_pages_are_named_and_never_a_shorter_answer(vendor: Any, make_rest: Make) -> None:
    first, second = two_pages(vendor, make_rest).pages
    with pytest.raises(Truncated, match="end before the answer does"):
        replay([first])
    with pytest.raises(Truncated, match="stored page 0 of answer"):
        replay([second])
    with pytest.raises(Truncated, match="stored page 2"):
        replay([first, second, replace(second, number=2)])


def test_equal_requests_share_a_key_and_others_do_not() -> None:
    key = Request("tickers", {"a": "1", "b": "2"}).key
    assert key == Request("tickers", {"b": "2", "a": "1"}).key
    assert key not in {Request("news", {"a": "1", "b": "2"}).key, Request("tickers", {"a": "12", "b": ""}).key}
