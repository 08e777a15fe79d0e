"""What waits: order, room, and drops that are told in their place."""

from bellwether.streaming.inbox import Dropped, Inbox, Listening, stretches
from bellwether.streaming.recorder import backoff_s
from tests.unit.streaming.feeds import bar, frame


def test_what_is_waiting_stays_until_it_is_done() -> None:
    inbox = Inbox(1000)
    inbox.put(frame(bar(), bar()))
    inbox.note(Listening(1))
    assert (len(inbox), inbox.events, inbox.notes) == (2, 2, 1)
    assert inbox.waiting() == inbox.waiting()
    inbox.done(2)
    assert (len(inbox), inbox.events, inbox.notes, inbox.waiting()) == (0, 0, 0, [])


def test_frames_without_room_are_counted_where_they_would_have_been() -> None:
    first, second, third, fourth = (frame(bar(minute=m), arrived_s=60 * m) for m in range(4))
    inbox = Inbox(len(first.content))
    for each in (first, second, third):
        inbox.put(each)
    assert inbox.waiting() == [first]
    inbox.done(1)
    inbox.put(fourth)
    assert inbox.waiting() == [Dropped(2, third.arrived_ms), fourth]


def test_what_comes_after_a_clock_was_set_back_is_no_older_than_what_came_before() -> None:
    inbox = Inbox(1000)
    for arrived_s in (61.0, 31.0, 62.0):
        inbox.put(frame(bar(), arrived_s=arrived_s))
    assert inbox.waiting() == [frame(bar(), arrived_s=arrived_s) for arrived_s in (61.0, 61.0, 62.0)]


def test_drops_are_told_of_when_nothing_comes_after_them() -> None:
    inbox = Inbox(0)
    inbox.put(frame(bar(), arrived_s=1))
    assert inbox.waiting() == [Dropped(1, frame(arrived_s=1).arrived_ms)]


def test_frames_that_follow_each_other_are_written_together_up_to_a_number_of_events() -> None:
    one, two, three, four = (frame(bar(minute=minute)) for minute in range(4))
    items = [one, two, three, Listening(1), Listening(2), four]
    assert list(stretches(items, 9)) == [[one, two, three], Listening(1), Listening(2), [four]]
    assert list(stretches(items, 2)) == [[one, two], [three], Listening(1), Listening(2), [four]]


def test_waits_grow_to_half_a_minute_and_are_drawn_from_the_whole_range() -> None:
    assert [backoff_s(failures, 1.0) for failures in (0, 1, 2, 6, 50)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert backoff_s(3, 0.25) == 1.0
