"""Whether a session should be announced: all required inputs stand, and gold does not record them yet.

A required input stands when it is published and lacks no required ticker of its universe; best-effort ones hold nobody
up. An optional input is waited for by nobody, and counts from its publication on: then the session is announced again.

Comparing with what gold records, rather than with the publish just done, keeps the announcement when
a process dies between swap and success, and stays silent when nothing changed.
"""

from dataclasses import dataclass
from datetime import date

from bellwether.config import Config
from bellwether.ingest.sources import CAPTURED
from bellwether.ingest.universe import owed_universe
from bellwether.lake import Lake
from bellwether.lake.coverage import session_coverage
from bellwether.universe.spec import shown

# The gold dataset whose manifest says which inputs consolidation has seen.
_RECORDER = "minutes"


@dataclass(frozen=True)
class Readiness:
    """The decision.

    Attributes
    ----------
    announce
        Whether to announce the session.
    why
        The reason, for people.
    inputs
        Revision of every dataset that stands, optional ones included.
    """

    announce: bool
    why: str
    inputs: dict[str, str]


def readiness(lake: Lake, config: Config, session: date) -> Readiness:
    """Decide whether a session should be announced to consolidation."""
    inputs: dict[str, str] = {}
    lacking: list[str] = []
    for dataset in CAPTURED:
        known = session_coverage(lake, dataset, session, owed_universe(lake, config, dataset, session))
        if not config.source(dataset).required:
            if known.manifest is not None:
                inputs[dataset] = known.manifest.revision
        elif known.manifest is None:
            lacking.append(f"{dataset} is not published")
        elif blocking := known.blocking:
            lacking.append(f"{dataset} lacks {shown(blocking)}")
        else:
            inputs[dataset] = known.manifest.revision
    if lacking:
        return Readiness(announce=False, why="; ".join(lacking), inputs=inputs)
    gold = lake.manifest(_RECORDER, session)
    if gold is not None and {dataset: gold.inputs.get(dataset) for dataset in inputs} == inputs:
        return Readiness(announce=False, why="gold already records exactly these inputs", inputs=inputs)
    why = "there is no gold yet" if gold is None else "inputs changed since gold was built"
    return Readiness(announce=True, why=why, inputs=inputs)
