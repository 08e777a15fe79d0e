"""What a drill is asked for."""

from dataclasses import dataclass
from datetime import date, timedelta

from bellwether.drill.faults import chosen
from bellwether.errors import ConfigError

DATASET = "equities"
TICKERS = ("AAPL", "MSFT", "QQQ", "SPY")
KEY, WRONG_KEY = "key-of-the-drill", "wrong-key-of-the-drill"
"""Of a simulator that takes any key."""

_LAST = timedelta(minutes=2)
_LONGEST = timedelta(hours=3)  # what a half day has


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to drill.

    Attributes
    ----------
    session
        Which session to replay.
    speed
        Seconds of the session per second.
    minutes
        Of the session, at least; faults that take longer make it longer.
    faults
        Names of `faults.FAULTS`, in the order in which they are played.
    """

    session: date
    speed: float
    minutes: int
    faults: tuple[str, ...]

    def length(self) -> timedelta:
        """Return how much of the session is played.

        Raises
        ------
        ConfigError
            A fault has no such name, or a session is not that long.
        """
        takes = (fault.takes(self.speed) for fault in chosen(self.faults).values())
        length = max(timedelta(minutes=self.minutes), sum(takes, _LAST))
        if length > _LONGEST:
            msg = (
                f"that takes {length.total_seconds() / 60:.0f} minutes of a session at {self.speed:g}x, and there are "
                f"{_LONGEST.total_seconds() / 60:.0f}: choose fewer faults, or a lower speed"
            )
            raise ConfigError(msg)
        return length
