"""Which rows of an answer come too late to revise what is published.

An answer is as late as it was when it was fetched, whenever it is read. Late is only what differs from published rows
or stands new beside them; of a subject of which no answer was ever published nothing is. Pure: it knows tables and
instants, not where they come from.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.config.settings import LateSettings
from bellwether.quality.difference import difference
from bellwether.quality.prepare import REASON_COLUMN, quarantine_schema
from bellwether.quality.reasons import RowReason
from bellwether.schemas import FORMS

_NEVER_LATE: Final = frozenset({"contracts", "options_snapshot"})
"""What is discovered depends on what is asked; and a chain of the present alone cannot be had twice."""

_VERSION = ["article_id", "ticker", "content_hash"]


@dataclass(frozen=True)
class Window:
    """Until when answers about one session of a dataset may revise it.

    Attributes
    ----------
    until_utc
        Answers fetched later are late; None: none is.
    of_a_row
        Of datasets that keep versions: versions first seen so long after the publication of their article are late;
        None: none is.
    """

    until_utc: datetime | None = None
    of_a_row: timedelta | None = None


OPEN: Final = Window()
"""Nothing is late."""


@dataclass(frozen=True)
class Late:
    """What came too late.

    Attributes
    ----------
    rows
        Valid and complete, as they stand in quarantine.
    removals
        Published rows that late answers lack: they stay, and there is no row to keep.
    subjects
        Those of whom everything stays as it is published.
    """

    rows: pa.Table
    removals: int = 0
    subjects: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.rows.num_rows or self.removals)


def window(settings: LateSettings, dataset: str, session: date) -> Window:
    """Return until when a session of a dataset may be revised: before the session begins that follows the last allowed.

    So whatever is fetched in the evening of the last session allowed, and in the night after, is in time.
    """
    if FORMS[dataset].keeps_versions:
        return Window(of_a_row=settings.after_article())
    sessions_later = settings.sessions_of(dataset)
    if dataset in _NEVER_LATE or sessions_later is None:
        return OPEN
    calendar = get_calendar()
    following = calendar.sessions(session + timedelta(days=1), calendar.last)[: sessions_later + 1]
    if len(following) <= sessions_later:
        return OPEN
    return Window(until_utc=calendar.hours(following[-1]).pre_open)


def late_answers(published: pa.Table, arriving: pa.Table, dataset: str, subjects: Collection[str]) -> Late:
    """Return what of late answers differs from what is published.

    Parameters
    ----------
    published, arriving
        With the dataset's schema; rows of others than `subjects` are passed over.
    dataset
        One that keeps no versions.
    subjects
        Whose answers were fetched too late.
    """
    form = FORMS[dataset]
    if form.subject is not None:
        names = pa.array(sorted(subjects), pa.string())
        published, arriving = (
            table.filter(pc.is_in(table[form.subject], value_set=names)) for table in (published, arriving)
        )
    found = difference(published, arriving, dataset)
    rows = found.arrived
    if form.subject is None:
        kept = frozenset(subjects) if found.rows else frozenset()
    else:
        gone = published.take(pa.array(found.removed))
        names = pa.chunked_array([*rows[form.subject].chunks, *gone[form.subject].chunks], pa.string())
        kept = frozenset(names.unique().to_pylist())
    return Late(quarantined(rows, dataset), len(found.removed), kept)


def is_late_version(published: pa.Table, arriving: pa.Table, after: timedelta) -> pa.ChunkedArray:
    """Return of each arriving version whether it is not published yet and was first seen too late."""
    age = pc.subtract(arriving["first_seen_utc"].cast(pa.int64()), arriving["published_utc"].cast(pa.int64()))
    is_old = pc.greater(age, pa.scalar(int(after.total_seconds() * 1000)))
    return pc.and_(is_old, pc.invert(is_version_of(arriving, published)))


def is_new_version(arriving: pa.Table, published: pa.Table, *, among: pa.Table) -> pa.ChunkedArray:
    """Return of each arriving version whether it is not published yet and is among these."""
    return pc.and_(is_version_of(arriving, among), pc.invert(is_version_of(arriving, published)))


def is_version_of(versions: pa.Table, others: pa.Table) -> pa.ChunkedArray:
    """Return of each version whether it is among others."""
    keys, known = (
        pc.binary_join_element_wise(*(table[name] for name in _VERSION), "\n") for table in (versions, others)
    )
    return pc.is_in(keys, value_set=known.combine_chunks())


def quarantined(rows: pa.Table, dataset: str) -> pa.Table:
    """Return late rows as they stand in quarantine."""
    return rows.append_column(REASON_COLUMN, pa.repeat(RowReason.LATE.value, len(rows))).cast(
        quarantine_schema(dataset)
    )
