"""Universes from the configuration to published partitions, by the command line, against the simulator."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from bellwether.cli.main import main
from bellwether.lake import Coverage, Lake
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

DAYS = (date(2025, 7, 1), date(2025, 7, 2))
RENAMING = (date(2022, 6, 8), date(2022, 6, 9))  # OLDN's last session, NEWN's first
NAMES = ["AAPL", "MSFT", "QQQ", "SPY", "OLDN", "NEWN"]
MARKET = GeneratedMarket(seed=7, tickers=NAMES)

Run = Callable[..., int]


@pytest.fixture(scope="module")
def market() -> Iterator[RunningSimulator]:
    with running(SimulatorConfig(market=MARKET)) as simulator:
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


def backfill(simulator: RunningSimulator, days: tuple[date, date] = DAYS) -> int:
    simulator.requests.clear()
    return main(["backfill", "equities", *span(days), "--url", simulator.url])


def span(days: tuple[date, date]) -> list[str]:
    return ["--start", str(days[0]), "--end", str(days[1])]


def asked(simulator: RunningSimulator) -> list[str]:
    return [request.ticker for request in simulator.requests]


def coverage(
    capsys: pytest.CaptureFixture[str], days: tuple[date, date] = DAYS
) -> tuple[int, dict[tuple[str, str], tuple[str, str]]]:
    """Return the exit code, and role and state by session and ticker."""
    capsys.readouterr()
    code = main(["coverage", *span(days), "--json"])
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
    assert main(["coverage", *span(DAYS)]) == 0
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
    assert main(["universe", "--session", str(DAYS[0])]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("2025-07-01: 2 tickers from list, resolved 20")
    assert "required (1): SPY\nbest effort (1): QQQ\n" in shown
    assert main(["universe", "--session", str(DAYS[0]), "--resolve", "--json"]) == 0
    now = json.loads(capsys.readouterr().out)
    assert (now["session"], now["required"], now["resolved_utc"]) == ("2025-07-01", ["AAPL"], None)


def test_a_day_without_trading_is_refused_with_the_sessions_beside_it(
    configure: Callable[[object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["universe", "--session", "2025-07-04"])
    assert "2025-07-03" in capsys.readouterr().err


class TestRule:
    """A rule is asked of the vendor as of each session."""

    def test_a_renamed_company_is_captured_under_the_name_of_each_day_and_asked_for_once(
        self, simulator: RunningSimulator, configure: Callable[[object], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure({"rule": "active"})
        assert backfill(simulator, days=RENAMING) == 0
        lake = Lake.open(os.environ["BELLWETHER__LAKE__ROOT"])
        before, after = (lake.manifest("equities", day) for day in RENAMING)
        assert (before.universe.required, after.universe.required) == (
            ("AAPL", "MSFT", "OLDN"),
            ("AAPL", "MSFT", "NEWN"),
        )
        assert {known.state for known in before.coverage.values()} == {Coverage.COMPLETE}
        assert set(after.coverage) == {"AAPL", "MSFT", "NEWN"}
        [answer] = before.universe.raw
        assert (Path(lake.root) / "raw/universe/session=2022-06-08" / answer).exists()
        assert backfill(simulator, days=RENAMING) == 0
        assert simulator.requests == []

    def test_a_session_keeps_its_universe_when_the_rule_gives_way_to_a_list_and_the_state_is_lost(
        self, simulator: RunningSimulator, configure: Callable[[object], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure({"rule": "active", "types": ["CS"]})
        assert backfill(simulator, days=RENAMING) == 0
        configure(["SPY"])
        shutil.rmtree(Path(os.environ["BELLWETHER__LAKE__ROOT"]) / "state")
        code, known = coverage(capsys, days=RENAMING)
        assert (code, known["2022-06-08", "OLDN"]) == (1, ("required", "complete"))
        assert known["2022-06-08", "SPY"] == ("required", "missing")
        assert ("2022-06-09", "OLDN") not in known
        assert backfill(simulator, days=RENAMING) == 0
        assert asked(simulator) == ["SPY", "SPY"]

    def test_the_most_traded_of_the_session_before_are_captured(
        self, simulator: RunningSimulator, configure: Callable[[object], None]
    ) -> None:
        configure({"rule": "top_dollar_volume", "count": 2, "role": "best_effort", "required": ["MSFT"]})
        assert backfill(simulator, days=(date(2025, 7, 7), date(2025, 7, 7))) == 0
        lake = Lake.open(os.environ["BELLWETHER__LAKE__ROOT"])
        universe = lake.manifest("equities", date(2025, 7, 7)).universe
        assert simulator.requests[0].path.endswith("/2025-07-03")
        bars = {name: MARKET.bars(name, date(2025, 7, 3)) for name in ("AAPL", "MSFT", "QQQ", "SPY", "NEWN")}
        dollars = {name: sum(bar.volume * bar.vwap) for name, bar in bars.items()}
        most = sorted(dollars, key=lambda name: dollars[name])[-2:]
        assert universe.roles == dict.fromkeys(most, "best_effort") | {"MSFT": "required"}

    def test_a_session_never_planned_is_missing_whole(
        self, simulator: RunningSimulator, configure: Callable[[object], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure({"rule": "active"})
        backfill(simulator, days=RENAMING[:1] * 2)
        assert main(["coverage", "--start", "2022-06-08", "--end", "2022-06-09"]) == 1
        assert "everything: its universe is a rule, resolved when the session is planned" in capsys.readouterr().out
        assert main(["universe", "--session", "2022-06-09"]) == 2
        assert "resolved when it is planned, or by --resolve" in capsys.readouterr().err
        assert main(["universe", "--session", "2022-06-09", "--resolve", "--url", simulator.url]) == 0
        shown = capsys.readouterr().out
        assert "3 tickers from rule active, types CS, resolved" in shown
        assert "required (3): AAPL, MSFT, NEWN\n" in shown

    def test_a_vendor_that_does_not_answer_is_a_problem_of_that_session_and_nothing_is_stored(
        self, simulator: RunningSimulator, configure: Callable[[object], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure({"rule": "active"})
        simulator.faults.add(Fault(kind="server_error", path="/v3/reference/tickers", count=None))
        assert backfill(simulator, days=RENAMING) == 1
        shown = capsys.readouterr().err
        assert "2022-06-08: " in shown
        assert "2022-06-09: " in shown
        simulator.faults.clear()
        assert backfill(simulator, days=RENAMING) == 0
