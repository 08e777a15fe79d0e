"""A session's universe is settled once, kept with its evidence, and changed only when the configuration is."""

from datetime import date, timedelta
from pathlib import PurePosixPath

import pytest

from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.ingest.universe import named_universe, session_universe
from bellwether.lake import Lake, Universe
from bellwether.lake.coverage import stored_universe
from bellwether.universe.spec import ActiveTickers, TickerList, UniverseSpec
from tests.builders import SESSION, FakeReference
from tests.unit.ingest.conftest import with_universe

EVER, NEVER = date(2000, 1, 1), date(2100, 1, 1)
NAMES = ("AAPL", "MSFT", "SPY")


@pytest.fixture
def reference() -> FakeReference:
    return FakeReference([(name, "CS", EVER, NEVER) for name in NAMES])


def settle(lake: Lake, spec: UniverseSpec, reference: FakeReference, **options: bool) -> Universe:
    config = with_universe(Config(), spec)
    return session_universe(lake, config, reference, "equities", SESSION, stage_id="s1", **options)  # type: ignore[arg-type]


def test_a_list_is_stored_as_it_stands_and_asks_nobody(lake: Lake, reference: FakeReference) -> None:
    universe = settle(lake, TickerList(required=("SPY",), best_effort=("XOM",)), reference)
    assert (universe.required, universe.best_effort, universe.origin) == (("SPY",), ("XOM",), "list")
    assert lake.clock.now() - universe.resolved_utc < timedelta(minutes=1)
    assert stored_universe(lake, "equities", SESSION) == universe
    assert reference.asked == []


def test_a_rule_is_resolved_once_and_its_evidence_kept(lake: Lake, reference: FakeReference) -> None:
    rule = ActiveTickers(rule="active")
    universe = settle(lake, rule, reference)
    assert settle(lake, rule, FakeReference()) == universe
    assert (universe.required, universe.origin) == (NAMES, "rule active, types CS")
    assert reference.asked == [("CS", SESSION)]
    [file] = universe.raw
    raw = lake.read_parquet(PurePosixPath("raw/universe") / f"session={SESSION}" / file)
    assert raw["body"].to_pylist() == [b"page 1"]


def test_another_rule_or_a_demand_to_fetch_anew_resolves_again(lake: Lake, reference: FakeReference) -> None:
    rule = ActiveTickers(rule="active")
    settle(lake, rule, reference)
    reference.listed = [*reference.listed, ("XOM", "CS", EVER, NEVER), ("QQQ", "ETF", EVER, NEVER)]
    assert settle(lake, rule, reference).required == NAMES
    assert settle(lake, rule, reference, anew=True).required == (*NAMES, "XOM")
    assert settle(lake, ActiveTickers(rule="active", types=("ETF",)), reference).required == ("QQQ",)


def test_a_rule_that_cannot_be_resolved_leaves_what_was_stored(lake: Lake, reference: FakeReference) -> None:
    before = settle(lake, ActiveTickers(rule="active"), reference)
    with pytest.raises(ConfigError, match="no ticker of type ETF"):
        settle(lake, ActiveTickers(rule="active", types=("ETF",)), reference)
    assert stored_universe(lake, "equities", SESSION) == before


def test_tickers_named_beside_a_rule_keep_the_role_they_are_named_in(lake: Lake, reference: FakeReference) -> None:
    spare = ActiveTickers(rule="active", role="best_effort", required=("SPY", "ZZZ"))
    assert settle(lake, spare, reference).roles == {
        "AAPL": "best_effort",
        "MSFT": "best_effort",
        "SPY": "required",
        "ZZZ": "required",
    }
    strict = ActiveTickers(rule="active", best_effort=("MSFT",))
    universe = settle(lake, strict, reference)
    assert (universe.required, universe.best_effort) == (("AAPL", "SPY"), ("MSFT",))


def test_names_from_the_vendor_that_are_no_tickers_are_left_out_and_recorded(lake: Lake) -> None:
    odd = ["../../etc/passwd", "A" * 5000, "a b", "I:SPX"]
    reference = FakeReference([(name, "CS", EVER, NEVER) for name in [*odd, "SPY"]])
    universe = settle(lake, ActiveTickers(rule="active"), reference)
    assert universe.required == ("SPY",)
    assert universe.left_out == ("../../etc/passwd", "A" * 40, "I:SPX", "a b")


def test_a_rule_that_leaves_nobody_to_be_required_is_refused(lake: Lake) -> None:
    reference = FakeReference([("../x", "CS", EVER, NEVER), ("SPY", "CS", EVER, NEVER)])
    with pytest.raises(ConfigError, match="gives no ticker on 2025-07-01 that could be required"):
        settle(lake, ActiveTickers(rule="active", best_effort=("SPY",)), reference)


def test_only_a_list_is_known_without_the_vendor() -> None:
    assert named_universe(with_universe(Config(), TickerList(required=("SPY",))), "equities").tickers == ("SPY",)
    assert named_universe(with_universe(Config(), ActiveTickers(rule="active")), "equities") is None
