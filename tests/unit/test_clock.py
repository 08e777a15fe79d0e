"""Clocks tell aware UTC time, at the speed asked for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bellwether import clock
from bellwether.clock import SimulatedClock, SystemClock


def test_simulated_clock_runs_at_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    elapsed_s = [100.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: elapsed_s[0])
    start = datetime(2025, 7, 1, 13, 30, tzinfo=UTC)
    fast, still = SimulatedClock(start, speed=60), SimulatedClock(start, speed=0)
    elapsed_s[0] += 30
    assert fast.now() == start + timedelta(minutes=30)
    assert still.now() == start


def test_simulated_clock_tells_utc_whatever_zone_it_was_started_in() -> None:
    start = datetime(2025, 7, 1, 9, 30, tzinfo=timezone(timedelta(hours=-4)))
    assert SimulatedClock(start, speed=0).now().isoformat() == "2025-07-01T13:30:00+00:00"


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        SimulatedClock(datetime(2025, 7, 1))  # noqa: DTZ001


def test_system_clock_is_aware() -> None:
    assert SystemClock().now().tzinfo is UTC
