"""Universes from the configuration to published partitions, by the command line, against the simulator."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bellwether.cli.main import main
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

DAYS = ("2025-07-01", "2025-07-02")
NAMES = ["AAPL", "MSFT", "QQQ", "SPY"]

Run = Callable[..., int]


@pytest.fixture(scope="module")
def market() -> Iterator[RunningSimulator]:
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=NAMES))) as simulator:
        yield simulator


@pytest.fixture
def simulator(market: RunningSimulator) -> RunningSimulator:
    market.faults.clear()
    market.requests.clear()
    return market


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Return `configure(universe)`: write `sources.yaml`, whose folder the commands then read."""
    monkeypatch.setenv("BELLWETHER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("BELLWETHER__LAKE__ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S", "0")
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "config").mkdir()

    def write(universe: object) -> None:
        (tmp_path / "config" / "sources.yaml").write_text(json.dumps({"equities": {"universe": universe}}))

    return write


def backfill(simulator: RunningSimulator, *options: str) -> int:
    simulator.requests.clear()
    return main(["backfill", "equities", "--start", DAYS[0], "--end", DAYS[1], "--url", simulator.url, *options])


def asked(simulator: RunningSimulator) -> list[str]:
    return [request.ticker for request in simulator.requests]


def coverage(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[tuple[str, str], tuple[str, str]]]:
    """Return the exit code, and role and state by session and ticker."""
    capsys.readouterr()
    code = main(["coverage", "--start", DAYS[0], "--end", DAYS[1], "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return code, {(line["session"], line["ticker"]): (line["role"], line["state"]) for line in lines}


def test_a_failing_best_effort_ticker_is_shown_and_tried_again_but_fails_nothing(
    simulator: RunningSimulator, configure: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"required": ["SPY"], "best_effort": ["QQQ"]})
    simulator.faults.add(Fault(kind="server_error", ticker="QQQ", count=None))
    assert backfill(simulator) == 0
    assert "2025-07-01 QQQ (best effort): ServerError" in capsys.readouterr().err
    code, known = coverage(capsys)
    assert (code, known["2025-07-02", "QQQ"]) == (0, ("best_effort", "failed"))
    assert main(["coverage", "--start", DAYS[0], "--end", DAYS[1]]) == 0
    assert "QQQ (best effort)" in capsys.readouterr().out
    simulator.faults.clear()
    assert backfill(simulator) == 0
    assert asked(simulator) == ["QQQ", "QQQ"]


def test_a_ticker_added_to_a_file_is_missing_in_past_sessions_until_a_backfill_fetches_just_it(
    tmp_path: Path,
    simulator: RunningSimulator,
    configure: Callable[[object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure({"file": "mine.csv"})
    (tmp_path / "config" / "mine.csv").write_text("SPY\n")
    assert backfill(simulator) == 0
    (tmp_path / "config" / "mine.csv").write_text("ticker,role\nSPY,required\nAAPL,required\n")
    code, known = coverage(capsys)
    assert (code, known["2025-07-01", "AAPL"]) == (1, ("required", "missing"))
    assert backfill(simulator) == 0
    assert asked(simulator) == ["AAPL", "AAPL"]
    assert coverage(capsys)[0] == 0


def test_an_old_session_is_judged_by_its_own_universe_until_it_is_planned_again(
    simulator: RunningSimulator, configure: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(["QQQ", "SPY"])
    simulator.faults.add(Fault(kind="server_error", ticker="QQQ", count=None))
    assert backfill(simulator) == 1
    configure(["SPY"])
    code, known = coverage(capsys)
    assert (code, known["2025-07-01", "QQQ"]) == (1, ("required", "failed"))
    assert backfill(simulator) == 0
    assert asked(simulator) == []
    code, known = coverage(capsys)
    assert (code, known["2025-07-01", "QQQ"]) == (0, (None, "failed"))


def test_the_command_shows_what_is_stored_and_what_the_configuration_gives_now(
    simulator: RunningSimulator, configure: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"required": ["SPY"], "best_effort": ["QQQ"]})
    backfill(simulator)
    configure(["AAPL"])
    capsys.readouterr()
    assert main(["universe", "--session", DAYS[0]]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("2025-07-01: 2 tickers from list, resolved 20")
    assert "required (1): SPY\nbest effort (1): QQQ\n" in shown
    assert main(["universe", "--session", DAYS[0], "--resolve", "--json"]) == 0
    now = json.loads(capsys.readouterr().out)
    assert (now["session"], now["required"], now["resolved_utc"]) == (DAYS[0], ["AAPL"], None)


def test_a_day_without_trading_is_refused_with_the_sessions_beside_it(
    configure: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["universe", "--session", "2025-07-04"])
    assert "2025-07-03" in capsys.readouterr().err
