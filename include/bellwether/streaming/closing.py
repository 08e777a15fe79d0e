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
from bellwether.universe.spec import shown

DEADLINE = timedelta(minutes=30)
"""How long after the end of a stream, by the feed's time, its gaps may be open."""


def is_recorded(lake: Lake, config: Config, dataset: str, session: date) -> bool:
    """Return whether a session's gaps are anybody's concern: something was heard of it, or it had to be heard."""
    if read_lease(lake, dataset, session) is None:
        return False
    return config.source(dataset).required or Batches(lake, dataset, session).position() is not None


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
    if record is None or (record.is_released and record.heartbeat is not None and record.heartbeat.state == "ended"):
        return True
    writer = own_writer()
    lease = Lease(lake, assignment.dataset, assignment.session, writer)
    try:
        before = lease.take(now)
    except LeaseHeld:
        return False
    book = Book(lake, assignment, writer, feed)
    book.resume(before)
    book.finish()
    lease.release(feed.now(), book.heartbeat("ended"))
    return True


def overdue(lake: Lake, dataset: str, session: date, now: datetime) -> list[Gap]:
    """Return the gaps of a session that are open after their deadline."""
    if now < whole_session(dataset, session).until + DEADLINE:
        return []
    return [gap for gap in GapLog(lake, dataset, session, "").read() if gap.closed_utc is None]


def check_deadline(assignment: Assignment, left: Iterable[tuple[Gap, str]], now: datetime) -> None:
    """Refuse gaps, each with what keeps it open, once the deadline is over; `GapsLeft`."""
    lines = [in_words(gap, why) for gap, why in left]
    if lines and now >= assignment.until + DEADLINE:
        msg = f"{assignment.dataset} of {assignment.session}: {len(lines)} gaps are open: {shown(lines)}"
        raise GapsLeft(msg)


def in_words(gap: Gap, why: str = "") -> str:
    """Return an open gap in words: when in New York, its cause, of whom where not of all, and why it is open."""
    start = f"{gap.start_utc.astimezone(NEW_YORK):%H:%M:%S}"
    end = f"{gap.end_utc.astimezone(NEW_YORK):%H:%M:%S}" if gap.end_utc else "now"
    of = "" if gap.symbols == ALL else f" of {shown(gap.symbols)}"
    return f"{start} to {end}, {gap.cause}{of}" + (f" ({why})" if why else "")
