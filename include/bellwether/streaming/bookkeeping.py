"""What is told of a session's streams as datasets: their gaps, their heartbeats, how they compare with the daily pull.

All are made of what stands in the lake, of all streams at once, whoever asks for it; so there is nothing to merge.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.due import DUE
from bellwether.errors import LakeError
from bellwether.lake import Lake, Manifest
from bellwether.lake.gold import GoldSubmission
from bellwether.lake.operational import operational, publish_operational
from bellwether.lake.publish import Publication
from bellwether.lake.revisions import revision_of
from bellwether.operational_schemas import RECONCILIATION
from bellwether.streaming.assignment import STREAMS, whole_session
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.heartbeats import as_table, kept_of
from bellwether.streaming.lease import read_lease
from bellwether.streaming.live import live, publish_live
from bellwether.streaming.reconcile import Reconciliation, reconcile
from bellwether.streaming.rounds import Again

GAPS_DATASET, HEARTBEATS_DATASET, RECONCILIATION_DATASET = "gaps", "heartbeats", "reconciliation"

_DAILY_WITHIN = timedelta(hours=20)  # of the end of a stream; what is not there will not come by itself
_LOOK_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True)
class Reconciled:
    """A session's streams beside its daily pulls.

    Attributes
    ----------
    totals
        By dataset; of those of which both are published.
    """

    publication: Publication
    totals: Mapping[str, Reconciliation]


def publish_streamed(lake: Lake, config: Config, dataset: str, session: date, *, run_id: str) -> Publication | None:
    """Publish what was recorded of a session, and with it the session's gaps, heartbeats and what is to reconcile.

    Returns
    -------
    Publication or None
        Of what was recorded; None where nothing was.
    """
    published = publish_live(lake, config, dataset, session, run_id=run_id)
    publish_gaps(lake, config, session, run_id=run_id)
    publish_heartbeats(lake, config, session, run_id=run_id)
    publish_reconciliation(lake, config, session, run_id=run_id)
    return published


def publish_gaps(lake: Lake, config: Config, session: date, *, run_id: str) -> Publication | None:
    """Publish the gaps of all streams of a session; no rows where nothing was missed, None where nobody recorded."""
    recorded = [dataset for dataset in STREAMS if read_lease(lake, dataset, session) is not None]
    logs = {dataset: GapLog(lake, dataset, session, "") for dataset in recorded}
    if not logs:
        return None

    def compose() -> GoldSubmission:
        tables = {dataset: log.table() for dataset, log in logs.items()}
        table = pa.concat_tables(tables.values())
        return operational(
            GAPS_DATASET,
            config,
            session,
            run_id,
            table,
            inputs={dataset: revision_of(each) for dataset, each in tables.items()},
            warnings={"open": table["closed_utc"].null_count},
        )

    def inputs_now() -> dict[str, str]:
        return {dataset: revision_of(log.table()) for dataset, log in logs.items()}

    return publish_operational(lake, config, compose, inputs_now)


def publish_heartbeats(lake: Lake, config: Config, session: date, *, run_id: str) -> Publication | None:
    """Publish the heartbeats that were kept of a session, of all its streams and of news; None where none were."""

    def inputs_now() -> dict[str, str]:
        return _listed(kept_of(lake, session))

    def compose() -> GoldSubmission:
        keys = kept_of(lake, session)
        table = as_table(lake, keys)
        return operational(HEARTBEATS_DATASET, config, session, run_id, table, inputs=_listed(keys), warnings={})

    return publish_operational(lake, config, compose, inputs_now) if kept_of(lake, session) else None


def _listed(keys: Sequence[PurePosixPath]) -> dict[str, str]:
    return {HEARTBEATS_DATASET: hashlib.sha256("\n".join(map(str, keys)).encode()).hexdigest()}


def publish_reconciliation(lake: Lake, config: Config, session: date, *, run_id: str) -> Reconciled | None:
    """Compare what was streamed of a session with its daily pulls, and publish the differences.

    Of a daily pull those tickers count that it was proven for; who was streamed besides is nobody's loss.

    Returns
    -------
    Reconciled or None
        None where there is no dataset of which both are published.
    """

    def both() -> dict[str, tuple[Manifest, Manifest]]:
        found = {
            dataset: (lake.manifest(live(dataset), session), lake.manifest(dataset, session)) for dataset in STREAMS
        }
        return {dataset: (first, second) for dataset, (first, second) in found.items() if first and second}

    def inputs_now() -> dict[str, str]:
        return {each.dataset: each.revision for pair in both().values() for each in pair}

    totals: dict[str, Reconciliation] = {}

    def compose() -> GoldSubmission:
        inputs = inputs_now()
        totals.clear()
        totals.update((dataset, _reconcile(lake, dataset, session)) for dataset in both())
        parts = [
            each.differences.append_column("dataset", pa.repeat(dataset, len(each.differences)))
            for dataset, each in totals.items()
        ]
        table = pa.concat_tables(part.select(RECONCILIATION.names).cast(RECONCILIATION) for part in parts)
        warnings = {
            f"{dataset}_{name}": round(number)
            for dataset, each in totals.items()
            for name, number in each.summary.items()
        }
        return operational(RECONCILIATION_DATASET, config, session, run_id, table, inputs=inputs, warnings=warnings)

    if not both():
        return None
    return Reconciled(publish_operational(lake, config, compose, inputs_now), totals)


def wait_for_daily(dataset: str, session: date, now: datetime) -> Again | None:
    """Return when to look for a session's daily pull again; None once nobody need wait for it any more."""
    if now >= whole_session(dataset, session).until + _DAILY_WITHIN:
        return None
    due = DUE[dataset](get_calendar().hours(session))
    return Again(max(due - now, _LOOK_AGAIN), f"{dataset} of {session} are not published yet")


def _reconcile(lake: Lake, dataset: str, session: date) -> Reconciliation:
    streamed, daily = lake.partition(live(dataset), session), lake.partition(dataset, session)
    if streamed is None or daily is None:
        msg = f"{dataset} {session} was published a moment ago and is gone: was it withdrawn? Try again"
        raise LakeError(msg)
    proven = [ticker for ticker, known in daily.manifest.coverage.items() if known.state.is_proven]
    asked = pc.is_in(streamed.table["ticker"], value_set=pa.array(proven, pa.string()))
    return reconcile(streamed.table.filter(asked), daily.table)
