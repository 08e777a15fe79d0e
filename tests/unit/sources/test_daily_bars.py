"""The day bars of a session: one question for the whole market, and when no answer is believed to be none."""

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from bellwether.calendar import get_calendar
from bellwether.errors import LakeError, NotFound, NotPublishedYet, OutsideHistory
from bellwether.quality.prepare import staged_schema
from bellwether.sources.daily_bars import DailyBars, left_out
from bellwether.sources.endpoints import GROUPED_DAILY
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import RawPage, Request
from bellwether.tickers import WHOLE

SESSION = date(2025, 7, 3)
HOURS = get_calendar().hours(SESSION)
SOURCE = DailyBars()
ASKED = {"day": "2025-07-03", "include_otc": "false"}
BAR = {
    "T": "SPY",
    **{"v": 9099.618093, "vw": 620.5, "o": 620.0, "c": 621.25, "h": 622.0, "l": 619.5, "n": 77},
    "t": int(HOURS.close.timestamp() * 1000),
}


def answer(*bars: Mapping[str, Any], seen: datetime = HOURS.post_close + timedelta(hours=1)) -> Listing[Any]:
    chain = ListingChain.asking(GROUPED_DAILY, {"day": SESSION, "include_otc": False})
    results = {"results": bars} if bars else {}
    body = {"status": "OK", "adjusted": False, "request_id": "r", "resultsCount": len(bars), **results}
    chain.take(json.dumps(body).encode(), url="http://v")
    return chain.answer((RawPage(chain.request, "c", 0, "http://v", 200, "r", {}, seen, b""),), 1)


class Vendor:
    """Takes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def listing(self, *asked: Any, page_log: object) -> Listing[Any]:
        self.asked.append((*asked, page_log))
        return answer(BAR)


def test_the_market_is_one_question_without_otc() -> None:
    vendor, page_log = Vendor(), object()
    assert len(list(SOURCE.ask(vendor, WHOLE, HOURS, page_log))) == 1  # type: ignore[arg-type]
    assert vendor.asked == [(GROUPED_DAILY, {"day": SESSION, "include_otc": False}, page_log)]


def test_a_bar_is_the_sessions_with_the_vendors_values() -> None:
    bare = {name: value for name, value in BAR.items() if name not in {"vw", "n"}} | {"T": "BRK.B"}
    table = SOURCE.rows(WHOLE, [answer(BAR, bare)], HOURS)
    assert table.schema == staged_schema("daily_bars")
    spy, brk = table.to_pylist()
    assert spy == {
        **{"ticker": "SPY", "date": SESSION, "open": 620.0, "high": 622.0, "low": 619.5, "close": 621.25},
        **{"volume": 9099.618093, "vwap": 620.5, "transactions": 77},
    }
    assert (brk["ticker"], brk["vwap"], brk["transactions"]) == ("BRK.B", None, None)


def test_names_that_are_no_tickers_are_left_out_and_counted() -> None:
    found = answer(BAR, BAR | {"T": "../etc"}, BAR | {"T": "X:BTCUSD"})
    assert SOURCE.rows(WHOLE, [found], HOURS)["ticker"].to_pylist() == ["SPY"]
    assert left_out([found], HOURS) == {"malformed_tickers": 2}


@pytest.mark.parametrize(
    ("seen", "error"),
    [
        (HOURS.post_close + timedelta(days=2), NotPublishedYet),
        (HOURS.post_close + timedelta(days=2, seconds=1), OutsideHistory),
    ],
)
def test_a_session_without_any_bar_is_never_called_empty(seen: datetime, error: type[Exception]) -> None:
    with pytest.raises(error, match="not one stock has a day bar of 2025-07-03"):
        SOURCE.rows(WHOLE, [answer(seen=seen)], HOURS)


def test_stored_answers_are_told_by_their_question() -> None:
    request = Request("grouped_daily", ASKED)
    assert SOURCE.subject_of(request) == WHOLE
    SOURCE.check_asked(request, HOURS)
    for other in (ASKED | {"day": "2025-07-02"}, ASKED | {"include_otc": "true"}):
        with pytest.raises(LakeError, match="while the session asks for"):
            SOURCE.check_asked(Request("grouped_daily", other), HOURS)
    with pytest.raises(ValueError, match="no request for day bars, but for splits"):
        SOURCE.subject_of(Request("splits", {}))
    with pytest.raises(TypeError, match="NotFound"):
        SOURCE.rows(WHOLE, [NotFound("none", url="http://v")], HOURS)
