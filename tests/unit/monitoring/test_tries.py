"""What a task tells of itself: whatever ends it, and whatever the lake does meanwhile."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from bellwether import meter
from bellwether.clock import SimulatedClock
from bellwether.errors import LakeError, QualityError, ServerError
from bellwether.lake import Lake
from bellwether.logging import register_secret
from bellwether.meter import Meter, count, note_error
from bellwether.monitoring import tries
from bellwether.monitoring.tries import Recording, dataset_of, read_try, together
from bellwether.producers import DATASETS_OF
from tests.tries import BEGAN, met, tried

IDENTITY = tried().identity
URL = "https://api.polygon.io/v2"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True, clock=SimulatedClock(BEGAN, speed=0))


@pytest.fixture
def on() -> Iterator[Meter]:
    yield meter.switch_on()
    meter.switch_off()


def recording(on: Meter, lake: Lake) -> Recording:
    return Recording(IDENTITY, on, lake.clock.now)


class Held:
    """A storage whose writes tell that they begin, wait to be released, and tell that they are done."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.reached, self.released, self.written = threading.Event(), threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def write(self, key: PurePosixPath, content: bytes) -> None:
        self.reached.set()
        self.released.wait(10)
        self._storage.write(key, content)
        self.written.set()


def test_a_turn_is_told_with_all_it_did_and_what_it_failed_of(lake: Lake, on: Meter) -> None:
    told = recording(on, lake)
    told.tell(lake)
    count("rows", 7)
    note_error(ServerError("down", url=URL, status=500))
    error = QualityError("half of it is doubled <!channel>")
    told.note_failure(error)
    told.end("up_for_retry", type(error).__name__)
    found = read_try(lake, IDENTITY.key)
    assert found is not None
    assert (found.identity, found.state, found.error, found.rows) == (IDENTITY, "up_for_retry", "QualityError", 7)
    assert (found.ended_utc, found.is_over) == (BEGAN, True)
    assert {name: (each.count, each.example) for name, each in found.errors.items()} == {
        "ServerError": (1, "down"),
        "QualityError": (1, "half of it is doubled (!channel)"),
    }
    assert found.bytes_written == 0  # what measures is not measured


def test_a_task_that_is_killed_leaves_that_it_runs(lake: Lake, on: Meter) -> None:
    held = Held(lake.storage)
    lake.storage = held  # type: ignore[assignment]
    held.released.set()
    told = recording(on, lake)
    told.tell(lake)
    assert held.written.wait(10)
    found = read_try(lake, IDENTITY.key)
    assert found is not None
    assert (found.state, found.ended_utc, found.is_over) == ("running", None, False)
    told.end("success")


def test_a_deferred_try_goes_on_in_the_same_file_and_nothing_counts_twice(lake: Lake) -> None:
    for state, rows in (("deferred", 3), ("deferred", 0), ("success", 4)):
        told = Recording(IDENTITY, meter.switch_on(), lake.clock.now)
        told.tell(lake)
        count("rows", rows)
        note_error(ServerError("down", url=URL, status=500))
        told.end(state)
        meter.switch_off()
    found = read_try(lake, IDENTITY.key)
    assert found is not None
    assert (found.state, found.turns, found.rows, found.errors["ServerError"].count) == ("success", 3, 7, 3)


def test_time_between_turns_is_time_without_a_slot() -> None:
    first = tried(state="deferred", ended_utc=None, api_calls=2, peak_memory_mb=90.0, errors={"RateLimited": met(1)})
    later = BEGAN + timedelta(minutes=11)
    second = tried(started_utc=later, duration_s=30.0, api_calls=1, peak_memory_mb=80.0, errors={"RateLimited": met(2)})
    both = together(first, second)
    assert (both.started_utc, both.deferred_s, both.duration_s) == (BEGAN, 600.0, 90.0)
    assert (both.api_calls, both.peak_memory_mb, both.errors["RateLimited"].count) == (3, 90.0, 2)
    assert together(None, second) == second


def test_a_lake_that_refuses_fails_no_task(lake: Lake, on: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        msg = "the disk is full"
        raise LakeError(msg)

    monkeypatch.setattr(type(lake.storage), "write", refuse)
    monkeypatch.setattr(type(lake.storage), "read", refuse)
    told = recording(on, lake)
    told.tell(lake)
    assert told.end("success").state == "success"


def test_a_lake_that_hangs_holds_up_no_task_for_long(lake: Lake, on: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_LONGEST_FAREWELL_S", 0.01)
    held = Held(lake.storage)
    lake.storage = held  # type: ignore[assignment]
    told = recording(on, lake)
    told.tell(lake)
    assert held.reached.wait(10)
    assert told.end("success").state == "success"
    held.released.set()


def test_neither_secrets_nor_words_of_strangers_are_kept(lake: Lake, on: Meter) -> None:
    register_secret("very-secret-key")
    note_error(ServerError("no answer to very-secret-key", url=URL, status=500))
    told = recording(on, lake)
    told.note_failure(KeyError("password=hunter2"))
    found = told.end("failed", "KeyError")
    assert {name: each.example for name, each in found.errors.items()} == {
        "ServerError": "no answer to ***",
        "KeyError": "KeyError",
    }


def test_what_came_as_a_request_failed_is_not_counted_again_when_the_task_fails_of_it(lake: Lake, on: Meter) -> None:
    error = ServerError("down", url=URL, status=500)
    note_error(error)
    told = recording(on, lake)
    told.note_failure(error)
    assert told.end("failed", "ServerError").errors["ServerError"].count == 1


def test_a_file_that_cannot_be_read_is_passed_over(lake: Lake) -> None:
    lake.storage.write(IDENTITY.key, b"{")
    assert read_try(lake, IDENTITY.key) is None


def test_names_of_files_tell_runs_apart_that_look_alike() -> None:
    keys = {tried(run_id=run_id).identity.key for run_id in ("manual__a+b", "manual__a:b", "manual__a/../b")}
    assert len(keys) == 3
    assert {len(key.parts) for key in keys} == {3}


@pytest.mark.parametrize(
    ("dag_id", "task_id", "dataset"),
    [
        ("equities_daily", "ingest", "equities"),
        ("reference_daily", "splits.ingest", "splits"),
        ("options_discovery", "plan", "contracts"),
        ("session_consolidate", "build_chain", "chain"),
        ("session_consolidate", "publish", "minutes"),
        ("session_stream", "options.stream", "options_live"),
        ("session_stream", "gold.intraday", "minutes"),
        ("gap_repair", "indices", "indices_live"),
        ("ops_health", "look", "ops_health"),
    ],
)
def test_a_task_is_about_a_dataset(dag_id: str, task_id: str, dataset: str) -> None:
    assert dataset_of(dag_id, task_id) == dataset


@pytest.mark.parametrize(("dag_id", "datasets"), DATASETS_OF.items())
def test_every_producers_tasks_are_about_what_it_publishes(dag_id: str, datasets: tuple[str, ...]) -> None:
    prefixes = [f"{dataset}." if len(datasets) > 1 else "" for dataset in datasets]
    assert tuple(dataset_of(dag_id, f"{prefix}publish") for prefix in prefixes) == datasets
