"""What faults make of a stream, and the order in which a connection takes its steps."""

import json
from typing import Any

import pytest

from bellwether.simulator.faults import Fault
from bellwether.simulator.feed.faults import struck
from bellwether.simulator.feed.outbox import Abort, Close, Hold, Mute, Outbox, Ping, Send, SendLater, Step
from bellwether.simulator.feed.points import FEED_FAULTS

FRAME = Send(b'[{"ev":"AM","sym":"SPY"}]')
NEXT = Send(b'[{"ev":"AM","sym":"QQQ"}]')


def done(*steps: Step) -> list[Step]:
    outbox = Outbox()
    outbox.put(steps)
    return list(iter(outbox.next, None))


def suffered(kind: str, **parameters: Any) -> list[Step]:
    """Return what is done where the first of two frames suffers a fault."""
    return done(*struck(Fault(kind=kind, **parameters), [FRAME]), NEXT)


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        ("abort", {}, [Abort()]),
        ("close", {"code": 1001}, [Close(1001)]),
        ("mute", {}, [Mute()]),
        ("stall", {"pause_s": 90}, [Hold(90, deaf=True), FRAME, NEXT]),
        ("duplicate", {}, [FRAME, FRAME, NEXT]),
        ("reorder", {}, [NEXT, FRAME]),
        ("cut_frame", {}, [Send(b'[{"ev":"AM",'), NEXT]),
    ],
)
def test_what_comes_of_two_frames(kind: str, parameters: dict[str, Any], expected: list[Step]) -> None:
    assert suffered(kind, **parameters) == expected


def test_garbage_comes_beside_the_frame_and_is_no_json() -> None:
    garbage, *rest = suffered("garbage")
    assert rest == [FRAME, NEXT]
    assert isinstance(garbage, Send)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(garbage.frame)


def test_a_huge_frame_says_the_same_in_two_mebibytes() -> None:
    huge, following = suffered("huge_frame")
    assert isinstance(huge, Send)
    assert len(huge.frame) == 2 * 1024 * 1024
    assert json.loads(huge.frame) == json.loads(FRAME.frame)
    assert following == NEXT


@pytest.mark.parametrize("size", [100, 1_000, 100_000])
def test_a_torn_frame_declares_more_than_it_sends(size: int) -> None:
    (torn,) = struck(Fault(kind="torn_frame"), [Send(b"x" * size)])
    assert isinstance(torn, Abort)
    header = {100: b"\x81d", 1_000: b"\x81\x7e\x03\xe8", 100_000: b"\x81\x7f" + (100_000).to_bytes(8)}[size]
    assert torn.torn == header + b"x" * (size // 2)


def test_a_late_answer_to_the_key_waits_and_pings_are_answered() -> None:
    assert done(*struck(Fault(kind="late_auth", pause_s=5), [FRAME])) == [Hold(5, deaf=False), FRAME]


@pytest.mark.parametrize(("kind", "status"), [("auth_failed", "auth_failed"), ("max_connections", "max_connections")])
def test_a_refusal_is_told_and_closes(kind: str, status: str) -> None:
    told, closed = done(*struck(Fault(kind=kind), [FRAME]))
    assert isinstance(told, Send)
    assert json.loads(told.frame)[0]["status"] == status
    assert closed == Close(1008)


@pytest.mark.parametrize("kind", sorted(FEED_FAULTS))
def test_every_kind_can_strike_at_every_point_it_names(kind: str) -> None:
    for point in FEED_FAULTS[kind]:
        assert struck(Fault(kind=kind, at=point), [FRAME])


@pytest.mark.parametrize("last", [Close(1000), Abort(), Mute()])
def test_nothing_follows_an_end(last: Step) -> None:
    assert done(FRAME, last, NEXT, Close(1001), Ping(b"1")) == [FRAME, last]


def test_what_waits_is_counted_and_can_be_dropped() -> None:
    outbox = Outbox()
    outbox.put([FRAME, Ping(b"1"), NEXT, SendLater(b"late")])
    assert outbox.waiting_bytes == len(FRAME.frame) + len(NEXT.frame)
    assert outbox.next() == FRAME
    assert outbox.waiting_bytes == len(NEXT.frame)
    outbox.replace([Close(1008)])
    assert (outbox.waiting_bytes, outbox.next(), outbox.next()) == (0, Close(1008), None)
