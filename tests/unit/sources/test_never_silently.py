"""Every way in which the vendor's answers have gone missing without a word, and that here they do not.

The names are the list. `bars` are aggregates, `listing` stands for every endpoint of rows; both go through
the official client's own request, faked where its sockets would begin.
"""

import gzip
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from bellwether.errors import (
    BadRequest,
    BadResponse,
    CursorRefused,
    NotEntitled,
    NotFound,
    NotPublishedYet,
    OutsideHistory,
    RateLimited,
    ServerError,
    Truncated,
    VendorError,
)
from bellwether.sources import endpoints
from bellwether.sources.rest import PolygonRest
from tests.unit.sources import bodies
from tests.unit.sources.bodies import BARS_PATH, T0, TICKERS_PATH, bars, next_url, tickers

Make = Callable[..., PolygonRest]
Ask = Callable[[], Any]
BARS_NEXT = f"{BARS_PATH}/{T0}/{T0}"


def ask_bars(rest: PolygonRest) -> list[int]:
    table = rest.aggregates("SPY", T0, T0 + 600_000).table
    return [int((ts.timestamp() * 1000 - T0) // 60_000) for ts in table["ts"].to_pylist()]


def ask_listing(rest: PolygonRest) -> list[str]:
    return [row.ticker for row in rest.listing(endpoints.TICKERS, {"market": "stocks"}).rows]


BOTH = pytest.mark.parametrize(
    ("ask", "good", "path"),
    [(ask_bars, bars(0, 1), BARS_NEXT), (ask_listing, tickers("A", "B"), TICKERS_PATH)],
    ids=["bars", "listing"],
)


def refused(vendor: Any, make_rest: Make, ask: Callable[[PolygonRest], object], *answers: bytes) -> BadResponse:
    """Return the error that the last of these answers raises."""
    for content in answers:
        vendor.answer(content)
    with pytest.raises(BadResponse) as caught:
        ask(make_rest())
    assert len(vendor.calls) == len(answers)
    return caught.value


# --- bodies ---------------------------------------------------------------------------------------------------------


@BOTH
def test_html_with_200_is_an_error(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    assert "<html>" in refused(vendor, make_rest, ask, b"<html>Maintenance</html>").message


@BOTH
def test_an_empty_body_is_an_error(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    assert type(refused(vendor, make_rest, ask, b"")) is Truncated


@BOTH
def test_json_cut_anywhere_is_an_error(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    rest = make_rest()
    for length in range(0, len(good), 7):
        vendor.answer(good[:length])
        with pytest.raises(BadResponse):
            ask(rest)


@BOTH
def test_gzip_cut_anywhere_is_an_error(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    packed = gzip.compress(good)
    rest = make_rest()
    for length in range(0, len(packed), 7):
        vendor.answer(packed[:length], headers={"Content-Encoding": "gzip"})
        with pytest.raises(Truncated):
            ask(rest)


@BOTH
def test_status_error_with_200_is_an_error(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    content = good.replace(b'"status": "OK"', b'"status": "ERROR", "error": "failed to read"')
    assert "failed to read" in refused(vendor, make_rest, ask, content).message


@BOTH
def test_a_missing_status_is_an_error(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    assert "status" in refused(vendor, make_rest, ask, good.replace(b'"status"', b'"state"')).message


@BOTH
def test_deep_json_is_an_error_and_not_a_crash(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    assert "not readable" in refused(vendor, make_rest, ask, b'{"x":' + b"[" * 200_000).message


@BOTH
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_know_are_an_error(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str, number: str
) -> None:
    field = b'"o": 1' if ask is ask_bars else b'"count": 2'
    assert field in good
    refused(vendor, make_rest, ask, good.replace(field, field[:-1] + number.encode(), 1))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_price_that_is_no_number_is_an_error(vendor: Any, make_rest: Make, number: str) -> None:
    content = bodies.body("contracts").replace(b"470,", number.encode() + b",")
    refused(vendor, make_rest, lambda rest: rest.listing(endpoints.CONTRACTS, {}), content)


# --- counts and results ---------------------------------------------------------------------------------------------


@BOTH
def test_missing_results_are_an_error(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    refused(vendor, make_rest, ask, good.replace(b'"results"', b'"rows"'))


@BOTH
def test_null_results_are_an_error(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    refused(vendor, make_rest, ask, b'{"status":"OK","ticker":"SPY","results":null}')


@BOTH
@pytest.mark.parametrize("results", [b"", b'"results":null,'], ids=["missing", "null"])
def test_no_results_with_a_next_url_are_an_error_even_if_zero_is_counted(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str, results: bytes
) -> None:
    counts = b'"queryCount":0,"resultsCount":0,"count":0,'
    url = next_url(path, 2).encode()
    refused(vendor, make_rest, ask, b'{"status":"OK","ticker":"SPY",%s%s"next_url":"%s"}' % (results, counts, url))


@BOTH
def test_zero_rows_are_believed_where_the_vendor_counts_them(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str
) -> None:
    vendor.answer(b'{"status":"OK","request_id":"r1","ticker":"SPY","queryCount":0,"resultsCount":0,"count":0}')
    assert ask(make_rest()) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"results":[],"status":"OK","request_id":"r1"}',
        b'{"results":[],"status":"OK","request_id":"r1","count":0}',
        b'{"results":[],"status":"DELAYED","request_id":"r1"}',
    ],
)
def test_a_listing_of_no_rows_is_an_empty_array(vendor: Any, make_rest: Make, body: bytes) -> None:
    vendor.answer(body)
    assert ask_listing(make_rest()) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"OK","request_id":"r1"}',
        b'{"results":null,"status":"OK","request_id":"r1"}',
        b'{"results":[],"status":"OK"}',
        b'{"results":[],"request_id":"r1"}',
        b'{"results":[],"status":"NOT_FOUND","request_id":"r1"}',
        b'{"results":[],"status":"OK","request_id":"r1","count":3}',
        b'{"results":[],"status":"OK","request_id":"r1","next_url":"https://api.polygon.io%s?cursor=2"}'
        % TICKERS_PATH.encode(),
    ],
)
def test_what_only_resembles_an_empty_listing_is_an_error(vendor: Any, make_rest: Make, body: bytes) -> None:
    refused(vendor, make_rest, ask_listing, body)


@pytest.mark.parametrize("declared", [0, 1, 3, 10**9], ids=["none", "fewer", "more", "a thousand million"])
def test_another_count_than_the_rows_is_truncation(vendor: Any, make_rest: Make, declared: int) -> None:
    for ask, content in [
        (ask_bars, bars(0, 1, resultsCount=declared)),
        (ask_listing, tickers("A", "B", count=declared)),
    ]:
        vendor.answer(content)
        with pytest.raises(Truncated, match=f"declares {declared} "):
            ask(make_rest())


# --- pages ----------------------------------------------------------------------------------------------------------


def page_of(ask: object, index: int, url: object) -> bytes:
    return bars(index, next_url=url) if ask is ask_bars else tickers("ABCDEFGH"[index], next_url=url)


@BOTH
def test_the_limit_is_the_size_of_a_page_and_caps_nothing(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str
) -> None:
    for index in range(5):
        vendor.answer(page_of(ask, index, next_url(path, index)))
    vendor.answer(page_of(ask, 5, ...))
    assert len(ask(make_rest())) == 6


@BOTH
@pytest.mark.parametrize("end", ["", None], ids=["empty", "null"])
def test_an_empty_or_null_next_url_is_the_end_and_not_another_request(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str, end: Any
) -> None:
    vendor.answer(page_of(ask, 0, end))
    assert len(ask(make_rest())) == 1
    assert len(vendor.calls) == 1


@BOTH
def test_a_cursor_loop_is_an_error(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    pages = [page_of(ask, index, next_url(path, index % 2)) for index in range(3)]
    assert "taken before" in refused(vendor, make_rest, ask, *pages).message


def test_a_listing_whose_cursor_changes_and_whose_rows_do_not_is_a_loop(vendor: Any, make_rest: Make) -> None:
    pages = [tickers("A", "B", next_url=next_url(TICKERS_PATH, cursor)) for cursor in (1, 2)]
    assert "leads nowhere" in refused(vendor, make_rest, ask_listing, *pages).message


@BOTH
def test_next_url_to_another_host_is_asked_of_the_configured_one(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str
) -> None:
    vendor.answer(page_of(ask, 0, next_url(path, 1, host="http://evil.example:8080")))
    vendor.answer(page_of(ask, 1, ...))
    assert len(ask(make_rest())) == 2
    assert vendor.calls[1].url == f"https://api.polygon.io{path}?cursor=1"


@BOTH
@pytest.mark.parametrize(
    "elsewhere",
    ["/v2/aggs/ticker/AAPL/range/1/minute/1/2", "/v3/reference/splits", "/", "/v3/reference/tickers/../../x", "x:y"],
)
def test_next_url_to_another_resource_is_an_error(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str, elsewhere: str
) -> None:
    assert "next_url leads to" in refused(vendor, make_rest, ask, page_of(ask, 0, next_url(elsewhere, 1))).message


@pytest.mark.parametrize("minutes", [(1, 0), (0, 2, 1)])
def test_unsorted_bars_are_an_error(vendor: Any, make_rest: Make, minutes: tuple[int, ...]) -> None:
    assert "ascending" in refused(vendor, make_rest, ask_bars, bars(*minutes)).message


def test_a_page_of_bars_that_overlaps_the_one_before_is_an_error(vendor: Any, make_rest: Make) -> None:
    error = refused(vendor, make_rest, ask_bars, bars(0, 1, 2, next_url=next_url(BARS_NEXT, 1)), bars(1, 2, 3))
    assert "the one before it ended" in error.message


def test_a_listing_sorted_by_time_that_goes_back_is_an_error(vendor: Any, make_rest: Make) -> None:
    days = [bodies.row("treasury_yields", date=day) for day in ("1962-01-03", "1962-01-02")]
    error = refused(vendor, make_rest, lambda rest: rest.listing(endpoints.TREASURY_YIELDS, {}), bodies.page(days))
    assert "ascending order" in error.message


def test_equal_rows_on_two_pages_of_a_listing_are_dropped_and_counted(vendor: Any, make_rest: Make) -> None:
    vendor.answer(tickers("A", "B", next_url=next_url(TICKERS_PATH, 1)))
    vendor.answer(tickers("B", "C"))
    answer = make_rest().listing(endpoints.TICKERS, {})
    assert [row.ticker for row in answer.rows] == ["A", "B", "C"]
    assert answer.duplicates_dropped == 1


@pytest.mark.parametrize("pages", [1, 2])
def test_two_rows_of_one_key_that_differ_are_an_error(vendor: Any, make_rest: Make, pages: int) -> None:
    path = "/v3/reference/options/contracts"
    first, second = bodies.row("contracts"), bodies.row("contracts", shares_per_contract=10)
    answers = [bodies.page([first, second])]
    if pages == 2:
        answers = [bodies.page([first], next_url=next_url(path, 1)), bodies.page([second])]
    error = refused(vendor, make_rest, lambda rest: rest.listing(endpoints.CONTRACTS, {}), *answers)
    assert "contradicts" in error.message


@BOTH
def test_a_cursor_that_the_vendor_refuses_is_no_missing_ticker_and_no_end(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str
) -> None:
    for status, word in [(404, b"NOT_FOUND"), (400, b"ERROR")]:
        vendor.answer(page_of(ask, 0, next_url(path, 1)))
        vendor.answer(b'{"status":"%s","message":"no"}' % word, status)
        with pytest.raises(CursorRefused) as caught:
            ask(make_rest())
        assert len(caught.value.pages) == 1


# --- what was asked -------------------------------------------------------------------------------------------------


def test_bars_of_another_ticker_are_an_error(vendor: Any, make_rest: Make) -> None:
    assert "answered for QQQ" in refused(vendor, make_rest, ask_bars, bars(0, ticker="QQQ")).message


def test_adjusted_bars_are_an_error(vendor: Any, make_rest: Make) -> None:
    assert "adjusted" in refused(vendor, make_rest, ask_bars, bars(0, adjusted=True)).message


@pytest.mark.parametrize("minute", [-1, 11])
def test_bars_outside_the_window_are_an_error(vendor: Any, make_rest: Make, minute: int) -> None:
    assert "asked for bars of" in refused(vendor, make_rest, ask_bars, bars(minute)).message


def test_a_row_outside_the_filter_is_an_error_that_names_row_and_filter(vendor: Any, make_rest: Make) -> None:
    rows = [bodies.row("tickers"), bodies.row("tickers", ticker="XYZ", market="otc")]
    message = refused(vendor, make_rest, ask_listing, bodies.page(rows)).message
    assert message.startswith("row 1 is outside the filter market=stocks")
    assert "XYZ" in message


def test_history_clipped_at_the_plans_edge_is_an_error(vendor: Any, make_rest: Make) -> None:
    # The answer comes on 2024-07-03; 2022-07-05 is the first session that a plan of two years holds.
    first_ms = 1_657_008_000_000
    held = [{**bodies.bar(0), "t": first_ms}]
    vendor.answer(bodies.page(held, ticker="SPY", queryCount=1, resultsCount=1, adjusted=False))
    with pytest.raises(OutsideHistory, match="clipped, as by a plan with 2 years") as caught:
        make_rest().aggregates("SPY", first_ms - 30 * 86_400_000, first_ms + 86_400_000)
    assert len(caught.value.pages) == 1


@BOTH
def test_delayed_data_says_so(vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str) -> None:
    vendor.answer(page_of(ask, 0, next_url(path, 1)).replace(b'"OK"', b'"DELAYED"'))
    vendor.answer(page_of(ask, 1, ...))
    rest = make_rest()
    answer = rest.aggregates("SPY", T0, T0 + 600_000) if ask is ask_bars else rest.listing(endpoints.TICKERS, {})
    assert answer.status == "DELAYED"


@pytest.mark.parametrize("ticker", ["../x", "SPY/../../x", "SPY?apiKey=1", "", "O:../x", "I:../x", "SPY,QQQ"])
def test_a_path_like_ticker_is_refused_before_any_url_is_built(vendor: Any, make_rest: Make, ticker: str) -> None:
    rest = make_rest()
    asks: list[Ask] = [
        lambda: rest.aggregates(ticker, T0, T0),
        lambda: rest.open_close(ticker, date(2024, 7, 3)),
        lambda: rest.listing(endpoints.OPTIONS_SNAPSHOT, {"underlying": ticker}),
        lambda: rest.listing(endpoints.NEWS, {"ticker": ticker}),
        lambda: rest.listing(endpoints.INDICES_SNAPSHOT, {"ticker.any_of": [ticker]}),
    ]
    for ask in asks:
        with pytest.raises(ValueError, match=r"is not a ticker|is no plain text"):
            ask()
    assert vendor.calls == []


# --- statuses: every error says what it takes to go on ----------------------------------------------------------------

STATUSES: dict[str, tuple[int, bytes, type[VendorError]]] = {
    "bad request": (400, b'{"status":"ERROR","error":"Could not parse"}', BadRequest),
    "plan": (403, b'{"status":"NOT_AUTHORIZED","message":"You are not entitled to this data."}', NotEntitled),
    "history": (403, b'{"message":"Your plan doesn\'t include this data timeframe."}', OutsideHistory),
    "today": (403, b'{"message":"Attempted to request today\'s data before end of day."}', NotPublishedYet),
    "unknown": (404, b'{"status":"NOT_FOUND","message":"Ticker not found."}', NotFound),
    "no such route": (404, b"<html>nginx</html>", BadResponse),
    "limit": (429, b"", RateLimited),
    "server": (502, b"<html>", ServerError),
    "redirect": (302, b"", BadResponse),
    "no content": (204, b"", BadResponse),
}


@BOTH
@pytest.mark.parametrize(("status", "content", "cls"), STATUSES.values(), ids=STATUSES.keys())
def test_every_status_but_200_is_an_error_of_its_own(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str, status: int, content: bytes, cls: type[VendorError]
) -> None:
    vendor.answer(content, status, {"Retry-After": "17"})
    with pytest.raises(VendorError) as caught:
        ask(make_rest())
    error = caught.value
    assert (type(error), error.status, error.retry_after_s, error.api_calls) == (cls, status, 17.0, 1)


def test_a_404_keeps_the_answer_that_proves_it(vendor: Any, make_rest: Make) -> None:
    content = b'{"status":"NOT_FOUND","request_id":"r7","message":"Ticker not found."}'
    vendor.answer(content, 404, {"Date": "Wed, 03 Jul 2024 21:00:00 GMT", "Set-Cookie": "session=1"})
    with pytest.raises(NotFound) as caught:
        ask_bars(make_rest())
    (page,) = caught.value.pages
    assert (page.http_status, page.body, page.number, page.request_id) == (404, content, 0, "r7")
    assert page.headers == {"Date": "Wed, 03 Jul 2024 21:00:00 GMT"}
    assert page.request.arguments == {"ticker": "SPY", "from_ms": str(T0), "to_ms": str(T0 + 600_000)}


@BOTH
def test_an_error_in_mid_chain_carries_the_pages_that_came(
    vendor: Any, make_rest: Make, ask: Any, good: bytes, path: str
) -> None:
    vendor.answer(page_of(ask, 0, next_url(path, 1)))
    vendor.answer(page_of(ask, 1, next_url(path, 2)))
    vendor.answer(b"", 429, {"Retry-After": "300"})
    with pytest.raises(RateLimited) as caught:
        ask(make_rest())
    error = caught.value
    assert [page.number for page in error.pages] == [0, 1]
    assert len({page.chain_id for page in error.pages}) == 1
    assert (error.retry_after_s, error.api_calls) == (300.0, 3)
