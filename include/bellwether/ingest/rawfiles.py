"""Raw files: the vendor's responses as they came, kept in the lake, and the answers they hold.

A file belongs to one try of one batch. The hash of its bodies goes into the manifest of what is published from it,
so that years later it can be told whether these are the bytes that came. This room judges no answer.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath

import msgspec
import pyarrow as pa

from bellwether.errors import LakeError
from bellwether.lake import Lake, paths
from bellwether.sources.raw import RawPage, digest, from_table, to_table
from bellwether.sources.replay import chains
from bellwether.sources.source import Source

_REMEDY = "restore it; or delete it and fetch its tickers again"


@dataclass(frozen=True)
class StoredAnswer:
    """The answers about one subject that one try of a batch had got.

    Attributes
    ----------
    stage_id
        The stage of the run that asked.
    chains
        The pages of each answer.
    """

    subject: str
    stage_id: str
    chains: list[list[RawPage]]

    @property
    def fetched_utc(self) -> datetime:
        """When the first page had come; the `fetched_utc` of the coverage they prove."""
        return min(page.received_utc for chain in self.chains for page in chain)


@dataclass(frozen=True)
class RawFile:
    """One file.

    Attributes
    ----------
    name
        `stage_id/file`, as in `Manifest.inputs`.
    digest
        Hash of its bodies.
    """

    name: str
    digest: str
    answers: list[StoredAnswer]


def keep(
    lake: Lake, dataset: str, session: date, stage_id: str, pages: Sequence[RawPage], *, prefix: str
) -> dict[str, str]:
    """Write pages, verbatim, under a new name that begins with `prefix`; return the hash of their bodies by name."""
    if not pages:
        return {}
    name = f"{prefix}-{uuid.uuid4().hex[:8]}.parquet"
    lake.write_parquet(paths.raw(dataset, session, stage_id) / name, to_table(pages))
    return {f"{stage_id}/{name}": digest(pages)}


def names(lake: Lake, dataset: str, session: date) -> list[str]:
    """Return the names of all raw files of a session, sorted."""
    folder = paths.raws(dataset, session)
    keys = (entry.key for entry in lake.storage.list(folder))
    return sorted(str(key.relative_to(folder)) for key in keys if key.suffix == ".parquet")


def read(lake: Lake, source: Source, session: date, name: str, expected: str | None = None) -> RawFile | None:
    """Return a raw file; None if there is none.

    Parameters
    ----------
    source
        Whose answers they are.
    name
        `stage_id/file`.
    expected
        The hash a manifest records of it.

    Raises
    ------
    LakeError
        It is damaged, or not what was recorded.
    """
    key = paths.raws(source.dataset, session) / name
    try:
        table = lake.read_parquet(key)
        if table is None:
            return None
        pages = from_table(table)
        answers = _by_subject(source, pages, name)
    except (pa.ArrowException, OSError, msgspec.MsgspecError, KeyError, ValueError) as error:
        msg = f"{lake.storage.url(key)} is damaged ({error}); {_REMEDY}"
        raise LakeError(msg) from error
    found = digest(pages)
    if expected is not None and found != expected:
        msg = (
            f"{lake.storage.url(key)} is not what was published from: its bodies hash to {found[:12]}, recorded is "
            f"{expected[:12]}; {_REMEDY}"
        )
        raise LakeError(msg)
    return RawFile(name, found, answers)


def _by_subject(source: Source, pages: Sequence[RawPage], name: str) -> list[StoredAnswer]:
    found: dict[str, list[list[RawPage]]] = {}
    for chain in chains(pages):
        found.setdefault(source.subject_of(chain[0].request), []).append(chain)
    stage_id = PurePosixPath(name).parts[0]
    return [StoredAnswer(subject, stage_id, answers) for subject, answers in found.items()]
