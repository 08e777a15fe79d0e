"""Files, gaps and the lease in a lake, without a feed: what is covered, and what is told of what is not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

import pytest

from bellwether.errors import LakeError, LeaseHeld
from bellwether.lake import Lake, paths
from bellwether.lake.local import LocalStorage
from bellwether.operational_schemas import GAPS
from bellwether.streaming.assignment import Assignment, whole_session
from bellwether.streaming.batches import Batches, Position, Writer
from bellwether.streaming.book import Book
from bellwether.streaming.closing import conclude
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.inbox import Added, Alive, Dropped, Frame, Item, Listening, Lost, Refused, stretches
from bellwether.streaming.lease import Heartbeat, Lease, LeaseRecord, read_lease
from tests.unit.streaming.feeds import NOON, NOON_MS, SESSION, Hand, bar, frame

ASSIGNMENT = Assignment(dataset="equities", session=SESSION, start=NOON, until=NOON + timedelta(hours=2))
FIRST, SECOND = Writer("run", 1, 10), Writer("run", 2, 20)
GARBAGE = Frame(b"?", NOON_MS + 65_000)
LATEST = frame(bar(minute=58), arrived_s=3541)  # a minute before the close of this half day


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True)


@pytest.fixture
def hand() -> Hand:
    return Hand()


def began(lake: Lake, hand: Hand, writer: Writer = FIRST, before: Heartbeat | None = None) -> Book:
    book = Book(lake, ASSIGNMENT, writer, FeedTime(hand))
    book.resume(before)
    return book


def given(book: Book, *items: Item) -> None:
    for stretch in stretches(list(items), 1000):
        book.take(stretch)
    if not book.is_settled:
        book.settle()


def gap_log(lake: Lake) -> GapLog:
    return GapLog(lake, "equities", SESSION, "test")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def told(lake: Lake) -> list[tuple[str, datetime, datetime | None]]:
    return [(gap.cause, gap.start_utc, gap.end_utc) for gap in gap_log(lake).read()]


def test_files_are_numbered_on_and_named_by_run_try_and_process(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand, Writer("manual__2024-07-03/x y", 3, 99))
    given(book, frame(bar()), Alive(NOON_MS), frame(bar(minute=1)))
    names = sorted(entry.key.name for entry in lake.storage.list(paths.live("equities", SESSION)))
    assert names == [f"manual__2024-07-03-x-y~t3~p99~{number:06d}.parquet" for number in (1, 2)]
    assert Batches(lake, "equities", SESSION).position() == Position(2, 1, NOON_MS + 61_000)


def test_who_begins_in_time_and_hears_all_leaves_no_gap(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), LATEST, Alive(NOON_MS + 7_200_000))
    hand.move(7200)
    book.finish()
    assert told(lake) == []
    assert book.is_complete
    assert book.heartbeat("ended").covered_utc == ASSIGNMENT.until


def test_a_late_start_is_a_gap_until_the_first_frame(lake: Lake, hand: Hand) -> None:
    hand.move(600)
    book = began(lake, hand)
    assert told(lake) == [("late_start", NOON, None)]
    given(book, Listening(NOON_MS + 601_000), frame(bar(minute=9), arrived_s=611))
    assert told(lake) == [("late_start", NOON, at(671))]


def test_a_first_connection_that_is_not_there_at_the_start_is_a_late_one(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS + 20_000))
    assert told(lake) == [("late_start", NOON, None)]


def test_an_end_that_nobody_answered_for_is_a_gap(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), frame(bar(minute=110), arrived_s=6661))
    hand.move(7200)
    book.finish()
    assert told(lake) == [("unproven", at(6600), at(7200))]


def test_a_connection_lost_before_the_start_is_no_gap_unless_it_is_not_back_in_time(lake: Lake, hand: Hand) -> None:
    hand.move(-600)
    book = began(lake, hand)
    given(book, Listening(NOON_MS - 590_000), Lost("dropped", ""), Listening(NOON_MS - 500_000), Lost("dropped", ""))
    assert told(lake) == []
    given(book, Listening(NOON_MS + 30_000))
    assert told(lake) == [("late_start", NOON, None)]


def test_a_lost_connection_is_a_gap_from_what_was_heard_last_until_something_is_heard_again(
    lake: Lake, hand: Hand
) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), frame(bar(minute=4), arrived_s=301), Lost("dropped", "reset by peer"))
    given(book, *[Lost("unreachable", "refused")] * 2, Listening(NOON_MS + 420_000))
    assert told(lake) == [("dropped", at(240), None)]  # the vendor promises no order: a minute more
    given(book, frame(bar(minute=6), arrived_s=422))
    assert told(lake) == [("dropped", at(240), at(482))]
    assert gap_log(lake).read()[0].evidence == "reset by peer; meanwhile 1 dropped, 2 unreachable"


def test_a_gap_ends_a_minute_after_the_acknowledgement_when_nothing_comes(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Lost("dropped", ""), Listening(NOON_MS + 300_000))
    hand.move(359)
    assert book.is_settled
    hand.move(1)
    assert not book.is_settled
    book.settle()
    assert told(lake) == [("dropped", NOON, at(420))]


def test_frames_dropped_or_unreadable_are_gaps_that_are_over(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), frame(bar(minute=2), arrived_s=181), Dropped(7, NOON_MS + 250_000))
    assert told(lake) == [("overflow", at(120), at(310))]
    given(book, Frame(b"?", NOON_MS + 260_000))
    assert told(lake)[1:] == [("unreadable", at(120), at(320))]


@pytest.mark.parametrize("asked_s", [840, 961, 7200])
def test_a_vendor_that_answers_and_broadcasts_nothing_for_a_quarter_of_an_hour_of_trading_is_not_believed(
    lake: Lake, hand: Hand, asked_s: int
) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), frame(bar()), Alive(NOON_MS + 1000 * asked_s))
    assert book.is_silent == (asked_s > 900)
    assert told(lake) == ([("silent", at(1), None)] if book.is_silent else [])
    assert book.heartbeat("").covered_utc == at(asked_s)  # it is in the gap


def test_a_silence_ends_with_what_is_heard_then_and_not_with_a_new_connection(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), frame(bar()), Alive(NOON_MS + 1_000_000), Lost("dropped", ""))
    given(book, Listening(NOON_MS + 1_100_000))
    hand.move(1160)
    book.settle()
    assert told(lake) == [("silent", at(1), None), ("dropped", at(940), at(1220))]
    given(book, frame(bar(minute=20), arrived_s=1261))
    assert told(lake)[0] == ("silent", at(1), at(1321))
    assert not book.is_silent


def test_a_silence_that_nothing_ended_ends_with_the_session(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), frame(bar()), Alive(NOON_MS + 7_200_000))
    hand.move(7200)
    book.finish()
    assert told(lake) == [("silent", at(1), ASSIGNMENT.until)]


def test_before_the_opening_and_after_the_close_nobody_has_to_trade(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), LATEST, Alive(NOON_MS + 7_000_000))
    early = Book(lake, whole_session("equities", SESSION), SECOND, FeedTime(hand))
    given(early, Listening(NOON_MS - 28_800_000), Alive(NOON_MS - 9_000_000 + 899_000))  # open for 14:59
    assert (book.is_silent, early.is_silent) == (False, False)


def test_what_a_silent_connection_answers_covers_as_rows_do(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), Alive(NOON_MS + 840_000), Lost("dropped", ""))
    assert told(lake) == [("dropped", at(780), None)]


def test_tickers_that_join_or_are_refused_have_gaps_of_their_own(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), frame(bar()), Added(("O:A", "O:B")), Refused(("O:C",), "invalid topic: AM.O:C"))
    given(book, Refused(("O:C",), "once more"), Listening(NOON_MS + 600_000), frame(bar(minute=10), arrived_s=661))
    assert len(told(lake)) == 2
    gaps = {gap.cause: gap for gap in gap_log(lake).read()}
    assert (gaps["not_yet_discovered"].symbols, gaps["not_yet_discovered"].end_utc) == (("O:A", "O:B"), at(720))
    assert (gaps["refused"].symbols, gaps["refused"].end_utc) == (("O:C",), ASSIGNMENT.until)


def test_who_goes_on_and_asks_for_more_opens_a_gap_of_those_nobody_asked_for_before(lake: Lake, hand: Hand) -> None:
    first = began(lake, hand)
    first.ask(["O:OLD"])
    given(first, Listening(NOON_MS), *(frame(bar("O:OLD", m), arrived_s=61 + 60 * m) for m in range(5)))
    given(first, Added(("O:OLD", "O:JOINED")), Lost("stopped", ""))
    hand.move(400)
    second = began(lake, hand, SECOND)
    second.ask(["O:NEW", "O:OLD", "O:JOINED"])
    joined = [(gap.symbols, gap.start_utc, gap.lasts) for gap in gap_log(lake).read() if gap.symbols != ("*",)]
    assert joined == [(("O:JOINED",), NOON, False), (("O:NEW",), NOON, True)]
    given(second, Listening(NOON_MS + 401_000), frame(bar("O:NEW", 6), arrived_s=421))
    assert not [gap for gap in gap_log(lake).read() if gap.lasts]


@pytest.mark.parametrize(("before", "now"), [(["*"], ["SPY"]), (["SPY"], ["SPY"]), (["SPY", "QQQ"], ["SPY"])])
def test_who_goes_on_and_asks_for_no_more_opens_none(lake: Lake, hand: Hand, before: list[str], now: list[str]) -> None:
    began(lake, hand).ask(before)
    began(lake, hand, SECOND).ask(now)
    assert told(lake) == []


def test_whom_a_try_in_between_did_not_ask_for_has_a_gap(lake: Lake, hand: Hand) -> None:
    for writer, symbols in ((FIRST, ["SPY", "QQQ"]), (SECOND, ["SPY"]), (FIRST, ["SPY", "QQQ"])):
        began(lake, hand, writer).ask(symbols)
    assert [(gap.cause, gap.symbols) for gap in gap_log(lake).read()] == [("not_yet_discovered", ("QQQ",))]


def test_a_gap_of_tickers_that_join_lasts_until_they_are_acknowledged(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), Added(("O:A",)), frame(bar(), arrived_s=61))
    assert told(lake) == [("not_yet_discovered", NOON, None)]
    given(book, Listening(NOON_MS + 70_000), frame(bar(minute=1), arrived_s=121))
    assert told(lake) == [("not_yet_discovered", NOON, at(181))]


def test_after_a_crash_the_files_say_where_to_go_on(lake: Lake, hand: Hand) -> None:
    given(began(lake, hand), Listening(NOON_MS), frame(bar(), bar(minute=5), arrived_s=361))
    hand.move(900)
    book = began(lake, hand, SECOND)
    assert told(lake) == [("crash", at(300), None)]
    given(book, Listening(NOON_MS + 901_000), frame(bar(minute=15), arrived_s=962))
    assert told(lake) == [("crash", at(300), at(1021))]
    assert Batches(lake, "equities", SESSION).position() == Position(2, 2, NOON_MS + 960_000)


def test_a_gap_that_a_dead_recorder_left_ends_where_the_next_one_begins(lake: Lake, hand: Hand) -> None:
    given(began(lake, hand), Listening(NOON_MS), frame(bar(minute=4), arrived_s=301), Lost("stopped", "told to stop"))
    hand.move(900)
    began(lake, hand, SECOND)
    assert told(lake) == [("stopped", at(240), at(900)), ("resumed", at(840), None)]


def test_of_two_who_end_a_gap_the_later_end_stands(lake: Lake, hand: Hand) -> None:
    older = began(lake, hand)
    given(older, Listening(NOON_MS), frame(bar()), Lost("dropped", ""))
    hand.move(1800)
    began(lake, hand, SECOND)
    given(older, Listening(NOON_MS + 120_000), frame(bar(minute=2), arrived_s=181))  # thawed
    assert told(lake)[0] == ("dropped", at(0), at(1800))


def test_who_was_replaced_ends_its_own_gaps_alone_and_only_those_nobody_has_ended(lake: Lake, hand: Hand) -> None:
    older = began(lake, hand)
    given(older, Listening(NOON_MS), frame(bar()), Lost("dropped", ""))
    hand.move(600)
    newer = began(lake, hand, SECOND)
    given(older, Added(("O:A",)))  # before it looks at the lease
    hand.move(300)
    older.hand_over()
    ended = {cause: end for cause, _, end in told(lake)}
    assert ended == {"dropped": at(600), "resumed": None, "not_yet_discovered": at(900)}
    given(newer, Listening(NOON_MS + 901_000), LATEST, Alive(NOON_MS + 7_200_000))
    hand.move(6300)
    newer.finish()
    assert not [gap for gap in gap_log(lake).read() if gap.lasts]


def test_the_end_of_a_recording_ends_what_a_replaced_try_left_when_it_was_killed(lake: Lake, hand: Hand) -> None:
    older = began(lake, hand)
    given(older, Listening(NOON_MS), frame(bar()))
    newer = began(lake, hand, SECOND)
    given(newer, Listening(NOON_MS + 70_000), LATEST, Alive(NOON_MS + 7_200_000))
    given(older, Lost("dropped", "killed before it looked at the lease"))
    hand.move(7200)
    newer.finish()
    assert ("dropped", at(0), ASSIGNMENT.until) in told(lake)


def test_what_is_left_of_a_recording_that_ended_is_ended_by_who_concludes(lake: Lake, hand: Hand) -> None:
    held = lease(lake, FIRST)
    held.take(NOON)
    assert held.release(NOON, began(lake, hand).heartbeat("ended"))
    gap_log(lake).open(at(60), ["*"], "dropped", at(65), "a zombie")
    hand.move(7200)
    assert conclude(lake, ASSIGNMENT, FeedTime(hand))
    assert told(lake) == [("dropped", at(60), ASSIGNMENT.until)]


def test_nothing_is_left_to_record_after_an_end_that_the_last_heartbeat_knows_of(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), LATEST, Alive(NOON_MS + 7_200_000))
    hand.move(7200)
    book.finish()
    assert began(lake, hand, SECOND, book.heartbeat("ended")).is_complete
    assert told(lake) == []


def test_nothing_counts_that_is_not_on_disk(lake: Lake, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    book = began(lake, hand)
    before = book.heartbeat("listening")

    def refuse(_storage: LocalStorage, _key: PurePosixPath, _content: bytes) -> None:
        msg = "the disk is full"
        raise LakeError(msg)

    with monkeypatch.context() as full:
        full.setattr(LocalStorage, "write", refuse)
        for item in (frame(bar()), GARBAGE, Lost("dropped", "")):
            with pytest.raises(LakeError):
                given(book, item)
        assert book.heartbeat("listening") == before
    given(book, frame(bar()))
    after = book.heartbeat("listening")
    assert (after.seq, after.rows, after.covered_utc, after.lag_s) == (1, 1, at(60), 1.0)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the endings of names of files that the disk refuses."""
    refused: set[str] = set()
    write = LocalStorage.write

    def refusing(storage: LocalStorage, key: PurePosixPath, content: bytes) -> None:
        if any(word in key.name for word in refused):
            msg = "the disk is full"
            raise LakeError(msg)
        write(storage, key, content)

    monkeypatch.setattr(LocalStorage, "write", refusing)
    return refused


@pytest.mark.parametrize("refused", ["opened.json", "ended.", ".parquet", "equities.json"])
def test_what_is_given_again_after_a_refused_write_leaves_no_gap_twice_and_no_row(
    lake: Lake, hand: Hand, disk: set[str], refused: str
) -> None:
    book = began(lake, hand)
    book.ask(["SPY"])
    given(book, Listening(NOON_MS))
    items = [
        Dropped(3, NOON_MS + 70_000),
        Refused(("XOM",), "invalid topic: AM.XOM"),
        frame(bar(), arrived_s=80),
        Frame(b"?", NOON_MS + 90_000),
        Added(("QQQ",)),
        Lost("dropped", ""),
        Listening(NOON_MS + 100_000),
        frame(bar(minute=1), arrived_s=121),
        Alive(NOON_MS + 122_000),
    ]
    for stretch in stretches(items, 1000):
        disk.add(refused)
        try:
            book.take(stretch)
        except LakeError:
            disk.clear()
            book.take(stretch)
        disk.clear()
    causes = ["dropped", "not_yet_discovered", "overflow", "refused", "unreadable"]
    assert sorted(cause for cause, _, _ in told(lake)) == causes
    assert not [gap for gap in gap_log(lake).read() if gap.lasts]
    assert [table.num_rows for _, table in Batches(lake, "equities", SESSION).read()] == [1, 1]
    heartbeat = book.heartbeat("")
    assert (heartbeat.rows, heartbeat.gaps) == (2, 5)


def test_who_is_killed_between_a_batch_and_its_hole_has_written_the_hole(
    lake: Lake, hand: Hand, disk: set[str]
) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), frame(bar()))
    backlog = [frame(bar(minute=minute), arrived_s=61 + 60 * minute) for minute in range(2, 40)]
    disk.add(".parquet")
    with pytest.raises(LakeError):
        given(book, Frame(b"[{", NOON_MS + 121_000), *backlog)
    assert told(lake) == [("unreadable", NOON, at(181))]


def test_frames_that_cannot_be_read_are_one_hole_with_their_number_and_the_first(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), *(frame(bar(s="2024"), arrived_s=61 + each) for each in range(40)))
    [gap] = gap_log(lake).read()
    assert (gap.cause, gap.start_utc, gap.end_utc, book.heartbeat("").gaps) == ("unreadable", NOON, at(160), 1)
    assert gap.evidence.startswith("40 frames, the first: ")


def test_where_this_machines_clock_is_behind_a_gap_ends_as_much_later(lake: Lake, hand: Hand) -> None:
    book = began(lake, hand)
    given(book, Listening(NOON_MS), *(frame(bar(minute=m), arrived_s=31 + 60 * m) for m in range(10)))
    given(book, Lost("dropped", "where it is 610 s past noon"), Listening(NOON_MS + 632_000))
    given(book, frame(bar(minute=5, v=101), arrived_s=633))  # what was due at 661 there was not heard
    [(_, start, end)] = told(lake)
    assert (start, end) == (at(511), at(633 + 60 + 29))
    assert book.heartbeat("").lag_s == 273.0
    given(book, frame(bar(minute=3000), arrived_s=700), Dropped(1, NOON_MS + 700_000))  # a stamp that is wrong
    assert told(lake)[-1][2] == at(700 + 60 + 300)


def test_gaps_are_rows_with_their_evidence_and_say_which_minutes_they_may_have_hidden(lake: Lake) -> None:
    log = gap_log(lake)
    gap = log.open(at(0), ["*"], "dropped", at(5), "reset")
    assert gap.minutes_at_risk(at(9)) == (at(-960), at(9))
    gap = log.close(log.end(gap, at(60)), at(90), "2 minutes through REST")
    assert log.read() == [gap]
    table = log.table()
    assert table.schema == GAPS
    (row,) = table.to_pylist()
    assert (row["end_utc"], row["closed_utc"], row["evidence"]) == (at(60), at(90), "reset; 2 minutes through REST")
    assert gap_log(lake).open(at(1), ["*"], "dropped", at(6), "").gap_id != gap.gap_id


def lease(lake: Lake, writer: Writer) -> Lease:
    return Lease(lake, "equities", SESSION, writer)


class MachineClock(Hand):
    """The machine's clock, to be moved."""


def test_the_newest_try_of_a_run_is_the_writer_and_the_older_one_learns_of_it(lake: Lake, hand: Hand) -> None:
    older, newer = lease(lake, FIRST), lease(lake, SECOND)
    heartbeat = Book(lake, ASSIGNMENT, FIRST, FeedTime(hand)).heartbeat("listening")
    assert older.take(NOON) is None
    older.renew(at(15), heartbeat)
    assert newer.take(at(16)) == heartbeat
    with pytest.raises(LeaseHeld, match="equities of 2024-07-03 is recorded by run~t2~p20"):
        older.renew(at(17), heartbeat)
    older.release(at(18), heartbeat)
    assert not _record(lake).is_released
    with pytest.raises(LeaseHeld):
        lease(lake, FIRST).take(at(19))


@pytest.mark.parametrize(
    ("feed_s", "machine_s", "is_free"), [(80, 80, False), (100, 1, False), (100, 6, True), (-100, 6, True)]
)
def test_another_run_waits_until_nobody_has_renewed_for_a_while_by_either_clock(
    tmp_path: Path, feed_s: float, machine_s: float, *, is_free: bool
) -> None:
    machine = MachineClock()
    lake = Lake.open(tmp_path, simulated=True, clock=machine)
    lease(lake, FIRST).take(NOON)
    machine.move(machine_s)
    take: Callable[[], object] = lambda: lease(lake, Writer("other", 1, 30)).take(at(feed_s))  # noqa: E731
    if is_free:
        take()
        assert _record(lake).run == "other"
    else:
        with pytest.raises(LeaseHeld):
            take()


def test_a_released_lease_is_free_at_once(lake: Lake, hand: Hand) -> None:
    first = lease(lake, FIRST)
    first.take(NOON)
    first.release(at(1), Book(lake, ASSIGNMENT, FIRST, FeedTime(hand)).heartbeat("stopped"))
    lease(lake, Writer("other", 1, 30)).take(at(2))


def _record(lake: Lake) -> LeaseRecord:
    record = read_lease(lake, "equities", SESSION)
    assert record is not None
    return record


def test_a_session_is_recorded_until_its_last_minute_can_no_longer_change() -> None:
    assignment = whole_session("equities", SESSION)
    assert (assignment.start, assignment.until) == (NOON - timedelta(hours=8), NOON + timedelta(hours=8, minutes=16))
