"""A desk at which SPY has two bars of one minute that contradict each other."""

import pytest

from bellwether.config import Config
from bellwether.lake import Lake
from tests.builders import bars
from tests.unit.ingest.conftest import FakeVendor, config, lake, vendor
from tests.unit.quarantine.desk import Desk, by_the_gate, with_close

__all__ = ["config", "lake", "vendor"]


@pytest.fixture
def desk(lake: Lake, config: Config, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("bellwether.ingest.finish.validate_session", by_the_gate)
    vendor.tables["SPY"] = with_close(bars("SPY"), 100.0, 101.0)
    desk = Desk(lake, config, vendor)
    desk.capture()
    return desk
