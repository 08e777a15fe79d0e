"""The restatements of a published session: read from its kept revisions, compared row by row, held against a tolerance.

Nothing is remembered of them elsewhere: as far back as revisions are kept, the same is said again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import PurePosixPath

import pyarrow as pa

from bellwether.config import Config
from bellwether.config.settings import RestatementTolerance
from bellwether.errors import LakeError
from bellwether.lake import Lake, Manifest
from bellwether.lake.history import publications
from bellwether.quality.difference import BarDifference, difference, measure
from bellwether.restatement.names import sessions_later
from bellwether.schemas import FORMS


@dataclass(frozen=True)
class Restatement:
    """A publication that restated a session.

    Attributes
    ----------
    manifest
        Its manifest.
    replaced
        The revision before.
    sessions_later
        How many sessions after its own the session was fetched again.
    found
        How it differs from the publication before.
    is_over
        Whether that is more than is tolerated.
    """

    manifest: Manifest
    replaced: str
    sessions_later: int
    found: BarDifference
    is_over: bool


def restatements(lake: Lake, config: Config, dataset: str, session: date) -> Iterator[Restatement]:
    """Yield the restatements of a session of a dataset with a tolerance, the newest first."""
    tolerance = _tolerances(config)[dataset]
    for (key, manifest), (before, replaced) in pairwise(publications(lake, dataset, session)):
        later = sessions_later(manifest.run_id)
        if later is not None and manifest.revision != replaced.revision:
            found = _compare(lake, dataset, before, key)
            yield Restatement(manifest, replaced.revision, later, found, exceeds(found, tolerance))


def is_tolerated(lake: Lake, config: Config, dataset: str, session: date, recorded: str, standing: str) -> bool:
    """Return whether all that changed a session since a revision are restatements, and together less than matters.

    A restatement that put somebody's release in force is none: the row is in by a person's decision.

    Parameters
    ----------
    recorded, standing
        The revision that gold was built of, and that in force.
    """
    tolerance = _tolerances(config).get(dataset)
    if tolerance is None:
        return False
    first: PurePosixPath | None = None
    newer: Manifest | None = None
    for key, manifest in publications(lake, dataset, session):
        if newer is None:
            if manifest.revision != standing:
                return False  # published anew a moment ago: whoever did so looks again
            first = key
        elif newer.revision != manifest.revision and (
            sessions_later(newer.run_id) is None or _releases(newer) != _releases(manifest)
        ):
            return False
        if manifest.revision == recorded and first is not None:
            return not exceeds(_compare(lake, dataset, key, first), tolerance)
        newer = manifest
    return False


def _releases(manifest: Manifest) -> dict[str, int]:
    """Return up to which decision a publication takes releases into account, by ticker."""
    return {ticker: known.released.regarded for ticker, known in manifest.coverage.items() if known.released}


def exceeds(found: BarDifference, tolerance: RestatementTolerance) -> bool:
    """Return whether a difference is more than is tolerated."""
    bars = found.changed + found.added + found.removed
    return (
        bars > tolerance.bars_share * found.bars
        or found.max_move_bp > tolerance.move_bp
        or found.volume_moved > tolerance.volume_share * found.volume
    )


def _tolerances(config: Config) -> Mapping[str, RestatementTolerance]:
    return {str(dataset): each for dataset, each in config.settings.restatement.tolerance.items()}


def _compare(lake: Lake, dataset: str, before: PurePosixPath, after: PurePosixPath) -> BarDifference:
    return measure(difference(_rows(lake, dataset, before), _rows(lake, dataset, after), dataset))


def _rows(lake: Lake, dataset: str, key: PurePosixPath) -> pa.Table:
    table = lake.look(key, lambda file: file.read())
    if table is None:
        msg = f"{lake.storage.url(key)} was there a moment ago and is gone; try again"
        raise LakeError(msg)
    return table.cast(FORMS[dataset].schema)
