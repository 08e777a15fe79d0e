"""The recorder's book: rows onto disk, what is covered, and the gaps in between. It knows no socket.

It is given what came in order and writes it in order, so that what stands in a file or in a gap is always all of what
went before: gaps before the batch that covers them. What is given again since it could not be written is written once.
Blocking; the recorder calls it in a thread, one call at a time.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from bellwether.calendar import get_calendar
from bellwether.lake import Lake
from bellwether.logging import get_logger
from bellwether.streaming.asked import read_asked, write_asked
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Batches, BatchRecord, Writer
from bellwether.streaming.decode import Unreadable, decode
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

_STAMP_SLACK_MS = 60_000
"""How far this machine's clock may be behind the vendor's, where no broadcast tells; and a minute's way to us."""

_MOST_BEHIND_MS = 300_000
"""What is further ahead of this machine's clock is a wrong stamp, not a wrong clock."""

_TOLD_BEHIND_S, _PROMPT_S = -5.0, 60.0

_QUIET_AFTER_S = 900.0


class Book:
    """What one writer knows to be on disk.

    Parameters
    ----------
    lake, assignment, writer, feed
        Where, what, who, and by which time.
    silent_after
        For how long, between open and close, a living connection may broadcast nothing at all.
    """

    def __init__(
        self,
        lake: Lake,
        assignment: Assignment,
        writer: Writer,
        feed: FeedTime,
        silent_after: timedelta = timedelta(minutes=15),
    ) -> None:
        self._lake = lake
        self._assignment = assignment
        self._hours = get_calendar().hours(assignment.session)
        self._silent_after_ms = silent_after // timedelta(milliseconds=1)
        self._writer = writer
        self._feed = feed
        self._batches = Batches(lake, assignment.dataset, assignment.session)
        self._log = GapLog(lake, assignment.dataset, assignment.session, writer.name)
        self._quiet = Quiet()
        self._lasting: list[Gap] = []
        self._silence: Gap | None = None
        self._asked: frozenset[str] = frozenset()
        self._failures: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._listening_ms: int | None = None
        self._due_ms: int | None = None
        self._broken_ms: int | None = None
        self._has_listened = False
        self._covered_ms = self._heard_ms = to_ms(assignment.start)
        self._told_unreadable_ms = 0
        self._seq = 0
        self._arrival = -1
        self._rows = self._gaps = 0
        self._lag_s: float | None = None
        self._behind_ms = 0
        self._is_told_behind = False

    @property
    def is_complete(self) -> bool:
        """Whether everything until the end is covered."""
        return self._covered_ms >= to_ms(self._assignment.until)

    @property
    def is_settled(self) -> bool:
        """Whether no gap has to be ended, by what came or by the time that has passed."""
        if self._due_ms is not None or self._broken_ms is not None:
            return False
        return self._listening_ms is None or self._feed.now_ms() < self._listening_ms + _TAKEN_UP_MS

    @property
    def is_silent(self) -> bool:
        """Whether the vendor answers and broadcasts nothing, for longer than can be."""
        return self._silence is not None

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
            self._covered_ms = self._heard_ms = max(self._covered_ms, position.covered_ms)
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

    def ask(self, symbols: Collection[str]) -> None:
        """Say whom is asked for from now on; of those whom nobody asked for before, open a gap.

        To be called after `resume`.
        """
        asked = read_asked(self._lake, self._assignment.dataset, self._assignment.session)
        new = () if asked is None or ALL[0] in asked else sorted(set(symbols) - asked)
        if new:
            self._lasting.append(self._opened(self._assignment.start, new, "not_yet_discovered", ""))
        self._asked = frozenset(symbols)
        write_asked(self._lake, self._assignment.dataset, self._assignment.session, self._asked)

    def _take_over(self) -> bool:
        """End the gaps of recorders that are gone now, and return whether one of them concerned everything."""
        now = min(self._feed.now(), self._assignment.until)
        is_told = any(gap.symbols == ALL for gap in self._log.end_all(now, f"{self._writer.name} takes over"))
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
        self._end_what_is_due()
        if isinstance(stretch, list):
            self._take_frames(stretch)
        else:
            self._take_note(stretch)

    def _take_note(self, note: Note) -> None:
        match note:
            case Lost(cause, evidence):
                self._lose(cause, evidence)
            case Listening(at_ms):
                self._listen(at_ms)
            case Alive(asked_ms):
                self._hear_nothing(asked_ms)
            case Added(tickers):
                self._join(tickers)
            case Refused(tickers, words):
                self._refuse(tickers, words)
            case Dropped(frames, until_ms):
                self._hole("overflow", f"{frames} frames found no room", until_ms)

    def settle(self) -> None:
        """End the gaps that have lasted until somebody listens again."""
        self._end_what_is_due()
        if not self.is_settled and self._listening_ms is not None:
            self._end_gaps(self._beyond_doubt_ms(self._listening_ms + _TAKEN_UP_MS))

    def finish(self) -> None:
        """End the recording at the session's end; what is not proven to have been heard until then is a gap.

        It ends what others left that lasts, too: nobody comes after.
        """
        if not self.is_complete:
            self._open("unproven", "the connection did not answer at the end")
        self._end_gaps(to_ms(self._assignment.until))
        self._log.end_all(self._assignment.until, f"{self._writer.name} ends the recording")

    def hand_over(self) -> None:
        """End the gaps that last, since another recorder has taken up what is left; those it has ended stay as is."""
        own = {gap.gap_id for gap in (*self._lasting, self._silence) if gap is not None}
        now = min(self._feed.now(), self._assignment.until)
        for gap in self._log.read():
            if gap.lasts and gap.gap_id in own:
                self._log.end(gap, now, "another has taken over")
        self._lasting, self._silence = [], None

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
        decoded = decode(frames, self._arrival + 1, is_of_indices=self._assignment.dataset == "indices")
        self._tell_unreadable(decoded.unreadable)
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
            self._note_lag(least_lag_s(table))
            self._quiet.heard(table)
        self._cover(covered_ms)
        self._heard_ms = frames[-1].arrived_ms
        if self._silence is not None and self._broken_ms is None:
            self._broken_ms = self._beyond_doubt_ms(frames[0].arrived_ms)
        if self._listening_ms is not None and self._due_ms is None:
            first_ms = next((f.arrived_ms for f in frames if f.arrived_ms >= self._listening_ms), None)
            if first_ms is not None:
                self._due_ms = self._beyond_doubt_ms(min(first_ms, self._listening_ms + _TAKEN_UP_MS))

    def _tell_unreadable(self, unreadable: list[Unreadable]) -> None:
        """Record one hole for all that could not be read: it may have been due at any time since the batch before."""
        untold = [each for each in unreadable if each.arrived_ms > self._told_unreadable_ms]
        if untold:
            counted = f"{len(untold)} frames, the first: " if len(untold) > 1 else ""
            self._hole("unreadable", counted + untold[0].why, untold[-1].arrived_ms)
            self._told_unreadable_ms = untold[-1].arrived_ms

    def _hear_nothing(self, asked_ms: int) -> None:
        """Cover what a living connection did not broadcast, unless that is too long to be true."""
        opening_ms, close_ms = to_ms(self._hours.open), to_ms(self._hours.close)
        silent_ms = min(asked_ms, close_ms) - max(self._heard_ms, opening_ms)
        if self._silence is None and silent_ms >= self._silent_after_ms:
            evidence = f"it answers, and has broadcast nothing for {silent_ms // 60_000} minutes of trading"
            self._silence = self._opened(self._start_after(self._heard_ms), ALL, "silent", evidence)
        self._cover(asked_ms)

    def _listen(self, at_ms: int) -> None:
        if not self._has_listened:
            if at_ms > self._covered_ms:
                self._open("late_start", "the first connection came late")
            self._heard_ms = max(self._heard_ms, at_ms)
        self._has_listened = True
        self._listening_ms = at_ms

    def _refuse(self, tickers: Sequence[str], words: str) -> None:
        new = [ticker for ticker in tickers if ticker not in self._refused]  # every connection is told again
        if new:
            start, until = self._assignment.start, self._assignment.until
            self._log.open(start, new, "refused", self._feed.now(), words, end=until)
            self._gaps += 1
            self._refused.update(new)

    def _join(self, tickers: Sequence[str]) -> None:
        new = [ticker for ticker in tickers if ticker not in self._asked]
        if new:
            self._lasting.append(self._opened(self._assignment.start, new, "not_yet_discovered", ""))
            self._asked |= set(new)
        write_asked(self._lake, self._assignment.dataset, self._assignment.session, self._asked)
        self._listening_ms = None  # until their topics are acknowledged

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
            self._lasting.append(self._opened(self._start_after(self._covered_ms), ALL, cause, evidence))

    def _opened(self, start: datetime, symbols: Sequence[str], cause: str, evidence: str) -> Gap:
        gap = self._log.open(start, symbols, cause, self._feed.now(), evidence)
        self._gaps += 1
        log.warning("gap opened", cause=cause, start=start.isoformat(), evidence=evidence)
        return gap

    def _hole(self, cause: str, evidence: str, until_ms: int) -> None:
        """Record a gap that is over already."""
        end = from_ms(self._beyond_doubt_ms(until_ms))
        self._log.open(self._start_after(self._covered_ms), ALL, cause, self._feed.now(), evidence, end=end)
        self._gaps += 1

    def _start_after(self, heard_ms: int) -> datetime:
        return max(self._assignment.start, from_ms(heard_ms - ORDER_SLACK_MS))

    def _beyond_doubt_ms(self, heard_ms: int) -> int:
        """Return by what stamp of the vendor's, at the latest, all was due that had come by a moment of our clock."""
        return heard_ms + _STAMP_SLACK_MS + self._behind_ms

    def _note_lag(self, lag_s: float | None) -> None:
        if lag_s is None:
            return
        if lag_s < _PROMPT_S:  # else nothing but late prints came
            self._behind_ms = min(max(int(-1000 * lag_s), 0), _MOST_BEHIND_MS)
        if lag_s < _TOLD_BEHIND_S and not self._is_told_behind:
            self._is_told_behind = True
            log.error(
                "this machine's clock is behind the vendor's: have it set by NTP, or minutes may be missed unnoticed",
                by_at_least_s=round(-lag_s, 1),
            )
        self._lag_s = lag_s

    def _end_what_is_due(self) -> None:
        if self._due_ms is not None:
            self._end_gaps(self._due_ms)
        if self._silence is not None and self._broken_ms is not None:
            self._log.end(self._silence, from_ms(self._broken_ms))
            self._silence = self._broken_ms = None

    def _end_gaps(self, end_ms: int) -> None:
        is_covered = any(gap.symbols == ALL for gap in self._lasting)
        counted = ", ".join(f"{count} {cause}" for cause, count in self._failures.items())
        while self._lasting:
            is_told = self._failures in (Counter(), Counter({self._lasting[0].cause: 1}))
            gap = self._log.end(self._lasting[0], from_ms(end_ms), "" if is_told else f"meanwhile {counted}")
            del self._lasting[0]
            log.info("gap ended", cause=gap.cause, seconds=(from_ms(end_ms) - gap.start_utc).total_seconds())
        self._failures.clear()
        self._listening_ms = self._due_ms = None
        if is_covered:
            self._cover(end_ms)
