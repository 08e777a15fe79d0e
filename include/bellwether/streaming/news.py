"""News as they are listed: the vendor asked every few minutes, and what is new written down at once.

News are not broadcast; a list is read. So nothing is missed by not listening: every round reads from some time before
where the files end, after an outage of any length too. What counts is when an article was first seen, which nobody can
tell later; `bellwether.ingest.finish` hands it on to the daily pull. Blocking, one round at a time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.config.settings import StreamingSettings
from bellwether.errors import NotEntitled, StreamRefused, Unauthorized, VendorError
from bellwether.lake import Lake
from bellwether.logging import get_logger
from bellwether.news.rows import news_rows
from bellwether.news.sentiment import SentimentExtractor
from bellwether.quality.gate import check_batch
from bellwether.schemas import FORMS
from bellwether.sources.news import listed
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.assignment import NEWS, whole_session
from bellwether.streaming.batches import Batches, BatchRecord, Writer
from bellwether.streaming.compact import compact
from bellwether.streaming.feedtime import FeedTime, from_ms, to_ms
from bellwether.streaming.heartbeats import keep
from bellwether.streaming.lease import EXPIRES_AFTER, Heartbeat, Lease, StopRequest
from bellwether.streaming.pulse import FAILING, STALLED, WAITING
from bellwether.streaming.rounds import Again

log = get_logger(__name__)

ENDED, STOPPED = "ended", "stopped"
_TICK_S = 0.05  # of real time
_BEAT_S = 15.0
_CONTENT = ("article_id", "ticker", "content_hash")


@dataclass(frozen=True)
class Round:
    """What a round came to.

    Attributes
    ----------
    heartbeat
        `waiting` for the next, `ended`, `stopped`, or why it failed.
    again
        When the next one is due; None after the last.
    has_stalled
        With this round nothing has been read for as long as is told of to people; said once, until one succeeds.
    """

    heartbeat: Heartbeat
    again: Again | None
    has_stalled: bool = False


class NewsPoller:
    """Polls the news of one session; what a round leaves to the next, also of another process, is in the lake.

    Parameters
    ----------
    lake, session, writer
        Where to, of what, and who.
    rest
        The vendor.
    feed
        The time articles are seen by.
    settings
        How often, and from how long before.
    extractor
        Who judges where the vendor does not.
    """

    def __init__(
        self,
        lake: Lake,
        session: date,
        writer: Writer,
        rest: PolygonRest,
        *,
        feed: FeedTime,
        settings: StreamingSettings,
        extractor: SentimentExtractor,
    ) -> None:
        self._lake = lake
        self._assignment = whole_session(NEWS, session)
        self._hours = get_calendar().hours(session)
        self._writer = writer
        self._rest = rest
        self._feed = feed
        self._extractor = extractor
        self._every = timedelta(minutes=settings.news_every_min)
        self._back = timedelta(minutes=settings.news_back_min)
        self._stalled_after = timedelta(minutes=settings.stalled_after_min)
        self._batches = Batches(lake, NEWS, session)
        self._lease = Lease(lake, NEWS, session, writer, self._every + EXPIRES_AFTER)
        self._last: Heartbeat | None = None

    @property
    def stop_request(self) -> StopRequest | None:
        """Who asked for it to end by way of the lake; None where nobody did."""
        return self._lease.stop

    def poll(self) -> Round:
        """Ask once, and write what is new.

        A vendor that gives no answer makes the round fail and the next one go on, until long after the session's close.

        Raises
        ------
        StreamRefused
            The key, or its plan, has no news.
        VendorError
            It gave no answer for so long after the close that nobody waits any more.
        LeaseHeld
            Somebody else polls.
        LakeError
            What came could not be written; the next round reads it again.
        """
        began = self._feed.now()
        before = self._lease.take(began)
        self._last = self._last or before
        if self.stop_request is not None:
            return Round(self.stop(), None)
        try:
            heartbeat = self._read_on(began)
        except (Unauthorized, NotEntitled) as error:
            self._end("refused")
            msg = f"the vendor refuses news: {error}"
            raise StreamRefused(msg) from error
        except VendorError as error:
            return self._fail(error, before)
        self._keep(heartbeat)
        if began >= self._assignment.until:
            self._lease.release(self._feed.now(), heartbeat)
            return Round(heartbeat, None)
        self._lease.renew(self._feed.now(), heartbeat)
        return Round(heartbeat, self._again(f"{heartbeat.rows} rows until {heartbeat.covered_utc:%H:%M:%S} UTC"))

    def run(self, tell: Callable[[Round], None]) -> Heartbeat:
        """Poll until the session's close, or until somebody asks for it to end, by way of the lake or by interrupting.

        Parameters
        ----------
        tell
            Called with every round.

        Returns
        -------
        Heartbeat
            The last one, `ended` or `stopped`.

        Raises
        ------
        StreamRefused, VendorError, LeaseHeld, LakeError
            As `poll` does.
        """
        try:
            while True:
                done = self.poll()
                tell(done)
                if done.again is None:
                    return done.heartbeat
                if self._is_stopped_within(done.again.length):
                    return self.stop()
        except KeyboardInterrupt:  # at whatever moment: files are written whole or not at all
            return self.stop()

    def _is_stopped_within(self, length: timedelta) -> bool:
        """Wait, saying that it lives; return whether, meanwhile, somebody asked for it to end."""
        over, beat = self._feed.deadline(length.total_seconds()), self._feed.deadline(_BEAT_S)
        while not over.is_over:
            time.sleep(_TICK_S)
            if beat.is_over and self._last is not None:
                self._lease.renew(self._feed.now(), self._last)
                beat.restart()
                if self.stop_request is not None:
                    return True
        return False

    def stop(self) -> Heartbeat:
        """End before the session does; everything is on disk."""
        return self._end(STOPPED)

    def _read_on(self, began: datetime) -> Heartbeat:
        """Read on from before the newest article there is, and write what nobody has written yet."""
        compacted = compact(self._lake, NEWS, self._assignment.session)
        known, number = compacted.table, self._batches.last_number()
        newest = _newest(known)
        since = max(self._assignment.start, newest - self._back) if newest else self._assignment.start
        answer = listed(self._rest, since, self._assignment.until)
        seen = self._feed.now()
        covered = min(began, self._assignment.until)
        after, until = self._assignment.start, self._assignment.until
        articles = [article for article in answer.rows if after < article.published_utc <= until]
        fresh = self._fresh(known, news_rows(articles, seen, self._extractor))
        if fresh.num_rows:
            record = BatchRecord(
                rows=fresh.num_rows,
                last_arrival=compacted.arrivals + fresh.num_rows - 1,
                covered_ms=to_ms(covered),
            )
            number += 1
            self._batches.write(self._writer, number, fresh, record)
        self._last = Heartbeat(
            at_utc=seen,
            state=ENDED if began >= self._assignment.until else WAITING,
            seq=number,
            rows=known.num_rows + fresh.num_rows,
            gaps=0,
            covered_utc=covered,
            lag_s=_least_lag_s(fresh),
            quiet=0,
        )
        return self._last

    def _fresh(self, known: pa.Table, found: pa.Table) -> pa.Table:
        """Return the good rows that say what no row does yet."""
        schema = FORMS[NEWS].schema
        report = check_batch(found, self._hours, NEWS)
        if report.bad_rows:  # the daily pull puts them into quarantine
            log.warning("left out", rows=report.bad_rows, reasons=sorted(set(report.reasons.drop_null().to_pylist())))
        good = report.table.filter(report.reasons.is_null()).cast(schema)
        fresh = good.join(known.select(_CONTENT), list(_CONTENT), join_type="left anti").select(schema.names)
        return fresh.cast(schema).sort_by([(name, "ascending") for name in FORMS[NEWS].key])

    def _fail(self, error: VendorError, before: Heartbeat | None) -> Round:
        now = self._feed.now()
        well = max(self._hours.pre_open, before.covered_utc if before else self._assignment.start)
        is_stalled = now - well >= self._stalled_after
        was_stalled = before is not None and before.state.startswith(STALLED)
        log.warning("the news could not be read", error=str(error), since=f"{well:%H:%M:%S} UTC")
        heartbeat = self._state(f"{STALLED if is_stalled else FAILING}: {error}", now)
        self._keep(heartbeat)
        if now >= self._assignment.until + self._stalled_after:
            self._lease.release(now, heartbeat)
            raise error
        self._lease.renew(now, heartbeat)
        wait = timedelta(seconds=error.retry_after_s or 0.0)
        return Round(heartbeat, self._again(str(error), wait), has_stalled=is_stalled and not was_stalled)

    def _again(self, why: str, least: timedelta = timedelta()) -> Again:
        left = self._assignment.until - self._feed.now()
        every = min(self._every, left) if left > timedelta() else self._every
        return Again(max(every, least), why)

    def _end(self, state: str) -> Heartbeat:
        now = self._feed.now()
        heartbeat = self._state(state, now)
        if self._lease.is_held:
            self._keep(heartbeat)
            self._lease.release(now, heartbeat)
        return heartbeat

    def _keep(self, heartbeat: Heartbeat) -> None:
        keep(self._lake, NEWS, self._assignment.session, self._writer, heartbeat)

    def _state(self, state: str, now: datetime) -> Heartbeat:
        """Return how things stand, with what is on disk as the last round left it."""
        last = self._last
        self._last = Heartbeat(
            at_utc=now,
            state=state,
            seq=self._batches.last_number(),
            rows=last.rows if last else 0,
            gaps=0,
            covered_utc=last.covered_utc if last else self._assignment.start,
            lag_s=None,
            quiet=0,
        )
        return self._last


def _newest(known: pa.Table) -> datetime | None:
    """Return when the newest article was published; None without any.

    A publisher's clock may be fast: one dated after it was seen must not have the next hours left out.
    """
    published_ms, seen_ms = (known[name].cast(pa.int64()) for name in ("published_utc", "first_seen_utc"))
    newest_ms = pc.max(pc.min_element_wise(published_ms, seen_ms)).as_py()
    return None if newest_ms is None else from_ms(newest_ms)


def _least_lag_s(fresh: pa.Table) -> float | None:
    """Return by how many seconds the promptest article was seen after its publication; None where none is new."""
    if not fresh.num_rows:
        return None
    lags_ms = pc.subtract(*(fresh[name].cast(pa.int64()) for name in ("first_seen_utc", "published_utc")))
    return float(pc.min(lags_ms).as_py()) / 1000
