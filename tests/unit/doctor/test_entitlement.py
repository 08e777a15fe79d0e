"""What one call per dataset tells of the plan."""

from datetime import date
from typing import Any, cast

import pytest

from bellwether.doctor.entitlement import (
    PROBES,
    Answer,
    Result,
    Subject,
    Verdict,
    first_contract,
    judge,
    monthly_expiration,
    result_of,
)
from bellwether.doctor.finding import Level
from bellwether.errors import (
    BadResponse,
    ConnectionFailed,
    NotEntitled,
    NotFound,
    NotPublishedYet,
    OutsideHistory,
    VendorError,
)
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import Contract
from tests.unit.doctor.answers import included, listing

URL = "https://api.polygon.io"
CONTRACT = Contract(
    ticker="O:SPY250718C00600000",
    underlying_ticker="SPY",
    contract_type="call",
    exercise_style="american",
    expiration_date=date(2025, 7, 18),
    strike_price=600.0,
    shares_per_contract=100.0,
)
SUBJECT = Subject("SPY", date(2025, 6, 30), date(2025, 7, 1))


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (NotEntitled, Verdict.NOT_INCLUDED),
        (OutsideHistory, Verdict.NOT_INCLUDED),
        (NotPublishedYet, Verdict.NOT_YET),
        (NotFound, Verdict.UNKNOWN),
        (BadResponse, Verdict.UNKNOWN),
        (ConnectionFailed, Verdict.UNKNOWN),
    ],
)
def test_only_the_vendors_word_counts_as_not_included(error: type[VendorError], verdict: Verdict) -> None:
    def ask() -> Answer:
        raise error("so it says", url=URL)

    result = result_of(ask)
    assert result.verdict is verdict
    assert "so it says" in result.reason


@pytest.mark.parametrize(
    ("dataset", "result", "level", "words"),
    [
        pytest.param("equities", included(), Level.OK, "5 rows", id="included"),
        pytest.param("equities", included(0), Level.UNKNOWN, "without a single bar", id="no bars prove nothing"),
        pytest.param("index I:VIX", included(0), Level.UNKNOWN, "without a single bar", id="nor do an index's"),
        pytest.param("news", Result(Verdict.INCLUDED, answer=listing()), Level.OK, "0 rows", id="a day without news"),
        pytest.param(
            "equities", Result(Verdict.NOT_INCLUDED, "no"), Level.PROBLEM, "no session", id="what is captured"
        ),
        pytest.param(
            "options bars", Result(Verdict.NOT_INCLUDED, "no"), Level.WARNING, "not included", id="what is not"
        ),
        pytest.param("equities", Result(Verdict.NOT_YET, "later"), Level.WARNING, "not published yet", id="not yet"),
        pytest.param("news", Result(Verdict.UNKNOWN, "ServerError: 500"), Level.UNKNOWN, "500", id="nobody can tell"),
    ],
)
def test_each_dataset_is_told_apart(dataset: str, result: Result, level: Level, words: str) -> None:
    finding = judge(dataset, result)
    assert finding.level is level
    assert words in finding.says


class Recorder:
    """Stands for the transport and keeps what was asked: tickers of bars, endpoints and filters of lists."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def aggregates(self, ticker: str, from_ms: int, to_ms: int) -> Answer:
        self.asked.append((ticker, (to_ms - from_ms) // 60_000))
        return cast(Answer, included().answer)

    def listing(self, endpoint: Any, filters: dict[str, Any]) -> Answer:
        self.asked.append((endpoint.name, filters))
        return listing(CONTRACT)


def test_a_probe_is_one_call() -> None:
    for probe in PROBES:
        recorder = Recorder()
        probe.ask(cast(PolygonRest, recorder), Subject("SPY", SUBJECT.session, SUBJECT.today, CONTRACT))
        assert len(recorder.asked) == 1, probe.dataset


def test_options_are_asked_of_a_contract_that_lives() -> None:
    by_name = {probe.dataset: probe for probe in PROBES}
    recorder = Recorder()
    contract = first_contract(by_name["options contracts"].put(lambda ask: ask(cast(PolygonRest, recorder)), SUBJECT))
    assert contract == CONTRACT
    for name in ("options bars", "options snapshot"):
        by_name[name].ask(cast(PolygonRest, recorder), Subject("SPY", SUBJECT.session, SUBJECT.today, contract))
    asked = dict(recorder.asked)
    assert asked["contracts"]["expiration_date"] == date(2025, 7, 18)
    assert asked[CONTRACT.ticker] == 959
    assert asked["options_snapshot"]["strike_price"] == 600.0


def test_without_a_contract_nothing_is_asked_of_options() -> None:
    for probe in PROBES:
        if probe.needs_contract:
            result = probe.put(lambda _: pytest.fail("it asked"), SUBJECT)
            assert result.verdict is Verdict.UNKNOWN
    assert first_contract(Result(Verdict.INCLUDED, answer=listing())) is None
    assert first_contract(included()) is None


@pytest.mark.parametrize(
    ("today", "expiration"),
    [
        pytest.param(date(2025, 7, 1), date(2025, 7, 18), id="third Friday"),
        pytest.param(date(2025, 7, 18), date(2025, 8, 15), id="what expires today is over tonight"),
        pytest.param(date(2025, 4, 1), date(2025, 4, 17), id="Good Friday"),
        pytest.param(date(2024, 12, 31), date(2025, 1, 17), id="over the year's end"),
    ],
)
def test_monthly_options_expire_on_the_third_friday(today: date, expiration: date) -> None:
    assert monthly_expiration(today) == expiration
