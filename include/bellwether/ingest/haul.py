"""What answers come to: rows past the gate, and the coverage of each ticker.

Answers that just came (`fetch`) and answers that were kept (`replay`) pass through here alike, so that both say the
same of the same bytes. This room knows neither the vendor nor the lake's files.
"""

from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.errors import NotFound, QualityError
from bellwether.lake import Coverage, TickerCoverage
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import staged_schema
from bellwether.sources.aggregates import Aggregates


@dataclass
class Haul:
    """What the answers of some tickers have come to so far.

    Attributes
    ----------
    tables
        Rows past the gate, with the staged schema.
    """

    dataset: str
    hours: SessionHours
    tables: list[pa.Table] = field(default_factory=list)
    coverage: dict[str, TickerCoverage] = field(default_factory=dict)

    @property
    def table(self) -> pa.Table:
        """All rows."""
        return pa.concat_tables([staged_schema(self.dataset).empty_table(), *self.tables])

    def take(self, answer: Aggregates, stage_id: str) -> None:
        """Pass an answer's bars through the gate and note what it proves.

        Raises
        ------
        QualityError
            The transport delivered other columns than the schema's.
        """
        report = check_batch(answer.table, self.hours, self.dataset)
        if report.errors:
            msg = f"{self.dataset} {answer.ticker}: {'; '.join(report.errors)}"
            raise QualityError(msg)
        self.tables.append(report.table)
        rows = report.table.num_rows
        self.coverage[answer.ticker] = TickerCoverage(
            Coverage.COMPLETE if rows else Coverage.EMPTY,
            rows=rows,
            duplicates_dropped=report.duplicates_dropped,
            stage_id=stage_id,
            # Pages of an earlier try make an answer as old as the first of them.
            fetched_utc=answer.pages[0].received_utc,
            reason="" if rows else "the vendor answered with no bars",
        )

    def take_unknown(self, ticker: str, error: NotFound, fetched_utc: datetime, stage_id: str) -> None:
        """Note that the vendor knows no such ticker."""
        self.coverage[ticker] = TickerCoverage(
            Coverage.UNKNOWN_TICKER,
            stage_id=stage_id,
            fetched_utc=fetched_utc,
            reason=f"{error.message} [request {error.request_id}]",
        )
