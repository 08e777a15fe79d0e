"""How far a session's streams have come: until when minutes are heard, and whether anything is still to come.

What is on disk says so, and the recorders' heartbeats; the machine's clock has no say.
"""

from datetime import date, datetime, timedelta

from bellwether.lake import Lake
from bellwether.streaming.assignment import NEWS, STREAMS, whole_session
from bellwether.streaming.batches import Batches
from bellwether.streaming.book import ORDER_SLACK_MS
from bellwether.streaming.feedtime import from_ms, to_ms
from bellwether.streaming.lease import EXPIRES_AFTER, read_lease

RECORDED = (*STREAMS, NEWS)
"""The datasets of which something is recorded while a session goes on."""

_MINUTE_MS = 60_000


def heard_until(lake: Lake, dataset: str, session: date) -> datetime | None:
    """Return until when the minutes of a stream are recorded, or in a gap; None where nothing was recorded.

    It is the end of a whole minute. One counts as heard when something a minute later has come, since the vendor
    promises no order; changes of it may come for a quarter of an hour.
    """
    position = Batches(lake, dataset, session).position()
    if position is None:
        return None
    lease = read_lease(lake, dataset, session)
    covered_ms = position.covered_ms
    if lease is not None and lease.heartbeat is not None:
        covered_ms = max(covered_ms, to_ms(lease.heartbeat.covered_utc))
    return from_ms((covered_ms - ORDER_SLACK_MS) // _MINUTE_MS * _MINUTE_MS)


def streams_end(session: date) -> datetime:
    """Return when the last of a session's streams is over."""
    return max(whole_session(dataset, session).until for dataset in RECORDED)


def are_over(lake: Lake, session: date, now: datetime) -> bool:
    """Return whether nothing more will be recorded of a session: its streams are over, and nobody writes any more.

    Parameters
    ----------
    now
        The feed's.
    """
    if now < streams_end(session):
        return False
    leases = (read_lease(lake, dataset, session) for dataset in RECORDED)
    return all(lease.is_released or now - lease.renewed_utc >= EXPIRES_AFTER for lease in leases if lease is not None)


def until_over(session: date, now: datetime) -> timedelta:
    """Return how long it is until a session's streams are over, and then until nobody can be writing any more."""
    return max(streams_end(session) - now, EXPIRES_AFTER)
