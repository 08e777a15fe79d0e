"""What is left of a stream for people to read: one partition `<dataset>_live` of a session, made of what was recorded.

It says of each ticker whether a gap may hide something of it, and is provisional: the daily pull has the last word.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial

import pyarrow.compute as pc

from bellwether.config import Config
from bellwether.errors import InputsChanged, LakeError
from bellwether.lake import Coverage, Lake, Manifest, TickerCoverage
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import MOST_ROUNDS, Publication
from bellwether.lake.revisions import revision_of
from bellwether.streaming.assignment import NEWS, whole_session
from bellwether.streaming.compact import compact
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.lease import read_lease
from bellwether.tickers import WHOLE

_READER = "reader"
_ARRIVALS = "arrivals"


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
    for _ in range(MOST_ROUNDS):
        made = _compose(lake, config, dataset, session, run_id)
        if made is None:
            return None
        layout = FileLayout(config.sinks.of(dataset), config.settings.lake.compression)
        try:
            return publish_gold(
                lake,
                made,
                layout,
                partial(_inputs_now, lake, dataset, session),
                may_replace=partial(_saw_no_more_than, made),
            )
        except InputsChanged:  # a gap was opened, ended or closed since it was read
            continue
    msg = f"{live(dataset)} {session}: {MOST_ROUNDS} times there was something new; try again"
    raise LakeError(msg)


def _compose(lake: Lake, config: Config, dataset: str, session: date, run_id: str) -> GoldSubmission | None:
    # The gaps first: one that is closed meanwhile is then still told of.
    inputs = _inputs_now(lake, dataset, session)
    still_open = [gap for gap in GapLog(lake, dataset, session, _READER).read() if gap.closed_utc is None]
    compacted = compact(lake, dataset, session)
    if not compacted.arrivals:
        return None
    if dataset == NEWS:
        coverage = {WHOLE: _coverage_of_news(_polled_until(lake, session), session, compacted.table.num_rows)}
    else:
        counts = pc.value_counts(compacted.table["ticker"]).to_pylist()
        coverage = {count["values"]: _coverage(count["values"], count["counts"], still_open) for count in counts}
    return GoldSubmission(
        dataset=live(dataset),
        session=session,
        table=compacted.table,
        coverage=coverage,
        inputs=inputs,
        warnings={_ARRIVALS: compacted.arrivals, "changed_later": compacted.changed, "gaps": len(still_open)},
        stage_id="",
        run_id=run_id,
        config_hash=config.hash,
        timings_s={},
    )


def _inputs_now(lake: Lake, dataset: str, session: date) -> dict[str, str]:
    if dataset == NEWS:
        return {"polled": str(_polled_until(lake, session))}
    return {"gaps": revision_of(GapLog(lake, dataset, session, _READER).table())}


def _saw_no_more_than(made: GoldSubmission, published: Manifest) -> bool:
    """Return whether a compaction may be replaced: nothing that was recorded is ever taken away."""
    return published.warnings.get(_ARRIVALS, 0) <= made.warnings[_ARRIVALS]


def _coverage(ticker: str, rows: int, gaps: Sequence[Gap]) -> TickerCoverage:
    causes = sorted({gap.cause for gap in gaps if gap.symbols == ALL or ticker in gap.symbols})
    if not causes:
        return TickerCoverage(Coverage.COMPLETE, rows=rows)
    return TickerCoverage(Coverage.PARTIAL, rows=rows, reason=f"gaps that are not closed: {', '.join(causes)}")


def _polled_until(lake: Lake, session: date) -> datetime | None:
    lease = read_lease(lake, NEWS, session)
    return lease.heartbeat.covered_utc if lease and lease.heartbeat else None


def _coverage_of_news(polled: datetime | None, session: date, rows: int) -> TickerCoverage:
    """Return how far polling came: it leaves no gaps, and what it did not reach the daily pull brings."""
    if polled is not None and polled >= whole_session(NEWS, session).until:
        return TickerCoverage(Coverage.COMPLETE, rows=rows)
    reason = f"polled until {polled:%Y-%m-%d %H:%M} UTC" if polled else "nobody says how far polling came"
    return TickerCoverage(Coverage.PARTIAL, rows=rows, reason=reason)
