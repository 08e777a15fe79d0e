"""Reference data: what is asked of which list on a session, and that a stored answer is one to the same question."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bellwether.calendar import get_calendar
from bellwether.errors import LakeError, NotFound, QualityError
from bellwether.schemas import RATES as RATES_SCHEMA
from bellwether.sources import rows
from bellwether.sources.endpoints import Endpoint
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import Request
from bellwether.sources.reference import DIVIDENDS, RATES, SPLITS, TICKERS, ReferenceList
from bellwether.sources.source import Source
from bellwether.tickers import WHOLE

SESSION = date(2025, 7, 1)
HOURS = get_calendar().hours(SESSION)
SPLIT = rows.Split(id="E1", ticker="AAPL", execution_date=date(2014, 6, 9), split_from=1, split_to=7)
GONE = rows.Ticker(
    ticker="TWTR", market="stocks", locale="us", active=False, delisted_utc=datetime(2022, 11, 8, tzinfo=UTC)
)


class Lists:
    """Stands where `PolygonRest` does: answers each list with the rows it was given for some filters."""

    def __init__(self, *answers: tuple[str, str, object]) -> None:
        self._answers = answers
        self.asked: list[dict[str, str]] = []

    def listing(self, endpoint: Endpoint[Any], filters: Mapping[str, Any], *, page_log: object) -> Listing[Any]:
        arguments = dict(ListingChain.asking(endpoint, filters).request.arguments)
        self.asked.append(arguments)
        found = tuple(row for name, value, row in self._answers if arguments.get(name) == value)
        return Listing(rows=found, pages=(), status="OK", duplicates_dropped=0, api_calls=1)


def ask(source: Source, lists: Lists, subject: str) -> list[Any]:
    return list(source.ask(lists, subject, HOURS, None))  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [SPLITS, DIVIDENDS])
def test_events_are_asked_for_whole_since_the_vendor_lists_no_earlier_state(source: ReferenceList[Any]) -> None:
    lists = Lists()
    [answer] = ask(source, lists, "AAPL")
    assert lists.asked == [{"ticker": "AAPL"}]
    assert source.rows("AAPL", [answer], HOURS).num_rows == 0


def test_yields_are_those_of_the_thirty_days_before_a_session_and_never_its_own() -> None:
    lists = Lists(("date.lt", "2025-07-01", rows.TreasuryYields(date=date(2025, 6, 30), yield_10_year=4.23)))
    answers = ask(RATES, lists, WHOLE)
    assert lists.asked == [{"date.gte": "2025-06-01", "date.lt": "2025-07-01"}]
    table = RATES.rows(WHOLE, answers, HOURS)
    assert table.schema == RATES_SCHEMA
    assert table.to_pylist() == [{"date": date(2025, 6, 30), "tenor_months": 120, "rate": 0.0423}]


def test_a_listed_ticker_costs_one_question() -> None:
    lists = Lists(("active", "true", rows.Ticker(ticker="AAPL", market="stocks", locale="us", active=True)))
    answers = ask(TICKERS, lists, "AAPL")
    assert lists.asked == [{"ticker": "AAPL", "date": "2025-07-01", "active": "true"}]
    assert TICKERS.rows("AAPL", answers, HOURS)["listing_id"].to_pylist() == [""]


def test_a_ticker_that_is_not_listed_is_looked_for_among_those_that_were() -> None:
    lists = Lists(("active", "false", GONE))
    answers = ask(TICKERS, lists, "TWTR")
    assert [asked["active"] for asked in lists.asked] == ["true", "false"]
    assert TICKERS.rows("TWTR", answers, HOURS)["listing_id"].to_pylist() == ["2022-11-08T00:00:00.000+00:00"]


def test_the_subject_of_a_request_is_its_ticker_or_the_whole() -> None:
    assert SPLITS.subject_of(Request("splits", {"ticker": "AAPL"})) == "AAPL"
    assert RATES.subject_of(Request("treasury_yields", {"date.lt": "2025-07-01"})) == WHOLE
    with pytest.raises(ValueError, match="dividends is not splits"):
        SPLITS.subject_of(Request("dividends", {"ticker": "AAPL"}))


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        (SPLITS, {"ticker": "AAPL"}),
        (RATES, {"date.gte": "2025-06-01", "date.lt": "2025-07-01"}),
        (TICKERS, {"ticker": "AAPL", "date": "2025-07-01", "active": "false"}),
    ],
)
def test_a_stored_answer_to_the_sessions_question_is_taken(source: ReferenceList[Any], asked: dict[str, str]) -> None:
    source.check_asked(Request(source.endpoint.name, asked), HOURS)


@pytest.mark.parametrize(
    ("source", "asked", "told"),
    [
        (SPLITS, {"ticker": "AAPL", "execution_date.gte": "2020-01-01"}, "the session asks ticker=AAPL"),
        (RATES, {"date.gte": "2025-06-01", "date.lte": "2025-07-01"}, "asks date.gte=2025-06-01 date.lt=2025-07-01"),
        (TICKERS, {"ticker": "AAPL", "date": "2025-07-02", "active": "true"}, "active=true .* or active=false date=2"),
    ],
)
def test_a_stored_answer_to_another_question_is_refused(
    source: ReferenceList[Any], asked: dict[str, str], told: str
) -> None:
    with pytest.raises(LakeError, match=told):
        source.check_asked(Request(source.endpoint.name, asked), HOURS)


def test_rows_that_contradict_each_other_are_refused() -> None:
    other = rows.Split(id="E1", ticker="AAPL", execution_date=date(2014, 6, 9), split_from=1, split_to=8)
    listing = Listing(rows=(SPLIT, other), pages=(), status="OK", duplicates_dropped=0, api_calls=1)
    with pytest.raises(QualityError, match="contradicts itself"):
        SPLITS.rows("AAPL", [listing], HOURS)


def test_what_is_no_list_is_no_answer() -> None:
    with pytest.raises(TypeError, match="not a list: NotFound"):
        SPLITS.rows("AAPL", [NotFound("none", url="http://x", status=404)], HOURS)
