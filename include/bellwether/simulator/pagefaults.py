"""Faults within a page: what a broken or hostile vendor may write into an answer that is otherwise whole.

Each changes the decoded page in place, or its rows. This room knows pages; when a fault strikes is decided elsewhere.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from bellwether.simulator.cursors import decode_cursor, next_url
from bellwether.simulator.lists import Cursor

type Page = dict[str, Any]

_DEPTH = 100_000
_LEAK = "LEAK"
_LONG_AGO = "1999-12-31"


def _middle(page: Page) -> Page:
    return page["results"][len(page["results"]) // 2]  # type: ignore[no-any-return]


def _recount(page: Page) -> None:
    for name in {"resultsCount", "count"} & set(page):
        page[name] = len(page["results"])


def _insert(page: Page, changes: Page) -> None:
    # Next to the row it repeats: where a re-broadcast correction would stand.
    middle = len(page["results"]) // 2
    page["results"].insert(middle, page["results"][middle] | changes)
    _recount(page)


def _conflicting(page: Page) -> None:
    bar = _middle(page)
    _insert(page, {"c": bar["h"], "o": bar["l"]} | ({"v": bar["v"] + 100} if "v" in bar else {}))


def _clip(page: Page) -> None:
    del page["results"][: len(page["results"]) // 2]
    _recount(page)


def _swap_high_low(page: Page) -> None:
    bar = _middle(page)
    bar["h"], bar["l"] = bar["l"] - 0.01, bar["h"]


def _swap_neighbours(page: Page) -> None:
    rows, middle = page["results"], len(page["results"]) // 2
    rows[middle - 1], rows[middle] = rows[middle], rows[middle - 1]


def _overlap(page: Page) -> None:
    if "next_url" in page:
        url = urlsplit(page["next_url"])
        cursor = decode_cursor(parse_qs(url.query)["cursor"][0], Cursor)
        cursor.inclusive = True
        page["next_url"] = next_url(url.path, cursor)


def _outside(page: Page) -> None:
    row = _middle(page)
    dates = {"expiration_date", "ex_dividend_date", "execution_date", "date"}
    for part in (row, row.get("details", {})):
        part.update(dict.fromkeys(dates & set(part), _LONG_AGO))
    if "published_utc" in row:
        row["published_utc"] = f"{_LONG_AGO}T00:00:00Z"
    if "market" in row:
        row["market"] = "otc"


def _leak(page: Page) -> None:
    row = _middle(page)
    row.update({name: [_LEAK] if name == "tickers" else _LEAK for name in {"underlying_ticker", "tickers"} & set(row)})
    if "ticker" in row:
        row["ticker"] = f"O:{_LEAK}{row['ticker'][-15:]}" if row["ticker"].startswith("O:") else _LEAK
    if "details" in row:
        row["details"]["ticker"] = f"O:{_LEAK}{row['details']['ticker'][-15:]}"
        row["underlying_asset"]["ticker"] = _LEAK


def _literal(text: str) -> Callable[[Page], None]:
    """Return a fault that writes `text` as the close of a bar, whether JSON allows it or not."""
    return lambda page: _middle(page).update(c=msgspec.Raw(text.encode()))


STATUS_FAULTS: dict[str, Callable[[Page], object]] = {
    "status_error": lambda page: page.update(status="ERROR", error="The service failed to read your data"),
    "delayed": lambda page: page.update(status="DELAYED"),
    "deep_json": lambda page: page.update(nested=msgspec.Raw(b"[" * _DEPTH + b"]" * _DEPTH)),
}
"""Faults of any JSON object."""

PAGE_FAULTS: dict[str, Callable[[Page], object]] = {
    "missing_results": lambda page: page.pop("results"),
    "null_results": lambda page: page.update(results=None),
    "empty_results": lambda page: page.update(results=[]),
    "short_page": lambda page: page["results"].pop(),
    "null_next_url": lambda page: page.update(next_url=None),
    "empty_next_url": lambda page: page.update(next_url=""),
    "wrong_ticker": lambda page: page.update(ticker="WRONG") if "ticker" in page else None,
    "duplicate_bar": lambda page: _insert(page, {}),
    "clipped_history": _clip,
    "unsorted": lambda page: page["results"].reverse(),
    "swapped_rows": _swap_neighbours,
    "huge_count": lambda page: page.update({name: 10**9 for name in ("queryCount", "resultsCount", "count")}),
}
"""Faults of any page with rows."""

BAR_FAULTS: dict[str, Callable[[Page], object]] = {
    "conflicting_duplicate": _conflicting,
    "high_below_low": _swap_high_low,
    "negative_price": lambda page: _middle(page).update(l=-_middle(page)["l"]),
    "null_price": lambda page: _middle(page).update(c=None),
    "text_price": lambda page: _middle(page).update(c=str(_middle(page)["c"])),
    "nan_price": _literal("NaN"),
    "infinite_price": _literal("Infinity"),
    "gigantic_price": _literal("9" * 400),
    "off_minute": lambda page: _middle(page).update(t=_middle(page)["t"] + 1),
    "outside_window": lambda page: page["results"][-1].update(t=page["results"][-1]["t"] + 86_400_000),
}
"""Faults of a page of bars. Bad bars stand in the middle."""

LIST_FAULTS: dict[str, Callable[[Page], object]] = {
    "overlapping_pages": _overlap,
    "outside_filter": _outside,
    "leaked_row": _leak,
}
"""Faults of a list's page: the next page repeats the last row, a row outside the filter, one of another ticker."""

CURSOR_LOOP = "cursor_loop"
"""The page's `next_url` leads back to the page itself."""


def spoil(kind: str, body: bytes, own_url: str) -> bytes:
    """Return a body with a fault in it; kinds that do not apply to it leave it as it is.

    Parameters
    ----------
    kind
        The fault's kind.
    body
        The answer's JSON.
    own_url
        The URL at which it was asked for.
    """
    if kind not in {*STATUS_FAULTS, *PAGE_FAULTS, *BAR_FAULTS, *LIST_FAULTS, CURSOR_LOOP}:
        return body
    page: Page | list[object] = msgspec.json.decode(body)
    if not isinstance(page, dict):
        return body
    change = _change(kind, page, own_url)
    if change is None:
        return body
    change(page)
    return msgspec.json.encode(page)


def _change(kind: str, page: Page, own_url: str) -> Callable[[Page], object] | None:
    """Return what a fault does to such a page, or None where it does not apply."""
    if kind in STATUS_FAULTS:
        return STATUS_FAULTS[kind]
    rows = page.get("results")
    if not isinstance(rows, list) or not rows:
        return None
    if kind == CURSOR_LOOP:
        return lambda looped: looped.update(next_url=own_url)
    if kind in BAR_FAULTS:
        return BAR_FAULTS[kind] if "o" in rows[0] else None
    if kind in LIST_FAULTS:
        return None if "o" in rows[0] else LIST_FAULTS[kind]
    return PAGE_FAULTS[kind]
