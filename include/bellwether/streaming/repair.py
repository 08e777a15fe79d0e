"""Repair: what a gap may have hidden is asked of REST, written beside what was heard, compared, and the gap closed.

REST competes with the stream as one more writer, and its rows count as of the instant until which its answer knows what
was broadcast: what is broadcast later wins. Nothing is remembered but gaps, and what is filled of them. Whoever dies
in the middle, and whoever repairs at the same time, leaves at most rows that say the same twice.
"""

import os
import secrets
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.config import Config
from bellwether.due import SPANS
from bellwether.errors import VendorError
from bellwether.ingest import rawfiles
from bellwether.ingest.fetch import stops_the_batch
from bellwether.ingest.sources import source_of
from bellwether.lake import Lake
from bellwether.lake.coverage import stored_universe
from bellwether.logging import get_logger
from bellwether.quality.drift.ledger import contracts_in_force
from bellwether.quality.drift.reader import Reader
from bellwether.quality.prepare import normalise
from bellwether.schemas import LIVE, LIVE_BARS
from bellwether.sources.raw import RawPage
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Batches, BatchRecord, Position, Writer
from bellwether.streaming.compact import Compacted, compact_rows, recorded
from bellwether.streaming.feedtime import FeedTime, from_ms, to_ms
from bellwether.streaming.filling import KEY, Answers, Share, differences, filled, lacking, what_differs
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.live import live
from bellwether.streaming.symbols import EVERYONE, symbols_of

_SETTLED = timedelta(minutes=10)
"""What was broadcast so long before a question is in its answer: users saw REST 5 minutes behind the stream
(https://github.com/polygon-io/client-python/issues/711)."""

_DELAY = timedelta(minutes=15)
"""By how much the vendor's `DELAYED` answers are behind: https://polygon.io/pricing, of the plans that are delayed."""

_MOST_TICKERS = 500  # whose answers are held at once
_ASKED_AT_ONCE = 4
_SESSIONS_BACK = 5

# No run of a recorder's is called so.
_RUN = "rest+"

log = get_logger(__name__)


@dataclass(frozen=True)
class Round:
    """What one round of repair came to.

    Attributes
    ----------
    closed
        Gaps that it closed.
    left
        Gaps that are open, each with the reason.
    rows
        That it wrote.
    """

    closed: tuple[Gap, ...]
    left: tuple[tuple[Gap, str], ...]
    rows: int


def repair(
    lake: Lake,
    config: Config,
    assignment: Assignment,
    rest: PolygonRest,
    feed: FeedTime,
    *,
    tickers: Sequence[str] = (),
    told: Callable[[int, int], object] = lambda _done, _all: None,
) -> Round:
    """Ask REST once for everyone of whom a gap that ended is not filled, and close the gaps that are filled then.

    Parameters
    ----------
    lake, config, assignment
        Where, by which configuration, and what.
    rest
        The vendor; it is asked from several threads.
    feed
        The time of gaps and answers.
    tickers
        Who was streamed, where that is neither the universe nor all there are.
    told
        Called with how many tickers were asked for, and how many are to be.

    Raises
    ------
    LakeError
        The lake refused; what was filled by then stays so.
    """
    gaps = [gap for gap in GapLog(lake, assignment.dataset, assignment.session, "").read() if gap.closed_utc is None]
    return _Work(lake, config, assignment, rest, feed, tickers).run(gaps, told) if gaps else Round((), (), 0)


@dataclass
class _Job:
    """An ended gap, and of whom it is not yet filled."""

    gap: Gap
    end: datetime
    left: set[str]


@dataclass(frozen=True)
class _Answer:
    """What REST said of one ticker; its rows in the schema of the live dataset."""

    rows: pa.Table
    known_utc: datetime
    pages: tuple[RawPage, ...]


class _Work:
    """One round at work."""

    def __init__(
        self,
        lake: Lake,
        config: Config,
        assignment: Assignment,
        rest: PolygonRest,
        feed: FeedTime,
        tickers: Sequence[str],
    ) -> None:
        self._lake = lake
        self._config = config
        self._assignment = assignment
        self._dataset, self._session = assignment.dataset, assignment.session
        self._hours = get_calendar().hours(assignment.session)
        self._rest = rest.reading(Reader(contracts_in_force(lake, config), goes_on=False).take)
        self._feed = feed
        self._source = source_of(config, assignment.dataset)
        self._schema = pa.schema([field.with_nullable(True) for field in LIVE[live(assignment.dataset)].schema])
        self._batches = Batches(lake, assignment.dataset, assignment.session)
        self._writer = own_writer()
        self._log = GapLog(lake, assignment.dataset, assignment.session, self._writer.name)
        self._span = SPANS[assignment.dataset](self._hours)
        self._recorded = recorded(lake, assignment.dataset, assignment.session)
        self._standing = self._compacted(self._recorded)
        self._everyone = self._streamed(tickers)
        self._jobs: list[_Job] = []
        self._delay = timedelta(0)
        self._problems: dict[str, str] = {}
        self._stopped: VendorError | None = None
        self._rows_written = 0

    def run(self, gaps: Sequence[Gap], told: Callable[[int, int], object]) -> Round:
        """Do the round."""
        now = self._feed.now()
        self._jobs = [
            _Job(gap, gap.end_utc, self._concerned(gap) - set(gap.filled))
            for gap in gaps
            if gap.end_utc is not None and gap.end_utc + _SETTLED <= now and self._is_known(gap)
        ]
        everyone = sorted(set().union(*(job.left for job in self._jobs)))
        # What nobody but the stream said: also of a round that died, what it had written counts as its filling.
        heard = self._compacted(
            self._recorded.filter(pc.invert(pc.starts_with(self._recorded["writer"], pattern=_RUN)))
        )
        done = 0
        for chunk in batched(everyone, _MOST_TICKERS):
            self._fill(self._ask(chunk), heard)
            done += len(chunk)
            told(done, len(everyone))
        finished = {job.gap.gap_id: job.gap for job in self._jobs if not job.left}
        closed = [self._close(gap) for gap in finished.values()]
        return Round(
            closed=tuple(gap for gap in closed if gap is not None),
            left=tuple((gap, self._why(gap)) for gap in gaps if gap.gap_id not in finished),
            rows=self._rows_written,
        )

    # --- whom

    def _streamed(self, tickers: Sequence[str]) -> set[str] | None:
        """Return everyone who may have been broadcast; None while nobody knows."""
        if tickers:
            return set(tickers)
        known = symbols_of(self._lake, self._config, self._dataset, self._session)
        if known is None:
            return None
        heard = set(pc.unique(self._recorded["ticker"]).to_pylist())
        return heard | (self._by_rule() if known == EVERYONE else set(known))

    def _by_rule(self) -> set[str]:
        """Return whom a rule meant: of this session where that is settled, else of the last one before it."""
        session = self._session
        for _ in range(_SESSIONS_BACK):
            universe = stored_universe(self._lake, self._dataset, session)
            if universe is not None:
                return set(universe.tickers)
            session = get_calendar().previous(session)
        return set()

    def _is_known(self, gap: Gap) -> bool:
        return gap.symbols != ALL or self._everyone is not None

    def _concerned(self, gap: Gap) -> set[str]:
        return set(gap.symbols) if gap.symbols != ALL else set(self._everyone or ())

    # --- what REST says

    def _ask(self, tickers: Sequence[str]) -> dict[str, _Answer]:
        """Return the answers there are; of everyone else, `_problems` or `_stopped` says why not."""
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as threads:
            answers = dict(zip(tickers, threads.map(self._answer, tickers), strict=True))
        found = {ticker: answer for ticker, answer in answers.items() if answer is not None}
        pages = [page for answer in found.values() for page in answer.pages]
        rawfiles.keep(self._lake, live(self._dataset), self._session, self._writer.name, pages, prefix="repair")
        return found

    def _answer(self, ticker: str) -> _Answer | None:
        asked_utc = self._feed.now()
        known_utc = from_ms(to_ms(asked_utc - _SETTLED))
        shares = [self._share(job, ()) for job in self._jobs if ticker in job.left and self._is_due(job.end, asked_utc)]
        if not shares or self._stopped is not None:
            return None
        first, last = min(share.first for share in shares), max(share.last for share in shares)
        if last < first:
            return _Answer(self._schema.empty_table(), known_utc, ())
        try:
            answer = self._rest.aggregates(ticker, to_ms(first), to_ms(last))
            if answer.status == "DELAYED":
                self._delay = _DELAY
            rows, _ = normalise(self._source.rows(ticker, [answer], self._hours), self._dataset)
        except VendorError as error:
            log.warning("not repaired", ticker=ticker, error=str(error))
            if stops_the_batch(error):
                self._stopped = error
            self._problems[ticker] = f"{type(error).__name__}: {error.message}"
            return None
        if pc.count_distinct(rows["ts"]).as_py() < len(rows):
            self._problems[ticker] = "REST has two different bars of one minute"
            return None
        return _Answer(rows.select(self._schema.names), known_utc - self._delay, answer.pages)

    def _is_due(self, end: datetime, now: datetime) -> bool:
        return end + _SETTLED + self._delay <= now

    # --- what is made of it

    def _fill(self, found: dict[str, _Answer], heard: Compacted) -> None:
        """Write what answers have and recordings lack, and note for each gap of whom it is filled now."""
        answers = Answers(
            pa.concat_tables([self._schema.empty_table(), *(each.rows for each in found.values())]),
            {ticker: answer.known_utc for ticker, answer in found.items()},
        )
        shares = [(job, self._share(job, self._answered(job, answers))) for job in self._jobs]
        self._write(answers, [lacking(differences(self._standing, answers, share), answers) for _, share in shares])
        for job, share in shares:
            still = what_differs(differences(self._standing, answers, share))
            self._problems |= still
            proven = {each: what for each, what in filled(heard, answers, share).items() if each not in still}
            if proven:
                job.gap = self._log.fill(job.gap, proven)
                job.left -= set(proven)

    def _answered(self, job: _Job, answers: Answers) -> set[str]:
        """Return of whom answers know all that a gap may have hidden."""
        return {each for each in job.left if each in answers.known_utc and answers.known_utc[each] >= job.end}

    def _share(self, job: _Job, tickers: Collection[str]) -> Share:
        return Share.of(job.gap, job.end, self._span, tickers)

    def _write(self, answers: Answers, lacks: Sequence[pa.Table]) -> None:
        """Write rows of answers as a further writer's, and read again what stands then."""
        keys = pa.concat_tables(lacks).group_by(KEY, use_threads=False).aggregate([]) if lacks else pa.table({})
        if not len(keys):
            return
        rows = answers.rows.join(keys, KEY, join_type="left semi")
        rows = rows.sort_by([(name, "ascending") for name in KEY]).combine_chunks()
        position = self._batches.position() or Position(0, -1, to_ms(self._assignment.start))
        columns = {
            **{name: rows[name] for name in rows.column_names},
            "arrived_utc": answers.known_at(rows),
            "arrival": pa.array(range(position.arrival + 1, position.arrival + 1 + len(rows)), pa.int64()),
        }
        table = pa.table({each.name: columns.get(each.name, pa.nulls(len(rows), each.type)) for each in LIVE_BARS})
        # Of what recorders cover it says no more than they do.
        record = BatchRecord(rows=len(rows), last_arrival=position.arrival + len(rows), covered_ms=position.covered_ms)
        self._batches.write(self._writer, position.seq + 1, table.cast(LIVE_BARS), record)
        self._rows_written += len(rows)
        self._recorded = recorded(self._lake, self._dataset, self._session)
        self._standing = self._compacted(self._recorded)

    def _compacted(self, rows: pa.Table) -> Compacted:
        return compact_rows(rows, LIVE[live(self._dataset)].schema, self._session)

    def _close(self, gap: Gap) -> Gap | None:
        found = gap.filled.values()
        evidence = (
            f"REST has {sum(each.minutes for each in found)} minutes of {len(found)} tickers, volume "
            f"{sum(each.volume for each in found):.10g}, and so have we: {sum(each.added for each in found)} added, "
            f"{sum(each.changed for each in found)} changed"
        )
        closed = self._log.close(gap, self._feed.now(), evidence)
        if closed is not None:
            log.info("gap closed", cause=gap.cause, start=gap.start_utc.isoformat(), evidence=evidence)
        return closed

    def _why(self, gap: Gap) -> str:
        """Return why a gap is open after the round."""
        if gap.end_utc is None:
            return "nobody listens yet"
        if not self._is_known(gap):
            return f"nobody has published yet which {self._dataset} there are"
        if not self._is_due(gap.end_utc, self._feed.now()):
            moment = gap.end_utc + _SETTLED + self._delay
            return f"REST knows all of it from {moment.astimezone(NEW_YORK):%H:%M:%S} New York on"
        left = sorted(next((job.left for job in self._jobs if job.gap.gap_id == gap.gap_id), set()))
        failed = [ticker for ticker in left if ticker in self._problems]
        if failed:
            more = f", and {len(failed) - 1} more tickers" if len(failed) > 1 else ""
            return f"{failed[0]}: {self._problems[failed[0]]}{more}"
        return (
            f"{type(self._stopped).__name__}: {self._stopped.message}" if self._stopped else "it ended during the round"
        )


def own_writer() -> Writer:
    """Return a writer that is no recorder, another one each time."""
    return Writer(f"{_RUN}{secrets.token_hex(4)}", 1, os.getpid())
