"""What is left of a stream for people to read: one partition `<dataset>_live` of a session, made of what was recorded.

It says of each ticker whether a gap may hide something of it, and is provisional: the daily pull has the last word.
"""

from collections.abc import Sequence
from datetime import date

import pyarrow.compute as pc

from bellwether.config import Config
from bellwether.lake import Coverage, Lake, TickerCoverage
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Publication
from bellwether.lake.revisions import revision_of
from bellwether.streaming.assignment import NEWS, whole_session
from bellwether.streaming.compact import compact
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.lease import LeaseRecord, read_lease
from bellwether.tickers import WHOLE

_READER = "reader"


def live(dataset: str) -> str:
    """Return the name under which what a stream had of a dataset is published."""
    return f"{dataset}_live"


def publish_live(lake: Lake, config: Config, dataset: str, session: date, *, run_id: str) -> Publication | None:
    """Publish what was recorded of a session, in place of an earlier compaction.

    Parameters
    ----------
    lake, config
        Where, and how the file is laid out.
    dataset, session
        Of what.
    run_id
        For the manifest.

    Returns
    -------
    Publication or None
        None where nothing was recorded; what is published then stays as it is.

    Raises
    ------
    LakeError
        The storage refused.
    """
    # The gaps first: one that is closed meanwhile is then still told of.
    log = GapLog(lake, dataset, session, _READER)
    gaps, gaps_revision = [gap for gap in log.read() if gap.closed_utc is None], revision_of(log.table())
    compacted = compact(lake, dataset, session)
    if not compacted.arrivals:
        return None
    if dataset == NEWS:
        coverage = {WHOLE: _coverage_of_news(read_lease(lake, dataset, session), session, compacted.table.num_rows)}
    else:
        counts = pc.value_counts(compacted.table["ticker"]).to_pylist()
        coverage = {count["values"]: _coverage(count["values"], count["counts"], gaps) for count in counts}
    submission = GoldSubmission(
        dataset=live(dataset),
        session=session,
        table=compacted.table,
        coverage=coverage,
        inputs={"gaps": gaps_revision},
        warnings={"changed_later": compacted.changed, "gaps": len(gaps)},
        stage_id="",
        run_id=run_id,
        config_hash=config.hash,
        timings_s={},
        is_provisional=True,
    )
    layout = FileLayout(config.sinks.of(dataset), config.settings.lake.compression)
    return publish_gold(lake, submission, layout, lambda: submission.inputs)


def _coverage(ticker: str, rows: int, gaps: Sequence[Gap]) -> TickerCoverage:
    causes = sorted({gap.cause for gap in gaps if gap.symbols == ALL or ticker in gap.symbols})
    if not causes:
        return TickerCoverage(Coverage.COMPLETE, rows=rows)
    return TickerCoverage(Coverage.PARTIAL, rows=rows, reason=f"gaps that are not closed: {', '.join(causes)}")


def _coverage_of_news(lease: LeaseRecord | None, session: date, rows: int) -> TickerCoverage:
    """Return how far polling came: it leaves no gaps, and what it did not reach the daily pull brings."""
    until = whole_session(NEWS, session).until
    covered = lease.heartbeat.covered_utc if lease and lease.heartbeat else None
    if covered is not None and covered >= until:
        return TickerCoverage(Coverage.COMPLETE, rows=rows)
    reason = f"polled until {covered:%Y-%m-%d %H:%M} UTC" if covered else "nobody says how far polling came"
    return TickerCoverage(Coverage.PARTIAL, rows=rows, reason=reason)
