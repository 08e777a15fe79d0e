"""Writing partitions of earlier schema versions anew in today's: one publication each, like any other."""

import uuid
from datetime import date

from msgspec import structs

from bellwether import __version__
from bellwether.errors import LakeError
from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import MOST_ROUNDS, put_in_force, write_index
from bellwether.lake.revisions import revision_of
from bellwether.schemas import SCHEMA_VERSION


def migrate(lake: Lake, dataset: str, session: date, layout: FileLayout) -> bool:
    """Bring one partition to today's schema version; the file it replaces is kept like any replaced revision.

    Returns
    -------
    bool
        Whether it was of an earlier version.

    Raises
    ------
    LakeError
        It is of a later version, is not readable, or the storage refused; it stays as it was.
    """
    for _ in range(MOST_ROUNDS):
        current = lake.partition(dataset, session)
        if current is None:
            return False
        if current.manifest.schema_version == SCHEMA_VERSION:
            write_index(lake, current.manifest)  # one that died before left the index behind
            return False
        manifest = structs.replace(
            current.manifest,
            revision=revision_of(current.table),
            publication_id=uuid.uuid4().hex,
            run_id="bellwether migrate",
            published_utc=lake.clock.now(),
            replaces=paths.revision(current.manifest).name,
            schema_version=SCHEMA_VERSION,
            code_version=__version__,
        )
        if put_in_force(lake, current.table, manifest, current, layout):
            return True
    msg = f"{dataset} {session}: {MOST_ROUNDS} other publications came in between; try again"
    raise LakeError(msg)
