"""Fetching one batch: vendor -> raw responses -> gate -> stage.

A ticker that fails does not hold the others back: what came is staged first, then the failure is
raised, and the next try fetches only what is still missing, to the page.
"""

import resource
import time
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.clock import Clock
from bellwether.config import Config, RetryPolicies
from bellwether.drift.ledger import contracts_in_force
from bellwether.drift.reader import Reader
from bellwether.due import check_in_time
from bellwether.errors import (
    ConnectionFailed,
    Drifted,
    NotEntitled,
    NotPublishedYet,
    OutsideHistory,
    RateLimited,
    SnapshotMissed,
    Unauthorized,
    VendorError,
)
from bellwether.faultpoints import reach
from bellwether.ingest import rawfiles
from bellwether.ingest.haul import Haul
from bellwether.ingest.pages import StagedPages
from bellwether.ingest.plan import Batch
from bellwether.ingest.sources import source_of
from bellwether.lake import Coverage, Lake, TickerCoverage
from bellwether.lake.stage import BatchRecord, Stage
from bellwether.logging import get_logger
from bellwether.schemas import FORMS
from bellwether.sources.raw import RawPage
from bellwether.sources.rest import PolygonRest
from bellwether.sources.source import Answer
from bellwether.sources.walk import PageLog
from bellwether.tickers import WHOLE

log = get_logger(__name__)

# What is wrong with the key, the line or the hour is wrong for every ticker: asking on would only burn requests.
_STOPS_THE_BATCH = (Unauthorized, NotEntitled, NotPublishedYet, RateLimited, ConnectionFailed)


class BatchSummary(msgspec.Struct, frozen=True):
    """What a batch brought, in counts: all that travels between tasks."""

    name: str
    tickers: int
    rows: int
    api_calls: int
    seconds: float
    peak_memory_mb: float


@dataclass
class _Try:
    """One try at a batch, and what it has brought so far."""

    batch: Batch
    clock: Clock
    haul: Haul
    reader: Reader
    is_required: bool
    pages: list[RawPage] = field(default_factory=list)
    errors: dict[str, VendorError | SnapshotMissed] = field(default_factory=dict)
    stopped: VendorError | SnapshotMissed | None = None
    api_calls: int = 0

    def is_settled_by(self, error: VendorError | SnapshotMissed) -> bool:
        """Return whether there is nothing to wait for: the dataset is optional and the plan does not include it."""
        # Of history clipped within an answer (status 200) the plan includes a part: that is no answer.
        return isinstance(error, NotEntitled) and error.status != 200 and not self.is_required

    def check_in_time(self, wait_s: float = 0.0) -> None:
        """Refuse to ask, or to wait and then ask, for what can no longer be captured then; `SnapshotMissed`."""
        check_in_time(self.batch.dataset, self.haul.hours, self.clock.now() + timedelta(seconds=wait_s))

    def fail(self, ticker: str, error: VendorError | SnapshotMissed, reason: str) -> None:
        """Note what an error means for a ticker."""
        state = Coverage.MISSING if isinstance(error, SnapshotMissed) else Coverage.FAILED
        self.haul.coverage[ticker] = TickerCoverage(
            Coverage.NOT_ENTITLED if self.is_settled_by(error) else state,
            stage_id=self.batch.stage_id,
            fetched_utc=self.clock.now(),
            reason=reason,
        )


def fetch_batch(lake: Lake, rest: PolygonRest, config: Config, batch: Batch) -> BatchSummary:
    """Fetch, keep and stage one batch.

    Parameters
    ----------
    lake
        Where raw responses and the stage go.
    rest
        The vendor.
    config
        How the dataset is captured, and which of several failures is raised: the one most worth another try.
    batch
        What to fetch. Tickers an earlier, failed try of the same batch has proven are not fetched again; a
        batch that had succeeded is fetched anew, since only a person can have asked for that.

    Raises
    ------
    VendorError
        At least one ticker failed; everything else is staged.
    SnapshotMissed
        At least one ticker came, or would have come, too late to be of this session; everything else is staged.
    QualityError
        The transport delivered other columns than the schema's.
    """
    started_s = time.perf_counter()
    hours = get_calendar().hours(batch.session)
    stage = Stage(lake, batch.dataset, batch.session, batch.stage_id)
    page_log = StagedPages(lake, stage.folder / f"b{batch.index:03d}.pages", batch.session)
    earlier = stage.read_batch(batch.index)
    if earlier is not None and not earlier[1].failed:
        earlier = None
        page_log.clear()
    haul = Haul(source_of(config, batch.dataset), hours)
    reader = Reader(contracts_in_force(lake, config), goes_on=True)
    attempt = _Try(batch, lake.clock, haul, reader, config.source(batch.dataset).required)
    if earlier is not None:
        haul.tables.append(earlier[0])
        haul.left_out |= earlier[1].left_out
        haul.coverage |= {t: known for t, known in earlier[1].coverage.items() if known.state.is_proven}
        haul.drift |= {t: changes for t, changes in earlier[1].drift.items() if t in haul.coverage}
    rest = rest.reading(reader.take)
    for ticker in batch.tickers:
        if ticker not in haul.coverage:
            _fetch_ticker(rest, ticker, page_log, attempt)
    reach("fetch.answered", batch.session)
    prefix = f"b{batch.index:03d}"
    raw = rawfiles.keep(lake, batch.dataset, batch.session, batch.stage_id, attempt.pages, prefix=prefix)
    reach("fetch.kept", batch.session)
    table = haul.table
    record = BatchRecord(
        coverage=dict(sorted(haul.coverage.items())),
        api_calls=attempt.api_calls + (earlier[1].api_calls if earlier else 0),
        seconds=time.perf_counter() - started_s + (earlier[1].seconds if earlier else 0.0),
        raw=raw | (earlier[1].raw if earlier else {}),
        left_out=haul.left_out,
        drift=haul.drift,
    )
    stage.write_batch(batch.index, table, record)
    reach("fetch.staged", batch.session)
    if attempt.errors:
        raise _worst(attempt.errors, config.retry_policy, len(batch.tickers))
    page_log.clear()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    log.info("staged", batch=batch.name, rows=table.num_rows, api_calls=record.api_calls)
    return BatchSummary(batch.name, len(batch.tickers), table.num_rows, record.api_calls, record.seconds, peak_mb)


def stops_the_batch(error: VendorError | SnapshotMissed) -> bool:
    """Return whether what one ticker failed of is wrong for all others, too."""
    if isinstance(error, SnapshotMissed):
        return True
    # History clipped within an answer is told of one ticker's bars; refused, it is told of the plan.
    is_of_one_ticker = isinstance(error, OutsideHistory) and error.status == 200
    return isinstance(error, _STOPS_THE_BATCH) and not is_of_one_ticker


def _fetch_ticker(rest: PolygonRest, ticker: str, page_log: PageLog, attempt: _Try) -> None:
    batch, haul = attempt.batch, attempt.haul
    if isinstance(attempt.stopped, VendorError):
        attempt.fail(ticker, attempt.stopped, f"not tried after: {attempt.stopped.message}")
        return
    try:
        if attempt.stopped is not None:
            raise attempt.stopped  # too late for one is too late for all
        attempt.check_in_time()
        answers = _ask(rest, ticker, page_log, attempt)
        haul.take(ticker, answers, batch.stage_id, attempt.reader.drain())
    except Drifted as error:
        attempt.pages += error.pages
        haul.holds_back(ticker, attempt.reader.drain(), batch.stage_id, min(p.received_utc for p in error.pages))
    except (VendorError, SnapshotMissed) as error:
        log.warning("ticker failed", batch=batch.name, ticker=ticker, error=str(error))
        if stops_the_batch(error):
            attempt.stopped = error
        if not attempt.is_settled_by(error):
            attempt.errors[ticker] = error
        words = error.message if isinstance(error, VendorError) else str(error)
        attempt.fail(ticker, error, f"{type(error).__name__}: {words}")


def _ask(rest: PolygonRest, ticker: str, page_log: PageLog, attempt: _Try) -> list[Answer]:
    """Return all answers about a ticker.

    Raises
    ------
    VendorError
        The vendor did not give a complete one.
    SnapshotMissed
        It asks to wait for longer than the session can be captured.
    """
    answers: list[Answer] = []
    attempt.reader.drain()  # of a ticker that failed
    try:
        for answer in attempt.haul.source.ask(rest, ticker, attempt.haul.hours, page_log):
            answers.append(answer)
            attempt.api_calls += answer.api_calls
            attempt.pages += answer.pages
    except VendorError as error:
        attempt.api_calls += error.api_calls
        if isinstance(error, NotPublishedYet) and error.retry_after_s is None:
            error.retry_after_s = _until_end_of_day_s(attempt)
        attempt.check_in_time(error.retry_after_s or 0.0)
        raise
    return answers


def _until_end_of_day_s(attempt: _Try) -> float | None:
    # "Before end of day" is all the vendor says: before the session's last minute no try can succeed.
    left_s = (attempt.haul.hours.post_close - attempt.clock.now()).total_seconds()
    return left_s if left_s > 0 else None


def _worst(
    errors: dict[str, VendorError | SnapshotMissed], retries: RetryPolicies, asked: int
) -> VendorError | SnapshotMissed:
    error = max(errors.values(), key=lambda e: retries.rule_for(e).airflow_retries)
    error.add_note(f"{len(errors)} of {asked} tickers failed: {', '.join(sorted(errors))}; the others are staged")
    error.add_note(f"What to do: {error.advice}")
    return error


def rows_by_subject(table: pa.Table, dataset: str) -> dict[str, int]:
    """Return the number of rows of each subject in a table; a subject without rows is not among them."""
    subject = FORMS[dataset].subject
    if subject is None:
        return {WHOLE: table.num_rows} if table.num_rows else {}
    counts = pc.value_counts(table[subject].combine_chunks())
    return {entry["values"]: entry["counts"] for entry in counts.to_pylist()}
