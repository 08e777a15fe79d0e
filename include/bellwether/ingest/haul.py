"""What answers come to: rows past the gate, and the coverage of each subject.

Answers that just came (`fetch`) and answers that were kept (`replay`) pass through here alike, so that both say the
same of the same bytes. This room knows neither the vendor nor the lake's files.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.drift.change import Change, why_held
from bellwether.due import check_in_time
from bellwether.errors import NotFound, QualityError
from bellwether.ingest.sources import LEFT_OUT
from bellwether.lake import Coverage, TickerCoverage
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import staged_schema
from bellwether.sources.listing import Listing
from bellwether.sources.source import EMPTY_REASON, Answer, Source


@dataclass
class Haul:
    """What the answers about some subjects have come to so far.

    Attributes
    ----------
    source
        Reads the answers.
    tables
        Rows past the gate, with the staged schema.
    left_out
        What of the answers became no row, counted by `WarningName`.
    drift
        How the answers about each subject differ from their contracts.
    """

    source: Source
    hours: SessionHours
    tables: list[pa.Table] = field(default_factory=list)
    coverage: dict[str, TickerCoverage] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    drift: dict[str, tuple[Change, ...]] = field(default_factory=dict)

    @property
    def table(self) -> pa.Table:
        """All rows."""
        return pa.concat_tables([staged_schema(self.source.dataset).empty_table(), *self.tables])

    def take(self, subject: str, answers: Sequence[Answer], stage_id: str, changes: tuple[Change, ...] = ()) -> None:
        """Pass the rows of all answers about a subject through the gate and note what they prove.

        Answers that contradict each other prove nothing, and those that break their contract are held back; the other
        subjects are not held up.

        Raises
        ------
        QualityError
            The source delivered other columns than the schema's.
        SnapshotMissed
            A page came too late to be of this session.
        VendorError
            The source cannot make rows of the answers.
        """
        last_utc = max(page.received_utc for answer in answers for page in answer.pages)
        check_in_time(self.source.dataset, self.hours, last_utc)
        fetched_utc = fetched(answers)
        if self.holds_back(subject, changes, stage_id, fetched_utc):
            return
        try:
            table = self.source.rows(subject, answers, self.hours)
        except NotFound as error:
            self.coverage[subject] = TickerCoverage(
                Coverage.UNKNOWN_TICKER,
                stage_id=stage_id,
                fetched_utc=fetched_utc,
                reason=f"{error.message} [request {error.request_id}]",
            )
            return
        except QualityError as error:
            self.coverage[subject] = TickerCoverage(
                Coverage.FAILED, stage_id=stage_id, fetched_utc=fetched_utc, reason=f"QualityError: {error}"
            )
            return
        report = check_batch(table, self.hours, self.source.dataset)
        if report.errors:
            msg = f"{self.source.dataset} {subject}: {'; '.join(report.errors)}"
            raise QualityError(msg)
        self.tables.append(report.table)
        if self.source.dataset in LEFT_OUT:
            self.left_out = summed(self.left_out, LEFT_OUT[self.source.dataset](answers, self.hours))
        rows = report.table.num_rows
        self.coverage[subject] = TickerCoverage(
            Coverage.COMPLETE if rows else Coverage.EMPTY,
            rows=rows,
            duplicates_dropped=report.duplicates_dropped + overlaps(answers),
            stage_id=stage_id,
            fetched_utc=fetched_utc,
            reason="" if rows else _why_empty(table),
        )

    def holds_back(
        self, subject: str, changes: tuple[Change, ...], stage_id: str, fetched_utc: datetime | None
    ) -> bool:
        """Note how the answers about a subject differ; return whether they are held back, which is noted, too."""
        if changes:
            self.drift[subject] = changes
        why = why_held(changes)
        if why:
            self.coverage[subject] = TickerCoverage(
                Coverage.QUARANTINED, stage_id=stage_id, fetched_utc=fetched_utc, reason=why
            )
        return bool(why)


def _why_empty(table: pa.Table) -> str:
    reason: bytes = (table.schema.metadata or {}).get(EMPTY_REASON, b"the vendor answered with no rows")
    return reason.decode()


def summed(*counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts by name, added up."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def overlaps(answers: Sequence[Answer]) -> int:
    """Return how many rows came on two pages."""
    return sum(answer.duplicates_dropped for answer in answers if isinstance(answer, Listing))


def fetched(answers: Sequence[Answer]) -> datetime:
    """Return when answers came: pages of an earlier try make them as old as the first of them."""
    return min(page.received_utc for answer in answers for page in answer.pages)
