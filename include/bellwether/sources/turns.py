"""Whose turn it is to send a request: the arithmetic of a rate limit shared by many callers.

The state lists the requests of the last window and those who wait. A request holds one of N slots from before
it is sent until a whole window after its answer began. The vendor counts it somewhere in between, so no window
the vendor can look at holds more than N, however long requests are on their way (the transport's timeouts end
them well within a window). A holder that is killed never tells when its answer came; its slot counts from
`lag_s` after it was taken.

Turns go round the lanes that wait, one DAG or the command line each, the least recently served first; within a
lane, to whoever has waited longest. While several lanes send, turns lie a little apart: a lane that asks for one
thing after another is back in line by then, and not left behind by one that asks for many at once. Pure: this
room reads no clock, opens no file and never waits.
"""

import heapq
import math
from dataclasses import dataclass

import msgspec

_DRIFT = 1.005
"""The vendor's clock may be slower than ours: a window is held half a percent longer than it is."""

_LONGEST_PAUSE_WINDOWS = 2.0
_REMEMBERED_WINDOWS = 10.0
"""How long a place in the line is kept for a caller that said it would come back."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How much may be sent.

    Parameters
    ----------
    requests
        Most requests in any window.
    window_s
        The window's length, seconds.
    """

    requests: int
    window_s: float = 60.0

    @property
    def lag_s(self) -> float:
        """The longest a request is thought to be on its way when nobody lived to tell: 10 s of a minute."""
        return self.window_s / 6

    @property
    def beat_s(self) -> float:
        """How often a waiting caller shows that it lives; silent for two beats, it is passed over."""
        return self.window_s / 60

    @property
    def gap_s(self) -> float:
        """How far apart turns lie while several lanes send; it delays the first window only, the next ones keep it."""
        return min(2 * self.beat_s, self.window_s / self.requests / 2)


class Slot(msgspec.Struct):
    """A request: `sent_s` is when the vendor has counted it at the latest."""

    id: str
    lane: str
    taken_s: float
    sent_s: float


class Waiter(msgspec.Struct):
    """Somebody who waits; `seen_s` is None while it is away and has only its place kept, until `forget_s`."""

    id: str
    lane: str
    caller: str
    since_s: float
    seen_s: float | None
    forget_s: float


class State(msgspec.Struct):
    """All that is shared: the slots in the order they were taken, the waiters, and until when nothing is sent."""

    slots: list[Slot] = msgspec.field(default_factory=list)
    waiters: list[Waiter] = msgspec.field(default_factory=list)
    paused_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: `id` is this request's alone; `caller` outlives the process, for one that goes and comes back."""

    id: str
    lane: str
    caller: str


def ask(state: State, rules: Rules, now_s: float, asker: Asker, patience_s: float) -> float:
    """Take a slot if it is the asker's turn, else stand in line.

    Returns
    -------
    Seconds until the asker's turn as far as can be foreseen, to the microsecond; 0 when it has its slot. More than
    `patience_s`: it left the line, and its place in the lane is kept for when the same caller asks again.
    """
    _tidy(state, rules, now_s)
    me = _stand_in_line(state, rules, now_s, asker)
    # A sum and a difference of clock times are not exact: of a window of 60 s up to 60.00000001 s would be left.
    wait_s = round(max(0.0, _turn_s(state, rules, now_s, me) - now_s), 6)
    if wait_s == 0:
        state.waiters.remove(me)
        state.slots.append(Slot(me.id, me.lane, now_s, now_s + rules.lag_s))
    elif wait_s > patience_s:
        me.seen_s = None
        me.forget_s = now_s + wait_s + _REMEMBERED_WINDOWS * rules.window_s
    return wait_s


def settle(state: State, rules: Rules, now_s: float, asker: Asker) -> None:
    """Note that the vendor has counted the asker's request by now."""
    _tidy(state, rules, now_s)
    state.slots = [msgspec.structs.replace(slot, sent_s=now_s) if slot.id == asker.id else slot for slot in state.slots]
    if all(slot.id != asker.id for slot in state.slots):  # it was under way for longer than a window
        state.slots.append(Slot(asker.id, asker.lane, now_s, now_s))


def leave(state: State, asker: Asker) -> None:
    """Leave the line for good."""
    state.waiters = [waiter for waiter in state.waiters if waiter.id != asker.id]


def pause(state: State, rules: Rules, now_s: float, pause_s: float | None) -> None:
    """Let nobody send for `pause_s`, at most two windows; one window where the vendor did not say how long."""
    _tidy(state, rules, now_s)
    pause_s = rules.window_s if pause_s is None else min(pause_s, _LONGEST_PAUSE_WINDOWS * rules.window_s)
    state.paused_s = max(state.paused_s, now_s + pause_s)


def _tidy(state: State, rules: Rules, now_s: float) -> None:
    """Drop what is over, and count times that lie too far ahead from now.

    Such times are of an earlier boot of the machine, whose clock began anew. Those that are not too far ahead err
    on the safe side: more time has passed since than the clock shows.
    """
    if state.paused_s > now_s + _LONGEST_PAUSE_WINDOWS * rules.window_s:
        state.paused_s = now_s + rules.window_s
    for slot in state.slots:
        slot.taken_s, slot.sent_s = min(slot.taken_s, now_s), min(slot.sent_s, now_s + rules.lag_s)
    for waiter in state.waiters:
        waiter.since_s = min(waiter.since_s, now_s)
        waiter.seen_s = None if waiter.seen_s is None else min(waiter.seen_s, now_s)
        waiter.forget_s = min(waiter.forget_s, now_s + 2 * _REMEMBERED_WINDOWS * rules.window_s)
    state.slots = [slot for slot in state.slots if _free_s(slot.sent_s, rules) > now_s]
    state.waiters = [waiter for waiter in state.waiters if waiter.forget_s > now_s]


def _stand_in_line(state: State, rules: Rules, now_s: float, asker: Asker) -> Waiter:
    me = next((waiter for waiter in state.waiters if waiter.id == asker.id), None)
    if me is None:
        kept = (waiter for waiter in state.waiters if waiter.seen_s is None and waiter.caller == asker.caller)
        me = min(kept, key=lambda waiter: waiter.since_s, default=None)
    if me is None:
        me = Waiter(asker.id, asker.lane, asker.caller, now_s, now_s, now_s)
        state.waiters.append(me)
    me.id, me.lane, me.seen_s, me.forget_s = asker.id, asker.lane, now_s, now_s + rules.window_s
    return me


def _turn_s(state: State, rules: Rules, now_s: float, me: Waiter) -> float:
    """Hand out the slots in thought, as they become free, until it is `me`."""
    free_s = sorted(_free_s(slot.sent_s, rules) for slot in state.slots)
    # A limit that was lowered leaves more slots taken than there are: the first to become free are not given again.
    free_s = free_s[max(0, len(free_s) - rules.requests) :]
    free_s = [now_s] * (rules.requests - len(free_s)) + free_s
    lanes: dict[str, list[Waiter]] = {}
    for waiter in sorted(state.waiters, key=lambda waiter: (waiter.since_s, waiter.id)):
        if waiter.seen_s is not None and waiter.seen_s >= now_s - 2 * rules.beat_s:
            lanes.setdefault(waiter.lane, []).append(waiter)
    served = {slot.lane: turn for turn, slot in enumerate(state.slots, start=-len(state.slots))}
    gap_s = rules.gap_s if len(lanes.keys() | served.keys()) > 1 else 0.0
    last_s = max((slot.taken_s for slot in state.slots), default=-math.inf)
    for turn in range(len(state.waiters)):
        turn_s = last_s = max(heapq.heappop(free_s), state.paused_s, last_s + gap_s, now_s)
        lane = min(lanes, key=lambda lane: (served.get(lane, -math.inf), lanes[lane][0].since_s))
        if lanes[lane].pop(0) is me:
            return turn_s
        if not lanes[lane]:
            del lanes[lane]
        served[lane] = turn
        heapq.heappush(free_s, _free_s(turn_s, rules))
    raise AssertionError  # pragma: no cover - `me` stands in line


def _free_s(sent_s: float, rules: Rules) -> float:
    return sent_s + rules.window_s * _DRIFT
