"""What a recorder is to record, and between which instants."""

from dataclasses import dataclass
from datetime import date, datetime

from bellwether.calendar import get_calendar
from bellwether.due import SPANS
from bellwether.streaming.gaps import LATE

NEWS = "news"
"""Of all that is recorded the one dataset that is polled, not broadcast."""

STREAMS = ("equities", "options", "indices")
"""The datasets that are broadcast."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What is to be recorded.

    Attributes
    ----------
    dataset, session
        Of which.
    start, until
        Between which instants broadcasts count, aware.
    """

    dataset: str
    session: date
    start: datetime
    until: datetime


def whole_session(dataset: str, session: date) -> Assignment:
    """Return the assignment of a session from its first minute until its last one can no longer change.

    That of news ends with its span: what is listed later is the next session's, or the daily pull's.
    """
    start, end = SPANS[dataset](get_calendar().hours(session))
    return Assignment(dataset=dataset, session=session, start=start, until=end if dataset == NEWS else end + LATE)
