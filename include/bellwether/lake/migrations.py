"""What has changed between schema versions: one table, by which a file of any earlier version is read as of today.

A step takes what a file says from one version to the next, in memory; `migrate` writes the result. This room knows
words and tables, not where they are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from bellwether.errors import LakeError
from bellwether.lake.manifest import Manifest
from bellwether.schemas import SCHEMA_VERSION

type Words = dict[str, Any]
"""A manifest as its JSON says it."""


@dataclass(frozen=True)
class Migration:
    """The step from one version to the next.

    Attributes
    ----------
    manifest
        Returns the manifest in the words of the next version. Given also what tells the manifest of the publication
        that the file replaced, in its own words; None where it replaced none.
    rows
        Returns the rows in the schema of the next version; None where rows did not change.
    """

    manifest: Callable[[Words, Callable[[], Words | None]], Words]
    rows: Callable[[pa.Table], pa.Table] | None = None


def _name_replaced(words: Words, replaced: Callable[[], Words | None]) -> Words:
    """Version 2 names the kept file of the replaced publication; what else is new was unknown before: defaults hold."""
    if "replaces" in words:  # version 1 came to say so before its number changed
        return words
    earlier = replaced()
    return words | {"replaces": _name_of_version_1(earlier) if earlier else None}


def _name_of_version_1(words: Words) -> str:
    published_utc = datetime.fromisoformat(words["published_utc"])
    return f"{published_utc:%Y%m%dT%H%M%S%f}Z-{words['revision'][:12]}.parquet"


MIGRATIONS: dict[int, Migration] = {1: Migration(_name_replaced)}
"""The step from each version to the next."""


class _Version(msgspec.Struct):
    schema_version: int


def version_of(content: bytes, place: str) -> int:
    """Return the schema version of a manifest.

    Parameters
    ----------
    content
        Its JSON.
    place
        The file, for people.

    Raises
    ------
    LakeError
        A later Bellwether wrote it, or it is no manifest.
    """
    try:
        version = msgspec.json.decode(content, type=_Version).schema_version
    except msgspec.MsgspecError as error:
        raise _unreadable(place, error) from error
    if version > SCHEMA_VERSION:
        msg = f"{place} is of schema version {version}, this Bellwether knows {SCHEMA_VERSION}: upgrade Bellwether"
        raise LakeError(msg)
    if version < SCHEMA_VERSION and version not in MIGRATIONS:
        msg = f"{place} is of schema version {version}, which never was; it was not published by Bellwether"
        raise LakeError(msg)
    return version


def manifest_of(content: bytes, place: str, replaced: Callable[[], Words | None]) -> Manifest:
    """Return a manifest of any version as one of today; its `schema_version` stays that of the file.

    Raises
    ------
    LakeError
        A later Bellwether wrote it, or it is no manifest.
    """
    version = version_of(content, place)
    try:
        if version == SCHEMA_VERSION:
            return msgspec.json.decode(content, type=Manifest)
        words = msgspec.json.decode(content, type=Words)
        for step in range(version, SCHEMA_VERSION):
            words = MIGRATIONS[step].manifest(words, replaced)
        return msgspec.convert(words, Manifest)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise _unreadable(place, error) from error


def rows_of(version: int) -> list[Callable[[pa.Table], pa.Table]]:
    """Return the steps that take whole tables of a version to today's schema, in order."""
    steps = (MIGRATIONS[step].rows for step in range(version, SCHEMA_VERSION))
    return [step for step in steps if step is not None]


def _unreadable(place: str, error: Exception) -> LakeError:
    return LakeError(f"{place} carries no readable manifest ({error}); it was not published here")
