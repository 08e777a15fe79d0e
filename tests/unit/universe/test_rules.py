"""A rule means who was listed and traded then, whatever order the vendor tells it in."""

import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bellwether.errors import ConfigError
from bellwether.sources.endpoints import Endpoint
from bellwether.sources.filters import Value
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.rows import Ticker
from bellwether.sources.walk import PageLog
from bellwether.universe.rules import find, rank
from bellwether.universe.spec import ActiveTickers, TopDollarVolume
from tests.builders import FakeReference, traded
from tests.unit.sources.bodies import TICKERS_PATH, next_url, page, row

EVER = date(2000, 1, 1)
NEVER = date(2100, 1, 1)
RENAMED = date(2022, 6, 9)
LISTED = [
    ("FB", "CS", EVER, RENAMED),
    ("META", "CS", RENAMED, NEVER),
    ("LEH", "CS", EVER, date(2008, 9, 18)),
    ("SPY", "ETF", EVER, NEVER),
    ("XOM", "CS", EVER, NEVER),
    ("BABA", "ADRC", date(2014, 9, 19), NEVER),
    ("XOM.WS", "WARRANT", EVER, NEVER),
]


def active(session: date, *types: str) -> set[str]:
    return set(find(ActiveTickers(rule="active", types=types or ("CS",)), FakeReference(LISTED), session).tickers)


@pytest.mark.parametrize(
    ("session", "types", "expected"),
    [
        (date(2022, 6, 8), (), {"FB", "XOM"}),
        (date(2022, 6, 9), (), {"META", "XOM"}),
        (date(2008, 9, 17), (), {"FB", "LEH", "XOM"}),
        (date(2008, 9, 18), (), {"FB", "XOM"}),
        (date(2025, 7, 1), ("CS", "ETF", "ADRC"), {"META", "XOM", "SPY", "BABA"}),
        (date(2025, 7, 1), ("ETF", "ETF"), {"SPY"}),
    ],
    ids=["before a renaming", "after it", "before a delisting", "after it", "several types", "a type named twice"],
)
def test_active_tickers_are_those_of_the_session_under_the_names_of_then(
    session: date, types: tuple[str, ...], expected: set[str]
) -> None:
    assert active(session, *types) == expected


def test_a_type_nobody_has_is_refused_by_name_instead_of_giving_an_empty_universe() -> None:
    with pytest.raises(ConfigError, match="lists no ticker of type ADRC on 2008-09-17; correct the types"):
        active(date(2008, 9, 17), "CS", "ADRC")


MONDAY, FRIDAY = date(2025, 7, 7), date(2025, 7, 3)  # the Fourth lies between


def top(reference: FakeReference, count: int, *types: str) -> set[str]:
    return set(find(TopDollarVolume(rule="top_dollar_volume", count=count, types=types), reference, MONDAY).tickers)


def test_the_most_traded_are_those_of_the_session_before() -> None:
    reference = FakeReference(traded={FRIDAY: [traded("AAPL", 30), traded("SPY", 90), traded("XOM", 60)]})
    assert top(reference, 2) == {"SPY", "XOM"}
    assert reference.asked == [("grouped", FRIDAY)]


def test_of_some_types_the_most_traded_that_were_listed_on_the_session_itself() -> None:
    rows = [traded("FB", 99), traded("SPY", 90), traded("XOM", 60), traded("META", 50), traded("BABA", 40)]
    reference = FakeReference(LISTED, {FRIDAY: rows})
    assert top(reference, 2, "CS") == {"XOM", "META"}
    assert top(reference, 9, "CS", "ADRC") == {"XOM", "META", "BABA"}


def test_equals_are_taken_by_name_and_dollars_come_from_the_close_where_there_is_no_vwap() -> None:
    rows = [traded("B", 50), traded("C", 50), traded("A", 50), traded("D", 51, vwap=None)]
    assert rank(rows) == ["D", "A", "B", "C"]


@pytest.mark.parametrize("amount", [float("inf"), float("nan")])
def test_what_is_no_amount_ranks_last(amount: float) -> None:
    assert rank([traded("BAD", amount), traded("XOM", 1)]) == ["XOM", "BAD"]


def test_a_day_on_which_nothing_fits_is_refused_saying_which() -> None:
    with pytest.raises(ConfigError, match=r"count 5, types CS: no such ticker was traded on 2025-07-03"):
        top(FakeReference(LISTED, {FRIDAY: [traded("SPY", 1)]}), 5, "CS")


def test_every_answer_is_handed_on_to_be_kept() -> None:
    reference = FakeReference(LISTED, {FRIDAY: [traded("XOM", 1)]})
    rule = TopDollarVolume(rule="top_dollar_volume", count=1, types=("ETF", "CS"))
    assert [page.body for page in find(rule, reference, MONDAY).pages] == [b"page 1", b"page 2", b"page 3"]
    assert reference.asked == [("CS", MONDAY), ("ETF", MONDAY), ("grouped", FRIDAY)]


class PagedReference:
    """The real chain of listings, fed with tickers cut into pages that overlap by a row."""

    def __init__(self, names: list[str], page_rows: int) -> None:
        self.pages = [names[max(0, start - 1) : start + page_rows] for start in range(0, len(names), page_rows)]

    def listing(
        self, endpoint: Endpoint[Ticker], filters: dict[str, Value], *, page_log: PageLog | None
    ) -> Listing[Ticker]:
        chain = ListingChain.asking(endpoint, filters)
        for number, names in enumerate(self.pages):
            is_last = number == len(self.pages) - 1
            more = {} if is_last else {"next_url": next_url(TICKERS_PATH, number)}
            rows = [row("tickers", ticker=name, type="CS", market="stocks", active=True) for name in names]
            chain.take(page(rows, count=len(rows), **more), url="http://vendor/tickers")
        return chain.answer((), api_calls=len(self.pages))


@given(
    names=st.sets(st.text("ABCDE", min_size=1, max_size=3), min_size=1), page_rows=st.integers(1, 5), seed=st.integers()
)
def test_neither_pages_nor_their_order_decide_who_is_active(names: set[str], page_rows: int, seed: int) -> None:
    shuffled = sorted(names)
    random.Random(seed).shuffle(shuffled)
    reference = PagedReference(shuffled, page_rows)
    assert find(ActiveTickers(rule="active"), reference, MONDAY).tickers == names


amounts = st.dictionaries(st.text("ABCDE", min_size=1, max_size=3), st.sampled_from([0.0, 1.0, 2.0, 2.5]), min_size=1)


@given(amounts=amounts, count=st.integers(1, 10), shuffled=st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_nothing(amounts: dict[str, float], count: int, shuffled: random.Random) -> None:
    rows = [traded(ticker, dollars) for ticker, dollars in amounts.items()]
    before = top(FakeReference(traded={FRIDAY: rows}), count)
    shuffled.shuffle(rows)
    assert top(FakeReference(traded={FRIDAY: rows}), count) == before
    assert len(before) == min(count, len(amounts))
    assert min(amounts[ticker] for ticker in before) >= max((amounts[t] for t in amounts.keys() - before), default=0)
