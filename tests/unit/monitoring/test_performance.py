"""The datasets of what tasks cost and met: nothing is lost or doubled, whoever publishes and whatever is left over."""

from datetime import timedelta
from pathlib import Path

import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.lake import Lake, paths, read
from bellwether.lake.manifest import encode
from bellwether.monitoring import performance
from bellwether.monitoring.performance import known_tries, publish_performance, told_sessions
from bellwether.monitoring.tries import TryRecord
from tests.tries import BEGAN, SESSION, met, running, tried

CONFIG = Config.load(None, {})
NOW = BEGAN + timedelta(minutes=10)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True, clock=SimulatedClock(NOW, speed=0))


def tell(lake: Lake, *records: TryRecord) -> None:
    for record in records:
        lake.storage.write(record.identity.key, encode(record))


def publish(lake: Lake) -> None:
    publish_performance(lake, CONFIG, told_sessions(lake), {}, run_id="r")


def files(lake: Lake) -> list[str]:
    return sorted(entry.key.name.rpartition("~")[2] for entry in lake.storage.list(paths.PERFORMANCE))


def rows(lake: Lake, dataset: str, *columns: str) -> list[tuple[object, ...]]:
    table = read(dataset, SESSION, SESSION, root=lake.root, columns=columns)
    return [tuple(row.values()) for row in table.to_pylist()]


def test_what_tasks_told_becomes_rows_and_only_what_goes_on_stays_beside_them(lake: Lake) -> None:
    errors = {"ServerError": met(1, 2, words="down"), "RateLimited": met(3)}
    tell(lake, tried(errors=errors, rows=5, vendor_s=50.5), running(timedelta(minutes=9), map_index=1))
    publish(lake)
    shown = ("map_index", "state", "rows", "vendor_s", "errors", "verdict", "median_s")
    assert rows(lake, "performance", *shown) == [
        (0, "success", 5, 50.5, 3, "", None),
        (1, "running", 0, 0.0, 0, "", None),
    ]
    assert rows(lake, "errors", "error", "cause", "count", "example", "dataset") == [
        ("RateLimited", "rate_limit", 1, "down", "equities"),
        ("ServerError", "vendor", 2, "down", "equities"),
    ]
    assert files(lake) == ["ingest.1.1.json"]


def test_what_is_published_reads_back_as_it_was_told(lake: Lake) -> None:
    record = tried(errors={"ServerError": met(1, 2)}, doing="", api_calls=3, peak_memory_mb=99.5)
    tell(lake, record)
    publish(lake)
    assert (files(lake), known_tries(lake, SESSION)) == ([], [record])


def test_a_file_left_over_doubles_nothing_and_makes_no_new_publication(lake: Lake) -> None:
    record = tried(errors={"ServerError": met(1)})
    tell(lake, record)
    publish(lake)
    before = [lake.manifest(dataset, SESSION) for dataset in ("performance", "errors")]
    tell(lake, record)
    publish(lake)
    assert [lake.manifest(dataset, SESSION) for dataset in ("performance", "errors")] == before
    assert len(rows(lake, "performance", "state")) == len(rows(lake, "errors", "error")) == 1
    assert files(lake) == []


def test_later_tries_join_those_that_are_published(lake: Lake) -> None:
    tell(lake, tried(state="failed", error="ServerError"))
    publish(lake)
    tell(lake, tried(try_number=2))
    publish(lake)
    shown = ("try_number", "state", "error")
    assert rows(lake, "performance", *shown) == [(1, "failed", "ServerError"), (2, "success", "")]


def test_of_two_who_publish_at_once_none_loses_what_the_other_knew(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(lake, tried(map_index=0))
    compose, between = performance.as_table, [tried(map_index=1)]

    def while_it_composes(*arguments: object) -> object:
        made = compose(*arguments)  # type: ignore[arg-type]
        if between:
            tell(lake, between.pop())
            publish(lake)
        return made

    monkeypatch.setattr(performance, "as_table", while_it_composes)
    publish(lake)
    assert rows(lake, "performance", "map_index") == [(0,), (1,)]


@pytest.mark.parametrize(
    ("heard", "others", "state"),
    [
        (timedelta(minutes=9), [], "running"),
        (timedelta(minutes=1), [tried(try_number=2)], "killed"),
        (timedelta(minutes=1), [tried(try_number=2, map_index=1)], "running"),
        (timedelta(minutes=10) - timedelta(days=1) + timedelta(seconds=1), [], "running"),
        (timedelta(minutes=10) - timedelta(days=1), [], "killed"),
    ],
)
def test_a_try_whose_place_was_taken_or_that_is_silent_for_a_day_was_killed(
    lake: Lake, heard: timedelta, others: list[TryRecord], state: str
) -> None:
    record = running(heard)
    tell(lake, record, *others)
    assert {each.identity: each.state for each in known_tries(lake, SESSION)}[record.identity] == state


def test_a_session_without_errors_has_none_and_says_so(lake: Lake) -> None:
    tell(lake, tried())
    publish(lake)
    assert rows(lake, "errors", "error") == []
    assert lake.manifest("errors", SESSION) is not None
