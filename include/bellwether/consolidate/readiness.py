"""Which sessions should be announced: all required inputs stand, and gold does not record them yet.

Comparing with what gold records, rather than with the publish just done, keeps the announcement when
a process dies between swap and success, and stays silent when nothing changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate.inputs import READ, RECORDER, WARMED_UP, published_inputs
from bellwether.lake import Coverage, Lake
from bellwether.restatement.history import is_tolerated


@dataclass(frozen=True)
class Readiness:
    """The decision.

    Attributes
    ----------
    session
        About which.
    announce
        Whether to announce the session.
    state
        Of its gold: `complete` if it records these inputs, exactly or but for restatements within tolerance, else
        `stale`, as provisional gold is, or `missing`.
    why
        The reason, for people.
    inputs
        Revision of every input that stands: see `bellwether.consolidate.inputs`.
    """

    session: date
    announce: bool
    state: Coverage
    why: str
    inputs: dict[str, str]


def readiness(lake: Lake, config: Config, session: date) -> Readiness:
    """Decide whether a session should be announced to consolidation."""
    inputs, gold = published_inputs(lake, config, session), lake.manifest(RECORDER, session)
    if not inputs.lacking and gold is not None and gold.inputs == inputs.revisions:
        why = "gold already records exactly these inputs"
        return Readiness(session, announce=False, state=Coverage.COMPLETE, why=why, inputs=inputs.revisions)
    recorded = None if gold is None or gold.is_provisional or inputs.lacking else gold.inputs
    if recorded is not None and not changed_inputs(lake, config, session, recorded, inputs.revisions):
        why = "what was restated since gold was built is within tolerance"
        return Readiness(session, announce=False, state=Coverage.COMPLETE, why=why, inputs=inputs.revisions)
    why = "there is no gold yet" if gold is None else "inputs changed since gold was built"
    if gold is not None and gold.is_provisional:
        why = "gold is provisional: it was built from streams"
    return Readiness(
        session,
        announce=not inputs.lacking,
        state=Coverage.MISSING if gold is None else Coverage.STALE,
        why="; ".join(map(str, inputs.lacking)) or why,
        inputs=inputs.revisions,
    )


def changed_inputs(
    lake: Lake, config: Config, session: date, recorded: Mapping[str, str], standing: Mapping[str, str]
) -> set[str]:
    """Return which of the inputs that stand differ from those gold records, restatements within tolerance left aside.

    Parameters
    ----------
    recorded, standing
        Inputs by name: see `bellwether.consolidate.inputs`.
    """
    return {
        name
        for name in recorded.keys() | standing.keys()
        if recorded.get(name) != standing.get(name)
        and not (
            name in recorded
            and name in standing
            and is_tolerated(lake, config, *_place(name, session), recorded[name], standing[name])
        )
    }


def _place(name: str, session: date) -> tuple[str, date]:
    """Return the dataset and the session of an input."""
    dataset, _, earlier = name.partition("@")
    return dataset, date.fromisoformat(earlier) if earlier else session


def in_reach(config: Config, dataset: str, session: date) -> list[date]:
    """Return the sessions whose gold reads a session of a dataset, ascending: itself, and those it is warm-up of."""
    if dataset not in READ:
        return []
    calendar = get_calendar()
    reached = [session]
    later = config.settings.consolidation.warmup_sessions if dataset in WARMED_UP else 0
    while len(reached) <= later and reached[-1] < calendar.last:
        reached.append(calendar.next(reached[-1]))
    return reached
