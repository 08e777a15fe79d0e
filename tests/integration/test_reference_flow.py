"""Splits, dividends, rates and tickers by the command line from the simulator: published, and read adjusted."""

import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from bellwether.cli.main import main
from bellwether.lake import Coverage, Lake, read
from bellwether.producers import DATASETS_OF
from bellwether.reference.rates import curve_known_on
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import SimulatorConfig, running

BEFORE, SPLIT_DAY = date(2025, 6, 30), date(2025, 7, 1)  # SPLT: one share becomes four
RANGE = ["--start", str(BEFORE), "--end", str(SPLIT_DAY)]
UNIVERSE = ["AAPL", "ENDA", "SPLT", "SPY"]  # ENDA was delisted in 2022
REFERENCE = DATASETS_OF["reference_daily"]


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake with bars and reference data of two sessions."""
    root = tmp_path_factory.mktemp("reference") / "lake"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(UNIVERSE))
        with running(SimulatorConfig(market=GeneratedMarket(seed=7, tickers=UNIVERSE))) as simulator:
            for dataset in ("equities", *REFERENCE):
                assert main(["backfill", dataset, *RANGE, "--lake", str(root), "--url", simulator.url]) == 0
    return root


@pytest.fixture(autouse=True)
def universe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", json.dumps(UNIVERSE))


def test_bars_jump_at_a_split_and_adjusted_ones_do_not(captured: Path) -> None:
    plain = read("equities", BEFORE, SPLIT_DAY, "SPLT", every="1d", root=captured)
    adjusted = read("equities", BEFORE, SPLIT_DAY, "SPLT", every="1d", adjust="splits", root=captured)
    last, first = plain["close"][0].as_py(), plain["open"][1].as_py()
    assert last / first == pytest.approx(4, rel=0.2)
    assert adjusted["close"][0].as_py() == last / 4
    assert adjusted["volume"][0].as_py() == plain["volume"][0].as_py() * 4
    assert adjusted.slice(1).equals(plain.slice(1))


def test_every_ticker_is_settled_also_one_without_events_and_one_that_was_delisted(captured: Path) -> None:
    lake = Lake.open(captured)
    splits = lake.manifest("splits", SPLIT_DAY)
    assert splits is not None
    assert (splits.coverage["SPLT"].state, splits.coverage["SPY"].state) == (Coverage.COMPLETE, Coverage.EMPTY)
    tickers = read("tickers", SPLIT_DAY, SPLIT_DAY, root=captured)
    assert dict(zip(tickers["ticker"].to_pylist(), tickers["active"].to_pylist(), strict=True)) == {
        "AAPL": True,
        "ENDA": False,
        "SPLT": True,
        "SPY": True,
    }
    for dataset in REFERENCE:
        assert main(["coverage", dataset, *RANGE, "--lake", str(captured)]) == 0


def test_one_sessions_rates_are_enough_for_the_curve_it_could_know(captured: Path) -> None:
    rates = read("rates", SPLIT_DAY, SPLIT_DAY, root=captured)
    assert pc.max(rates["date"]).as_py() == SPLIT_DAY - timedelta(days=1)
    assert len(curve_known_on(rates, SPLIT_DAY)) == 11
