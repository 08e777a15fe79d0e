"""When a session of each dataset may be captured, and between which instants its rows lie: the one home of both.

Read when DAG files are parsed, so this room imports nothing heavy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal

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
        side = "before" if self.minutes < 0 else "after"
        return f"{abs(self.minutes)} minutes {side} {_WORDS[self.bound]}"


# Bars of the last minutes come up to 15 minutes late on delayed plans, and late prints still change them.
DUE: Final[Mapping[str, Due]] = {
    "equities": Due("post_close", 15),
    # By then the first minute is known on delayed plans too.
    "contracts": Due("open", 20),
    "options": Due("close", 60),
    "indices": Due("post_close", 15),
}


def _extended(hours: "SessionHours") -> tuple[datetime, datetime]:
    return hours.pre_open, hours.post_close


def _from_open(hours: "SessionHours") -> tuple[datetime, datetime]:
    return hours.open, hours.post_close


def _from_midnight(hours: "SessionHours") -> tuple[datetime, datetime]:
    from bellwether.calendar import NEW_YORK  # noqa: PLC0415 - loads pandas

    midnight = datetime.combine(hours.session, time(), NEW_YORK)
    return midnight.astimezone(hours.post_close.tzinfo), hours.post_close


SPANS: Final[Mapping[str, Callable[["SessionHours"], tuple[datetime, datetime]]]] = {
    "equities": _extended,
    # Trades are reported late: real ones come until 16:22 New York.
    "options": _from_open,
    # Cboe computes the VIX from 03:15 New York on, outside the hours of any stock:
    # https://www.cboe.com/tradable_products/vix/vix_options/specifications/
    "indices": _from_midnight,
}
"""From when to when the bars of a session may start, UTC: from the first instant on, and before the second."""
