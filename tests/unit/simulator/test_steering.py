from datetime import UTC, datetime, timedelta

import pytest

from bellwether.clock import SimulatedClock
from bellwether.simulator.steering import SteeredClock

NOON = datetime(2024, 7, 2, 16, tzinfo=UTC)
NOON_MS = int(NOON.timestamp()) * 1000


def test_it_tells_the_time_of_the_clock_it_follows() -> None:
    clock = SteeredClock(SimulatedClock(NOON, speed=0))
    assert (clock.now(), clock.now_ms()) == (NOON, NOON_MS)
    clock.follow(SimulatedClock(NOON + timedelta(hours=1), speed=0))
    assert clock.now_ms() == NOON_MS + 3_600_000
    clock.stand_at(NOON_MS + 1)
    assert clock.now() == NOON + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("speed", "left_ms", "seconds"),
    [(0.0, 60_000, float("inf")), (0.0, 0, 0.0), (0.0, -1, 0.0), (60.0, 60_000, 1.0), (1.0, 60_000, 60.0)],
)
def test_real_time_to_a_moment_follows_from_the_speed(speed: float, left_ms: int, seconds: float) -> None:
    clock = SteeredClock(SimulatedClock(NOON, speed=speed))
    assert clock.seconds_until(NOON_MS + left_ms) == pytest.approx(seconds, abs=0.05)
