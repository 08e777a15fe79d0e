"""A consolidation from plan to publication: what is built, kept, published once, or left because inputs changed."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from bellwether.config import Config
from bellwether.config.sinks import SinkSettings
from bellwether.consolidate import build
from bellwether.consolidate.build import build_chain_of, build_minutes_of, plan_gold, publish_session
from bellwether.consolidate.handover import GoldPlan
from bellwether.consolidate.readiness import in_reach
from bellwether.errors import ConfigError, InputsChanged, InputsMissing, LakeError
from bellwether.lake import Lake
from bellwether.lake.history import publications
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Publication, publish
from bellwether.quality.gold import GoldVerdict
from tests.builders import SESSION, bars, publish_bars, submission

pytestmark = pytest.mark.usefixtures("unjudged")

UNIVERSE = ("AAPL", "SPY")
PRINTS = ("O:AAPL250703C00100000", "O:SPY250703C00100000", "O:SPY250703P00101000")


@pytest.fixture(autouse=True)
def _nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the suites: their tests are elsewhere, and Great Expectations' parser is not made for two threads."""
    monkeypatch.setattr(build, "judge", lambda *_: GoldVerdict([], {}, {}, 0.0))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "config").mkdir()
    return Config.load(tmp_path / "config", {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": str(list(UNIVERSE))})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake with equities and options of a session."""
    lake = Lake.open(tmp_path / "lake", simulated=True)
    publish_bars(lake, UNIVERSE)
    publish_options(lake)
    return lake


def publish_options(lake: Lake, seed: int = 0) -> None:
    tables = [bars(ticker, seed=seed) for ticker in PRINTS]
    options = submission(*tables, dataset="options", stage_id=f"o{seed}")
    publish(lake, options, FileLayout(SinkSettings(), "snappy"))


def built(lake: Lake, config: Config, stage_id: str, only: Sequence[str] = ()) -> GoldPlan:
    """Plan, build and stage."""
    plan = plan_gold(lake, config, SESSION, stage_id=stage_id, only=only)
    assert plan is not None
    for underlying in plan.underlyings:
        build_chain_of(lake, config, plan, underlying)
    build_minutes_of(lake, config, plan)
    return plan


def times_published(lake: Lake) -> list[int]:
    return [len(list(publications(lake, dataset, SESSION))) for dataset in ("chain", "minutes")]


def test_two_consolidations_of_one_session_at_the_same_moment_publish_it_once(
    lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [built(lake, config, stage_id) for stage_id in ("s1", "s2")]
    together, arrived = threading.Barrier(2, timeout=20), threading.Event()

    def wait(step: str, _session: date) -> None:
        # Both hold the same gold, none, against which they are about to swap.
        if step == "gold.composed" and not arrived.is_set():
            together.wait()
            arrived.set()

    monkeypatch.setattr("bellwether.lake.gold.reach", wait)

    def publish_one(plan: GoldPlan) -> dict[str, Publication]:
        return publish_session(lake, config, plan, run_id=plan.stage_id)

    with ThreadPoolExecutor(2) as threads:
        published = list(threads.map(publish_one, plans))
    assert times_published(lake) == [1, 1]
    assert sorted(each["minutes"].changed for each in published) == [False, True]


def test_the_older_of_two_leaves_when_the_newer_came_first(lake: Lake, config: Config) -> None:
    older = built(lake, config, "s1")
    publish_bars(lake, UNIVERSE, seed=1)
    newer = built(lake, config, "s2")
    publish_session(lake, config, newer, run_id="newer")
    with pytest.raises(InputsChanged):
        publish_session(lake, config, older, run_id="older")
    assert times_published(lake) == [1, 1]
    # Its stage is gone, and it says the same again.
    with pytest.raises(InputsChanged):
        publish_session(lake, config, older, run_id="older")


def test_a_chain_that_was_left_because_inputs_changed_ends_the_minutes_too(lake: Lake, config: Config) -> None:
    plan = plan_gold(lake, config, SESSION, stage_id="s1")
    assert plan is not None
    build_chain_of(lake, config, plan, "AAPL")
    with pytest.raises(LakeError, match="the chain of SPY on 2025-07-01 is not staged"):
        build_minutes_of(lake, config, plan)
    publish_options(lake, seed=1)
    with pytest.raises(InputsChanged):
        build_chain_of(lake, config, plan, "SPY")
    with pytest.raises(InputsChanged):
        build_minutes_of(lake, config, plan)


class TestOneUnderlying:
    def test_is_built_again_and_the_others_are_kept_from_gold_of_the_same_inputs(
        self, lake: Lake, config: Config
    ) -> None:
        publish_session(lake, config, built(lake, config, "s1"), run_id="first")
        whole = lake.partition("chain", SESSION)
        bolder = config.settings.consolidation.chain.model_copy(update={"dividend_yields": {"SPY": 0.05}})
        settings = config.settings.consolidation.model_copy(update={"chain": bolder})
        changed = config.model_copy(update={"settings": config.settings.model_copy(update={"consolidation": settings})})
        plan = built(lake, changed, "s2", only=["SPY"])
        assert (plan.underlyings, plan.kept) == (("SPY",), ("AAPL",))
        publish_session(lake, changed, plan, run_id="second")
        again = lake.partition("chain", SESSION)
        assert whole is not None
        assert again is not None
        yields = dict(
            zip(again.table["underlying"].to_pylist(), again.table["dividend_yield"].to_pylist(), strict=True)
        )
        assert yields == {"AAPL": 0.0, "SPY": 0.05}
        columns = ["underlying", "ticker", "ts", "close"]
        assert again.table.select(columns) == whole.table.select(columns)
        assert {name: known.stage_id for name, known in again.manifest.coverage.items()} == {"AAPL": "s1", "SPY": "s2"}

    def test_with_the_others_where_gold_is_of_other_inputs(self, lake: Lake, config: Config) -> None:
        publish_session(lake, config, built(lake, config, "s1"), run_id="first")
        publish_options(lake, seed=1)
        plan = plan_gold(lake, config, SESSION, stage_id="s2", only=["SPY"])
        assert plan is not None
        assert (plan.underlyings, plan.kept) == (("AAPL", "SPY"), ())

    def test_without_options_is_refused(self, lake: Lake, config: Config) -> None:
        with pytest.raises(ConfigError, match=r"no options of QQQ .* there are those of AAPL, SPY"):
            plan_gold(lake, config, SESSION, stage_id="s1", only=["QQQ"])


def test_a_cleared_chain_of_a_consolidation_that_came_through_is_built_beside_what_it_published(
    lake: Lake, config: Config
) -> None:
    plan = built(lake, config, "s1")
    publish_session(lake, config, plan, run_id="run")
    build_chain_of(lake, config, plan, "SPY")
    build_minutes_of(lake, config, plan)
    published = publish_session(lake, config, plan, run_id="run")
    assert [each.changed for each in published.values()] == [False, False]
    assert times_published(lake) == [1, 1]


def test_a_session_without_its_equities_is_refused(lake: Lake, config: Config) -> None:
    with pytest.raises(InputsMissing) as error:
        plan_gold(lake, config, date(2025, 7, 2), stage_id="s1")
    assert str(error.value) == (
        "2025-07-02 cannot be consolidated. equities is not published (missing): trigger equities_daily with partition "
        "key 2025-07-02, or clear its failed run"
    )


@pytest.mark.parametrize(
    ("dataset", "warmup_sessions", "reached"),
    [
        ("equities", 1, [date(2025, 7, 3), date(2025, 7, 7)]),
        ("equities", 0, [date(2025, 7, 3)]),
        ("options", 1, [date(2025, 7, 3)]),
        ("daily_bars", 1, []),
    ],
)
def test_a_revision_reaches_as_far_as_gold_reads_its_dataset(
    config: Config, dataset: str, warmup_sessions: int, reached: list[date]
) -> None:
    consolidation = config.settings.consolidation.model_copy(update={"warmup_sessions": warmup_sessions})
    settings = config.settings.model_copy(update={"consolidation": consolidation})
    # The Fourth of July and a weekend lie in between.
    assert in_reach(config.model_copy(update={"settings": settings}), dataset, date(2025, 7, 3)) == reached
