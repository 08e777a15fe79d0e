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
from bellwether.sources import aggregates
from bellwether.sources.raw import RawPage, digest, from_table, to_table
from bellwether.sources.replay import chains

_REMEDY = "restore it; or delete it and fetch its tickers again"


@dataclass(frozen=True)
class StoredAnswer:
    """The pages of one answer about one ticker's bars.

    Attributes
    ----------
    stage_id
        The stage of the run that asked.
    window_ms
        First and last bar start asked for, Unix ms UTC.
    """

    ticker: str
    stage_id: str
    window_ms: tuple[int, int]
    pages: list[RawPage]

    @property
    def fetched_utc(self) -> datetime:
        """When the first page had come; the `fetched_utc` of the coverage it proves."""
        return self.pages[0].received_utc


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


def read(lake: Lake, dataset: str, session: date, name: str, expected: str | None = None) -> RawFile | None:
    """Return a raw file; None if there is none.

    Parameters
    ----------
    name
        `stage_id/file`.
    expected
        The hash a manifest records of it.

    Raises
    ------
    LakeError
        It is damaged, or not what was recorded.
    """
    key = paths.raws(dataset, session) / name
    try:
        table = lake.read_parquet(key)
        if table is None:
            return None
        pages = from_table(table)
        answers = [_stored(chain, name) for chain in chains(pages) if chain[0].request.endpoint == aggregates.NAME]
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


def _stored(pages: list[RawPage], name: str) -> StoredAnswer:
    asked = pages[0].request.arguments
    aggregates.BarChain.of(pages[0].request)  # refuses what is no such request
    window_ms = int(asked["from_ms"]), int(asked["to_ms"])
    return StoredAnswer(asked["ticker"], PurePosixPath(name).parts[0], window_ms, pages)
