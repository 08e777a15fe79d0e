"""What is known of articles after several answers: every version of each, from when it was first seen.

Nothing is ever taken away, and nothing known later touches what was known before. Knows the columns that tell rows and
their contents apart, not what they say.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.schemas import FORMS, NEWS


def merge_versions(published: pa.Table, arriving: pa.Table) -> pa.Table:
    """Return what is known after an answer has arrived: every version of every article, each from when first seen.

    A union: in which order answers arrive, and how often, makes no difference. Nothing is ever taken away; an article
    that a later answer lacks stays. A text that returns to an earlier wording is that earlier version.

    Parameters
    ----------
    published, arriving
        Rows as NEWS. Versions are numbered anew, by first sight.
    """
    return number_versions(pa.concat_tables([published, arriving]))


def number_versions(table: pa.Table) -> pa.Table:
    """Return the row first seen of each article, ticker and content, numbered by that, in the order of the key."""
    table = _first_of_each(table, ("article_id", "ticker", "content_hash"))
    table = _sorted(table, ("article_id", "ticker", "first_seen_utc", "content_hash"))
    place = np.arange(len(table))
    first = np.maximum.accumulate(np.where(_starts(table, ("article_id", "ticker")), place, 0))
    numbers = pa.array(place - first + 1, pa.int32())
    index = NEWS.get_field_index("version")
    return _sorted(table.set_column(index, NEWS.field(index), numbers), FORMS["news"].key).combine_chunks()


def _first_of_each(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    # The last two decide between rows seen at one instant and scored by two versions of an extractor.
    ordered = _sorted(table, (*key, "first_seen_utc", "sentiment_source", "sentiment"))
    return ordered.filter(pa.array(_starts(ordered, key)))


def _starts(ordered: pa.Table, key: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return where a row's key differs from that of the row before."""
    starts = np.ones(len(ordered), dtype=bool)
    if len(ordered) > 1:
        differ = [pc.not_equal(ordered[name].slice(1), ordered[name].slice(0, len(ordered) - 1)) for name in key]
        starts[1:] = np.logical_or.reduce([column.to_numpy() for column in differ])
    return starts


def _sorted(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in key])
