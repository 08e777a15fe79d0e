"""Which heartbeats are told of, and when a recording has stalled."""

from datetime import timedelta

from bellwether.config.settings import StreamingSettings
from bellwether.streaming.lease import Heartbeat
from bellwether.streaming.pulse import Pulse
from tests.unit.streaming.feeds import NOON


def beats(*told: tuple[float, str]) -> list[tuple[bool, bool]]:
    """Return of each heartbeat, so many minutes after the session's start, whether it is due and has stalled."""
    pulse = Pulse(NOON, StreamingSettings())

    def take(minutes: float, state: str) -> tuple[bool, bool]:
        at = NOON + timedelta(minutes=minutes)
        beat = Heartbeat(at_utc=at, state=state, seq=1, rows=1, gaps=0, covered_utc=NOON, lag_s=None, quiet=0)
        found = pulse.take(beat)
        return found.is_due, found.has_stalled

    return [take(*each) for each in told]


def test_a_heartbeat_is_told_of_every_five_minutes() -> None:
    found = beats(*((minutes, "listening") for minutes in (0.0, 2.5, 5.0, 7.5, 12.0)))
    assert [is_due for is_due, _ in found] == [True, False, True, False, True]


def test_a_recorder_that_does_not_listen_for_a_quarter_of_an_hour_has_stalled_and_that_is_said_once() -> None:
    states = [(0, "listening"), (14, "connecting"), (15, "cannot write: full"), (16, "connecting"), (40, "connecting")]
    assert [stalled for _, stalled in beats(*states)] == [False, False, True, False, False]


def test_once_it_listens_again_it_can_stall_again() -> None:
    states = [(16, "connecting"), (17, "listening"), (31, "connecting"), (32, "connecting")]
    assert [stalled for _, stalled in beats(*states)] == [True, False, False, True]


def test_who_listens_to_a_vendor_that_says_nothing_has_stalled_at_once() -> None:
    states = [
        (20, "listening"),
        (21, "stalled: it answers, and broadcasts nothing"),
        (22, "stalled"),
        (23, "listening"),
    ]
    assert [stalled for _, stalled in beats(*states)] == [False, True, False, False]


def test_before_the_session_nothing_stalls() -> None:
    assert beats((-60, "connecting"), (-30, "connecting"), (14, "connecting"))[-1] == (True, False)
