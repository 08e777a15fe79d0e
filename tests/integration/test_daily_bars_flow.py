"""Day bars by the command line from the simulator, before or after the minutes, and what differs between the two."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from shutil import rmtree

import pytest

from bellwether.calendar import get_calendar
from bellwether.cli.main import main
from bellwether.lake import Coverage, Lake, read
from bellwether.simulator.bars import Bars
from bellwether.simulator.daily import day_bar
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import SimulatorConfig, running

SESSION, HALF_DAY = date(2025, 7, 1), date(2025, 7, 3)
UNIVERSE = ("AAPL", "MSFT", "SPY")
OTHERS = ("XOM", "JPM")


class Spoilt(GeneratedMarket):
    """A market of sound day bars and, where a test says so, spoilt minutes or no stocks at all."""

    def __init__(self) -> None:
        tickers = [*UNIVERSE, *OTHERS]
        super().__init__(seed=7, tickers=tickers)
        self._sound = GeneratedMarket(seed=7, tickers=tickers)
        self.trades = True

    def equities(self) -> Sequence[str]:
        return super().equities() if self.trades else ()

    def daily(self, ticker: str, day: date) -> Bars:
        return day_bar(self._sound, ticker, day)

    def bars(self, ticker: str, day: date) -> Bars:
        bars = super().bars(ticker, day)
        if ticker == "AAPL":
            return bars._replace(volume=bars.volume * 2)
        if ticker == "SPY":  # from 10:00 to 15:30 only the minutes that made the day's prices
            hours, half_an_hour = get_calendar().hours(day), timedelta(minutes=30)
            first, last = (
                (hours.open + half_an_hour).timestamp() * 1000,
                (hours.close - half_an_hour).timestamp() * 1000,
            )
            is_kept = (bars.start_ms < first) | (bars.start_ms >= last)
            whole = day_bar(self._sound, ticker, day)
            return bars.rows(is_kept | (bars.high == whole.high[0]) | (bars.low == whole.low[0]))
        return bars


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(UNIVERSE))
    monkeypatch.setenv("BELLWETHER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("BELLWETHER__LAKE__ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("COLUMNS", "200")


def backfill(dataset: str, url: str, *sessions: date) -> int:
    first, last = sessions[0], sessions[-1]
    return main(["backfill", dataset, "--start", str(first), "--end", str(last), "--url", url])


def crosscheck(session: date, *options: str) -> int:
    return main(["crosscheck", "--session", str(session), *options])


def test_a_sound_market_adds_up_on_half_days_too_and_until_both_are_there_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=[*UNIVERSE, *OTHERS]))) as simulator:
        assert backfill("daily_bars", simulator.url, SESSION, HALF_DAY) == 0
        assert len(simulator.requests) == 3
        assert crosscheck(SESSION) == 2
        assert "nothing to compare: equities of 2025-07-01 are not published" in capsys.readouterr().err
        assert backfill("equities", simulator.url, SESSION, HALF_DAY) == 0
    for session in (SESSION, HALF_DAY):
        assert crosscheck(session) == 0
        assert "3 tickers compared: no warning; 3 differences within the tolerances; 2 day bars of tickers that" in (
            capsys.readouterr().out
        )
    days = read("daily_bars", SESSION, HALF_DAY, root=tmp_path / "lake")
    assert sorted(set(days["ticker"].to_pylist())) == sorted((*UNIVERSE, *OTHERS))
    assert {day.isoformat() for day in days["date"].to_pylist()} == {"2025-07-01", "2025-07-02", "2025-07-03"}


def test_doubled_volume_and_lost_minutes_give_each_its_warning(capsys: pytest.CaptureFixture[str]) -> None:
    with running(SimulatorConfig(market=Spoilt())) as simulator:
        assert backfill("equities", simulator.url, SESSION) == 0
        assert backfill("daily_bars", simulator.url, SESSION) == 0
    capsys.readouterr()
    assert crosscheck(SESSION, "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    warned = {(line["ticker"], line["field"]): line["warning"] for line in lines if line["warning"]}
    assert warned == {
        ("AAPL", "volume"): "volume_above_official",
        ("SPY", "volume"): "volume_far_below_official",
    }
    assert crosscheck(SESSION) == 1
    shown = capsys.readouterr().out
    assert "3 tickers compared: 1 volume_above_official, 1 volume_far_below_official; " in shown
    assert "MSFT" not in shown


def test_a_market_without_a_single_bar_is_a_failure_and_not_an_empty_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    market = Spoilt()
    with running(SimulatorConfig(market=market)) as simulator:
        market.trades = False
        assert backfill("daily_bars", simulator.url, SESSION) == 1
        assert "not one stock has a day bar of 2025-07-01" in capsys.readouterr().err
        assert Lake.open(tmp_path / "lake").manifest("daily_bars", SESSION) is None
        market.trades = True
        assert backfill("daily_bars", simulator.url, SESSION) == 0
    manifest = Lake.open(tmp_path / "lake").manifest("daily_bars", SESSION)
    assert manifest is not None
    assert (manifest.coverage["*"].state, manifest.rows) == (Coverage.COMPLETE, 5)


def test_raw_alone_brings_the_same_day_bars_back(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=UNIVERSE))) as simulator:
        assert backfill("daily_bars", simulator.url, SESSION) == 0
    before = Lake.open(lake).manifest("daily_bars", SESSION)
    for lost in ("clean", "state", "stage", "revisions"):
        rmtree(lake / lost, ignore_errors=True)
    span = ["daily_bars", "--start", str(SESSION), "--end", str(SESSION)]
    assert main(["replay-raw", *span]) == 0
    after = Lake.open(lake).manifest("daily_bars", SESSION)
    assert before is not None
    assert after is not None
    assert (after.revision, after.coverage) == (before.revision, before.coverage)
    assert main(["replay-raw", *span, "--check"]) == 0
