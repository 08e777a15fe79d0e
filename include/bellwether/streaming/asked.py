"""Whom a stream was asked for last: who goes on with a recording and asks for more learns so whose minutes are missing.

It stands beside the gaps, not among what can be made anew: nothing else tells who was listened to and said nothing.
"""

from collections.abc import Collection
from datetime import date

import msgspec

from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    symbols: tuple[str, ...]


def read_asked(lake: Lake, dataset: str, session: date) -> frozenset[str] | None:
    """Return whom the last recorder asked for; None where nobody recorded."""
    stored = lake.storage.read(paths.asked(dataset, session))
    return frozenset(msgspec.json.decode(stored.content, type=_Asked).symbols) if stored else None


def write_asked(lake: Lake, dataset: str, session: date, symbols: Collection[str]) -> None:
    """Say whom is asked for from now on; it is on disk when this returns."""
    lake.storage.write(paths.asked(dataset, session), encode(_Asked(symbols=tuple(sorted(symbols)))))
