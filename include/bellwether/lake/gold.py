"""Publishing gold: a session's whole partition at once, and only while it is made of what is published now.

Unlike the clean datasets nothing is merged: gold is computed from its inputs alone. Its manifest records their
revisions, and the swap is the same as theirs.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from msgspec import structs

from bellwether import __version__
from bellwether.errors import InputsChanged, LakeError
from bellwether.faultpoints import reach
from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import Manifest, TickerCoverage
from bellwether.lake.publish import MOST_ROUNDS, Publication, put_in_force, write_index
from bellwether.lake.revisions import revision_of
from bellwether.logging import get_logger
from bellwether.schemas import SCHEMA_VERSION

log = get_logger(__name__)


@dataclass(frozen=True)
class GoldSubmission:
    """A session of gold, on its way into its partition.

    Attributes
    ----------
    table
        All its rows, sorted.
    coverage
        Every ticker, or underlying, it is made of.
    inputs
        Revisions of what it was computed from: see `bellwether.consolidate.inputs`.
    warnings
        Counted oddities, by name.
    stage_id, run_id, config_hash, timings_s
        For the manifest.
    """

    dataset: str
    session: date
    table: pa.Table
    coverage: dict[str, TickerCoverage]
    inputs: dict[str, str]
    warnings: dict[str, int]
    stage_id: str
    run_id: str
    config_hash: str
    timings_s: dict[str, float]


def publish_gold(
    lake: Lake,
    submission: GoldSubmission,
    layout: FileLayout,
    inputs_now: Callable[[], dict[str, str]],
    *,
    may_replace: Callable[[Manifest], bool] = lambda _: True,
) -> Publication:
    """Put a session of gold in force, or leave what is in force if that says the same.

    What comes from streams has the provenance `provisional`, except in a simulated lake.

    Parameters
    ----------
    lake
        Where to publish.
    submission
        What to publish.
    layout
        How the file is encoded.
    inputs_now
        Returns what is published of the session's inputs at that moment.
    may_replace
        Whether this may take the place of a publication; one whose place it may not take stays in force.

    Raises
    ------
    InputsChanged
        Gold would be made of what is no longer published.
    LakeError
        The storage refused, or the swap lost against other publishers too often.
    """
    revision = revision_of(submission.table)
    for _ in range(MOST_ROUNDS):
        # First what gold there is, then its inputs: whoever publishes newer ones in between makes the swap fail, or
        # announces the session after it.
        current = lake.partition(submission.dataset, submission.session, columns=())
        if current is not None and not may_replace(current.manifest):
            return Publication(current.manifest, changed=False, refused={})
        if inputs_now() != submission.inputs:
            msg = f"{submission.dataset} {submission.session}: inputs changed while gold was being built"
            raise InputsChanged(msg)
        if (
            current is not None
            and (current.manifest.inputs, current.manifest.revision) == (submission.inputs, revision)
            and current.manifest.config_hash == submission.config_hash
        ):
            write_index(lake, current.manifest)
            return Publication(current.manifest, changed=False, refused={})
        manifest = Manifest(
            dataset=submission.dataset,
            session=submission.session,
            revision=revision,
            publication_id=uuid.uuid4().hex,
            stage_id=submission.stage_id,
            run_id=submission.run_id,
            published_utc=lake.clock.now(),
            rows=submission.table.num_rows,
            coverage=submission.coverage,
            schema_version=SCHEMA_VERSION,
            code_version=__version__,
            config_hash=submission.config_hash,
            provenance=lake.provenance,
            replaces=paths.revision(current.manifest).name if current else None,
            inputs=submission.inputs,
            warnings=submission.warnings,
            timings_s=submission.timings_s,
        )
        if manifest.is_provisional and not lake.simulated:
            manifest = structs.replace(manifest, provenance="provisional")
        reach("gold.composed", submission.session)
        if put_in_force(lake, submission.table, manifest, current, layout):
            log.info(
                "published",
                dataset=manifest.dataset,
                session=manifest.session.isoformat(),
                revision=manifest.revision[:12],
                rows=manifest.rows,
            )
            return Publication(manifest, changed=True, refused={})
    msg = f"{submission.dataset} {submission.session}: {MOST_ROUNDS} other publications came in between; try again"
    raise LakeError(msg)
