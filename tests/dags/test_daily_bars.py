"""The producer of day bars, run in process: whichever of it and the minutes comes last compares both."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bellwether.lake import Lake
from bellwether.simulator.bars import Bars
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator
from tests.dags.support import KEY, SESSION, UNIVERSE, events, states

Run = Callable[..., Any]
OTHER_KEY = "2025-07-08"  # the simulator remembers the minutes it has served
NOTHING = "nothing to compare: {} of 2025-07-01 are not published"


def compared(run: Any) -> Any:
    """Return what the run's report says of minutes and day bars."""
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == "report"]
    return ti.xcom_pull(task_ids="report", key="crosscheck")


@pytest.mark.parametrize("order", [("daily_bars", "equities_daily"), ("equities_daily", "daily_bars")])
def test_whichever_comes_last_compares_both(
    dags: dict[str, Any], run_session: Run, lake_root: Path, order: tuple[str, str]
) -> None:
    first, last = (run_session(dags[dag_id], KEY) for dag_id in order)
    absent = {"daily_bars": "equities", "equities_daily": "daily_bars"}[order[0]]
    assert compared(first) == {"compared": 0, "why": NOTHING.format(absent)}
    assert compared(last) == {"compared": len(UNIVERSE), "warnings": {}}
    assert (first.state, last.state) == ("success", "success")
    assert ("daily_bars", KEY) in events()
    assert Lake.open(lake_root).manifest("daily_bars", SESSION).coverage["*"].rows == len(UNIVERSE)


def test_what_differs_is_warned_of_and_fails_no_run(
    dags: dict[str, Any], run_session: Run, lake_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_session(dags["daily_bars"], OTHER_KEY)
    minutes = GeneratedMarket.bars

    def doubled(market: GeneratedMarket, ticker: str, day: date) -> Bars:
        bars = minutes(market, ticker, day)
        return bars._replace(volume=bars.volume * 2) if ticker == "QQQ" else bars

    monkeypatch.setattr(GeneratedMarket, "bars", doubled)
    run = run_session(dags["equities_daily"], OTHER_KEY)
    assert run.state == "success"
    assert compared(run) == {"compared": len(UNIVERSE), "warnings": {"volume_above_official": 1}}


def test_the_form_has_no_tickers(dags: dict[str, Any]) -> None:
    assert set(dags["daily_bars"].params) == {"force"}


def test_the_whole_market_is_one_batch_of_one_request(
    dags: dict[str, Any], run_session: Run, lake_root: Path, simulator: RunningSimulator
) -> None:
    run = run_session(dags["daily_bars"], KEY)
    assert {name for name in states(run) if name.startswith("ingest")} == {"ingest[0]"}
    assert len(simulator.requests) == 1
