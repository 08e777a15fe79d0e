"""What is at work on a lake: who lives, who is dead, and how one is asked to end."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bellwether.config.settings import StreamingSettings
from bellwether.errors import LeaseHeld, Stopped
from bellwether.lake import Lake, paths
from bellwether.monitoring import workers as room
from bellwether.monitoring.workers import Registration, Worker, has_ended, stop, whoever_asks, workers
from bellwether.streaming.batches import Writer
from bellwether.streaming.gaps import ALL, GapLog
from bellwether.streaming.lease import Heartbeat, Lease
from tests.unit.streaming.feeds import NOON, SESSION, Hand


class Machine(Hand):
    """The machines' clock, which begins at the real time, as that of the files does."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def lake(tmp_path: Path, machine: Machine) -> Lake:
    return Lake.open(tmp_path, simulated=True, clock=machine)


def found(lake: Lake) -> list[Worker]:
    return workers(lake, StreamingSettings())


def beat(state: str, behind_min: float = 0) -> Heartbeat:
    covered = NOON - timedelta(minutes=behind_min)
    return Heartbeat(at_utc=NOON, state=state, seq=1, rows=1, gaps=0, covered_utc=covered, lag_s=None, quiet=0)


def leased(lake: Lake, dataset: str = "equities", state: str = "listening", behind_min: float = 0) -> Lease:
    lease = Lease(lake, dataset, SESSION, Writer("run", 1, 10))
    lease.take(NOON)
    lease.renew(NOON, beat(state, behind_min))
    return lease


def test_streams_that_are_not_released_are_at_work(lake: Lake, machine: Machine) -> None:
    leased(lake)
    leased(lake, "indices").release(NOON, beat("ended"))
    machine.move(12)
    [stream] = found(lake)
    assert (stream.id, stream.kind, stream.dataset, stream.session) == (
        "equities-2024-07-03",
        "stream",
        "equities",
        SESSION,
    )
    assert (stream.writer, stream.state, stream.age_s, stream.condition) == ("run~t1~p10", "listening", 12.0, "alive")


def test_one_that_has_not_renewed_its_lease_is_shown_as_dead_for_a_day(lake: Lake, machine: Machine) -> None:
    leased(lake)
    machine.move(91)
    assert [each.condition for each in found(lake)] == ["dead"]
    machine.move(86_400)
    assert found(lake) == []


@pytest.mark.parametrize(
    ("state", "behind_min", "condition"),
    [
        ("listening", 600, "alive"),
        ("connecting", 14, "alive"),
        ("connecting", 15, "stalled"),
        ("waiting", 600, "alive"),
        ("failing: boom", 600, "alive"),
        ("stalled: boom", 0, "stalled"),
    ],
)
def test_one_that_hears_nothing_for_long_has_stalled(lake: Lake, state: str, behind_min: float, condition: str) -> None:
    leased(lake, state=state, behind_min=behind_min)
    assert [each.condition for each in found(lake)] == [condition]


def test_gaps_that_last_are_counted(lake: Lake) -> None:
    leased(lake)
    gaps = GapLog(lake, "equities", SESSION, "test")
    gaps.end(gaps.open(NOON, ALL, "late_start", NOON, ""), NOON)
    gaps.open(NOON, ALL, "dropped", NOON, "")
    assert [each.open_gaps for each in found(lake)] == [1]


def test_a_stream_is_asked_by_its_lease_and_has_ended_when_that_is_released(lake: Lake) -> None:
    lease = leased(lake)
    [stream] = found(lake)
    stop(lake, stream, "ada on desk")
    [asked] = found(lake)
    assert (asked.condition, asked.stop_by, has_ended(lake, stream)) == ("stopping", "ada on desk", False)
    lease.release(NOON, beat("stopped"))
    assert has_ended(lake, stream)


def test_where_another_goes_on_instead_nothing_has_ended(lake: Lake) -> None:
    leased(lake)
    [stream] = found(lake)
    stop(lake, stream, "ada on desk")
    Lease(lake, "equities", SESSION, Writer("run", 2, 11)).take(NOON)
    with pytest.raises(LeaseHeld, match="run~t1~p10 is gone, and run~t2~p11 goes on instead: ask again"):
        has_ended(lake, stream)


def test_a_backfill_is_known_while_it_runs_and_ends_where_it_can_when_it_is_asked(lake: Lake) -> None:
    def capture(registered: Registration) -> None:
        [backfill] = found(lake)
        assert (backfill.id, backfill.kind, backfill.dataset, backfill.session) == (
            registered.id,
            "backfill",
            "equities",
            None,
        )
        assert backfill.state == "2024-07-01 to 2024-07-05: begins"
        assert backfill.writer.endswith(f" pid {os.getpid()}")
        registered.go_on()
        stop(lake, backfill, "ada on desk")
        assert not has_ended(lake, backfill)
        registered.go_on()

    with (
        pytest.raises(Stopped, match="told to stop by ada on desk"),
        Registration(lake, "equities", "2024-07-01 to 2024-07-05") as registered,
    ):
        capture(registered)
    assert found(lake) == []


def test_a_backfill_says_that_it_lives_and_what_it_is_about(
    lake: Lake, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_BEAT_S", 0.01)
    told = threading.Event()
    swap = lake.storage.swap

    def seen(*args: Any, **options: Any) -> bool:
        done = swap(*args, **options)
        told.set()
        return done

    monkeypatch.setattr(lake.storage, "swap", seen)
    machine.move(-120)
    with Registration(lake, "equities", "all") as registered:
        machine.move(120)
        registered.state = "equities 2024-07-03"
        told.clear()
        assert told.wait(5)
        [backfill] = found(lake)
        assert (backfill.state, backfill.is_dead) == ("all: equities 2024-07-03", False)


def test_one_that_was_killed_is_dead_and_forgotten_after_a_day(lake: Lake, machine: Machine) -> None:
    with Registration(lake, "equities", "all") as killed:
        left = lake.storage.read(paths.worker(killed.id))
    assert left is not None
    lake.storage.write(paths.worker(killed.id), left.content)
    machine.move(91)
    assert [each.condition for each in found(lake)] == ["dead"]
    machine.move(86_400)
    with Registration(lake, "equities", "all") as next_one:
        assert [entry.key.stem for entry in lake.storage.list(paths.workers())] == [next_one.id]


def test_who_asks_has_a_name_also_where_the_user_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", nobody)
    assert whoever_asks().startswith(f"user {os.getuid()} on ")
