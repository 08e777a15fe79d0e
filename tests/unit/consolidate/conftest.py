"""A lake with all inputs of a session, and the configuration that wants them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.lake import Lake
from tests.unit.consolidate.lakes import stock


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    clock = SimulatedClock(datetime(2025, 7, 10, tzinfo=UTC), speed=1)
    lake = Lake.open(tmp_path / "lake", simulated=True, clock=clock)
    stock(lake)
    return lake


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.load(tmp_path, {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"})
