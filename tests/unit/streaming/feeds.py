"""What these tests share: frames as the vendor writes them, and time that goes on when it is told to."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from bellwether.streaming.inbox import Frame

SESSION = date(2024, 7, 3)
NOON = datetime(2024, 7, 3, 16, tzinfo=UTC)
NOON_MS = 1_720_022_400_000


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def bar(ticker: str = "SPY", minute: int = 0, **values: Any) -> dict[str, Any]:
    """Return a minute as it is broadcast."""
    start_ms = NOON_MS + 60_000 * minute
    prices = {"o": 10.0, "c": 10.5, "h": 11, "l": 9.75}
    volumes = {"v": 100, "av": 5000, "op": 9.5, "vw": 10.25, "a": 10.0, "z": 7}
    return {"ev": "AM", "sym": ticker, **volumes, **prices, "s": start_ms, "e": start_ms + 60_000, **values}


def frame(*events: Any, arrived_s: float = 61.0) -> Frame:
    """Return a frame of events that comes so many seconds after noon."""
    return Frame(msgspec.json.encode(events), NOON_MS + int(arrived_s * 1000))
