"""Consolidation, run in process: what each situation publishes, skips or refuses, and what it says."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import InvalidPartitionKeyError
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.config import MOST_AIRFLOW_RETRIES, Config
from bellwether.consolidate.build import build_minutes_of, plan_gold
from bellwether.consolidate.handover import GoldPlan
from bellwether.lake import Lake, Manifest, paths
from bellwether.lake.history import publications
from bellwether_airflow import connections, consolidation
from tests.builders import publish_bars, publish_gold_of
from tests.dags.support import KEY, SESSION, UNIVERSE, events, states

Run = Callable[..., Any]
NEXT, AFTER_NEXT = date(2025, 7, 2), date(2025, 7, 3)


@pytest.fixture
def consolidate(dags: dict[str, Any]) -> Any:
    return dags["session_consolidate"]


@pytest.fixture
def lake(lake_root: Path) -> Lake:
    """Return the lake, with the equities of a session published."""
    lake = Lake.open(lake_root, simulated=True)
    publish_bars(lake, UNIVERSE)
    return lake


def gold(lake: Lake, session: date = SESSION) -> list[Manifest]:
    """Return the publications of a session's gold, the newest first."""
    return [manifest for _, manifest in publications(lake, "minutes", session)]


def pending() -> list[tuple[str, str]]:
    """Return DAG and key of each record that the scheduler looks at, 500 at most, for runs to start by assets."""
    from airflow.models.asset import AssetPartitionDagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.execute(select(AssetPartitionDagRun.target_dag_id, AssetPartitionDagRun.partition_key))
        return [tuple(row) for row in found]


def died_of(run: Any, task_id: str) -> str:
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return str(ti.xcom_pull(task_ids=task_id, key="failure"))


def test_a_session_is_published_once_under_its_key_and_a_second_run_skips(
    consolidate: Any, run_session: Run, lake: Lake
) -> None:
    run = run_session(consolidate, KEY)
    assert states(run) == {
        "plan": "success",
        "build_chain": "skipped",  # nobody captured options
        "build_minutes": "success",
        "publish": "success",
    }
    assert sorted(events()) == [("chain", KEY), ("minutes", KEY)]
    [manifest] = gold(lake)
    equities = lake.manifest("equities", SESSION)
    assert manifest.inputs["equities"] == equities.revision
    assert manifest.inputs.keys() == {"equities", "equities#told"}
    assert (manifest.run_id, set(manifest.coverage)) == (run.run_id, set(UNIVERSE))
    assert lake.manifest("chain", SESSION).rows == 0
    assert list((Path(lake.root) / "stage").rglob("*.parquet")) == []
    again = run_session(consolidate, KEY)
    assert (again.state, set(states(again).values())) == ("success", {"skipped"})
    assert len(gold(lake)) == 1


def test_built_again_on_demand_although_gold_records_the_inputs(
    consolidate: Any, run_session: Run, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_gold_of(lake, SESSION, Config.load())
    monkeypatch.setenv("BELLWETHER__CONSOLIDATION__INDICATORS__SMA_BARS", "3")
    run = run_session(consolidate, KEY, {"force": True})
    assert states(run)["publish"] == "success"
    assert len({manifest.revision for manifest in gold(lake)}) == 2


def test_a_chain_built_again_beside_minutes_that_stay_as_they_were_is_told(
    consolidate: Any, run_session: Run, lake: Lake
) -> None:
    publish_gold_of(lake, SESSION, Config.load())
    lake.storage.delete(paths.partition("chain", SESSION))
    before = len(events())
    run = run_session(consolidate, KEY, {"force": True})
    assert states(run)["publish"] == "success"
    assert ("chain", KEY) in events()[before:]


def test_a_missing_input_is_named_with_its_state_and_the_run_to_start_or_clear(
    consolidate: Any, run_session: Run, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__INDICES__REQUIRED", "true")
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", str([*UNIVERSE, "XOM"]))
    run = run_session(consolidate, KEY)
    assert (run.state, states(run)["plan"]) == ("failed", "failed")
    assert died_of(run, "plan").startswith(
        "InputsMissing: 2025-07-01 cannot be consolidated. equities lacks XOM (missing): trigger equities_daily with "
        "partition key 2025-07-01, or clear its run run-s0; indices is not published (missing): trigger indices_"
    )


@pytest.mark.parametrize("key", ["2025-11-27", "banana"])
def test_a_key_that_names_no_session_is_refused(consolidate: Any, run_session: Run, key: str) -> None:
    with pytest.raises(InvalidPartitionKeyError, match=r"trading (session|day)"):
        run_session(consolidate, key)


@pytest.mark.parametrize(("key", "conf"), [(None, None), (KEY, {"forec": True})], ids=["no key", "misspelt"])
def test_a_run_of_no_session_or_with_an_unknown_parameter_builds_nothing(
    consolidate: Any, run_session: Run, lake: Lake, key: str | None, conf: dict[str, Any] | None
) -> None:
    run = run_session(consolidate, key, conf)
    assert (run.state, states(run)["plan"]) == ("failed", "failed")
    assert gold(lake) == []


@pytest.mark.parametrize("step", ["consolidate.planned", "consolidate.minutes_staged"])
def test_an_input_published_while_gold_is_being_built_ends_the_run_without_gold(
    consolidate: Any, run_session: Run, lake: Lake, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def revise(reached: str, _session: date) -> None:
        if reached == step:
            publish_bars(lake, UNIVERSE, seed=1)

    monkeypatch.setattr("bellwether.consolidate.build.reach", revise)
    run = run_session(consolidate, KEY)
    assert (run.state, states(run)["publish"]) == ("success", "skipped")
    assert gold(lake) == []
    assert list((Path(lake.root) / "stage").rglob("*.parquet")) == []


class TestTries:
    """What the task `publish` does when it finds its own publication in force."""

    @pytest.fixture
    def plan(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> GoldPlan:
        monkeypatch.setattr(connections, "lake", lambda: lake)
        plan = plan_gold(lake, Config.load(), SESSION, stage_id="s1")
        assert plan is not None
        build_minutes_of(lake, Config.load(), plan)
        return plan

    @pytest.fixture
    def run_try(self, plan: GoldPlan, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
        import msgspec

        def run(number: int, *, cleared_after: int = 0, of: GoldPlan = plan) -> Any:
            context = {
                "run_id": "run",
                "task": SimpleNamespace(retries=MOST_AIRFLOW_RETRIES),
                "ti": SimpleNamespace(try_number=number, max_tries=MOST_AIRFLOW_RETRIES + cleared_after),
            }
            monkeypatch.setattr(consolidation, "get_current_context", lambda: context)
            return consolidation.publish.function(msgspec.to_builtins(of))

        return run

    @pytest.mark.parametrize("step", ["minutes_published", "cleaned"])
    def test_the_retry_of_a_try_that_died_after_its_swap_succeeds_and_a_clear_skips(
        self, run_try: Callable[..., Any], lake: Lake, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        class Died(BaseException):
            """Stands for the death of a process."""

        def die(reached: str, _session: date) -> None:
            if reached == f"consolidate.{step}":
                raise Died

        with monkeypatch.context() as patch:
            patch.setattr("bellwether.consolidate.build.reach", die)
            with pytest.raises(Died):
                run_try(1)
        assert run_try(2)["minutes"] > 0
        with pytest.raises(AirflowSkipException, match="exactly these inputs, by run"):
            run_try(3, cleared_after=2)
        assert len(gold(lake)) == 1

    def test_of_two_that_publish_in_turns_the_one_whose_publication_is_the_last_succeeds_and_the_other_skips(
        self, run_try: Callable[..., Any], plan: GoldPlan, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = plan_gold(lake, Config.load(), SESSION, stage_id="s2")
        assert other is not None
        build_minutes_of(lake, Config.load(), other)
        steps = iter(["consolidate.chain_published"])
        done: list[Any] = []

        def meanwhile(reached: str, _session: date) -> None:
            if reached == next(steps, None):
                done.append(run_try(1, of=other))

        monkeypatch.setattr("bellwether.consolidate.build.reach", meanwhile)
        with pytest.raises(AirflowSkipException, match="exactly these inputs"):
            run_try(1)
        [of_other] = done
        assert of_other["minutes"] > 0
        assert [manifest.stage_id for manifest in gold(lake)] == ["s2"]


class TestAnnouncements:
    """Which sessions a producer's run announces."""

    @pytest.fixture
    def built(self, lake: Lake) -> Lake:
        for session in (NEXT, AFTER_NEXT):
            publish_bars(lake, UNIVERSE, session)
        for session in (SESSION, NEXT, AFTER_NEXT):
            publish_gold_of(lake, session, Config.load())
        return lake

    def test_a_revision_announces_the_session_and_the_one_it_is_warm_up_of_and_no_other(
        self, built: Lake, dag: Any, run_session: Run
    ) -> None:
        before = len(events())
        run = run_session(dag, KEY, {"force": True})
        assert run.state == "success"
        ready = [key for name, key in events()[before:] if name == "session_ready"]
        assert sorted(ready) == [KEY, NEXT.isoformat()]
        [ti] = [ti for ti in run.get_task_instances() if ti.task_id == "inputs_ready"]
        changed = "inputs changed since gold was built"
        assert ti.xcom_pull(task_ids="inputs_ready", key="why") == {KEY: changed, NEXT.isoformat(): changed}
        assert not plan_gold(built, Config.load(), AFTER_NEXT, stage_id="other")

    def test_a_later_session_is_announced_though_the_run_s_own_lacks_an_input(
        self, built: Lake, dag: Any, run_session: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", str([*UNIVERSE, "XOM"]))
        publish_bars(built, [*UNIVERSE, "XOM"], NEXT)
        before = len(events())
        run_session(dag, KEY, {"tickers": ["AAPL"]})
        assert [key for name, key in events()[before:] if name == "session_ready"] == [NEXT.isoformat()]

    def test_a_session_that_lacks_a_source_leaves_no_record_for_later_sessions_to_wait_behind(
        self, dag: Any, dags: dict[str, Any], run_session: Run, lake_root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BELLWETHER__SOURCES__INDICES__REQUIRED", "true")
        run_session(dag, KEY)
        assert pending() == []
        run_session(dags["indices_daily"], KEY)
        assert pending() == [("session_consolidate", KEY)]

    def test_what_gold_does_not_read_announces_nothing(
        self, lake: Lake, dags: dict[str, Any], run_session: Run
    ) -> None:
        run = run_session(dags["daily_bars"], KEY)
        assert (run.state, states(run)["announce"]) == ("success", "skipped")
