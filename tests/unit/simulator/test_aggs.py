import json
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from bellwether.clock import SimulatedClock
from bellwether.simulator.aggquery import first_day, parse_query
from bellwether.simulator.aggs import AggsEndpoint
from bellwether.simulator.answers import Refused
from bellwether.simulator.bars import EMPTY, Bars
from bellwether.simulator.cursors import FOREIGN_HOST
from bellwether.simulator.plans import PLANS, Plan

MONDAY, TUESDAY, SATURDAY = date(2024, 7, 1), date(2024, 7, 2), date(2024, 7, 6)
MINUTE_MS = 60_000
OPEN_MS = {day: int(datetime(2024, 7, day.day, 13, 30, tzinfo=UTC).timestamp()) * 1000 for day in (MONDAY, TUESDAY)}


class TwoDays:
    """Seven bars at 09:30..09:36 on each of two sessions; one more day without any."""

    def has_ticker(self, ticker: str) -> bool:
        return ticker == "SPY"

    def days(self, start: date, end: date) -> list[date]:
        return [day for day in (MONDAY, TUESDAY, SATURDAY) if start <= day <= end]

    def bars(self, ticker: str, day: date) -> Bars:
        count = 7 if day in OPEN_MS else 0
        price = np.full(count, 10.25)
        start_ms = OPEN_MS.get(day, 0) + MINUTE_MS * np.arange(count)
        return Bars(start_ms, price, price + 1, price - 1, price, price * 4, price, np.full(count, 2))

    def daily(self, ticker: str, day: date) -> Bars:
        return EMPTY

    def scale(self, ticker: str, day: date, until: date) -> float:
        return 1.0


ALL_STARTS = [OPEN_MS[day] + MINUTE_MS * minute for day in (MONDAY, TUESDAY) for minute in range(7)]


def endpoint(now: datetime = datetime(2024, 8, 1, tzinfo=UTC)) -> AggsEndpoint:
    return AggsEndpoint(TwoDays(), SimulatedClock(now, speed=0))


def ask(
    from_: object = "2024-07-01",
    to: object = "2024-07-02",
    *,
    on: AggsEndpoint | None = None,
    ticker: str = "SPY",
    window: tuple[object, str] = (1, "minute"),
    **query: str,
) -> dict[str, Any]:
    multiplier, timespan = window
    path = {
        "ticker": ticker,
        "multiplier": str(multiplier),
        "timespan": timespan,
        "from": str(from_),
        "to": str(to),
    }
    return json.loads((on or endpoint()).page(parse_query(path, query), "r1"))


def follow(page: dict[str, Any], window: tuple[object, str] = (1, "minute")) -> list[dict[str, Any]]:
    pages = [page]
    while "next_url" in page:
        url = urlsplit(page["next_url"])
        from_, to = url.path.split("/")[-2:]
        page = ask(from_, to, window=window, **{name: values[0] for name, values in parse_qs(url.query).items()})
        pages.append(page)
    return pages


def starts(pages: list[dict[str, Any]]) -> list[int]:
    return [bar["t"] for page in pages for bar in page["results"]]


def test_envelope_is_the_vendors() -> None:
    page = ask()
    results = page.pop("results")
    assert page == {
        "ticker": "SPY",
        "queryCount": 14,
        "resultsCount": 14,
        "adjusted": True,
        "status": "OK",
        "request_id": "r1",
        "count": 14,
    }
    assert results[0] == {
        "v": 41,
        "vw": 10.25,
        "o": 10.25,
        "c": 10.25,
        "h": 11.25,
        "l": 9.25,
        "t": ALL_STARTS[0],
        "n": 2,
    }


def test_results_and_next_url_are_omitted_where_there_is_nothing() -> None:
    page = ask("2024-07-06", "2024-07-07")
    assert page["queryCount"] == page["resultsCount"] == page["count"] == 0
    assert "results" not in page
    assert "next_url" not in page


@pytest.mark.parametrize("limit", range(1, 16))
@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_pages_of_any_size_hold_every_bar_once(limit: int, sort: str) -> None:
    pages = follow(ask(limit=str(limit), sort=sort))
    assert starts(pages) == (ALL_STARTS if sort == "asc" else ALL_STARTS[::-1])
    assert all(page["resultsCount"] <= limit for page in pages)
    assert len(pages) == -(-14 // limit)


@pytest.mark.parametrize("limit", range(1, 16))
@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_limit_counts_base_minutes_and_no_window_is_split(limit: int, sort: str) -> None:
    whole = ask(window=(5, "minute"), sort=sort)["results"]
    pages = follow(ask(window=(5, "minute"), limit=str(limit), sort=sort), window=(5, "minute"))
    assert [bar for page in pages for bar in page["results"]] == whole
    assert sum(page["queryCount"] for page in pages) == 14
    assert all(page["queryCount"] < limit + 5 for page in pages)


def test_next_url_is_absolute_on_a_foreign_host_with_moved_from_and_nothing_but_a_cursor() -> None:
    url = ask(limit="3", adjusted="false")["next_url"]
    start, query = url.split("?")
    assert start == f"{FOREIGN_HOST}/v2/aggs/ticker/SPY/range/1/minute/{ALL_STARTS[3]}/1719979199999"
    assert list(parse_qs(query)) == ["cursor"]


def test_the_cursor_carries_limit_sort_and_adjusted() -> None:
    pages = follow(ask(limit="3", adjusted="false"))
    assert [page["resultsCount"] for page in pages] == [3, 3, 3, 3, 2]
    assert {page["adjusted"] for page in pages} == {False}


@pytest.mark.parametrize(
    ("from_", "to", "rows"),
    [
        ("2024-07-01", "2024-07-01", slice(0, 7)),
        (ALL_STARTS[2], ALL_STARTS[4], slice(2, 5)),
        (ALL_STARTS[2] + 59_999, ALL_STARTS[4] + 1, slice(2, 5)),
        (ALL_STARTS[6] + 60_000, ALL_STARTS[7] - 1, slice(0, 0)),
    ],
)
def test_bounds_are_included_and_snapped_outward(from_: object, to: object, rows: slice) -> None:
    assert [bar["t"] for bar in ask(from_, to).get("results", [])] == ALL_STARTS[rows]


def test_wider_windows_snap_outward_too() -> None:
    page = ask(ALL_STARTS[6], ALL_STARTS[6], window=(5, "minute"))
    assert [(bar["t"], bar["v"]) for bar in page["results"]] == [(ALL_STARTS[5], 82)]
    assert len(ask(window=(1, "hour"))["results"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"from_": "yesterday"}, "time parameter: 'from'"),
        ({"to": "2024-13-01"}, "time parameter: 'to'"),
        ({"to": str(10**17)}, "time parameter: 'to'"),
        ({"from_": "2024-07-03", "to": "2024-07-02"}, "before 'from'"),
        ({"limit": "0"}, "limit"),
        ({"limit": "50001"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"sort": "up"}, "sort"),
        ({"adjusted": "maybe"}, "adjusted"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "e30"}, "cursor"),
        ({"window": ("x", "minute")}, "multiplier"),
        ({"window": (0, "minute")}, "1 minute to 8 hours"),
        ({"window": (2, "day")}, "1 minute to 8 hours"),
        ({"window": (9, "hour")}, "1 minute to 8 hours"),
    ],
)
def test_a_wrong_request_is_refused_with_a_reason(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match="bad_request") as refused:
        ask(**arguments)
    assert words in str(refused.value)


def test_an_unknown_ticker_is_not_found() -> None:
    with pytest.raises(Refused, match="not_found"):
        ask(ticker="NOPE")


@pytest.mark.parametrize(
    ("now", "to", "refused"),
    [
        (datetime(2024, 7, 2, 23, 59, tzinfo=UTC), "2024-07-02", True),
        (datetime(2024, 7, 3, 0, 0, tzinfo=UTC), "2024-07-02", False),
        (datetime(2024, 7, 2, 12, 0, tzinfo=UTC), "2024-07-01", False),
        (datetime(2024, 7, 7, 3, 59, tzinfo=UTC), "2024-07-06", True),  # no session: over at midnight
        (datetime(2024, 7, 7, 4, 0, tzinfo=UTC), "2024-07-06", False),
    ],
)
def test_a_day_is_refused_until_extended_hours_end(now: datetime, to: str, refused: bool) -> None:
    if refused:
        with pytest.raises(Refused, match="before_end_of_day"):
            ask(to=to, on=endpoint(now))
    else:
        assert ask(to=to, on=endpoint(now))["resultsCount"] >= 7


@pytest.mark.parametrize(
    ("text", "day"), [("2024-07-01", MONDAY), (str(OPEN_MS[TUESDAY]), TUESDAY), ("", None), ("x", None)]
)
def test_a_paths_first_day(text: str, day: date | None) -> None:
    assert first_day(text) == day


def test_day_bars_begin_at_new_yorks_midnight() -> None:
    page = ask(window=(1, "day"))
    assert [bar["t"] for bar in page["results"]] == [
        OPEN_MS[day] - (9 * 60 + 30) * MINUTE_MS for day in (MONDAY, TUESDAY)
    ]
    assert [bar["v"] for bar in page["results"]] == [41 * 7, 41 * 7]
    assert starts(follow(ask(window=(1, "day"), limit="1"), window=(1, "day"))) == starts([page])


def test_bars_are_adjusted_by_splits_unless_asked_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TwoDays, "scale", lambda _self, _ticker, day, _until: 2.0 if day == MONDAY else 1.0)
    adjusted, raw = (ask(adjusted=text)["results"] for text in ("true", "false"))
    assert [bar["c"] for bar in adjusted] == [5.125] * 7 + [10.25] * 7
    assert [bar["v"] for bar in adjusted] == [82] * 7 + [41] * 7
    assert {bar["c"] for bar in raw} == {10.25}
    assert ask(sort="desc")["results"] == adjusted[::-1]


def shown(plan: Plan, now: datetime, **arguments: Any) -> dict[str, Any]:
    path = {
        "ticker": "SPY",
        "multiplier": "1",
        "timespan": "minute",
        "from": "2024-07-01",
        "to": "2024-07-02",
    } | arguments
    return json.loads(endpoint(now).page(parse_query(path, {}), "r1", plan))


@pytest.mark.parametrize(("name", "status", "bars"), [("realtime", "OK", 12), ("delayed", "DELAYED", 7)])
def test_plans_within_the_day_show_minutes_that_are_over_as_far_behind_as_they_are(
    name: str, status: str, bars: int
) -> None:
    now = datetime(2024, 7, 2, 13, 35, 30, tzinfo=UTC)
    page = shown(PLANS[name], now)
    assert (page["status"], page["resultsCount"]) == (status, bars)
    assert shown(PLANS[name], now, timespan="day")["resultsCount"] == 1


def test_a_window_that_begins_after_what_the_plan_shows_is_empty() -> None:
    page = shown(PLANS["realtime"], datetime(2024, 7, 2, 13, 32, tzinfo=UTC), **{"from": str(ALL_STARTS[10])})
    assert page["resultsCount"] == page["queryCount"] == 0
    assert "results" not in page


def test_history_before_the_plans_is_refused_or_clipped() -> None:
    now = datetime(2026, 7, 2, 12, tzinfo=UTC)
    with pytest.raises(Refused, match="outside_timeframe"):
        shown(PLANS["free"], now)
    assert shown(PLANS["free-clipped"], now)["results"][0]["t"] == OPEN_MS[TUESDAY]


def test_an_asset_class_that_is_not_bought_is_not_entitled() -> None:
    with pytest.raises(Refused, match="not_entitled"):
        shown(Plan(classes=frozenset({"indices"})), datetime(2024, 8, 1, tzinfo=UTC))
