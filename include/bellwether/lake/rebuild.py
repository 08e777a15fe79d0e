"""The index in `state/`, made anew from the partitions alone: what publishing would have written, and nothing else."""

from collections.abc import Iterator
from datetime import date
from pathlib import PurePosixPath

from bellwether.errors import LakeError
from bellwether.lake import paths
from bellwether.lake.coverage import store_universe
from bellwether.lake.lake import Lake
from bellwether.lake.publish import write_index


def rebuild(lake: Lake, dataset: str, session: date) -> None:
    """Write the index entry of one partition as publishing does, and the universe where its record is lost.

    Raises
    ------
    LakeError
        The partition carries no readable manifest; the message names it.
    """
    manifest = lake.manifest(dataset, session)
    if manifest is not None:
        write_index(lake, manifest)
        # A record that is there may be of a later plan than what was published.
        if manifest.universe and lake.storage.read(paths.universe(dataset, session)) is None:
            store_universe(lake, dataset, session, manifest.universe)


def remove_stale(lake: Lake, dataset: str) -> Iterator[PurePosixPath]:
    """Delete the index entries whose partitions are gone, yielding each."""
    for entry in list(lake.storage.list(paths.manifests(dataset))):
        try:
            session = date.fromisoformat(entry.key.stem)
            is_stale = lake.manifest(dataset, session) is None
        except ValueError:  # named like no session: no entry of the index
            is_stale = True
        except LakeError:  # the partition is there, readable or not
            is_stale = False
        if is_stale:
            lake.storage.delete(entry.key)
            yield entry.key
