"""The recorder's book: rows onto disk, what is covered, and the gaps in between. It knows no socket.

It is given what came in order and writes it in order, so that what stands in a file or in a gap is always all of what
went before. Blocking; the recorder calls it in a thread, one call at a time.
"""

from collections import Counter
from datetime import datetime

from bellwether.lake import Lake
from bellwether.logging import get_logger
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Batches, BatchRecord, Writer
from bellwether.streaming.decode import decode
from bellwether.streaming.feedtime import FeedTime, from_ms, to_ms
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.inbox import Added, Alive, Dropped, Frame, Listening, Lost, Note, Refused
from bellwether.streaming.lease import Heartbeat
from bellwether.streaming.watchdog import Quiet, least_lag_s

log = get_logger(__name__)

ORDER_SLACK_MS = 60_000
"""The vendor promises no order: a broadcast may come after one that is due a minute later, but no more."""

_TAKEN_UP_MS = 60_000
"""An acknowledged topic is broadcast with the next event, a minute later at the latest."""

_STAMP_SLACK_MS = 5_000
"""Between the end of a minute and its broadcast, and between the vendor's clock and ours."""

_QUIET_AFTER_S = 900.0


class Book:
    """What one writer knows to be on disk.

    Parameters
    ----------
    lake, assignment, writer, feed
        Where, what, who, and by which time.
    """

    def __init__(self, lake: Lake, assignment: Assignment, writer: Writer, feed: FeedTime) -> None:
        self._assignment = assignment
        self._writer = writer
        self._feed = feed
        self._batches = Batches(lake, assignment.dataset, assignment.session)
        self._log = GapLog(lake, assignment.dataset, assignment.session, writer.name)
        self._quiet = Quiet()
        self._lasting: list[Gap] = []
        self._failures: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._listening_ms: int | None = None
        self._has_listened = False
        self._covered_ms = to_ms(assignment.start)
        self._seq = 0
        self._arrival = -1
        self._rows = self._gaps = 0
        self._lag_s: float | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything until the end is covered."""
        return self._covered_ms >= to_ms(self._assignment.until)

    @property
    def is_settled(self) -> bool:
        """Whether no gap has to be ended by the time that has passed."""
        return self._listening_ms is None or self._feed.now_ms() < self._listening_ms + _TAKEN_UP_MS

    def resume(self, before: Heartbeat | None) -> None:
        """Go on where the files end, and open a gap for what was missed since.

        Parameters
        ----------
        before
            The last heartbeat of whoever recorded before: it may know of more than rows.
        """
        position = self._batches.position()
        if position is not None:
            self._seq, self._arrival = position.seq, position.arrival
            self._covered_ms = max(self._covered_ms, position.covered_ms)
        if before is not None:
            self._covered_ms = max(self._covered_ms, to_ms(before.covered_utc))
        is_told = self._take_over()
        if self.is_complete:
            return
        if is_told:
            self._open("resumed", f"until {self._writer.name} listens")
        elif position is not None:
            self._open("crash", f"{self._writer.name} goes on after file {position.seq}")
        elif self._feed.now_ms() > self._covered_ms:
            self._open("late_start", "nothing was recorded before")

    def _take_over(self) -> bool:
        """End the gaps of recorders that are gone now, and return whether one of them concerned everything."""
        now = min(self._feed.now(), self._assignment.until)
        lasting = [gap for gap in self._log.read() if gap.lasts]
        for gap in lasting:
            self._log.end(gap, now, f"{self._writer.name} takes over")
        is_told = any(gap.symbols == ALL for gap in lasting)
        if is_told:
            self._cover(to_ms(now))
        return is_told

    def take(self, stretch: list[Frame] | Note) -> None:
        """Write what came: consecutive frames, or what happened.

        Raises
        ------
        LakeError
            It could not be written. Nothing is lost: it is to be given again.
        """
        if isinstance(stretch, list):
            self._take_frames(stretch)
        else:
            self._take_note(stretch)

    def _take_note(self, note: Note) -> None:
        match note:
            case Lost(cause, evidence):
                self._lose(cause, evidence)
            case Listening(at_ms):
                if not self._has_listened and at_ms > self._covered_ms:
                    self._open("late_start", "the first connection came late")
                self._has_listened = True
                self._listening_ms = at_ms
            case Alive(asked_ms):
                self._cover(asked_ms)
            case Added(tickers):
                start = self._assignment.start
                self._add(self._log.open(start, tickers, "not_yet_discovered", self._feed.now(), ""))
            case Refused(ticker, words) if ticker not in self._refused:
                gap = self._log.open(self._assignment.start, [ticker], "refused", self._feed.now(), words)
                self._log.end(gap, self._assignment.until)
                self._gaps += 1
                self._refused.add(ticker)  # every connection is told again
            case Dropped(frames, until_ms):
                self._hole("overflow", f"{frames} frames found no room", until_ms)

    def settle(self) -> None:
        """End the gaps that have lasted until somebody listens again."""
        if self._listening_ms is not None:
            self._end_gaps(self._listening_ms + _TAKEN_UP_MS)

    def finish(self) -> None:
        """End the recording at the session's end; what is not proven to have been heard until then is a gap."""
        if not self.is_complete:
            self._open("unproven", "the connection did not answer at the end")
        self._end_gaps(to_ms(self._assignment.until))

    def hand_over(self) -> None:
        """End the gaps that last, since another recorder has taken up what is left."""
        self._end_gaps(min(self._feed.now_ms(), to_ms(self._assignment.until)))

    def heartbeat(self, state: str) -> Heartbeat:
        """Return how the recording is getting on."""
        now = self._feed.now()
        return Heartbeat(
            at_utc=now,
            state=state,
            seq=self._seq,
            rows=self._rows,
            gaps=self._gaps,
            covered_utc=from_ms(self._covered_ms),
            lag_s=self._lag_s,
            quiet=len(self._quiet.since(to_ms(now), _QUIET_AFTER_S)),
        )

    def _take_frames(self, frames: list[Frame]) -> None:
        decoded = decode(frames, self._arrival + 1)
        table = decoded.table
        covered_ms = max(self._covered_ms, decoded.newest_ms or 0)
        if table.num_rows:
            record = BatchRecord(
                rows=table.num_rows, last_arrival=self._arrival + table.num_rows, covered_ms=covered_ms
            )
            self._batches.write(self._writer, self._seq + 1, table, record)
            self._seq += 1
            self._arrival = record.last_arrival
            self._rows += table.num_rows
            self._lag_s = least_lag_s(table)
            self._quiet.heard(table)
        # Before it is covered: what could not be read may have been due at any time since the batch before.
        for unreadable in decoded.unreadable:
            self._hole("unreadable", unreadable.why, unreadable.arrived_ms)
        self._cover(covered_ms)
        if self._listening_ms is not None:
            first_ms = next((f.arrived_ms for f in frames if f.arrived_ms >= self._listening_ms), None)
            if first_ms is not None:
                self._end_gaps(min(first_ms + _STAMP_SLACK_MS, self._listening_ms + _TAKEN_UP_MS))

    def _lose(self, cause: str, evidence: str) -> None:
        self._listening_ms = None
        if self._feed.now() < self._assignment.start:
            self._has_listened = False  # nothing is missed yet; who is not back in time comes late
            return
        self._open(cause, evidence)
        self._failures[cause] += 1

    def _cover(self, until_ms: int) -> None:
        self._covered_ms = min(max(self._covered_ms, until_ms), to_ms(self._assignment.until))

    def _open(self, cause: str, evidence: str) -> None:
        """Open a gap of everything, unless one lasts already."""
        if not any(gap.symbols == ALL for gap in self._lasting):
            self._add(self._log.open(self._gap_start(), ALL, cause, self._feed.now(), evidence))

    def _hole(self, cause: str, evidence: str, until_ms: int) -> None:
        """Record a gap that is over already."""
        gap = self._log.open(self._gap_start(), ALL, cause, self._feed.now(), evidence)
        self._log.end(gap, from_ms(until_ms + _STAMP_SLACK_MS))
        self._gaps += 1

    def _add(self, gap: Gap) -> None:
        self._lasting.append(gap)
        self._gaps += 1
        log.warning("gap opened", cause=gap.cause, start=gap.start_utc.isoformat(), evidence=gap.evidence)

    def _gap_start(self) -> datetime:
        return max(self._assignment.start, from_ms(self._covered_ms - ORDER_SLACK_MS))

    def _end_gaps(self, end_ms: int) -> None:
        counted = ", ".join(f"{count} {cause}" for cause, count in self._failures.items())
        while self._lasting:
            is_told = self._failures in (Counter(), Counter({self._lasting[0].cause: 1}))
            gap = self._log.end(self._lasting[0], from_ms(end_ms), "" if is_told else f"meanwhile {counted}")
            del self._lasting[0]
            log.info("gap ended", cause=gap.cause, seconds=(from_ms(end_ms) - gap.start_utc).total_seconds())
        self._failures.clear()
        self._listening_ms = None
        self._cover(end_ms)
