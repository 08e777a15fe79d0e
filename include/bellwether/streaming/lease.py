"""Who records a session, and how it is getting on: one small file in the lake, replaced by compare-and-swap.

Of one run the newest try is the writer: what is left of an older one ends when it sees so. Another run has to wait
until the lease is released or nobody has renewed it for a while. For some seconds two may write; their files do not
touch each other, and `compact` makes the same of them.
"""

from datetime import date, datetime, timedelta

import msgspec

from bellwether.errors import LeaseHeld
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode
from bellwether.streaming.batches import Writer

EXPIRES_AFTER = timedelta(seconds=90)
"""Of the feed's time, without renewal."""

_GRACE = timedelta(seconds=5)
"""Of the machines' time: however fast the feed runs, a writer has so long to renew."""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """How a recorder is getting on. Everything it counts is on disk.

    Attributes
    ----------
    at_utc
        When, by the feed's time.
    state
        `connecting`, `listening`, `ended`, or what keeps it from writing.
    seq, rows, gaps
        Its last file's number; rows and gaps since it began.
    covered_utc
        Until when, by the vendor's stamps, everything is recorded or in a gap.
    lag_s
        How far behind it hears, from the last batch; less than zero: this machine's clock is behind. None before.
    quiet
        Symbols of which nothing came for a while beside others of which something did.
    """

    at_utc: datetime
    state: str
    seq: int
    rows: int
    gaps: int
    covered_utc: datetime
    lag_s: float | None
    quiet: int


class StopRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants the writer to end: who, and since when by the machine's time."""

    by: str
    asked_utc: datetime


class LeaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The lease as it stands in the lake; `stamped_utc` is the machine's time, all others are the feed's.

    Attributes
    ----------
    expires_after_s
        Seconds without renewal after which another run may take it.
    stop
        What the writer is to see at its next renewal; it concerns this try alone.
    """

    writer: str
    run: str
    attempt: int
    taken_utc: datetime
    heartbeat: Heartbeat | None = None
    renewed_utc: datetime
    stamped_utc: datetime
    expires_after_s: float = EXPIRES_AFTER.total_seconds()
    is_released: bool = False
    stop: StopRequest | None = None


class Lease:
    """The right to record one (dataset, session); `now` is always the feed's time.

    Parameters
    ----------
    lake, dataset, session, writer
        Of what, and whose.
    expires_after
        For how long it is good without renewal, of the feed's time.
    """

    def __init__(
        self, lake: Lake, dataset: str, session: date, writer: Writer, expires_after: timedelta = EXPIRES_AFTER
    ) -> None:
        self._storage = lake.storage
        self._machine = lake.clock
        self._key = paths.lease(dataset, session)
        self._what = f"{dataset} of {session}"
        self._writer = writer
        self._expires_after_s = expires_after.total_seconds()
        self._record: LeaseRecord | None = None

    @property
    def is_held(self) -> bool:
        """Whether it was taken; another may have taken it since."""
        return self._record is not None

    @property
    def stop(self) -> StopRequest | None:
        """What was asked of this writer by its last renewal."""
        return self._record.stop if self._record else None

    def take(self, now: datetime) -> Heartbeat | None:
        """Become the writer.

        Returns
        -------
        Heartbeat or None
            The last one of whoever recorded before.

        Raises
        ------
        LeaseHeld
            Another run is at work, or a newer try of this one.
        """
        writer = self._writer
        while True:
            stored = self._storage.read(self._key)
            before = msgspec.json.decode(stored.content, type=LeaseRecord) if stored else None
            if before is not None:
                self._check(before, now)
            mine = LeaseRecord(
                writer=writer.name,
                run=writer.run,
                attempt=writer.attempt,
                taken_utc=now,
                renewed_utc=now,
                stamped_utc=self._machine.now(),
                expires_after_s=self._expires_after_s,
                heartbeat=before.heartbeat if before else None,
                stop=before.stop if before and self._is_this_try(before) else None,
            )
            if self._storage.swap(self._key, encode(mine), expected=stored.version if stored else None):
                self._record = mine
                return mine.heartbeat

    def renew(self, now: datetime, heartbeat: Heartbeat) -> None:
        """Say that the writer lives.

        Raises
        ------
        LeaseHeld
            Another has taken over.
        """
        self._replace(msgspec.structs.replace(self._held, renewed_utc=now, heartbeat=heartbeat))

    def release(self, now: datetime, heartbeat: Heartbeat) -> bool:
        """Let others record, and return True; of a lease that another has taken, nothing changes."""
        try:
            self._replace(msgspec.structs.replace(self._held, renewed_utc=now, heartbeat=heartbeat, is_released=True))
        except LeaseHeld:
            return False
        return True

    @property
    def _held(self) -> LeaseRecord:
        assert self._record is not None, "only what was taken is renewed"  # noqa: S101 - a caller's mistake
        return self._record

    def _is_this_try(self, holder: LeaseRecord) -> bool:
        is_of_this_try = (holder.run, holder.attempt) == (self._writer.run, self._writer.attempt)
        return is_of_this_try and not holder.is_released

    def _replace(self, record: LeaseRecord) -> None:
        record = msgspec.structs.replace(record, stamped_utc=self._machine.now())
        while True:  # as long as another took it, or asked for something, just now
            stored = self._storage.read(self._key)
            holder = msgspec.json.decode(stored.content, type=LeaseRecord) if stored else None
            if holder is not None and holder.writer != self._writer.name:
                raise self._held_by(holder)
            record = msgspec.structs.replace(record, stop=holder.stop if holder else None)
            if self._storage.swap(self._key, encode(record), expected=stored.version if stored else None):
                self._record = record
                return

    def _check(self, holder: LeaseRecord, now: datetime) -> None:
        if holder.is_released or holder.writer == self._writer.name:
            return
        if holder.run == self._writer.run:
            if holder.attempt > self._writer.attempt:
                raise self._held_by(holder)
            return
        # A clock behind the lease's is another clock: a rehearsal began anew.
        is_stale = abs(now - holder.renewed_utc).total_seconds() >= holder.expires_after_s
        if not (is_stale and self._machine.now() - holder.stamped_utc >= _GRACE):
            raise self._held_by(holder)

    def _held_by(self, holder: LeaseRecord) -> LeaseHeld:
        when = f"{holder.renewed_utc:%Y-%m-%d %H:%M:%S} UTC"
        return LeaseHeld(f"{self._what} is recorded by {holder.writer}, last heard of at {when}")


def read_lease(lake: Lake, dataset: str, session: date) -> LeaseRecord | None:
    """Return who records, or last recorded, a session; None where nobody did."""
    stored = lake.storage.read(paths.lease(dataset, session))
    return msgspec.json.decode(stored.content, type=LeaseRecord) if stored else None


def ask_to_stop(lake: Lake, dataset: str, session: date, by: str) -> LeaseRecord | None:
    """Ask whoever records a session to end; it sees so at its next renewal.

    Returns
    -------
    LeaseRecord or None
        Who was asked, or, released, who had ended before; None where nobody ever recorded.
    """
    key = paths.lease(dataset, session)
    while (stored := lake.storage.read(key)) is not None:
        record = msgspec.json.decode(stored.content, type=LeaseRecord)
        if record.is_released:
            return record
        asked = msgspec.structs.replace(record, stop=StopRequest(by=by, asked_utc=lake.clock.now()))
        if lake.storage.swap(key, encode(asked), expected=stored.version):
            return asked
    return None
