"""A plan fetches what the ledger does not call proven, in batches with readable names."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config, SinkSettings
from bellwether.errors import ConfigError, NotASession
from bellwether.ingest.plan import Batch, plan_session
from bellwether.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from tests.builders import SESSION, bars, complete, failed, submission


def planned(lake: Lake, config: Config, **options: object) -> list[tuple[str, ...]]:
    return [batch.tickers for batch in plan_session(lake, config, "equities", SESSION, stage_id="s9", **options)]


def test_the_whole_universe_is_cut_into_named_batches(lake: Lake, config: Config) -> None:
    batches = plan_session(lake, config, "equities", SESSION, stage_id="s9")
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
    tables = [bars(ticker) for ticker in config.sources.equities.universe]
    publish(lake, submission(*tables), FileLayout(SinkSettings(), "snappy"))
    assert planned(lake, config) == []


def test_a_ticker_outside_the_universe_is_refused_saying_what_it_holds(lake: Lake, config: Config) -> None:
    with pytest.raises(ConfigError, match="not in the universe of equities: ZZZ; it holds AAPL, MSFT, QQQ, SPY"):
        planned(lake, config, tickers=["SPY", "ZZZ"])


def test_a_long_universe_is_named_in_part(lake: Lake, config: Config) -> None:
    source = config.sources.equities.model_copy(update={"universe": tuple(f"T{i:03d}" for i in range(30))})
    config = config.model_copy(update={"sources": config.sources.model_copy(update={"equities": source})})
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
    message = f"2025-07-10 is not due before 15 minutes after its end; the last due is {last_due}"
    with pytest.raises(NotASession, match=message):
        plan_session(lake, config, "equities", date(2025, 7, 10), stage_id="s9")
