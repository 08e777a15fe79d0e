"""What is left of a stream for people to read: one partition `<dataset>_live` of a session, made of what was recorded.

It says of each ticker whether a gap may hide something of it, and is provisional: the daily pull has the last word.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.config import Config
from bellwether.errors import InputsChanged, LakeError
from bellwether.ingest.universe import known_universe
from bellwether.lake import Coverage, Lake, Manifest, TickerCoverage, paths
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import MOST_ROUNDS, Publication
from bellwether.logging import get_logger
from bellwether.quality.late import quarantined
from bellwether.quality.reasons import WarningName
from bellwether.streaming.assignment import NEWS, whole_session
from bellwether.streaming.compact import compact
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.lease import read_lease
from bellwether.tickers import WHOLE

_READER = "reader"
_ARRIVALS = "arrivals"
_STREAM = "stream"

log = get_logger(__name__)


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
    gaps = GapLog(lake, dataset, session, _READER).read()
    inputs = _inputs_of(gaps) if dataset != NEWS else _inputs_now(lake, dataset, session)
    compacted = compact(lake, dataset, session, config.settings.late.after_broadcast(dataset))
    if not compacted.arrivals:
        return None
    _keep_late(lake, live(dataset), session, compacted.late)
    if dataset == NEWS:
        coverage = {WHOLE: _coverage_of_news(_polled_until(lake, session), session, compacted.table.num_rows)}
    else:
        counts = pc.value_counts(compacted.table["ticker"]).to_pylist()
        rows = {count["values"]: count["counts"] for count in counts}
        universe = known_universe(lake, config, dataset, session)
        named = {*(universe.tickers if universe else ()), *chain.from_iterable(gap.symbols for gap in gaps)} - {*ALL}
        coverage = _coverage(rows, gaps, named - rows.keys())
    return GoldSubmission(
        dataset=live(dataset),
        session=session,
        table=compacted.table,
        coverage=coverage,
        inputs=inputs,
        warnings={
            _ARRIVALS: compacted.arrivals,
            "changed_later": compacted.changed,
            WarningName.LATE_ROWS.value: len(compacted.late),
            "gaps": sum(gap.closed_utc is None for gap in gaps),
        },
        stage_id="",
        run_id=run_id,
        config_hash=config.hash,
        timings_s={},
    )


def _keep_late(lake: Lake, dataset: str, session: date, late: pa.Table) -> None:
    """Put minutes that were broadcast anew too late into quarantine, before the manifest that counts them is in force.

    What was recorded is never taken away, so that a later compaction has them, too, and those that came since.
    """
    if late.num_rows:
        lake.write_parquet(paths.late(dataset, session, _STREAM), quarantined(late, dataset))
        log.info(
            "minutes were broadcast anew too late; what stood before stays",
            dataset=dataset,
            session=session.isoformat(),
            rows_in_quarantine=late.num_rows,
        )


def _inputs_now(lake: Lake, dataset: str, session: date) -> dict[str, str]:
    if dataset == NEWS:
        return {"polled": str(_polled_until(lake, session))}
    return _inputs_of(GapLog(lake, dataset, session, _READER).read())


def _inputs_of(gaps: Sequence[Gap]) -> dict[str, str]:
    states = [f"{gap.gap_id} {gap.end_utc} {gap.closed_utc} {len(gap.filled)}" for gap in gaps]
    return {"gaps": hashlib.sha256("\n".join(states).encode()).hexdigest()}


def _saw_no_more_than(made: GoldSubmission, published: Manifest) -> bool:
    """Return whether a compaction may be replaced: nothing that was recorded is ever taken away."""
    return published.warnings.get(_ARRIVALS, 0) <= made.warnings[_ARRIVALS]


def _coverage(rows: Mapping[str, int], gaps: Sequence[Gap], without_rows: Collection[str]) -> dict[str, TickerCoverage]:
    """Return what is known of everyone who has rows, and of whom a gap may have hidden wholly."""
    known = {ticker: _hidden(ticker, count, gaps) for ticker, count in rows.items()}
    found = {ticker: known or TickerCoverage(Coverage.COMPLETE, rows=rows[ticker]) for ticker, known in known.items()}
    return found | {ticker: hidden for ticker in sorted(without_rows) if (hidden := _hidden(ticker, 0, gaps))}


def _hidden(ticker: str, rows: int, gaps: Sequence[Gap]) -> TickerCoverage | None:
    """Return what is known of a ticker of which gaps may hide something; None where none does."""
    hiding = [gap for gap in gaps if _hides(gap, ticker, is_heard=rows > 0)]
    if not hiding:
        return None
    reason = f"gaps that are not filled: {', '.join(sorted({gap.cause for gap in hiding}))}"
    refused = {gap.filled[ticker].refused if ticker in gap.filled else "" for gap in hiding}
    without_rows = Coverage(min(refused)) if all(refused) else Coverage.MISSING
    said = sorted(filter(None, refused))
    return TickerCoverage(
        Coverage.PARTIAL if rows else without_rows,
        rows=rows,
        reason=f"{reason}; REST says {', '.join(said)}" if said else reason,
    )


def _hides(gap: Gap, ticker: str, *, is_heard: bool) -> bool:
    """Return whether a gap may hide something of a ticker; closed, also of who was first heard afterwards."""
    if ticker in gap.filled:
        return bool(gap.filled[ticker].refused)
    if gap.symbols == ALL:
        return is_heard or gap.closed_utc is None
    return ticker in gap.symbols and gap.closed_utc is None


def _polled_until(lake: Lake, session: date) -> datetime | None:
    lease = read_lease(lake, NEWS, session)
    return lease.heartbeat.covered_utc if lease and lease.heartbeat else None


def _coverage_of_news(polled: datetime | None, session: date, rows: int) -> TickerCoverage:
    """Return how far polling came: it leaves no gaps, and what it did not reach the daily pull brings."""
    if polled is not None and polled >= whole_session(NEWS, session).until:
        return TickerCoverage(Coverage.COMPLETE, rows=rows)
    reason = f"polled until {polled:%Y-%m-%d %H:%M} UTC" if polled else "nobody says how far polling came"
    return TickerCoverage(Coverage.PARTIAL, rows=rows, reason=reason)
