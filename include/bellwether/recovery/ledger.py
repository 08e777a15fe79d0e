"""The ledger as recovery reads it: plain facts of sessions, of their gold, and of what a session costs."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

from bellwether.config import Config
from bellwether.consolidate.inputs import RECORDER, published_inputs
from bellwether.consolidate.readiness import changed_inputs
from bellwether.ingest.universe import owed_universe
from bellwether.lake import Coverage, Lake
from bellwether.lake.coverage import session_coverage
from bellwether.lake.manifest import dataset_of
from bellwether.quarantine.decisions import Action, read_log

_AT_ONCE = 8  # a session is a few small reads, each of which a bucket lets wait


@dataclass(frozen=True)
class Known:
    """What is known of one session of one dataset.

    Attributes
    ----------
    universe
        Whom it is to capture; None where nobody can tell before it is planned.
    unproven
        State of those that still have to be fetched.
    quarantined
        Those of whom rows stand in quarantine that nobody discarded.
    """

    universe: tuple[str, ...] | None
    unproven: Mapping[str, Coverage]
    quarantined: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gold:
    """What is known of the gold of a session.

    Attributes
    ----------
    exists
        Whether it was ever built.
    lacking
        Required inputs that do not stand.
    changed
        Inputs that stand in another revision than gold records, or that it does not record; within tolerance restated
        ones do not count.
    """

    exists: bool
    lacking: frozenset[str]
    changed: frozenset[str]


@dataclass(frozen=True)
class Pace:
    """What a session of a dataset costs, judged by the one published last; an estimate.

    Attributes
    ----------
    tickers
        How many it has; None where none was published yet.
    calls_per_ticker
        API calls.
    """

    tickers: int | None = None
    calls_per_ticker: float = 1.0


def read_known(lake: Lake, config: Config, dataset: str, session: date) -> Known:
    """Read what is known of one session of one dataset.

    Raises
    ------
    LakeError
        Its partition is damaged.
    """
    found = session_coverage(lake, dataset, session, owed_universe(lake, config, dataset, session))
    tickers = found.universe.tickers
    decided = _decided(lake, dataset, session)
    return Known(
        universe=tickers if tickers or found.manifest else None,
        unproven={ticker: found.tickers[ticker].state for ticker in found.unproven},
        quarantined=tuple(
            ticker
            for ticker in tickers
            if found.tickers[ticker].quarantined_rows > decided[ticker]
            or found.tickers[ticker].state is Coverage.QUARANTINED
        ),
    )


def _decided(lake: Lake, dataset: str, session: date) -> Counter[str | None]:
    """Return how many refused rows of each subject were discarded: nobody need fetch them again."""
    in_force = read_log(lake, dataset, session).in_force
    return Counter(
        row.subject
        for entry in set(in_force.values())
        for row in entry.decision.rows
        if entry.decision.action is Action.DISCARDED and in_force[row.digest] is entry
    )


def read_gold(lake: Lake, config: Config, session: date) -> Gold:
    """Read what is known of the gold of a session."""
    inputs = published_inputs(lake, config, session)
    gold = lake.manifest(RECORDER, session)
    recorded = gold.inputs if gold else {}
    changed = {dataset_of(name) for name in changed_inputs(lake, config, session, recorded, inputs.revisions)}
    return Gold(gold is not None, frozenset(each.dataset for each in inputs.lacking), frozenset(changed))


def read_pace(lake: Lake, dataset: str) -> Pace:
    """Judge what a session costs by the one published last."""
    sessions = lake.sessions(dataset)
    manifest = lake.manifest(dataset, sessions[-1]) if sessions else None
    if manifest is None:
        return Pace()
    asked = sum(known.stage_id == manifest.stage_id for known in manifest.coverage.values())
    calls = manifest.api_calls / asked if asked and manifest.api_calls else 1.0
    return Pace(len(manifest.universe.tickers if manifest.universe else manifest.coverage), calls)


def read_all[K: Sequence[object] | date, V](read: Callable[[K], V], keys: Iterable[K]) -> dict[K, V]:
    """Read many at once."""
    asked = list(keys)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(asked, pool.map(read, asked), strict=True))
