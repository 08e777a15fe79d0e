"""The vendor's first answer: key and clock; and asking on after a 429 without a limit."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from bellwether.doctor.finding import Finding, Level, exit_code, ok, problem, unknown, warning
from bellwether.doctor.vendor import Greeting, Vendor, judge_clock, judge_key, policies
from bellwether.errors import (
    BadResponse,
    ConnectionFailed,
    NotEntitled,
    RateLimited,
    ServerError,
    Unauthorized,
    VendorError,
)
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import MarketStatus

NOW = datetime(2025, 7, 1, 14, 30, 10, tzinfo=UTC)
URL = "https://api.polygon.io"


def greeting(theirs: datetime, latency_s: float = 0.2) -> Greeting:
    return Greeting(MarketStatus(market="open", server_time=theirs), NOW, NOW + timedelta(seconds=latency_s))


@pytest.mark.parametrize(
    ("outcome", "level", "words"),
    [
        pytest.param(greeting(NOW), Level.OK, "accepts the API key", id="accepted"),
        pytest.param(Unauthorized("Unknown API Key", url=URL), Level.PROBLEM, "does not accept", id="wrong key"),
        pytest.param(ConnectionFailed("refused", url=URL), Level.PROBLEM, "cannot be reached", id="dead"),
        pytest.param(BadResponse("<html>", url=URL), Level.PROBLEM, "not as Polygon does", id="another host"),
        pytest.param(ServerError("down", url=URL), Level.UNKNOWN, "refused to answer", id="down"),
        pytest.param(RateLimited("slow", url=URL), Level.UNKNOWN, "refused to answer", id="used up"),
    ],
)
def test_the_first_answer_tells_of_key_and_address(outcome: Greeting | VendorError, level: Level, words: str) -> None:
    finding = judge_key(outcome, URL)
    assert finding.level is level
    assert words in finding.says
    assert bool(finding.advice) == (level is not Level.OK)


@pytest.mark.parametrize(
    ("theirs", "latency_s", "level", "words"),
    [
        pytest.param(NOW, 0.2, Level.OK, "agrees", id="equal"),
        # 14:30:09 may mean 14:30:09.99, and the answer was on its way: nothing is proven.
        pytest.param(NOW - timedelta(seconds=1), 0.2, Level.OK, "agrees", id="a cut fraction is no skew"),
        pytest.param(NOW + timedelta(seconds=3), 3.5, Level.OK, "agrees", id="a slow answer is no skew"),
        pytest.param(NOW - timedelta(seconds=3), 0.2, Level.OK, "agrees", id="within 2 s"),
        pytest.param(NOW - timedelta(seconds=4), 0.2, Level.WARNING, "3 s ahead of", id="ahead"),
        pytest.param(NOW + timedelta(seconds=5), 0.0, Level.WARNING, "5 s behind", id="behind"),
        pytest.param(NOW - timedelta(seconds=62), 0.2, Level.PROBLEM, "61 s ahead of", id="a minute ahead"),
        pytest.param(NOW + timedelta(hours=1), 0.2, Level.PROBLEM, "behind", id="an hour behind"),
        pytest.param(NOW + timedelta(seconds=5), 30.0, Level.UNKNOWN, "30 s", id="it waited for the rate limit"),
    ],
)
def test_clocks_are_compared_as_far_as_the_answers_time_allows(
    theirs: datetime, latency_s: float, level: Level, words: str
) -> None:
    finding = judge_clock(greeting(theirs, latency_s), simulated=False)
    assert finding.level is level
    assert words in finding.says


def test_a_simulated_market_may_keep_any_time() -> None:
    assert judge_clock(greeting(NOW - timedelta(days=90)), simulated=True).level is Level.OK


class Transports:
    """Makes transports that are only labels: the limit each was connected with."""

    def __init__(self) -> None:
        self.limits: list[int | None] = []

    def __call__(self, limit: int | None) -> PolygonRest:
        self.limits.append(limit)
        return cast(PolygonRest, limit)


def refusing(*limits: int | None) -> Callable[[PolygonRest], Any]:
    def question(rest: PolygonRest) -> Any:
        if rest in limits:
            raise RateLimited("too fast", url=URL)
        return rest

    return question


def test_a_429_without_a_limit_is_remembered_and_five_a_minute_kept_from_then_on() -> None:
    connect = Transports()
    vendor = Vendor(connect, None)
    assert vendor.ask(refusing()) is None
    assert not vendor.was_refused
    assert vendor.ask(refusing(None)) == 5
    assert vendor.was_refused
    assert vendor.ask(refusing()) == 5
    assert connect.limits == [None, 5]


@pytest.mark.parametrize("limit", [5, None], ids=["a limit was set", "five a minute are too many"])
def test_a_429_in_spite_of_a_limit_is_the_answer(limit: int | None) -> None:
    vendor = Vendor(Transports(), limit)
    with pytest.raises(RateLimited):
        vendor.ask(refusing(None, 5))


@pytest.mark.parametrize(
    ("error", "limit", "attempts"),
    [
        (RateLimited, None, 1),
        (RateLimited, 5, 3),
        (Unauthorized, 5, 1),
        (NotEntitled, 5, 1),
        (ConnectionFailed, 5, 2),
    ],
)
def test_the_doctor_asks_again_less_often_than_a_capture(
    error: type[VendorError], limit: int | None, attempts: int
) -> None:
    assert policies(limit).rule_for(error("", url=URL)).attempts == attempts


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([ok("a", ""), warning("b", ""), unknown("c", "")], 0, id="warnings"),
        pytest.param([ok("a", ""), problem("b", "", "")], 1, id="a problem"),
    ],
)
def test_only_problems_make_the_exit_code(findings: list[Finding], code: int) -> None:
    assert exit_code(findings) == code
