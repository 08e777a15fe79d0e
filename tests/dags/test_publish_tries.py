"""What the task `publish` does when it finds its own publication in force: which of its tries it is decides."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.config import MOST_AIRFLOW_RETRIES
from bellwether.lake import Lake
from bellwether.lake.stage import Stage, ValidatedRecord
from bellwether_airflow import connections, producers
from bellwether_airflow.assets import EQUITIES
from tests.builders import bars, complete
from tests.dags.support import KEY, SESSION

Try = Callable[..., list[str]]


class Died(BaseException):
    """Stands for the death of a process."""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Return a lake with a validated stage, which the task finds."""
    lake = Lake.open(tmp_path, simulated=True)
    record = ValidatedRecord(coverage=complete(bars("SPY")), api_calls=1, raw={}, timings_s={})
    Stage(lake, "equities", SESSION, "s1").write_validated(bars("SPY"), record)
    monkeypatch.setattr(connections, "lake", lambda: lake)
    return lake


@pytest.fixture
def run_try(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Try:
    """Return `run_try(number, cleared_after=0)`: run one try of the task and return the keys it emitted.

    `cleared_after` is the last try before someone cleared the task: Airflow then grants its retries again.
    """

    def run(number: int, *, cleared_after: int = 0) -> list[str]:
        emitted: list[str] = []
        max_tries = MOST_AIRFLOW_RETRIES + cleared_after
        context: dict[str, Any] = {
            "dag_run": SimpleNamespace(partition_key=None, partition_date=SimpleNamespace(date=lambda: SESSION)),
            "outlet_events": {EQUITIES: SimpleNamespace(add_partitions=emitted.append)},
            "params": {"tickers": [], "force": False},
            "run_id": "run",
            "task": SimpleNamespace(retries=MOST_AIRFLOW_RETRIES),
            "ti": SimpleNamespace(try_number=number, max_tries=max_tries, xcom_push=lambda *_: None),
        }
        monkeypatch.setattr(producers, "get_current_context", lambda: context)
        producers.publish.function("equities", "s1")
        return emitted

    return run


def die_after_the_swap(run: Callable[[], object]) -> None:
    def die(step: str, _session: object) -> None:
        if step == "publish.returned":
            raise Died

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bellwether.lake.publish.reach", die)
        with pytest.raises(Died):
            run()


def test_the_try_that_publishes_emits_the_session(run_try: Try, lake: Lake) -> None:
    assert run_try(1) == [KEY]
    assert lake.manifest("equities", SESSION).stage_id == "s1"


def test_the_retry_of_a_try_that_died_after_its_swap_succeeds_and_emits(run_try: Try, lake: Lake) -> None:
    die_after_the_swap(lambda: run_try(1))
    published = lake.manifest("equities", SESSION)
    assert published is not None
    assert run_try(2) == [KEY]
    assert lake.manifest("equities", SESSION) == published


def test_the_first_try_after_a_clear_skips_when_nothing_changed(run_try: Try) -> None:
    run_try(1)
    with pytest.raises(AirflowSkipException, match="nothing changed: revision"):
        run_try(2, cleared_after=1)


def test_the_retry_of_a_try_that_died_after_a_clear_and_its_swap_succeeds_and_emits(run_try: Try) -> None:
    die_after_the_swap(lambda: run_try(2, cleared_after=1))
    assert run_try(3, cleared_after=1) == [KEY]
