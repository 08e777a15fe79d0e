"""The daily producer of news, run in process against the simulator: one task for the whole feed, no tickers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bellwether.lake import Lake, read
from bellwether.schemas import FORMS
from bellwether.simulator.faults import Fault
from bellwether.simulator.server import RunningSimulator
from bellwether_airflow.producers import PRODUCERS
from tests.dags.support import KEY, SESSION, events, states

Run = Callable[..., Any]


@pytest.fixture
def news_dag(dags: dict[str, Any]) -> Any:
    return dags["news_daily"]


def test_a_session_is_one_batch_published_under_its_key(news_dag: Any, run_session: Run, lake_root: Path) -> None:
    run = run_session(news_dag, KEY)
    assert run.state == "success"
    assert {ti.rendered_map_index for ti in run.get_task_instances() if ti.task_id == "ingest"} == {"b000 *"}
    assert events() == [("news", KEY)]
    manifest = Lake.open(lake_root).manifest("news", SESSION)
    rows = read("news", KEY, KEY, root=lake_root)
    assert manifest.rows == rows.num_rows == manifest.coverage["*"].rows > 20
    assert set(rows["sentiment_source"].to_pylist()) > {"vendor"}


def test_fetched_again_without_a_difference_publish_is_skipped(
    news_dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    run_session(news_dag, KEY)
    before = Lake.open(lake_root).manifest("news", SESSION)
    run = run_session(news_dag, KEY, {"force": True})
    assert (run.state, states(run)["publish"]) == ("success", "skipped")
    assert Lake.open(lake_root).manifest("news", SESSION) == before
    assert events() == [("news", KEY)]


def test_the_form_has_no_tickers_and_naming_some_fails_the_plan(
    news_dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    assert set(news_dag.params) == {"force"}
    run = run_session(news_dag, KEY, {"tickers": ["SPY"]})
    assert (run.state, states(run)["plan"]) == ("failed", "failed")
    assert simulator.requests == []


def test_a_failed_feed_fails_the_run_and_publishes_nothing(
    news_dag: Any, run_session: Run, simulator: RunningSimulator, lake_root: Path
) -> None:
    simulator.faults.add(Fault(kind="cut_json", path="/v2/reference/news", count=None))
    run = run_session(news_dag, KEY)
    assert (run.state, states(run)["ingest[0]"]) == ("failed", "failed")
    assert Lake.open(lake_root).manifest("news", SESSION) is None


def test_the_form_takes_tickers_exactly_where_a_dataset_is_asked_for_by_them() -> None:
    assert {name for name, row in PRODUCERS.items() if row.subject is None} == {
        name for name, form in FORMS.items() if form.subject is None
    }
