import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from bellwether.simulator.answers import Refused
from bellwether.simulator.lists import Filter, ListEndpoint, ListQuery, asked_params, choice, day, flag, instant
from bellwether.simulator.pagefaults import spoil


class Row(msgspec.Struct):
    ticker: str
    strike: float
    on: str
    alive: bool = True
    tags: list[str] = []
    note: str | msgspec.UnsetType = msgspec.UNSET


ROWS = [
    Row(f"T{n:02d}", n % 5, f"2024-07-{1 + n % 9:02d}", n % 2 == 0, ["even", "all"] if n % 2 == 0 else ["all"])
    for n in range(23)
]
ROWS[3].note = "noted"


def endpoint(**options: Any) -> ListEndpoint[Row]:
    filters = {
        "ticker": Filter(str),
        "strike": Filter(float),
        "on": Filter(day),
        "alive": Filter(flag),
        "tag": Filter(str, "tags"),
        "note": Filter(choice("noted", "other")),
    }
    table = {
        "filters": filters,
        "sorts": ("ticker", "strike", "note"),
        "default_limit": 10,
        "max_limit": 50,
        "descending": False,
        "rows": lambda _: ROWS[::-1],
    }
    return ListEndpoint(**table | options)


def follow(query: dict[str, str], on: ListEndpoint[Row] | None = None, fault: str = "") -> list[list[str]]:
    pages: list[list[str]] = []
    while True:
        body = (on or endpoint()).page("/v3/list", query, "r1")
        page = json.loads(spoil(fault, body, "") if fault and not pages else body)
        pages.append([row["ticker"] for row in page.get("results", [])])
        if "next_url" not in page:
            return pages
        url = urlsplit(page["next_url"])
        assert (url.scheme, url.netloc, url.path) == ("https", "api.polygon.io", "/v3/list")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert list(query) == ["cursor"]


def found(**query: str) -> list[str]:
    return [
        ticker for page in follow({name.replace("__", "."): text for name, text in query.items()}) for ticker in page
    ]


def tickers(rows: Iterable[Row]) -> list[str]:
    return [row.ticker for row in rows]


@pytest.mark.parametrize("limit", range(1, 26))
@pytest.mark.parametrize("sort", ["ticker", "strike", "note"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_any_size_hold_every_row_once_in_order(limit: int, sort: str, order: str) -> None:
    pages = follow({"limit": str(limit), "sort": sort, "order": order})
    place = {
        "ticker": lambda row: row.ticker,
        "strike": lambda row: (row.strike, row.ticker),
        "note": lambda row: (row.note or "", row.ticker),
    }
    assert [ticker for page in pages for ticker in page] == tickers(
        sorted(ROWS, key=place[sort], reverse=order == "desc")
    )
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"ticker": "T04"}, ["T04"]),
        ({"ticker__any_of": "T04,T01,NOPE"}, ["T01", "T04"]),
        ({"ticker__gt": "T20"}, ["T21", "T22"]),
        ({"ticker__gte": "T21", "ticker__lt": "T22"}, ["T21"]),
        ({"ticker__lte": "T01"}, ["T00", "T01"]),
        ({"strike": "4", "on__gte": "2024-07-05"}, ["T04", "T14"]),
        ({"alive": "false", "ticker__lt": "T04"}, ["T01", "T03"]),
        ({"tag": "even", "ticker__lt": "T04"}, ["T00", "T02"]),
        ({"note": "noted"}, ["T03"]),
        ({"tag": "none"}, []),
        ({"unknown": "x", "ticker": "T04"}, ["T04"]),
    ],
)
def test_filters(query: dict[str, str], expected: list[str]) -> None:
    assert found(**query, limit="2") == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "51"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"sort": "price"}, "sort"),
        ({"sort": "ticker.up"}, "order"),
        ({"order": "up"}, "order"),
        ({"strike.gte": "cheap"}, "'strike.gte'"),
        ({"strike.near": "4"}, "'strike.near'"),
        ({"on": "20240701"}, "'on'"),
        ({"alive": "maybe"}, "'alive'"),
        ({"note": "unheard"}, "'note'"),
        ({"note.any_of": "noted,unheard"}, "'note.any_of'"),
        ({"cursor": "!"}, "cursor"),
    ],
)
def test_a_value_that_is_not_offered_is_a_bad_request(query: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match="bad_request") as refused:
        endpoint().page("/v3/list", query, "r1")
    assert words in str(refused.value)


def test_the_default_limit_and_order_are_the_endpoints() -> None:
    assert [len(page) for page in follow({})] == [10, 10, 3]
    assert follow({}, endpoint(descending=True))[0][0] == "T22"
    assert follow({"sort": "ticker.asc"}, endpoint(descending=True))[0][0] == "T00"


def test_a_list_of_nothing_is_empty_and_there_and_counted_where_the_vendor_does() -> None:
    nothing = {"results": [], "status": "OK", "request_id": "r1"}
    assert json.loads(endpoint().page("/p", {"ticker": "NOPE"}, "r1")) == nothing
    assert json.loads(endpoint(counted=True).page("/p", {"ticker": "NOPE"}, "r1")) == nothing | {"count": 0}
    assert json.loads(endpoint(counted=True).page("/p", {"ticker": "T01"}, "r1"))["count"] == 1


def test_ordered_rows_are_taken_only_as_far_as_needed() -> None:
    taken: list[Row] = []

    def rows(_: ListQuery) -> Iterable[Row]:
        for row in ROWS:
            taken.append(row)
            yield row

    json.loads(endpoint(rows=rows, ordered=True).page("/p", {"limit": "4"}, "r1"))
    assert len(taken) == 5


def test_bounds_hold_every_row_the_filters_pass() -> None:
    query = endpoint().read({"on.gt": "2024-07-02", "on.lte": "2024-07-08", "on.any_of": "2024-07-04,2024-07-03"})
    assert query.bounds("on", "2024-01-01", "2024-12-31") == ("2024-07-03", "2024-07-04")
    assert query.bounds("ticker", "A", "Z") == ("A", "Z")


def test_overlapping_pages_repeat_one_row() -> None:
    assert follow({"limit": "10"}, fault="overlapping_pages")[1][0] == "T09"


def test_what_a_page_asks_for_is_read_from_its_cursor() -> None:
    url = json.loads(endpoint().page("/p", {"ticker.gte": "T01"}, "r1"))["next_url"]
    assert asked_params({"cursor": url.partition("cursor=")[2]}) == {"ticker.gte": "T01"}
    assert asked_params({"cursor": "!"}) == {"cursor": "!"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-07-01", "2024-07-01T00:00:00Z"),
        ("2024-07-01T10:00:00Z", "2024-07-01T10:00:00Z"),
        ("2024-07-01T10:00:00-04:00", "2024-07-01T14:00:00Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
    ],
)
def test_instants_are_read_as_the_rows_write_them(text: str, expected: str) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize("text", ["1719187200000000000", "2024-07-01T10:00:00", "soon"])
def test_other_instants_are_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        instant(text)
