"""The ledger tells what is known of every ticker, whatever Airflow ran."""

from datetime import UTC, date, datetime

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import SinkSettings
from bellwether.lake import Coverage, Lake, TickerCoverage
from bellwether.lake.coverage import record_failures, session_coverage
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from tests.builders import SESSION, bars, failed, submission


@pytest.fixture
def lake(root: str) -> Lake:
    return Lake.open(root, simulated=True, clock=SimulatedClock(datetime(2025, 7, 3, tzinfo=UTC), speed=0))


def test_a_session_no_run_ever_touched_is_missing_once_due_and_not_yet_due_before(lake: Lake) -> None:
    known = session_coverage(lake, "equities", SESSION, ("SPY",))
    assert (known.state, known.unproven, known.manifest) == (Coverage.MISSING, ["SPY"], None)
    later = session_coverage(lake, "equities", date(2025, 7, 3), ("SPY",))
    assert later.state is Coverage.NOT_YET_DUE


def test_a_ticker_added_to_the_universe_later_is_missing_in_published_sessions(lake: Lake) -> None:
    publish(lake, submission(bars("SPY")), FileLayout(SinkSettings(), "snappy"))
    known = session_coverage(lake, "equities", SESSION, ("AAPL", "SPY"))
    assert known.unproven == ["AAPL"]
    assert known.tickers["SPY"].rows == 5


def test_a_narrowed_failure_adds_to_the_record_of_the_others(lake: Lake) -> None:
    record_failures(lake, "equities", SESSION, failed(["AAPL", "SPY"]))
    record_failures(lake, "equities", SESSION, failed(["SPY"], reason="Truncated: cut"))
    known = session_coverage(lake, "equities", SESSION, ("AAPL", "SPY"))
    assert [known.tickers[t].reason for t in ("AAPL", "SPY")] == ["ServerError: boom", "Truncated: cut"]


def test_why_nothing_was_published_is_recorded_until_something_is(lake: Lake) -> None:
    record_failures(lake, "equities", SESSION, failed(["SPY"]))
    known = session_coverage(lake, "equities", SESSION, ("SPY",))
    assert (known.state, known.tickers["SPY"].reason) == (Coverage.FAILED, "ServerError: boom")
    publish(lake, submission(bars("SPY")), FileLayout(SinkSettings(), "snappy"))
    record_failures(lake, "equities", SESSION, failed(["SPY"]))
    assert session_coverage(lake, "equities", SESSION, ("SPY",)).state is Coverage.COMPLETE


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ([Coverage.COMPLETE, Coverage.EMPTY], Coverage.COMPLETE),
        ([Coverage.EMPTY, Coverage.EMPTY], Coverage.EMPTY),
        ([Coverage.COMPLETE, Coverage.PARTIAL], Coverage.PARTIAL),
        ([Coverage.COMPLETE, Coverage.FAILED, Coverage.QUARANTINED], Coverage.FAILED),
        ([Coverage.UNKNOWN_TICKER], Coverage.UNKNOWN_TICKER),
    ],
)
def test_a_session_claims_no_more_than_its_worst_ticker(lake: Lake, states: list[Coverage], worst: Coverage) -> None:
    coverage = {f"T{number}": TickerCoverage(state) for number, state in enumerate(states)}
    publish(lake, submission(coverage=coverage), FileLayout(SinkSettings(), "snappy"))
    assert session_coverage(lake, "equities", SESSION, ()).state is worst


@pytest.mark.parametrize(
    ("state", "is_proven", "blocks"),
    [
        (Coverage.COMPLETE, True, False),
        (Coverage.PARTIAL, True, False),
        (Coverage.EMPTY, True, False),
        (Coverage.UNKNOWN_TICKER, True, False),
        (Coverage.NOT_ENTITLED, True, False),
        (Coverage.QUARANTINED, False, True),
        (Coverage.FAILED, False, True),
        (Coverage.MISSING, False, True),
        (Coverage.VENDOR_LATE, False, True),
        (Coverage.NOT_YET_DUE, False, True),
        (Coverage.STALE, False, False),
    ],
)
def test_which_states_are_settled_and_which_hold_a_session_back(state: Coverage, is_proven: bool, blocks: bool) -> None:
    assert (state.is_proven, state.blocks) == (is_proven, blocks)
