"""The arithmetic of the shared rate limit, under a clock of its own: what the vendor sees, and whose turn it is."""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bellwether.sources.turns import Asker, Rules, State, ask, leave, pause, settle

FREE_PLAN = Rules(5)
FOREVER = float("inf")


@dataclass(frozen=True)
class Caller:
    """Sends `requests` one after another; each is `transit_s` on its way, and answered `answer_s` later."""

    lane: str
    start_s: float = 0.0
    requests: int = 1
    transit_s: float = 0.0
    answer_s: float = 0.0
    killed: bool = False
    patience_s: float = FOREVER


@dataclass
class World:
    """Callers that wait, send and die, in the order of a simulated clock; what the vendor counts, and when."""

    rules: Rules
    state: State = field(default_factory=State)
    seen: list[tuple[float, str]] = field(default_factory=list)
    events: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    number: Iterator[int] = field(default_factory=itertools.count)

    def at(self, time_s: float, call: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (time_s, next(self.number), call))

    def enter(self, caller: Caller) -> None:
        name = f"task {next(self.number)}"

        def request(now_s: float, left: int) -> None:
            asker = Asker(f"request {next(self.number)}", caller.lane, name)
            poll(now_s, asker, left)

        def poll(now_s: float, asker: Asker, left: int) -> None:
            wait_s = ask(self.state, self.rules, now_s, asker, caller.patience_s)
            if wait_s > caller.patience_s:  # deferred: comes back late, in another process
                self.at(now_s + wait_s + 5, lambda later_s: request(later_s, left))
            elif wait_s > 0:
                self.at(now_s + min(wait_s, self.rules.beat_s), lambda later_s: poll(later_s, asker, left))
            else:
                arrival_s = now_s + caller.transit_s
                self.seen.append((arrival_s, caller.lane))
                if not caller.killed:
                    self.at(arrival_s + caller.answer_s, lambda later_s: answered(later_s, asker, left))

        def answered(now_s: float, asker: Asker, left: int) -> None:
            settle(self.state, self.rules, now_s, asker)
            if left > 1:
                request(now_s, left - 1)

        self.at(caller.start_s, lambda now_s: request(now_s, caller.requests))

    def run(self, until_s: float = FOREVER) -> None:
        while self.events and self.events[0][0] <= until_s:
            time_s, _, call = heapq.heappop(self.events)
            call(time_s)

    def most_in_a_window(self) -> int:
        times_s = sorted(time_s for time_s, _ in self.seen)
        return max(sum(start <= other < start + self.rules.window_s for other in times_s) for start in times_s)


def take(state: State, now_s: float, name: str, *, lane: str = "a", rules: Rules = FREE_PLAN) -> float:
    return ask(state, rules, now_s, Asker(name, lane, name), FOREVER)


def full(now_s: float = 0.0) -> State:
    state = State()
    for number in range(5):
        assert take(state, now_s, f"first {number}", lane="first") == 0
        settle(state, FREE_PLAN, now_s, Asker(f"first {number}", "first", ""))
    return state


@settings(max_examples=150, deadline=None)
@given(
    limit=st.integers(1, 6),
    callers=st.lists(
        st.builds(
            Caller,
            lane=st.sampled_from("abc"),
            start_s=st.floats(0, 200),
            requests=st.integers(1, 6),
            transit_s=st.floats(0, 10),
            answer_s=st.floats(0, 30),
            killed=st.booleans(),
            patience_s=st.sampled_from([0.0, 60.0, FOREVER]),
        ),
        min_size=1,
        max_size=12,
    ),
    slow=st.floats(0, 30),
)
def test_no_window_holds_more_than_the_limit_and_everybody_gets_through(
    limit: int, callers: list[Caller], slow: float
) -> None:
    world = World(Rules(limit))
    for caller in callers:
        # Of a killed holder it must be assumed that its request arrived within the lag; a living one may be slower.
        world.enter(caller if caller.killed else replace(caller, transit_s=max(caller.transit_s, slow)))
    world.run()
    assert world.most_in_a_window() <= limit
    assert len(world.seen) == sum(1 if caller.killed else caller.requests for caller in callers)


def test_the_free_plan_is_used_up_while_work_is_left() -> None:
    world = World(FREE_PLAN)
    for _ in range(4):
        world.enter(Caller("equities_daily", requests=100, transit_s=0.1, answer_s=0.3))
    world.run(until_s=12 * 60)
    assert world.most_in_a_window() == 5
    assert len(world.seen) >= 0.98 * 12 * 5


@pytest.mark.parametrize("patience_s", [60.0, FOREVER], ids=["deferring", "waiting"])
def test_a_long_backfill_of_many_tasks_leaves_a_single_one_half_of_the_budget(patience_s: float) -> None:
    world = World(FREE_PLAN)
    for _ in range(8):
        world.enter(Caller("backfill", requests=500, answer_s=0.2, patience_s=patience_s))
    world.enter(Caller("daily", start_s=120, requests=500, answer_s=0.2))
    world.run(until_s=120 + 20 * 60)
    shares = Counter(lane for time_s, lane in world.seen if time_s >= 180)
    assert abs(shares["daily"] - shares["backfill"]) <= 5
    assert shares.total() >= 0.95 * 19 * 5


def test_tasks_that_defer_are_served_as_often_as_those_that_wait() -> None:
    world = World(FREE_PLAN)
    for number in range(12):
        world.enter(Caller(f"task{number}", requests=10, answer_s=0.2, patience_s=60.0))
    world.run(until_s=20 * 60)
    served = Counter(lane for _, lane in world.seen)
    assert min(served.values()) >= 6
    same_lane = World(FREE_PLAN)
    for _ in range(12):
        same_lane.enter(Caller("backfill", requests=5, answer_s=0.2, patience_s=60.0))
    same_lane.run()
    assert len(same_lane.seen) == 60
    assert max(same_lane.seen)[0] < 13.5 * 60


def test_within_a_lane_first_come_is_first_served() -> None:
    state, one = full(), Rules(1)
    waits_s = [take(state, 1.5 + number / 10, f"waiter {number}", rules=one) for number in range(4)]
    again_s = [take(state, 2.0, f"waiter {number}", rules=one) for number in reversed(range(4))]
    assert waits_s == sorted(waits_s)
    assert again_s == sorted(again_s, reverse=True)


def test_a_waiter_that_was_killed_is_passed_over_after_two_beats() -> None:
    one, state = Rules(1), State()
    take(state, 0, "sender", rules=one)
    settle(state, one, 0, Asker("sender", "a", ""))
    take(state, 59, "killed", rules=one)
    take(state, 60, "waiting", rules=one)
    assert take(state, 60.4, "waiting", rules=one) > 1  # the slot is free, but another's
    assert take(state, 61.1, "waiting", rules=one) == 0


def test_a_waiter_that_was_only_slow_finds_its_place_again() -> None:
    one, state = Rules(1), State()
    take(state, 0, "sender", rules=one)
    take(state, 1, "slow", rules=one)
    take(state, 2, "other", rules=one)
    take(state, 30, "other", rules=one)
    assert take(state, 30, "slow", rules=one) < take(state, 30, "other", rules=one)


def test_who_leaves_the_line_is_not_waited_for() -> None:
    one, state = Rules(1), State()
    take(state, 0, "sender", rules=one)
    take(state, 1, "impatient", rules=one)
    before_s = take(state, 1, "next", rules=one)
    leave(state, Asker("impatient", "a", ""))
    assert take(state, 1, "next", rules=one) < before_s - 50


def test_a_refused_caller_takes_nothing_and_comes_back_to_its_place() -> None:
    state = full()
    first = Asker("r1", "a", "task 1")
    assert 58 < ask(state, FREE_PLAN, 1.0, first, patience_s=50.0) < 60
    assert len(state.slots) == 5
    one = Rules(1)
    assert take(state, 2.0, "other", rules=one) < 60  # not kept waiting by one that is away
    again_s = ask(state, one, 2.0, Asker("r2", "a", "task 1"), FOREVER)
    assert again_s < take(state, 2.0, "other", rules=one)


def test_a_killed_holder_counts_as_if_its_request_had_arrived_late() -> None:
    one, state = Rules(1), State()
    take(state, 0, "killed", rules=one)
    assert take(state, 70, "next", rules=one) > 0
    assert take(state, 70.4, "next", rules=one) == 0


def test_a_lowered_limit_holds_at_once() -> None:
    state, two = full(), Rules(2)
    assert take(state, 60.2, "next", rules=two) > 0
    staggered = State()
    for second in range(5):
        take(staggered, second, f"{second}")
        settle(staggered, FREE_PLAN, second, Asker(f"{second}", "a", ""))
    assert take(staggered, 62, "next", rules=two) == pytest.approx(1.3)  # three of five must have expired, and one more


@pytest.mark.parametrize(
    ("asked_s", "pause_s"),
    [
        pytest.param(None, 60, id="the vendor mostly does not say"),
        pytest.param(30.0, 30, id="as it says"),
        pytest.param(1e9, 120, id="never for ever"),
    ],
)
def test_after_a_429_nobody_sends(asked_s: float | None, pause_s: float) -> None:
    state = State()
    pause(state, FREE_PLAN, 100.0, asked_s)
    assert take(state, 100.0, "x") == pytest.approx(pause_s)
    assert take(state, 100.0 + pause_s, "x") == 0


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    state = State()
    pause(state, FREE_PLAN, 0.0, 90.0)
    pause(state, FREE_PLAN, 1.0, 10.0)
    assert take(state, 1.0, "x") == pytest.approx(89.0)


def test_after_a_reboot_the_clock_begins_anew_and_what_was_sent_counts_from_now() -> None:
    state = full(now_s=1_000_000.0)
    take(state, 1_000_000.0, "waiting then")
    pause(state, FREE_PLAN, 1_000_000.0, 60.0)
    assert 70.3 <= take(state, 50.0, "x") <= 75
    assert take(state, 125, "x") == 0


def test_a_window_is_as_long_whatever_the_clock_shows() -> None:
    assert {take(State(paused_s=FOREVER), number / 7, "x") for number in range(1000)} == {60}
