"""What a fault makes of the steps that were to be taken. When one strikes is decided elsewhere."""

from collections.abc import Callable, Sequence

from bellwether.simulator.faults import Fault
from bellwether.simulator.feed.outbox import Abort, Close, Hold, Mute, Send, SendLater, Step
from bellwether.simulator.feed.session import AUTH_FAILED, MAX_CONNECTIONS

_HUGE_BYTES = 2 * 1024 * 1024
_GARBAGE = Send(b'\x7b"ev":"AM","sym":<!DOCTYPE html><html>502 Bad Gateway</html>')

type _Change = Callable[[Fault, Sequence[Step]], Sequence[Step]]


def struck(fault: Fault, steps: Sequence[Step]) -> Sequence[Step]:
    """Return what is done instead of `steps`: the answer, or the frame, at the point where `fault` strikes."""
    return _CHANGES[fault.kind](fault, steps)


def _each(change: Callable[[bytes], Step]) -> _Change:
    """Return a change of every frame; steps of other kinds stay."""
    return lambda _, steps: [change(step.frame) if isinstance(step, Send) else step for step in steps]


def _torn(frame: bytes) -> Abort:
    # The bytes as they would be on the wire, unmasked: final text frame, length, half of the payload.
    size = len(frame)
    if size < 126:
        length = bytes([size])
    elif size < 65_536:
        length = bytes([126]) + size.to_bytes(2)
    else:
        length = bytes([127]) + size.to_bytes(8)
    return Abort(b"\x81" + length + frame[: size // 2])


_CHANGES: dict[str, _Change] = {
    "abort": lambda _, __: [Abort()],
    "close": lambda fault, _: [Close(fault.code)],
    "mute": lambda _, __: [Mute()],
    "stall": lambda fault, steps: [Hold(fault.pause_s, deaf=True), *steps],
    "garbage": lambda _, steps: [_GARBAGE, *steps],
    "auth_failed": lambda _, __: AUTH_FAILED,
    "late_auth": lambda fault, steps: [Hold(fault.pause_s, deaf=False), *steps],
    "max_connections": lambda _, __: MAX_CONNECTIONS,
    "duplicate": lambda _, steps: [*steps, *steps],
    "reorder": _each(SendLater),
    "cut_frame": _each(lambda frame: Send(frame[: len(frame) // 2])),
    "torn_frame": _each(_torn),
    "huge_frame": _each(lambda frame: Send(frame.ljust(_HUGE_BYTES))),
}
