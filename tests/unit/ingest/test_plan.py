"""A plan fetches what the ledger does not call proven, in batches with readable names."""

import time
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config, IngestSettings, SinkSettings
from bellwether.errors import ConfigError, NotASession
from bellwether.ingest.plan import Batch, plan_session
from bellwether.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.universe.spec import ActiveTickers
from tests.builders import SESSION, FakeReference, bars, complete, failed, submission
from tests.unit.ingest.conftest import UNIVERSE, FakeVendor, with_universe


def planned(lake: Lake, config: Config, **options: object) -> list[tuple[str, ...]]:
    rest = FakeVendor()
    return [batch.tickers for batch in plan_session(lake, config, rest, "equities", SESSION, stage_id="s9", **options)]


def test_the_whole_universe_is_cut_into_named_batches(lake: Lake, config: Config) -> None:
    batches = plan_session(lake, config, FakeVendor(), "equities", SESSION, stage_id="s9")
    assert [batch.name for batch in batches] == ["b000 AAPL..MSFT", "b001 QQQ..SPY"]
    assert {batch.stage_id for batch in batches} == {"s9"}
    assert Batch("equities", SESSION, "s9", 3, ("SPY",)).name == "b003 SPY"


def test_proven_tickers_are_left_out_unless_forced(lake: Lake, config: Config) -> None:
    what = submission(bars("AAPL"), bars("MSFT"), coverage=complete(bars("AAPL"), bars("MSFT")) | failed(["SPY"]))
    publish(lake, what, FileLayout(SinkSettings(), "snappy"))
    assert planned(lake, config) == [("QQQ", "SPY")]
    assert planned(lake, config, force=True) == [("AAPL", "MSFT"), ("QQQ", "SPY")]
    assert planned(lake, config, tickers=["MSFT", "AAPL", "MSFT"]) == [("AAPL", "MSFT")]


def test_nothing_left_to_fetch_is_an_empty_plan(lake: Lake, config: Config) -> None:
    tables = [bars(ticker) for ticker in UNIVERSE]
    publish(lake, submission(*tables), FileLayout(SinkSettings(), "snappy"))
    assert planned(lake, config) == []


def test_a_ticker_outside_the_universe_is_refused_saying_what_it_holds(lake: Lake, config: Config) -> None:
    message = (
        r"not in the universe of equities on 2025-07-01: \.\./x, ZZZ; it holds AAPL, MSFT, QQQ, SPY\. Leave them out"
    )
    with pytest.raises(ConfigError, match=message):
        planned(lake, config, tickers=["SPY", "ZZZ", "../x"])


def test_a_long_universe_is_named_in_part(lake: Lake, config: Config) -> None:
    config = with_universe(config, required=tuple(f"T{i:03d}" for i in range(30)))
    with pytest.raises(ConfigError, match="T019 and 10 more"):
        planned(lake, config, tickers=["ZZZ"])


@pytest.mark.parametrize(
    ("now", "last_due"),
    [("2025-07-10T20:00:00", "2025-07-09"), ("2025-07-11T00:14:59", "2025-07-09")],
    ids=["trading goes on", "late bars may still come"],
)
def test_a_session_that_is_not_due_is_refused(tmp_path: Path, config: Config, now: str, last_due: str) -> None:
    clock = SimulatedClock(datetime.fromisoformat(now).replace(tzinfo=UTC), speed=0)
    lake = Lake.open(tmp_path / "early", simulated=True, clock=clock)
    message = (
        "equities of 2025-07-10 are not due until 15 minutes after the end of extended hours; "
        f"the last session due is {last_due}"
    )
    with pytest.raises(NotASession, match=message):
        plan_session(lake, config, FakeVendor(), "equities", date(2025, 7, 10), stage_id="s9")


class TestUniverse:
    """What planning makes of another list, and of a rule."""

    def test_of_a_longer_list_only_the_new_ticker_is_fetched(self, lake: Lake, config: Config) -> None:
        planned(lake, config)
        publish(lake, submission(*map(bars, UNIVERSE)), FileLayout(SinkSettings(), "snappy"))
        assert planned(lake, with_universe(config, required=(*UNIVERSE, "XOM"))) == [("XOM",)]

    def test_a_ticker_that_left_the_list_is_fetched_no_more_and_its_rows_stay(self, lake: Lake, config: Config) -> None:
        publish(lake, submission(*map(bars, UNIVERSE)), FileLayout(SinkSettings(), "snappy"))
        assert planned(lake, with_universe(config, required=("SPY",)), force=True) == [("SPY",)]
        assert set(lake.manifest("equities", SESSION).coverage) == set(UNIVERSE)

    def test_best_effort_tickers_are_fetched_like_the_others(self, lake: Lake, config: Config) -> None:
        assert planned(lake, with_universe(config, required=("SPY",), best_effort=("AAPL",))) == [("AAPL", "SPY")]

    def test_a_rule_is_asked_of_the_vendor_once_and_again_when_all_is_to_be_fetched_anew(
        self, lake: Lake, config: Config
    ) -> None:
        ruled = with_universe(config, ActiveTickers(rule="active"))
        rest = FakeReference([(name, "CS", date(2000, 1, 1), date(2100, 1, 1)) for name in UNIVERSE])

        def plan(**options: object) -> list[tuple[str, ...]]:
            return [b.tickers for b in plan_session(lake, ruled, rest, "equities", SESSION, stage_id="s9", **options)]

        assert plan() == plan() == [("AAPL", "MSFT"), ("QQQ", "SPY")]
        assert plan(tickers=["SPY"], force=True) == [("SPY",)]
        assert rest.asked == [("CS", SESSION)]
        with pytest.raises(ConfigError, match="not in the universe of equities on 2025-07-01: XOM; it holds AAPL"):
            plan(tickers=["XOM"])
        plan(force=True)
        assert len(rest.asked) == 2

    def test_thousands_of_tickers_are_planned_quickly_and_travel_light(self, lake: Lake, config: Config) -> None:
        names = tuple(f"T{number:04d}" for number in range(8000))
        publish(lake, submission(coverage=failed(names) | complete(bars("SPY"))), FileLayout(SinkSettings(), "snappy"))
        settings = config.settings.model_copy(update={"ingest": IngestSettings(batch_tickers=25)})
        began_s = time.process_time()
        many = with_universe(config.model_copy(update={"settings": settings}), required=names)
        batches = plan_session(lake, many, FakeReference(), "equities", SESSION, stage_id="s9")
        assert time.process_time() - began_s < 2
        assert [ticker for batch in batches for ticker in batch.tickers] == list(names)
        assert len(msgspec.json.encode(batches)) < 100_000
