"""Gold built again from the inputs it names."""

import pytest

from bellwether.config import Config
from bellwether.lake import Lake, paths
from bellwether.verify.outcome import Outcome, State
from bellwether.verify.session import verify
from tests.unit.consolidate.conftest import config, lake, stocked, unjudged
from tests.unit.consolidate.lakes import consolidate, equities, put
from tests.unit.consolidate.market import DAY

__all__ = ["config", "lake", "stocked", "unjudged"]


def gold_of(lake: Lake, config: Config) -> dict[str, Outcome]:
    return {each.dataset: each for each in verify(lake, config, DAY) if each.dataset in ("minutes", "chain")}


@pytest.mark.usefixtures("unjudged")
def test_gold_is_what_its_inputs_come_to_until_one_is_published_anew(lake: Lake, config: Config) -> None:
    consolidate(lake, config)
    before = sorted(entry.key for entry in lake.storage.list(paths.dataset_folder("minutes")))
    found = gold_of(lake, config)
    assert {name: (each.state, each.why) for name, each in found.items()} == {
        "minutes": (State.EQUAL, ""),
        "chain": (State.EQUAL, ""),
    }
    assert found["chain"].rows == found["chain"].rows_rebuilt
    assert list(lake.storage.list(paths.stages("minutes", DAY))) == []
    assert sorted(entry.key for entry in lake.storage.list(paths.dataset_folder("minutes"))) == before
    put(lake, "equities", equities(seed=1))
    found = gold_of(lake, config)
    assert {each.state for each in found.values()} == {State.UNVERIFIABLE}
    assert "was published anew while gold was being built from it" in found["minutes"].why
