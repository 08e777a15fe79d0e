"""A lake with all inputs of a session, and the configuration that wants them."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.consolidate import build
from bellwether.lake import Lake
from bellwether.quality.gold import GoldVerdict
from tests.unit.consolidate.lakes import stock

NOW = datetime(2025, 7, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stocked") / "lake"
    stock(Lake.open(folder, simulated=True, clock=SimulatedClock(NOW, speed=1)))
    return folder


@pytest.fixture
def lake(stocked: Path, tmp_path: Path) -> Lake:
    """Return a lake of its own for each test."""
    folder = Path(shutil.copytree(stocked, tmp_path / "lake"))
    return Lake.open(folder, simulated=True, clock=SimulatedClock(NOW + timedelta(hours=1), speed=1))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.load(tmp_path, {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"})


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the suites, which take half a second and have tests of their own."""
    monkeypatch.setattr(build, "judge", lambda *_: GoldVerdict([], {}, {}, 0.0))
