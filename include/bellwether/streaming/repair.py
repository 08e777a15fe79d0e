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
from functools import cached_property
from itertools import batched

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.config import Config
from bellwether.drift.reader import by_contracts
from bellwether.due import SPANS
from bellwether.errors import NotEntitled, NotFound, VendorError
from bellwether.ingest import rawfiles
from bellwether.ingest.fetch import stops_the_batch
from bellwether.ingest.sources import source_of
from bellwether.lake import Coverage, Lake
from bellwether.logging import get_logger
from bellwether.quality.prepare import normalise
from bellwether.schemas import LIVE
from bellwether.sources.raw import RawPage
from bellwether.sources.rest import PolygonRest
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import REPAIR, Batches, BatchRecord, Position, Writer
from bellwether.streaming.compact import recorded, standing
from bellwether.streaming.concerned import Concerned
from bellwether.streaming.decode import MINUTE_MS
from bellwether.streaming.feedtime import DELAY, FeedTime, from_ms, to_ms
from bellwether.streaming.filling import KEY, Answers, Share, differences, filled, lacking, what_differs
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.live import live
from bellwether.streaming.rows import LIVE_BARS
from bellwether.streaming.values import minutes_of
from bellwether.universe.spec import shown

_SETTLED = timedelta(minutes=10)
"""What was broadcast so long before a question is in its answer: users saw REST 5 minutes behind the stream
(https://github.com/polygon-io/client-python/issues/711)."""

_MOST_TICKERS = 500  # whose answers are held at once
_ASKED_AT_ONCE = 4

log = get_logger(__name__)


@dataclass(frozen=True)
class Round:
    """What one round of repair came to.

    Attributes
    ----------
    closed
        Gaps that it closed.
    left
        Gaps that are not filled of everyone, each with the reason: all that are open, and closed ones of everything of
        which somebody lacks who was not known before.
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
    known = GapLog(lake, assignment.dataset, assignment.session, "").read()
    gaps = [gap for gap in known if gap.closed_utc is None or gap.symbols == ALL]
    return _Work(lake, config, assignment, rest, feed, tickers).run(gaps, told) if gaps else Round((), (), 0)


@dataclass
class _Job:
    """An ended gap, and of whom it is not yet filled."""

    gap: Gap
    end: datetime
    left: set[str]


@dataclass(frozen=True)
class _Answer:
    """What REST said of one ticker; its rows in the schema of the live dataset, `refused` as in `Filled`."""

    rows: pa.Table
    known_utc: datetime
    pages: tuple[RawPage, ...]
    refused: str = ""


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
        self._rest = by_contracts(rest, lake, config)
        self._feed = feed
        self._source = source_of(config, assignment.dataset)
        self._schema = pa.schema([field.with_nullable(True) for field in LIVE[live(assignment.dataset)].schema])
        self._batches = Batches(lake, assignment.dataset, assignment.session)
        self._writer = own_writer()
        self._log = GapLog(lake, assignment.dataset, assignment.session, self._writer.name)
        self._span = SPANS[assignment.dataset](self._hours)
        self._concerned = Concerned(
            lake,
            config,
            assignment.dataset,
            assignment.session,
            lambda: pc.unique(self._all_recorded["ticker"]).to_pylist(),
            tickers,
        )
        self._jobs: list[_Job] = []
        self._delay = timedelta(0)
        self._problems: dict[str, str] = {}
        self._stopped: VendorError | None = None
        self._rows_written = 0

    def run(self, gaps: Sequence[Gap], told: Callable[[int, int], object]) -> Round:
        """Do the round."""
        now = self._feed.now()
        ends = {gap.gap_id: self._whole(gap.end_utc) for gap in gaps if gap.end_utc is not None}
        due = [gap for gap in gaps if gap.gap_id in ends and ends[gap.gap_id] + _SETTLED <= now]
        if any(gap.symbols == ALL and gap.closed_utc is None for gap in due):
            pages = self._concerned.resolve(self._rest, now)
            rawfiles.keep(self._lake, live(self._dataset), self._session, self._writer.name, pages, prefix="universe")
        jobs = [
            _Job(gap, ends[gap.gap_id], self._concerned.of(gap) - gap.filled.keys())
            for gap in due
            if self._concerned.knows(gap)
        ]
        self._jobs = [job for job in jobs if job.left or job.gap.closed_utc is None]
        everyone = sorted(set().union(*(job.left for job in self._jobs)))
        done = 0
        for chunk in batched(everyone, _MOST_TICKERS):
            self._fill(chunk, self._ask(chunk))
            done += len(chunk)
            told(done, len(everyone))
        finished = [job.gap for job in self._jobs if not job.left]
        closed = [self._close(gap) for gap in finished if gap.closed_utc is None]
        left = [gap for gap in gaps if gap.closed_utc is None] + [job.gap for job in self._jobs if job.gap.closed_utc]
        done_ids = {gap.gap_id for gap in finished}
        return Round(
            closed=tuple(gap for gap in closed if gap is not None),
            left=tuple((gap, self._why(gap)) for gap in left if gap.gap_id not in done_ids),
            rows=self._rows_written,
        )

    def _whole(self, end: datetime) -> datetime:
        """Return until when minutes are to be asked for that a gap with such an end may have hidden."""
        if self._dataset != "indices":
            return end
        # Where values are recorded, the minute in which somebody listens again is known of its rest alone.
        return from_ms(-(-to_ms(end) // MINUTE_MS) * MINUTE_MS)

    @cached_property
    def _all_recorded(self) -> pa.Table:
        """All that was written before the round, by whomever."""
        return recorded(self._lake, self._dataset, self._session)

    @cached_property
    def _recorded(self) -> pa.Table:
        """The minutes of that; of one that only values tell of, REST has the better word, if it has one."""
        return minutes_of(self._all_recorded)

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
                self._delay = DELAY - self._feed.behind
            rows, _ = normalise(self._source.rows(ticker, [answer], self._hours), self._dataset)
        except VendorError as error:
            log.warning("not repaired", ticker=ticker, error=str(error))
            self._problems[ticker] = _in_short(error)
            if refused := self._refusal(ticker, error):
                return _Answer(self._schema.empty_table(), known_utc - self._delay, error.pages, refused)
            if stops_the_batch(error):
                self._stopped = error
            return None
        if pc.count_distinct(rows["ts"]).as_py() < len(rows):
            self._problems[ticker] = "REST has two different bars of one minute"
            return None
        return _Answer(rows.select(self._schema.names), known_utc - self._delay, answer.pages)

    def _refusal(self, ticker: str, error: VendorError) -> str:
        """Return the state of a ticker of which REST has proven that it will tell nothing; else an empty text."""
        if isinstance(error, NotFound):
            return Coverage.UNKNOWN_TICKER
        # Of history clipped within an answer (status 200) the plan includes a part.
        is_refused = isinstance(error, NotEntitled) and error.status != 200 and not self._concerned.is_required(ticker)
        return Coverage.NOT_ENTITLED if is_refused else ""

    def _is_due(self, end: datetime, now: datetime) -> bool:
        return end + _SETTLED + self._delay <= now

    # --- what is made of it

    def _fill(self, tickers: Sequence[str], found: dict[str, _Answer]) -> None:
        """Write what answers have and recordings lack, and note for each gap of whom it is filled now."""
        answers = Answers(
            pa.concat_tables([self._schema.empty_table(), *(each.rows for each in found.values())]),
            {ticker: answer.known_utc for ticker, answer in found.items()},
        )
        rows = self._recorded.filter(pc.is_in(self._recorded["ticker"], value_set=pa.array(tickers, pa.string())))
        by = self._session, self._config.settings.late.after_broadcast(self._dataset)
        # What nobody but the stream said: also of a round that died, what it had written counts as its filling.
        heard = standing(rows.filter(pc.invert(pc.starts_with(rows["writer"], pattern=REPAIR))), *by)
        before = standing(rows, *by)
        shares = [(job, self._share(job, self._answered(job, answers))) for job in self._jobs]
        written = self._write(answers, [lacking(differences(before, answers, share), answers) for _, share in shares])
        now = standing(pa.concat_tables([rows, written], promote_options="default"), *by)
        refused = {ticker: answer.refused for ticker, answer in found.items() if answer.refused}
        # What was heard of whom REST tells nothing stands as it is; whom the session has to have, REST has to know.
        exempt = {ticker for ticker in refused if not self._concerned.is_required(ticker)}
        is_over = self._is_due(self._assignment.until, self._feed.now())
        final = found.keys() - refused.keys() if is_over else set()
        for job, share in shares:
            still = what_differs(differences(now, answers, share), final)
            still = {ticker: what for ticker, what in still.items() if ticker not in exempt}
            self._problems = still | self._problems
            proven = {
                ticker: msgspec.structs.replace(what, refused=refused.get(ticker, ""))
                for ticker, what in filled(heard, answers, share).items()
                if ticker not in still
            }
            if proven:
                job.gap = self._log.fill(job.gap, proven)
                job.left -= proven.keys()

    def _answered(self, job: _Job, answers: Answers) -> set[str]:
        """Return of whom answers know all that a gap may have hidden."""
        return {each for each in job.left if each in answers.known_utc and answers.known_utc[each] >= job.end}

    def _share(self, job: _Job, tickers: Collection[str]) -> Share:
        return Share.of(job.gap, job.end, self._span, tickers)

    def _write(self, answers: Answers, lacks: Sequence[pa.Table]) -> pa.Table:
        """Write rows of answers as a further writer's, and return them as they will be read again."""
        keys = pa.concat_tables(lacks).group_by(KEY, use_threads=False).aggregate([])
        if not len(keys):
            return self._recorded.slice(0, 0)
        rows = answers.rows.join(keys, KEY, join_type="left semi")
        rows = rows.sort_by([(name, "ascending") for name in KEY]).combine_chunks()
        position = self._batches.position() or Position(0, -1, to_ms(self._assignment.start))
        columns = {
            **{name: rows[name] for name in rows.column_names},
            "arrived_utc": answers.known_at(rows),
            "arrival": pa.array(range(position.arrival + 1, position.arrival + 1 + len(rows)), pa.int64()),
        }
        table = pa.table({each.name: columns.get(each.name, pa.nulls(len(rows), each.type)) for each in LIVE_BARS})
        table = table.cast(LIVE_BARS)
        # Of what recorders cover it says no more than they do.
        record = BatchRecord(rows=len(rows), last_arrival=position.arrival + len(rows), covered_ms=position.covered_ms)
        self._batches.write(self._writer, position.seq + 1, table, record)
        self._rows_written += len(rows)
        return table.append_column("writer", pa.repeat(self._writer.name, len(table)))

    def _close(self, gap: Gap) -> Gap | None:
        found = [each for each in gap.filled.values() if not each.refused]
        evidence = (
            f"REST has {sum(each.minutes for each in found)} minutes of {len(found)} tickers, volume "
            f"{sum(each.volume for each in found):.10g}, and so have we: {sum(each.added for each in found)} added, "
            f"{sum(each.changed for each in found)} changed"
        )
        if taken_back := sum(each.taken_back for each in found):
            evidence += f"; {taken_back} minutes that were heard it has not"
        refused = [f"{ticker} ({each.refused})" for ticker, each in gap.filled.items() if each.refused]
        if refused:
            evidence += f"; it tells nothing of {shown(refused)}"
        if gap.symbols == ALL and self._concerned.malformed:
            evidence += f"; not asked for, being no tickers: {shown(map(repr, self._concerned.malformed))}"
        closed = self._log.close(gap, self._feed.now(), evidence)
        if closed is not None:
            log.info("gap closed", cause=gap.cause, start=gap.start_utc.isoformat(), evidence=evidence)
        return closed

    def _why(self, gap: Gap) -> str:
        """Return why a gap is not filled after the round."""
        if gap.end_utc is None:
            return "nobody listens yet"
        if not self._concerned.knows(gap):
            return self._concerned.unknown
        end = self._whole(gap.end_utc)
        if not self._is_due(end, self._feed.now()):
            moment = end + _SETTLED + self._delay
            return f"REST knows all of it from {moment.astimezone(NEW_YORK):%H:%M:%S} New York on"
        left = sorted(next((job.left for job in self._jobs if job.gap.gap_id == gap.gap_id), set()))
        failed = [ticker for ticker in left if ticker in self._problems]
        if failed:
            more = f", and {len(failed) - 1} more tickers" if len(failed) > 1 else ""
            return f"{failed[0]}: {self._problems[failed[0]]}{more}"
        return _in_short(self._stopped) if self._stopped else "it ended during the round"


def _in_short(error: VendorError) -> str:
    return f"{type(error).__name__}: {error.message.rstrip('.')}"


def own_writer() -> Writer:
    """Return a writer that is no recorder, another one each time."""
    return Writer(f"{REPAIR}{secrets.token_hex(4)}", 1, os.getpid())
