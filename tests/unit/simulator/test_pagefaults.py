import json
from typing import Any

import msgspec
import pytest

from bellwether.simulator.pagefaults import BAR_FAULTS, CURSOR_LOOP, LIST_FAULTS, PAGE_FAULTS, STATUS_FAULTS, spoil


def page(rows: int = 5) -> dict[str, Any]:
    bars = [
        {"v": 100, "vw": 10.2, "o": 10.1, "c": 10.2, "h": 10.3, "l": 10.0, "t": 60_000 * row, "n": 1}
        for row in range(rows)
    ]
    envelope = {"ticker": "SPY", "queryCount": rows, "resultsCount": rows, "count": rows, "status": "OK"}
    return envelope | {"results": bars, "next_url": "https://api.polygon.io/next"}


def spoilt(kind: str) -> dict[str, Any]:
    return json.loads(spoil(kind, msgspec.json.encode(page()), "https://api.polygon.io/self"))


def with_bar(row: int, **changes: object) -> dict[str, Any]:
    changed = page()
    changed["results"][row] |= changes
    return changed


def with_rows(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return page() | {"results": rows, "resultsCount": len(rows), "count": len(rows)}


BARS = page()["results"]
CONFLICT = BARS[2] | {"v": 200, "o": 10.0, "c": 10.3}
SPOILT: dict[str, dict[str, Any]] = {
    "status_error": page() | {"status": "ERROR", "error": "The service failed to read your data"},
    "delayed": page() | {"status": "DELAYED"},
    "missing_results": {name: value for name, value in page().items() if name != "results"},
    "null_results": page() | {"results": None},
    "empty_results": page() | {"results": []},
    "short_page": page() | {"results": BARS[:4]},
    "null_next_url": page() | {"next_url": None},
    "empty_next_url": page() | {"next_url": ""},
    "wrong_ticker": page() | {"ticker": "WRONG"},
    "duplicate_bar": with_rows([*BARS[:3], *BARS[2:]]),
    "conflicting_duplicate": with_rows([*BARS[:2], CONFLICT, *BARS[2:]]),
    "clipped_history": with_rows(BARS[2:]),
    "unsorted": page() | {"results": BARS[::-1]},
    "high_below_low": with_bar(2, h=9.99, l=10.3),
    "negative_price": with_bar(2, l=-10.0),
    "null_price": with_bar(2, c=None),
    "text_price": with_bar(2, c="10.2"),
    "off_minute": with_bar(2, t=120_001),
    "swapped_rows": page() | {"results": [BARS[0], BARS[2], BARS[1], *BARS[3:]]},
    "huge_count": page() | dict.fromkeys(("queryCount", "resultsCount", "count"), 10**9),
    "outside_window": with_bar(4, t=240_000 + 86_400_000),
    CURSOR_LOOP: page() | {"next_url": "https://api.polygon.io/self"},
}


# Not JSON, or too deep for a decoder that recurses: what is written in place of the middle bar's close, or beside it.
LITERALS = {
    "nan_price": b'"c":NaN',
    "infinite_price": b'"c":Infinity',
    "gigantic_price": b'"c":' + b"9" * 400,
    "deep_json": b"[" * 10_000,
}


def test_every_page_fault_has_its_example() -> None:
    assert set(SPOILT) | set(LITERALS) == {*STATUS_FAULTS, *PAGE_FAULTS, *BAR_FAULTS, CURSOR_LOOP}


@pytest.mark.parametrize(("kind", "text"), LITERALS.items(), ids=LITERALS.keys())
def test_a_hostile_literal_is_written_as_it_is(kind: str, text: bytes) -> None:
    assert text in spoil(kind, msgspec.json.encode(page()), "")


@pytest.mark.parametrize("kind", sorted(SPOILT))
def test_a_page_fault_does_what_it_says_and_no_more(kind: str) -> None:
    assert spoilt(kind) == SPOILT[kind]


@pytest.mark.parametrize("kind", ["duplicate_bar", "outside_filter", "negative_price", CURSOR_LOOP])
@pytest.mark.parametrize(
    "body", [b'{"status":"OK","resultsCount":0}', b'{"market":"open"}', b'[{"date":"2024-07-03"}]']
)
def test_an_answer_without_rows_is_not_spoilt(kind: str, body: bytes) -> None:
    assert spoil(kind, body, "") == body


@pytest.mark.parametrize("kind", sorted(LIST_FAULTS))
def test_faults_of_lists_spare_bars(kind: str) -> None:
    assert spoilt(kind) == page()


@pytest.mark.parametrize("kind", sorted(BAR_FAULTS))
def test_faults_of_bars_spare_lists(kind: str) -> None:
    body = msgspec.json.encode({"results": [{"ticker": "SPY"}], "status": "OK"})
    assert spoil(kind, body, "") == body


ROWS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        {"ticker": "O:SPY240719C00525000", "underlying_ticker": "SPY", "expiration_date": "2024-07-19"},
        {"expiration_date": "1999-12-31"},
        {"ticker": "O:LEAK240719C00525000", "underlying_ticker": "LEAK"},
    ),
    (
        {
            "details": {"ticker": "O:SPY240719C00525000", "expiration_date": "2024-07-19"},
            "underlying_asset": {"ticker": "SPY"},
        },
        {"details": {"ticker": "O:SPY240719C00525000", "expiration_date": "1999-12-31"}},
        {
            "details": {"ticker": "O:LEAK240719C00525000", "expiration_date": "2024-07-19"},
            "underlying_asset": {"ticker": "LEAK"},
        },
    ),
    (
        {"tickers": ["SPY", "QQQ"], "published_utc": "2024-07-01T10:00:00Z"},
        {"published_utc": "1999-12-31T00:00:00Z"},
        {"tickers": ["LEAK"]},
    ),
    ({"ticker": "SPY", "market": "stocks"}, {"market": "otc"}, {"ticker": "LEAK"}),
    ({"ticker": "SPY", "execution_date": "2024-07-01"}, {"execution_date": "1999-12-31"}, {"ticker": "LEAK"}),
    ({"date": "2024-07-01"}, {"date": "1999-12-31"}, {}),
]


@pytest.mark.parametrize(("row", "outside", "leaked"), ROWS)
def test_faults_of_lists_change_one_row(row: dict[str, Any], outside: dict[str, Any], leaked: dict[str, Any]) -> None:
    body = msgspec.json.encode({"results": [row, row, row]})
    for kind, changes in (("outside_filter", outside), ("leaked_row", leaked)):
        assert json.loads(spoil(kind, body, ""))["results"] == [row, row | changes, row]
