"""The ledger tells what is known of every ticker, whatever Airflow ran."""

from datetime import UTC, date, datetime
from pathlib import PurePosixPath

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Coverage, Lake, TickerCoverage, Universe, paths
from bellwether.lake.coverage import record_failures, session_coverage, store_universe, stored_universe
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from tests.builders import SESSION, bars, complete, failed, submission

LAYOUT = FileLayout(SinkSettings(), "snappy")


@pytest.fixture
def lake(root: str) -> Lake:
    return Lake.open(root, simulated=True, clock=SimulatedClock(datetime(2025, 7, 3, tzinfo=UTC), speed=0))


def test_a_session_no_run_ever_touched_is_missing_once_due_and_not_yet_due_before(lake: Lake) -> None:
    known = session_coverage(lake, "equities", SESSION, Universe(("SPY",)))
    assert (known.state, known.unproven, known.manifest) == (Coverage.MISSING, ["SPY"], None)
    later = session_coverage(lake, "equities", date(2025, 7, 3), Universe(("SPY",)))
    assert later.state is Coverage.NOT_YET_DUE


def test_what_cannot_be_had_later_is_missing_for_ever_and_says_so_without_any_run(lake: Lake) -> None:
    known = session_coverage(lake, "options_snapshot", SESSION, Universe(("SPY",)))
    assert known.state is Coverage.MISSING
    assert known.tickers["SPY"].reason.startswith("options_snapshot of 2025-07-01 cannot be had later")
    assert session_coverage(lake, "equities", SESSION, Universe(("SPY",))).tickers["SPY"].reason == "never fetched"


def test_a_ticker_added_to_the_universe_later_is_missing_in_published_sessions(lake: Lake) -> None:
    publish(lake, submission(bars("SPY")), LAYOUT)
    known = session_coverage(lake, "equities", SESSION, Universe(("AAPL", "SPY")))
    assert known.unproven == ["AAPL"]
    assert known.tickers["SPY"].rows == 5


def test_a_narrowed_failure_adds_to_the_record_of_the_others(lake: Lake) -> None:
    record_failures(lake, "equities", SESSION, failed(["AAPL", "SPY"]))
    record_failures(lake, "equities", SESSION, failed(["SPY"], reason="Truncated: cut"))
    known = session_coverage(lake, "equities", SESSION, Universe(("AAPL", "SPY")))
    assert [known.tickers[t].reason for t in ("AAPL", "SPY")] == ["ServerError: boom", "Truncated: cut"]


def test_why_nothing_was_published_is_recorded_until_something_is(lake: Lake) -> None:
    record_failures(lake, "equities", SESSION, failed(["SPY"]))
    known = session_coverage(lake, "equities", SESSION, Universe(("SPY",)))
    assert (known.state, known.tickers["SPY"].reason) == (Coverage.FAILED, "ServerError: boom")
    publish(lake, submission(bars("SPY")), LAYOUT)
    record_failures(lake, "equities", SESSION, failed(["SPY"]))
    assert session_coverage(lake, "equities", SESSION, Universe(("SPY",))).state is Coverage.COMPLETE


class TestUniverse:
    """What a session owes is what was stored for it, not what the configuration says today."""

    def test_a_ticker_removed_since_stays_owed_and_one_added_since_is_owed_too(self, lake: Lake) -> None:
        store_universe(lake, "equities", SESSION, Universe(("GONE", "SPY"), ("MAYBE",)))
        publish(lake, submission(bars("SPY")), LAYOUT)
        known = session_coverage(lake, "equities", SESSION, Universe(("NEW", "SPY"), ("ALSO",)))
        assert known.universe.roles == {
            "GONE": "required",
            "NEW": "required",
            "SPY": "required",
            "ALSO": "best_effort",
            "MAYBE": "best_effort",
        }
        assert (known.unproven, known.lacking) == (["ALSO", "GONE", "MAYBE", "NEW"], ["GONE", "NEW"])

    def test_a_role_changed_since_is_the_one_of_then(self, lake: Lake) -> None:
        store_universe(lake, "equities", SESSION, Universe(("SPY",), ("XOM",)))
        known = session_coverage(lake, "equities", SESSION, Universe(("XOM",), ("SPY",)))
        assert known.universe == Universe(("SPY",), ("XOM",))

    def test_a_best_effort_ticker_is_counted_but_holds_nothing_up(self, lake: Lake) -> None:
        store_universe(lake, "equities", SESSION, Universe(("SPY",), ("XOM",)))
        publish(lake, submission(bars("SPY"), coverage=complete(bars("SPY")) | failed(["XOM"])), LAYOUT)
        known = session_coverage(lake, "equities", SESSION, None)
        assert (known.state, known.is_complete) == (Coverage.COMPLETE, True)
        assert (known.unproven, known.lacking, known.blocking) == (["XOM"], [], [])
        assert known.tickers["XOM"].state is Coverage.FAILED

    def test_it_is_known_from_the_partition_when_the_state_is_lost(self, lake: Lake) -> None:
        universe = Universe(("SPY",), ("XOM",), origin="list", spec_hash="h")
        store_universe(lake, "equities", SESSION, universe)
        publish(lake, submission(bars("SPY"), universe=universe), LAYOUT)
        lake.storage.delete_folder(PurePosixPath("state"))
        assert stored_universe(lake, "equities", SESSION) == universe
        assert session_coverage(lake, "equities", SESSION, None).unproven == ["XOM"]

    def test_a_later_plan_goes_before_what_was_published(self, lake: Lake) -> None:
        publish(lake, submission(bars("SPY"), universe=Universe(("SPY", "XOM"))), LAYOUT)
        store_universe(lake, "equities", SESSION, Universe(("SPY",)))
        assert session_coverage(lake, "equities", SESSION, None).is_complete

    def test_a_publication_that_says_nothing_of_it_keeps_it(self, lake: Lake) -> None:
        publish(lake, submission(bars("SPY"), universe=Universe(("SPY",), ("XOM",))), LAYOUT)
        publish(lake, submission(bars("SPY", seed=1)), LAYOUT)
        assert stored_universe(lake, "equities", SESSION) == Universe(("SPY",), ("XOM",))

    def test_another_universe_alone_is_worth_a_publication_of_the_same_revision(self, lake: Lake) -> None:
        before = publish(lake, submission(bars("SPY"), universe=Universe(("SPY",))), LAYOUT)
        same = publish(lake, submission(bars("SPY"), universe=Universe(("SPY",), spec_hash="other")), LAYOUT)
        after = publish(lake, submission(bars("SPY"), universe=Universe(("SPY",), ("XOM",))), LAYOUT)
        assert (same.changed, after.changed) == (False, True)
        assert after.manifest.revision == before.manifest.revision

    def test_with_a_rule_never_resolved_a_session_is_missing_whole(self, lake: Lake) -> None:
        known = session_coverage(lake, "equities", SESSION, None)
        assert (known.state, known.is_complete, known.tickers) == (Coverage.MISSING, False, {})
        assert session_coverage(lake, "equities", date(2025, 7, 3), None).state is Coverage.NOT_YET_DUE

    def test_a_damaged_record_is_named_with_what_to_do(self, lake: Lake) -> None:
        store_universe(lake, "equities", SESSION, Universe(("SPY",)))
        lake.storage.write(paths.universe("equities", SESSION), b'{"required": 3}')
        with pytest.raises(LakeError, match=r"universe/equities/2025-07-01\.json is damaged .*delete it"):
            session_coverage(lake, "equities", SESSION, None)


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
    publish(lake, submission(coverage=coverage), LAYOUT)
    assert session_coverage(lake, "equities", SESSION, None).state is worst


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
