"""What a drill is asked for."""

from dataclasses import dataclass
from datetime import date

DATASET = "equities"
TICKERS = ("AAPL", "MSFT", "QQQ", "SPY")
KEY = "key-of-the-drill"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to drill.

    Attributes
    ----------
    session
        Which session to replay, from its open on.
    speed
        Seconds of the session per second.
    minutes
        Of the session, at least; it goes on until all faults are played.
    faults
        Names of `faults.FAULTS`, in the order in which they are played.
    """

    session: date
    speed: float
    minutes: int
    faults: tuple[str, ...]
