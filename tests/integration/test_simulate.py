"""`bellwether simulate` as an operator starts and stops it."""

import json
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polygon import RESTClient

from bellwether.calendar import get_calendar
from bellwether.cli import simulate
from bellwether.cli.main import main
from bellwether.clock import SimulatedClock
from bellwether.simulator.faults import Chance, FaultPlan, Happening
from bellwether.simulator.feed.points import FEED_TRANSIENT
from bellwether.simulator.feed.replay import Script
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import SimulatorConfig, running

ROOT = Path(__file__).parents[2]
DAY, HALF_DAY = date(2024, 7, 2), date(2024, 7, 3)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bellwether.cli.main", "simulate", *arguments]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_its_urls_serves_and_stops(tmp_path: Path, stop: signal.Signals) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("- {kind: server_error, path: /v1}\n")
    arguments = ["--generate", "--seed", "3", "--tickers", "AAPL, SPY", "--faults", str(faults)]
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        client = RESTClient(announced["api_key"], base=announced["rest_url"], retries=1)
        assert client.get_market_status().market in {"open", "closed", "extended-hours"}
        bars = list(client.list_aggs("SPY", 1, "minute", DAY, DAY))
        process.send_signal(stop)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert rest == ""
    assert announced["ws_url"] == announced["rest_url"].replace("http://127.0.0.1", "ws://127.0.0.1")
    assert [bar.timestamp for bar in bars] == GeneratedMarket(seed=3).bars("SPY", DAY).start_ms.tolist()


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> SimulatorConfig:
    """Run the command in this process until it would wait; return what it served."""
    served: list[SimulatorConfig] = []

    def record(config: SimulatorConfig) -> Any:
        served.append(config)
        return running(config)

    monkeypatch.setattr(simulate, "running", record)
    monkeypatch.setattr(signal, "sigwait", lambda _: signal.SIGTERM)
    assert main(["simulate", *arguments]) == 0
    return served[0]


def test_a_replay_starts_at_the_first_sessions_pre_open(monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_command(monkeypatch, "--generate", "--start", "2024-07-04", "--speed", "0", "--tickers", "3")
    assert config.clock.now() == get_calendar().hours(date(2024, 7, 5)).pre_open
    assert isinstance(config.market, GeneratedMarket)
    assert config.market.tickers == ("AAPL", "AMZN", "GOOGL")


def test_a_session_is_replayed_from_its_pre_open_with_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_command(monkeypatch, "--generate", "--session", "2024-07-03", "--seed", "5", "--late-share", "0.5")
    assert isinstance(config.clock, SimulatedClock)
    assert get_calendar().hours(HALF_DAY).pre_open <= config.clock.now() < get_calendar().hours(HALF_DAY).open
    assert (config.plan, config.feed.script) == (PLANS["realtime"], Script(seed=5, late_share=0.5))
    assert config.market.days(DAY, date(2024, 7, 5)) == [DAY, HALF_DAY]


def test_a_replay_begins_at_any_time_as_fast_as_readers_read(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--session", "2024-07-03", "--at", "09:25", "--speed", "max", "--plan", "delayed"]
    config = run_command(monkeypatch, "--generate", *arguments)
    assert config.clock.now() == get_calendar().hours(HALF_DAY).open - timedelta(minutes=5)
    assert (config.plan, config.feed.paced_by_readers) == (PLANS["delayed"], True)


def test_the_command_serves_an_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    columns = {name: [1.5] for name in ("o", "h", "l", "c", "v", "vw")}
    pq.write_table(
        pa.table({"ticker": ["SPY"], "t": [1720013400000], **columns, "n": [1]}), tmp_path / "bars_equity_a.parquet"
    )
    config = run_command(monkeypatch, "--archive", str(tmp_path))
    assert config.market.days(DAY, HALF_DAY) == [HALF_DAY]


def test_the_command_serves_a_lake(monkeypatch: pytest.MonkeyPatch) -> None:
    lake = ROOT / "tests" / "fixtures" / "lake_v1" / "lake"
    config = run_command(monkeypatch, "--lake", str(lake), "--session", "2025-07-03", "--start", "2025-07-02")
    assert config.market.days(date(2025, 7, 1), date(2025, 7, 5)) == [date(2025, 7, 3)]


def test_plan_and_chance_are_taken_from_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = ["--fault-rate", "0.05", "--feed-fault-rate", "0.1", "--fault-seed", "7"]
    config = run_command(monkeypatch, "--generate", "--plan", "free", *rates)
    assert config.plan == PLANS["free"]
    expected = FaultPlan(chances=[Chance(rate=0.05, seed=7), Chance(rate=0.1, seed=7, kinds=FEED_TRANSIENT)])
    for happening in (Happening("/"), Happening("/stocks", at="frame")):
        struck, likewise = ([plan.strike(happening) for _ in range(99)] for plan in (config.faults, expected))
        assert struck == likewise
        assert any(struck)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--generate", "--speed", "60"], "give --session, or --start and --speed"),
        (["--generate", "--start", "2024-07-03", "--at", "09:30"], "give --session, or --start and --speed"),
        (["--generate", "--session", "2024-07-04"], "2024-07-04 is not a trading session"),
        (["--generate", "--session", "2024-07-03", "--end", "2024-07-05"], "leave --end out"),
        (["--lake", "absent"], "absent"),
        (["--generate", "--late-share", "2"], "--late-share: late_share is a share"),
        (["--generate", "--feed-fault-rate", "2"], "--feed-fault-rate: rate is a share"),
        (["--generate", "--speed", "60", "--start", "2999-01-04"], "no session is known"),
        (["--generate", "--tickers", "spy"], "--tickers: 'spy' is not a ticker"),
        (["--archive", "absent", "--tickers", "SPY"], "belong to --generate"),
        (["--archive", "absent"], "archive absent"),
        (["--generate", "--faults", "absent.yaml"], "absent.yaml"),
        (["--generate", "--fault-rate", "2"], "--fault-rate: rate is a share"),
    ],
)
def test_wrong_arguments_are_refused_with_a_reason(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["simulate", *arguments]) == 2
    assert message in capsys.readouterr().err
