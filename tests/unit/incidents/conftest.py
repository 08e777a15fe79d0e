"""A lake whose clock the test turns, and the people who are told what is wrong with it."""

from pathlib import Path

import pytest

from bellwether.lake import Lake
from tests.incidents import People, TurnedClock


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def lake(tmp_path: Path, clock: TurnedClock) -> Lake:
    return Lake.open(tmp_path, simulated=True, clock=clock)


@pytest.fixture
def people(lake: Lake) -> People:
    return People(lake)
