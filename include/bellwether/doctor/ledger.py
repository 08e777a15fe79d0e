"""The ledger of every DAG: which of its datasets are captured, and which of their sessions lack.

It reads what is published and knows nothing of Airflow but the sessions that were run there.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.due import DUE, why_missed
from bellwether.ingest.universe import owed_universe
from bellwether.lake import Lake
from bellwether.lake.coverage import session_coverage
from bellwether.producers import DATASETS_OF

_LOOKED_AT_SESSIONS = 30
_AT_ONCE = 8  # a session is a few small reads, each of which a bucket lets wait


@dataclass(frozen=True)
class Span:
    """Which sessions were asked for; None leaves an end to the last thirty since the capture began."""

    start: date | None = None
    end: date | None = None


@dataclass(frozen=True)
class Account:
    """What the ledger says of the datasets of one DAG.

    Attributes
    ----------
    dag_id
        The DAG.
    due
        The sessions looked at, ascending; none where nothing was ever captured and nothing is owed.
    lacking
        The datasets that are not complete on each of them.
    incomplete
        Sessions on which one of these is not complete, ascending.
    lost
        Those among them that can no longer be captured.
    is_required
        Whether sessions wait for a dataset of the DAG.
    """

    dag_id: str
    due: Sequence[date] = ()
    lacking: Sequence[str] = ()
    incomplete: Sequence[date] = ()
    lost: Collection[date] = frozenset()
    is_required: bool = True


def read(lake: Lake, config: Config, dag_id: str, owed: Collection[date], span: Span, now: datetime) -> Account:
    """Read what there is of a DAG's datasets; an optional one that nobody ever captured owes nothing.

    Parameters
    ----------
    owed
        Sessions that Airflow has run or has to run.
    span
        Which sessions to look at.
    now
        The instant up to which sessions are due.

    Raises
    ------
    LakeError
        A partition is damaged.
    """
    datasets = DATASETS_OF[dag_id]
    is_required = any(config.source(dataset).required for dataset in datasets)
    published = {dataset: lake.sessions(dataset) for dataset in datasets}
    begun = [*owed, *(sessions[0] for sessions in published.values() if sessions)]
    if not (begun or is_required):
        return Account(dag_id, is_required=False)
    due = _due(datasets[0], begun, span, now)
    asked = [(dataset, session) for dataset in datasets for session in due]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        settled = list(pool.map(lambda each: _is_complete(lake, config, *each), asked))
    gaps = [each for each, is_complete in zip(asked, settled, strict=True) if not is_complete]
    lacking = {dataset for dataset, _ in gaps}
    hours = get_calendar().hours
    return Account(
        dag_id,
        tuple(due),
        tuple(dataset for dataset in datasets if dataset in lacking),
        tuple(sorted({session for _, session in gaps})),
        frozenset(session for dataset, session in gaps if why_missed(dataset, hours(session), now)),
        is_required,
    )


def _due(dataset: str, begun: Collection[date], span: Span, now: datetime) -> list[date]:
    calendar = get_calendar()
    last = calendar.last_due(now, DUE[dataset])
    if span.start:
        return calendar.sessions(span.start, min(span.end or last, last))
    return calendar.sessions(min(begun), last)[-_LOOKED_AT_SESSIONS:] if begun else []


def _is_complete(lake: Lake, config: Config, dataset: str, session: date) -> bool:
    return session_coverage(lake, dataset, session, owed_universe(lake, config, dataset, session)).is_complete
