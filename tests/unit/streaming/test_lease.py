"""The lease: a wish that its writer end is seen once, by that writer alone."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bellwether.errors import LeaseHeld
from bellwether.lake import Lake
from bellwether.lake.local import LocalStorage
from bellwether.streaming.batches import Writer
from bellwether.streaming.lease import Heartbeat, Lease, ask_to_stop, read_lease
from tests.unit.streaming.feeds import NOON, SESSION

BEAT = Heartbeat(at_utc=NOON, state="listening", seq=1, rows=1, gaps=0, covered_utc=NOON, lag_s=None, quiet=0)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True)


def taken(lake: Lake, writer: Writer) -> Lease:
    lease = Lease(lake, "equities", SESSION, writer)
    lease.take(NOON)
    return lease


def test_a_writer_sees_at_its_next_renewal_that_somebody_wants_it_to_end_and_who(lake: Lake) -> None:
    lease = taken(lake, Writer("run", 1, 10))
    assert ask_to_stop(lake, "equities", SESSION, "ada on desk") is not None
    assert lease.stop is None
    for _ in range(2):
        lease.renew(NOON, BEAT)
        assert lease.stop is not None
        assert lease.stop.by == "ada on desk"
    lease.release(NOON, BEAT)
    released = read_lease(lake, "equities", SESSION)
    assert released is not None
    assert (released.is_released, released.stop) == (True, lease.stop)


@pytest.mark.parametrize("is_released", [True, False])
def test_a_new_try_is_not_stopped_by_what_was_asked_of_the_one_before(lake: Lake, is_released: bool) -> None:
    lease = taken(lake, Writer("run", 1, 10))
    ask_to_stop(lake, "equities", SESSION, "ada")
    if is_released:
        lease.release(NOON, BEAT)
    newer = taken(lake, Writer("run", 2, 11))
    newer.renew(NOON, BEAT)
    assert newer.stop is None


def test_what_is_asked_between_two_processes_of_one_try_is_seen_by_the_second(lake: Lake) -> None:
    taken(lake, Writer("run", 1, 10))
    ask_to_stop(lake, "equities", SESSION, "ada")
    assert taken(lake, Writer("run", 1, 11)).stop is not None


def test_nobody_is_asked_where_nobody_records(lake: Lake) -> None:
    assert ask_to_stop(lake, "equities", SESSION, "ada") is None
    taken(lake, Writer("run", 1, 10)).release(NOON, BEAT)
    ended = ask_to_stop(lake, "equities", SESSION, "ada")
    assert ended is not None
    assert (ended.is_released, ended.stop) == (True, None)


def test_a_wish_and_a_renewal_at_once_lose_neither(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = taken(lake, Writer("run", 1, 10))
    swap = LocalStorage.swap

    def overtaken(*args: Any, **options: Any) -> bool:
        """Let somebody ask after the renewal has read the lease."""
        monkeypatch.setattr(LocalStorage, "swap", swap)
        ask_to_stop(lake, "equities", SESSION, "ada")
        return swap(*args, **options)

    monkeypatch.setattr(LocalStorage, "swap", overtaken)
    lease.renew(NOON + timedelta(seconds=15), BEAT)
    stored = read_lease(lake, "equities", SESSION)
    assert stored is not None
    assert (stored.renewed_utc, stored.stop) == (NOON + timedelta(seconds=15), lease.stop)
    assert lease.stop is not None


def test_how_long_a_lease_is_good_is_its_writers_to_say(lake: Lake) -> None:
    Lease(lake, "equities", SESSION, Writer("run", 1, 10), timedelta(minutes=7)).take(NOON)
    stored = read_lease(lake, "equities", SESSION)
    assert stored is not None
    assert stored.expires_after_s == 420.0
    with pytest.raises(LeaseHeld):
        taken(lake, Writer("another", 1, 11))
