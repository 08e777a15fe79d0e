"""The end of a session's streams: whether all is heard or told of as a gap, and until when gaps may be open.

A recorder ends its own recording. Of one that is gone for good somebody else has to say where it ended.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from bellwether.calendar import NEW_YORK
from bellwether.config import Config
from bellwether.errors import GapsLeft, LeaseHeld
from bellwether.lake import Lake
from bellwether.streaming.assignment import Assignment, whole_session
from bellwether.streaming.batches import Batches
from bellwether.streaming.book import Book
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.lease import Lease, read_lease
from bellwether.streaming.repair import own_writer
from bellwether.streaming.rounds import Again
from bellwether.universe.spec import shown

DEADLINE = timedelta(minutes=30)
"""How long after the end of a stream, by the feed's time, its gaps may be open."""

_LEAST_S = 120.0  # of the machine's time: however fast the feed runs, a recorder may be tried again, and gaps be filled

_LOOK_AGAIN = timedelta(minutes=5)
_LOOK_SELDOM = timedelta(minutes=30)
_MOMENT = timedelta(minutes=1)


def is_recorded(lake: Lake, config: Config, dataset: str, session: date) -> bool:
    """Return whether a session's gaps are anybody's concern.

    They are nobody's where nobody tried to record it, nor where the plan refused what is not required.
    """
    if read_lease(lake, dataset, session) is None:
        return False
    if config.source(dataset).required or Batches(lake, dataset, session).position() is not None:
        return True
    return not any(gap.cause == "refused" and gap.symbols == ALL for gap in GapLog(lake, dataset, session, "").read())


def conclude(lake: Lake, assignment: Assignment, feed: FeedTime) -> bool:
    """Return whether all of a session is in files or in gaps that ended.

    Where its recorder is gone and the session over, that is said in its place: one that was killed leaves no gap.

    Raises
    ------
    LakeError
        The lake cannot be written.
    """
    now = feed.now()
    if now < assignment.until:
        return False
    record = read_lease(lake, assignment.dataset, assignment.session)
    if record is None:
        return True
    writer = own_writer()
    if record.is_released and record.heartbeat is not None and record.heartbeat.state == "ended":
        # What another try left open that was none any more.
        log = GapLog(lake, assignment.dataset, assignment.session, writer.name)
        log.end_all(assignment.until, f"{writer.name} finds the recording ended")
        return True
    lease = Lease(lake, assignment.dataset, assignment.session, writer)
    try:
        before = lease.take(now)
    except LeaseHeld:
        return False
    book = Book(lake, assignment, writer, feed)
    book.resume(before)
    book.finish()
    return lease.release(feed.now(), book.heartbeat("ended"))


def overdue(lake: Lake, dataset: str, session: date, now: datetime) -> list[Gap]:
    """Return the gaps of a session that are open after their deadline."""
    if now < whole_session(dataset, session).until + DEADLINE:
        return []
    return [gap for gap in GapLog(lake, dataset, session, "").read() if gap.closed_utc is None]


def next_look(assignment: Assignment, feed: FeedTime, *, is_recorded: bool, left: Iterable[tuple[Gap, str]]) -> Again:
    """Return when to look at a session's gaps again.

    Parameters
    ----------
    assignment, feed
        Of what, and its time.
    is_recorded
        Whether there is anything to repair yet.
    left
        Gaps that are open, each with the reason.

    Raises
    ------
    GapsLeft
        The deadline is over, and gaps are open or the session is still being recorded.
    """
    lines = [in_words(gap, why) for gap, why in left]
    now, deadline = feed.now(), assignment.until + DEADLINE
    what = f"{len(lines)} gaps are open: {shown(lines)}" if lines else "no gap is open"
    if now < assignment.start:
        return Again(assignment.start - now, f"{assignment.dataset} of {assignment.session} are not broadcast yet")
    if now < assignment.until:
        # What ends a recording does so at its end, a moment later.
        return Again(min(_LOOK_AGAIN if is_recorded else _LOOK_SELDOM, assignment.until + _MOMENT - now), what)
    if now < deadline or feed.real_s((now - assignment.until).total_seconds()) < _LEAST_S:
        return Again(max(min(_LOOK_AGAIN, deadline - now), _MOMENT), what if lines else "somebody still records")
    msg = f"{assignment.dataset} of {assignment.session}: {what if lines else 'somebody still records it'}"
    raise GapsLeft(msg)


def in_words(gap: Gap, why: str = "") -> str:
    """Return an open gap in words: when in New York, its cause, of whom where not of all, and why it is open."""
    start = f"{gap.start_utc.astimezone(NEW_YORK):%H:%M:%S}"
    end = f"{gap.end_utc.astimezone(NEW_YORK):%H:%M:%S}" if gap.end_utc else "now"
    of = "" if gap.symbols == ALL else f" of {shown(gap.symbols)}"
    return f"{start} to {end}, {gap.cause}{of}" + (f" ({why})" if why else "")
