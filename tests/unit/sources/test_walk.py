"""The walk along pages: resumed where it broke off, never twice over a page, never short of one."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwether.config import RetryPolicies, RetryRule
from bellwether.errors import ConnectionFailed, CursorRefused, VendorError
from bellwether.sources import endpoints
from bellwether.sources.aggregates import Aggregates, BarChain
from bellwether.sources.chain import Chain
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import RawPage, Request
from bellwether.sources.retry import Retrier
from bellwether.sources.walk import Walk
from bellwether.sources.wire import Refused, Reply
from tests.unit.sources.bodies import BARS_PATH, T0, TICKERS_PATH, bars, next_url, tickers

NOW = datetime(2024, 7, 3, 21, tzinfo=UTC)
BARS_NEXT = f"{BARS_PATH}/{T0}/{T0}"


class Killed(BaseException):
    """The process died: nothing of it survives but the log."""


@dataclass
class MemoryLog:
    """Outlives the walks, as a folder does; may die after a number of writes."""

    pages: dict[int, RawPage] = field(default_factory=dict)
    writes_left: int | None = None

    def read(self, request: Request) -> Sequence[RawPage]:
        return [page for _, page in sorted(self.pages.items()) if page.request == request]

    def add(self, page: RawPage) -> None:
        self.pages[page.number] = page
        self._write()

    def drop(self, request: Request) -> None:
        for number in sorted(self.pages):
            del self.pages[number]
            self._write()

    def _write(self) -> None:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                self.writes_left = None
                raise Killed


@dataclass
class Vendor:
    """Serves bodies by cursor, after the faults of its script; counts which pages left it whole."""

    bodies: list[bytes]
    faults: list[str] = field(default_factory=list)
    served: Counter[int] = field(default_factory=Counter)

    def get(self, path: str, parameters: Mapping[str, str] | None) -> Reply:
        assert (parameters is None) == ("cursor=" in path)
        number = int(parse_qs(urlsplit(path).query).get("cursor", ["0"])[0])
        fault = self.faults.pop(0) if self.faults else "none"
        body = self.bodies[number]
        match fault:
            case "killed":
                raise Killed
            case "reset":
                raise ConnectionFailed("reset", url=path)
            case "502" | "429" | "404" | "400" | "403":
                refused = b'{"status":"NOT_FOUND"}' if fault == "404" else b'{"status":"ERROR"}'
                raise Refused(Reply(path, int(fault), None, {}, refused, NOW))
            case "cut":
                body = body[:-9]
            case "html":
                body = b"<html>"
            case "no results":
                body = body.replace(b'"results"', b'"rows"')
            case _:
                self.served[number] += 1
        return Reply(path, 200, None, {}, body, NOW)


def retrier(attempts: int = 2) -> Retrier:
    policies = RetryPolicies(default=RetryRule(attempts=attempts, base_s=0), errors={})
    return Retrier(policies, lambda _wait_s: None, random.Random(1))


def bar_chain() -> BarChain:
    return BarChain("SPY", T0, T0 + 600_000_000)


def listing_chain() -> ListingChain[Any]:
    return ListingChain.asking(endpoints.TICKERS, {"market": "stocks"})


def pages_of_bars(pages: list[list[int]]) -> list[bytes]:
    return [
        bars(*page, next_url=next_url(BARS_NEXT, number + 1) if number + 1 < len(pages) else ...)
        for number, page in enumerate(pages)
    ]


def pages_of_tickers(pages: list[list[int]]) -> list[bytes]:
    return [
        tickers(
            *(f"T{row:04d}" for row in page),
            next_url=next_url(TICKERS_PATH, number + 1) if number + 1 < len(pages) else ...,
        )
        for number, page in enumerate(pages)
    ]


def rows_of(answer: Aggregates | Listing[Any]) -> list[int]:
    if isinstance(answer, Listing):
        return [int(row.ticker[1:]) for row in answer.rows]
    return [int((ts.timestamp() * 1000 - T0) // 60_000) for ts in answer.table["ts"].to_pylist()]


KINDS: dict[str, tuple[Callable[[], Chain[Any]], Callable[[list[list[int]]], list[bytes]]]] = {
    "bars": (bar_chain, pages_of_bars),
    "listing": (listing_chain, pages_of_tickers),
}
THREE = [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("died_at", [1, 2])
def test_a_walk_goes_on_behind_the_last_page_that_was_kept(kind: str, died_at: int) -> None:
    begin, pages_of = KINDS[kind]
    vendor = Vendor(pages_of(THREE), ["none"] * died_at + ["killed"])
    log = MemoryLog()
    with pytest.raises(Killed):
        Walk(begin, vendor.get, retrier(), log).run()
    walk = Walk(begin, vendor.get, retrier(), log)
    answer = walk.run()
    assert rows_of(answer) == [0, 1, 2, 3, 4]
    assert vendor.served == {0: 1, 1: 1, 2: 1}
    assert answer.api_calls == 3 - died_at
    assert [page.number for page in answer.pages] == [0, 1, 2]
    assert len({page.chain_id for page in answer.pages}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_page_left_over_from_another_answer_is_never_joined_to_a_new_one(kind: str) -> None:
    begin, pages_of = KINDS[kind]
    log = MemoryLog()
    with pytest.raises(Killed):
        Walk(begin, Vendor(pages_of([[0], [1], [2]]), ["none"] * 2 + ["killed"]).get, retrier(), log).run()
    del log.pages[0]  # as a process leaves it that dies while it forgets pages
    with pytest.raises((VendorError, Killed)):
        Walk(begin, Vendor(pages_of(THREE), ["none", "killed"]).get, retrier(), log).run()
    vendor = Vendor(pages_of(THREE), [])
    assert rows_of(Walk(begin, vendor.get, retrier(), log).run()) == [0, 1, 2, 3, 4]


def test_an_answer_whose_last_page_was_kept_costs_no_request() -> None:
    vendor = Vendor(pages_of_bars(THREE))
    log = MemoryLog()
    first = Walk(bar_chain, vendor.get, retrier(), log).run()
    again = Walk(bar_chain, vendor.get, retrier(), log).run()
    assert again.table.equals(first.table)
    assert (again.pages, again.api_calls) == (first.pages, 0)


def test_an_answer_of_one_page_is_not_kept() -> None:
    log = MemoryLog()
    Walk(bar_chain, Vendor(pages_of_bars([[0, 1]])).get, retrier(), log).run()
    assert log.pages == {}


@pytest.mark.parametrize("refusal", ["400", "404"])
def test_a_kept_cursor_that_is_refused_begins_the_answer_anew_once(refusal: str) -> None:
    vendor = Vendor(pages_of_bars(THREE), ["none", "none", "killed", refusal])
    log = MemoryLog()
    with pytest.raises(Killed):
        Walk(bar_chain, vendor.get, retrier(), log).run()
    old = {page.chain_id for page in log.pages.values()}
    answer = Walk(bar_chain, vendor.get, retrier(attempts=1), log).run()
    assert rows_of(answer) == [0, 1, 2, 3, 4]
    assert (vendor.served, answer.api_calls) == ({0: 2, 1: 2, 2: 1}, 4)
    assert old.isdisjoint({page.chain_id for page in answer.pages})
    vendor.faults = ["none", refusal]
    with pytest.raises(CursorRefused):
        Walk(bar_chain, vendor.get, retrier(attempts=1), MemoryLog()).run()


def test_a_kept_cursor_that_meets_another_failure_keeps_its_pages() -> None:
    vendor = Vendor(pages_of_bars(THREE), ["none", "none", "502", "429"])
    log = MemoryLog()
    for calls in (3, 1):
        with pytest.raises(VendorError) as caught:
            Walk(bar_chain, vendor.get, retrier(attempts=1), log).run()
        assert ([page.number for page in caught.value.pages], caught.value.api_calls) == ([0, 1], calls)
    assert rows_of(Walk(bar_chain, vendor.get, retrier(), log).run()) == [0, 1, 2, 3, 4]
    assert vendor.served == {0: 1, 1: 1, 2: 1}


def test_kept_pages_that_no_longer_pass_are_fetched_again() -> None:
    vendor = Vendor(pages_of_bars(THREE))
    log = MemoryLog()
    Walk(bar_chain, vendor.get, retrier(), log).run()
    log.pages[1] = RawPage(**{**_fields(log.pages[1]), "body": b"<html>"})
    assert rows_of(Walk(bar_chain, vendor.get, retrier(), log).run()) == [0, 1, 2, 3, 4]
    assert vendor.served == {0: 2, 1: 2, 2: 2}


def _fields(page: RawPage) -> dict[str, Any]:
    return {name: getattr(page, name) for name in RawPage.__slots__}


@st.composite
def splits(draw: st.DrawFn) -> list[list[int]]:
    """Return rows cut into pages, each of one row at least but perhaps a lone empty one."""
    rows = draw(st.integers(0, 12))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, rows - 1)), max_size=5)))
    edges = [0, *(cut for cut in cuts if cut < rows), rows]
    return [list(range(*edges[i : i + 2])) for i in range(len(edges) - 1)]


FAULTS = ["none", "killed", "reset", "502", "429", "403", "404", "400", "cut", "html", "no results"]


@pytest.mark.parametrize("kind", KINDS)
@given(pages=splits(), faults=st.lists(st.sampled_from(FAULTS), max_size=12), writes_left=st.none() | st.integers(0, 8))
def test_whatever_fails_and_wherever_a_walk_is_resumed_it_ends_with_all_rows_or_an_error(
    kind: str, pages: list[list[int]], faults: list[str], writes_left: int | None
) -> None:
    begin, pages_of = KINDS[kind]
    vendor = Vendor(pages_of(pages), list(faults))
    log = MemoryLog(writes_left=writes_left)
    whole = [row for page in pages for row in page]
    answers = []
    for _ in range(len(faults) + 3):  # every try but the last two uses up a fault, or the one death in writing
        try:
            answers.append(rows_of(Walk(begin, vendor.get, retrier(), log).run()))
        except (VendorError, Killed):
            continue
    assert answers
    assert all(answer == whole for answer in answers)


@pytest.mark.parametrize("kind", KINDS)
@given(pages=splits(), faults=st.lists(st.sampled_from(["none", "killed", "reset", "502", "429", "cut"]), max_size=12))
def test_no_page_is_fetched_twice_unless_its_cursor_is_refused(
    kind: str, pages: list[list[int]], faults: list[str]
) -> None:
    begin, pages_of = KINDS[kind]
    vendor = Vendor(pages_of(pages), list(faults))
    log = MemoryLog()
    for _ in range(len(faults) + 1):
        try:
            Walk(begin, vendor.get, retrier(), log).run()
        except (VendorError, Killed):
            continue
        break
    assert vendor.served == dict.fromkeys(range(len(pages)), 1)


@pytest.mark.parametrize("kind", KINDS)
@given(pages=splits(), lost=st.sets(st.integers(0, 6)))
def test_a_log_that_lost_pages_costs_requests_and_no_rows(kind: str, pages: list[list[int]], lost: set[int]) -> None:
    begin, pages_of = KINDS[kind]
    vendor = Vendor(pages_of(pages))
    log = MemoryLog()
    Walk(begin, vendor.get, retrier(), log).run()
    for number in lost:
        log.pages.pop(number, None)
    answer = Walk(begin, vendor.get, retrier(), log).run()
    assert rows_of(answer) == [row for page in pages for row in page]
