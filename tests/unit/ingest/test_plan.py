"""A plan fetches what the ledger does not call proven, in batches with readable names."""

from datetime import date

import pytest

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


def test_a_session_that_is_not_over_is_refused(lake: Lake, config: Config) -> None:
    with pytest.raises(NotASession, match="2025-07-10 is not over; the last completed session is 2025-07-09"):
        plan_session(lake, config, "equities", date(2025, 7, 10), stage_id="s9")
