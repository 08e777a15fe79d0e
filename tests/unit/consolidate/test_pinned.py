"""Inputs are read in the revision of the plan and in no other."""

from datetime import date

import pytest

from bellwether.consolidate.inputs import sessions_before
from bellwether.consolidate.pinned import Pinned
from bellwether.errors import InputsChanged
from bellwether.lake import Lake
from bellwether.schemas import EQUITIES, INDICES, NEWS
from tests.unit.consolidate.lakes import BEFORE, equities, index_bars, put
from tests.unit.consolidate.market import DAY


@pytest.fixture
def pinned(lake: Lake) -> Pinned:
    manifests = {name: lake.manifest(name, DAY) for name in ("equities", "indices")}
    inputs = {name: manifest.revision for name, manifest in manifests.items() if manifest}
    earlier = lake.manifest("equities", BEFORE)
    assert earlier is not None
    return Pinned(lake, DAY, inputs | {f"equities@{BEFORE}": earlier.revision})


def test_the_rows_of_an_input_are_its_partitions(pinned: Pinned) -> None:
    assert pinned.table("equities").equals(equities())
    assert pinned.table("equities", BEFORE).equals(equities(BEFORE))
    assert pinned.sessions_before("equities") == [BEFORE]
    assert pinned.told("equities") == {"AAPL", "SPY"}


def test_tickers_and_columns_are_chosen_in_the_order_asked(pinned: Pinned) -> None:
    table = pinned.table("equities", tickers=["SPY"], columns=["close", "ts"])
    assert table.column_names == ["close", "ts"]
    assert table["close"].to_pylist() == equities()["close"].to_pylist()[390:]
    assert pinned.table("equities", tickers=["NONE"]).equals(EQUITIES.empty_table())


def test_what_is_no_input_has_no_rows_though_it_is_published(pinned: Pinned) -> None:
    assert pinned.table("news").equals(NEWS.empty_table())
    assert pinned.table("indices", BEFORE).equals(INDICES.empty_table())
    assert pinned.told("splits") == set()
    assert pinned.sessions_before("indices") == []


def test_another_revision_is_refused_for_rows_and_tickers(lake: Lake, pinned: Pinned) -> None:
    put(lake, "indices", index_bars(value=20.0))
    with pytest.raises(InputsChanged, match=f"indices {DAY} was published anew"):
        pinned.table("indices")
    put(lake, "equities", equities(BEFORE, seed=1), BEFORE)
    with pytest.raises(InputsChanged, match=f"equities {BEFORE} was published anew"):
        pinned.table("equities", BEFORE)
    assert len(pinned.table("equities")) == 780
    put(lake, "equities", equities(seed=1))
    with pytest.raises(InputsChanged):
        pinned.told("equities")


def test_sessions_before_skip_days_without_trading_and_end_with_the_calendar() -> None:
    assert list(sessions_before(date(2025, 7, 7), 2)) == [date(2025, 7, 3), DAY]
    assert list(sessions_before(DAY, 0)) == []
