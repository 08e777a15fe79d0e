"""What tells one refused row from another, whichever run refused it: a digest of its values, and an id made of it."""

import hashlib
import re
from collections.abc import Sequence
from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.quality.prepare import column_of
from bellwether.schemas import FORMS

_BETWEEN: Final = "\x1f"
_NULL: Final = "\x00"
_SHOWN_DIGITS: Final = 12
_ID: Final = re.compile(r"([a-z_]+)\.(\d{4}-\d{2}-\d{2})\.([0-9a-f]{12})")

# An article is the same whenever it was seen, and versions are numbered by who else was there.
_OF_THE_ANSWER: Final = frozenset({"first_seen_utc", "version"})


def values_in(dataset: str) -> tuple[str, ...]:
    """Return the columns whose values make a row what it is."""
    form = FORMS[dataset]
    return tuple(name for name in form.schema.names if not (form.keeps_versions and name in _OF_THE_ANSWER))


def key_in(dataset: str) -> tuple[str, ...]:
    """Return the columns that tell which other row of a session a row stands for."""
    if FORMS[dataset].keeps_versions:
        return ("article_id", "ticker", "content_hash")
    return FORMS[dataset].key


def joined(table: pa.Table, columns: Sequence[str]) -> pa.Array:
    """Return the values of some columns of each row as one text; equal where all bits of them are."""
    parts = [_as_text(column_of(table, name)) for name in columns]
    return pc.binary_join_element_wise(*parts, _BETWEEN, null_handling="replace", null_replacement=_NULL)


def digests(table: pa.Table, dataset: str, session: date) -> list[str]:
    """Return the digest of each row.

    Parameters
    ----------
    table
        Rows with the columns of the dataset, perhaps with others; those are not looked at.

    Returns
    -------
    list of str
        SHA-256, 64 hexadecimal digits, over dataset, session and values.
    """
    begun = hashlib.sha256(f"{dataset} {session.isoformat()}\n".encode())
    found = []
    for text in joined(table, values_in(dataset)).to_pylist():
        digest = begun.copy()
        digest.update(text.encode())
        found.append(digest.hexdigest())
    return found


def row_id(dataset: str, session: date, digest: str) -> str:
    """Return by what people name a row: `equities.2025-07-01.9f3c21aa07be`."""
    return f"{dataset}.{session.isoformat()}.{digest[:_SHOWN_DIGITS]}"


def parse_row_id(text: str) -> tuple[str, date] | None:
    """Return the dataset and the session that an id names; None where it is none."""
    matched = _ID.fullmatch(text)
    if matched is None or matched[1] not in FORMS:
        return None
    try:
        return matched[1], date.fromisoformat(matched[2])
    except ValueError:
        return None


def keys_in_words(table: pa.Table, dataset: str) -> list[str]:
    """Return the key of each row for people: `SPY 2025-07-01 13:30:00+00:00`."""
    return [" ".join(map(_in_words, row.values())) for row in table.select(FORMS[dataset].key).to_pylist()]


def _in_words(value: object) -> str:
    return "null" if value is None else str(value)


def _as_text(column: pa.Array) -> pa.Array:
    """Return values as text by their bits: how decimals are spelt is another matter in each version of Arrow."""
    if isinstance(column, pa.ChunkedArray):  # of no rows
        return pa.array([], pa.string())
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64()).view(pa.int64())
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    return column.cast(pa.string())
