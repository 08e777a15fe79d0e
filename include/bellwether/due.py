"""When a session of each dataset may be captured, and between which instants its rows lie: the one home of these.

Read when DAG files are parsed, so this room imports nothing heavy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal

from bellwether.errors import SnapshotMissed

if TYPE_CHECKING:
    from bellwether.calendar import SessionHours

Bound = Literal["pre_open", "open", "close", "post_close"]

_WORDS: Final[Mapping[Bound, str]] = {
    "pre_open": "the start of extended hours",
    "open": "the open",
    "close": "the close",
    "post_close": "the end of extended hours",
}


@dataclass(frozen=True)
class Due:
    """So many minutes from one bound of a session; negative ones lie before it."""

    bound: Bound
    minutes: int

    def __call__(self, hours: "SessionHours") -> datetime:
        """Return the instant, UTC, at which a session is due."""
        instant: datetime = getattr(hours, self.bound)
        return instant + timedelta(minutes=self.minutes)

    def __str__(self) -> str:
        if self.minutes == 0:
            return _WORDS[self.bound]
        side = "before" if self.minutes < 0 else "after"
        return f"{abs(self.minutes)} minutes {side} {_WORDS[self.bound]}"


# Bars of the last minutes come up to 15 minutes late on delayed plans, and late prints still change them.
DUE: Final[Mapping[str, Due]] = {
    "equities": Due("post_close", 15),
    # A while after the minutes, which they are compared with.
    "daily_bars": Due("post_close", 30),
    # By then the first minute is known on delayed plans too.
    "contracts": Due("open", 20),
    "options": Due("close", 60),
    "options_snapshot": Due("close", -10),
    "indices": Due("post_close", 15),
    # The vendor's judgements follow an article by some minutes.
    "news": Due("close", 60),
    # What is known in the morning, with time to act on it before trading begins.
    "splits": Due("open", -60),
    "dividends": Due("open", -60),
    "rates": Due("open", -60),
    "tickers": Due("open", -60),
}

_OVER_WITHIN_MIN: Final[Mapping[str, int]] = {
    "equities": 120,
    "daily_bars": 120,
    "contracts": 60,
    "options": 240,
    # Its moment passes: after the close nothing of it can be had.
    "options_snapshot": 5,
    "indices": 120,
    "news": 120,
    # In time to act before trading begins.
    "splits": 40,
    "dividends": 40,
    "rates": 40,
    "tickers": 40,
}

OVERDUE: Final[Mapping[str, Due]] = {
    dataset: Due(due.bound, due.minutes + _OVER_WITHIN_MIN[dataset]) for dataset, due in DUE.items()
}
"""When a session of each dataset should be published."""

STREAMED: Final = Due("pre_open", -10)
"""When the run that streams a session begins; each stream waits for its own hours."""

LOOKED_AT: Final = Due("post_close", 120)
"""When the health of a session is looked at: every source of it is due by then, and has had time."""

RESTATED_AT: Final = Due("post_close", 150)
"""When the sessions before are fetched again: in the night of the session, when its own sources are done."""

VERIFIED_AT: Final = Due("post_close", 210)
"""When sessions are verified: in the night, when what the evening repaired is done."""

SAMPLED: Final = 2
"""How many sessions, unless asked for others."""

LOOKED_BACK: Final = 20
"""On how many sessions, unless asked for others."""

UNTIL: Final[Mapping[str, Due]] = {
    # From the close on quotes are withdrawn while the stock goes on in extended hours: no longer the session's chain.
    "options_snapshot": Due("close", 0),
}
"""Until when, that instant included, a session can be captured of what the vendor shows of the present alone. All other
datasets can be had at any time once they are due."""


def why_missed(dataset: str, hours: "SessionHours", instant: datetime) -> str | None:
    """Return why a session can no longer be captured at an instant, in words; None while it can."""
    until = UNTIL.get(dataset)
    if until is None or instant <= until(hours):
        return None
    return (
        f"{dataset} of {hours.session} cannot be had later: the vendor shows the present alone, and the session's "
        f"could be captured until {until(hours):%Y-%m-%d %H:%M} UTC, {until}"
    )


def check_in_time(dataset: str, hours: "SessionHours", instant: datetime) -> None:
    """Refuse an instant at which a session can no longer be captured.

    Raises
    ------
    SnapshotMissed
        It is later than `UNTIL` allows.
    """
    if why := why_missed(dataset, hours, instant):
        raise SnapshotMissed(why)


def _extended(hours: "SessionHours") -> tuple[datetime, datetime]:
    return hours.pre_open, hours.post_close


def _from_open(hours: "SessionHours") -> tuple[datetime, datetime]:
    return hours.open, hours.post_close


def _from_midnight(hours: "SessionHours") -> tuple[datetime, datetime]:
    from bellwether.calendar import NEW_YORK  # noqa: PLC0415 - loads pandas

    midnight = datetime.combine(hours.session, time(), NEW_YORK)
    return midnight.astimezone(hours.post_close.tzinfo), hours.post_close


def _since_the_close_before(hours: "SessionHours") -> tuple[datetime, datetime]:
    from bellwether.calendar import get_calendar  # noqa: PLC0415 - loads pandas

    calendar = get_calendar()
    return calendar.hours(calendar.previous(hours.session)).close, hours.close


SPANS: Final[Mapping[str, Callable[["SessionHours"], tuple[datetime, datetime]]]] = {
    "equities": _extended,
    # Trades are reported late: real ones come until 16:22 New York.
    "options": _from_open,
    # Cboe computes the VIX from 03:15 New York on, outside the hours of any stock:
    # https://www.cboe.com/tradable_products/vix/vix_options/specifications/
    "indices": _from_midnight,
    "news": _since_the_close_before,
}
"""From when to when the rows of a session lie, UTC.

Bars start from the first instant on and before the second. Articles appear after the first and until the second
included: what appears as a session closes belongs to it, and what appears on a holiday to the next one.
"""
