"""Pages read by contracts: what fits passes, what does not is named, and goes on only where that is wanted."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bellwether.config import Config
from bellwether.drift.change import Change, Kind, accepted, is_id
from bellwether.drift.reader import Reader, dataset_of
from bellwether.errors import BadResponse, Drifted, Truncated
from bellwether.sources.aggregates import BarChain
from bellwether.sources.chain import Chain
from bellwether.sources.endpoints import DIVIDENDS, SPLITS, TREASURY_YIELDS
from bellwether.sources.listing import ListingChain
from bellwether.sources.raw import RawPage, Request
from tests.builders import SESSION, bars, bars_body

CONTRACTS = Config.load(Path(__file__).parents[3] / "config", {}).contracts
SPLIT = {"id": "s", "ticker": "A", "execution_date": "2025-07-01", "split_from": 1, "split_to": 2}


def page(chain: Chain[Any], body: dict[str, Any]) -> RawPage:
    received = datetime(2025, 7, 2, tzinfo=UTC)
    return RawPage(chain.request, "c", 0, "http://v", 200, "r", {}, received, json.dumps(body).encode())


def of_bars(minutes: int = 5, ticker: str = "SPY") -> tuple[BarChain, dict[str, Any]]:
    table = bars(ticker, SESSION, minutes)
    first, last = (int(table["ts"][number].as_py().timestamp() * 1000) for number in (0, minutes - 1))
    return BarChain(ticker, first, last), json.loads(bars_body(ticker, table))


def of_splits(**changes: Any) -> tuple[ListingChain[Any], dict[str, Any]]:
    body = {"status": "OK", "request_id": "r", "results": [SPLIT | changes]}
    return ListingChain.asking(SPLITS, {"ticker": "A"}), body


def reader(*, goes_on: bool = True) -> Reader:
    return Reader(CONTRACTS, goes_on=goes_on)


@pytest.mark.parametrize(
    ("request_", "dataset"),
    [
        (Request("aggregates", {"ticker": "SPY"}), "equities"),
        (Request("aggregates", {"ticker": "O:SPY250703C00600000"}), "options"),
        (Request("aggregates", {"ticker": "I:VIX"}), "indices"),
        (Request("treasury_yields", {}), "rates"),
        (Request("grouped_daily", {}), "daily_bars"),
        (Request("news", {}), "news"),
    ],
)
def test_an_answer_is_read_by_the_contract_of_what_it_is_of(request_: Request, dataset: str) -> None:
    assert dataset_of(request_) == dataset


@pytest.mark.parametrize("minutes", [5, 200])
@pytest.mark.parametrize("place", [0, -1])
def test_a_new_name_is_found_in_the_first_row_of_a_page_and_the_last_of_a_long_one(minutes: int, place: int) -> None:
    chain, body = of_bars(minutes)
    body["results"][place]["x"] = 1
    by = reader()
    by.take(chain, page(chain, body))
    assert [change.field for change in by.drain()] == ([] if (minutes, place) == (5, -1) else ["x"])
    assert by.drain() == ()


def test_pages_that_begin_alike_are_still_told_from_one_with_a_new_name() -> None:
    by = reader()
    for _ in range(2):
        chain, body = of_bars()
        by.take(chain, page(chain, body))
    chain, body = of_bars()
    body["results"][0]["x1"] = 1
    by.take(chain, page(chain, body))
    assert [change.field for change in by.drain()] == ["x1"]


def test_a_new_name_is_named_for_every_answer_that_has_it() -> None:
    by = reader()
    for _ in range(2):
        chain, body = of_bars()
        body["results"][0]["x"] = 1
        by.take(chain, page(chain, body))
        assert [change.kind for change in by.drain()] == [Kind.ADDED]


def test_pages_without_rows_and_of_no_contract_pass() -> None:
    by = reader()
    chain = BarChain("SPY", 0, 60_000)
    body = {"ticker": "SPY", "status": "OK", "adjusted": False, "queryCount": 0, "resultsCount": 0, "request_id": "r"}
    assert by.take(chain, page(chain, body)) == ("r", None)
    chain, body = of_bars()
    body["results"][0]["x"] = 1
    without = Reader({}, goes_on=True)
    without.take(chain, page(chain, body))
    assert (by.drain(), without.drain()) == ((), ())


def test_a_list_goes_on_by_the_name_its_field_seems_to_have() -> None:
    chain, body = of_splits()
    body["results"][0]["ratio_to"] = body["results"][0].pop("split_to")
    by = reader()
    by.take(chain, page(chain, body))
    assert [(change.field, change.kind, change.to) for change in by.drain()] == [("split_to", Kind.RENAMED, "ratio_to")]
    [row] = chain.answer((), 1).rows
    assert row.split_to == 2


def of_dividends(**changes: Any) -> tuple[ListingChain[Any], dict[str, Any]]:
    row = {"id": "d", "ticker": "A", "cash_amount": 1.0, "ex_dividend_date": "2025-07-01", "dividend_type": "CD"}
    chain = ListingChain.asking(DIVIDENDS, {"ticker": "A"})
    return chain, {"status": "OK", "request_id": "r", "results": [row | changes]}


def test_what_nobody_can_read_carries_its_page() -> None:
    chain, body = of_dividends(cash_amount="one dollar")
    came = page(chain, body)
    by = reader()
    with pytest.raises(Drifted, match="`cash_amount` is of type text that is no number now") as refused:
        by.take(chain, came)
    assert refused.value.pages == (came,)
    assert [change.kind for change in by.drain()] == [Kind.RETYPED]


def test_a_new_word_is_read_and_named_and_read_alone_once_it_is_accepted() -> None:
    chain, body = of_dividends(dividend_type="XX")
    by = reader()
    by.take(chain, page(chain, body))
    [change] = by.drain()
    assert str(change) == "`dividend_type` says what it never said: `XX`"
    assert [row.dividend_type for row in chain.answer((), 1).rows] == ["XX"]

    chain, body = of_dividends(dividend_type="XX")
    with pytest.raises(Drifted, match="never said"):
        reader(goes_on=False).take(chain, page(chain, body))
    known = accepted(CONTRACTS["dividends"], change, since=SESSION, since_utc=datetime(2025, 7, 2, tzinfo=UTC))
    by = Reader({"dividends": known}, goes_on=False)
    by.take(chain, page(chain, body))
    assert by.drain() == ()
    chain, body = of_dividends(dividend_type="YY")
    with pytest.raises(Drifted, match="never said: `YY`"):
        by.take(chain, page(chain, body))


def test_a_row_of_a_new_word_that_comes_on_two_pages_is_one_row() -> None:
    chain, body = of_dividends(dividend_type="XX")
    body["next_url"] = f"http://v{chain.path}?cursor=1"
    by = reader()
    by.take(chain, page(chain, body))
    del body["next_url"]
    by.take(chain, page(chain, body))
    answer = chain.answer((), 2)
    assert (len(answer.rows), answer.duplicates_dropped) == (1, 1)


def test_a_number_too_large_for_its_unit_is_refused_and_nothing_of_its_page_is_read() -> None:
    scale = Change("equities", "v", Kind.RESCALED, "100")
    known = accepted(CONTRACTS["equities"], scale, since=SESSION, since_utc=datetime(2025, 7, 1, tzinfo=UTC))
    chain, body = of_bars()
    body["results"][2]["v"] = 1e308
    with pytest.raises(BadResponse, match="a number is too large to be one in its unit"):
        Reader({"equities": known}, goes_on=True).take(chain, page(chain, body))


def test_names_that_no_file_can_have_are_told_apart_and_found() -> None:
    chain, body = of_bars()
    for row in body["results"]:
        row |= {"x//y": 1, "x y": 1, "x-y": 1, "z" * 5_000: 1, "`|<b>": 1}
    by = reader()
    by.take(chain, page(chain, body))
    found = by.drain()
    assert len({change.change_id for change in found}) == len(found) == 5
    assert all(is_id(change.change_id) and len(change.change_id) < 200 for change in found)
    assert not any(mark in str(change) for change in found for mark in ("|", "<", "``"))


def test_who_holds_nothing_back_is_refused_what_breaks_the_contract() -> None:
    chain, body = of_bars()
    for row in body["results"]:
        row["vwap"] = row.pop("vw")
    by = reader(goes_on=False)
    with pytest.raises(Drifted, match="`vw` seems to be called `vwap` now"):
        by.take(chain, page(chain, body))
    chain, body = of_splits(split_to="2")
    with pytest.raises(Drifted, match="`split_to` is of type text now"):
        by.take(chain, page(chain, body))


def test_other_faults_are_refused_as_ever() -> None:
    chain, body = of_bars()
    body["results"].reverse()
    with pytest.raises(BadResponse, match="ascending") as refused:
        reader().take(chain, page(chain, body))
    assert not isinstance(refused.value, Drifted)
    chain, body = of_bars()
    body["resultsCount"] = 9
    with pytest.raises(Truncated):
        reader().take(chain, page(chain, body))


def test_yields_in_an_unknown_maturity_are_noted() -> None:
    chain = ListingChain.asking(TREASURY_YIELDS, {"date.gte": date(2025, 6, 20), "date.lt": SESSION})
    row = {"date": "2025-06-30", "yield_1_month": 4.2, "yield_4_month": 4.2}
    by = reader()
    by.take(chain, page(chain, {"status": "OK", "request_id": "r", "results": [row]}))
    assert [(change.field, change.kind) for change in by.drain()] == [("yield_4_month", Kind.ADDED)]
