"""What a first backfill costs: API calls, minutes and disk, from the universe and the number of sessions.

Estimates, and called so. A call is one ticker's session, which is how equities are captured.
"""

from dataclasses import dataclass

from bellwether.doctor.finding import Finding, ok, unknown
from bellwether.doctor.lake import human_bytes

DEFAULT_BYTES = 30_000.0
"""A ticker's session of some 600 traded minutes, published and raw: measured on five sessions of a generated market."""

_PARALLEL = 8  # slots of the pool vendor_requests


@dataclass(frozen=True)
class Cost:
    """A first backfill.

    Attributes
    ----------
    tickers, sessions
        How many of each.
    bytes_each
        What one ticker's session takes in the lake.
    is_measured
        Whether that was measured in this lake.
    """

    tickers: int
    sessions: int
    bytes_each: float
    is_measured: bool

    @property
    def calls(self) -> int:
        """API calls."""
        return self.tickers * self.sessions

    @property
    def bytes(self) -> float:
        """Room in the lake."""
        return self.calls * self.bytes_each

    def seconds(self, requests_per_minute: int | None, seconds_per_call: float) -> float:
        """Return how long the calls take under the limit, or without one several at a time."""
        if requests_per_minute is None:
            return self.calls * seconds_per_call / _PARALLEL
        return self.calls * 60 / requests_per_minute


def judge(cost: Cost | None, span: str, requests_per_minute: int | None, seconds_per_call: float | None) -> Finding:
    """Return what the backfill of a span costs; unknown where only the vendor could tell who is in the universe."""
    if cost is None:
        return unknown(
            "first backfill", "how many tickers the universe's rule finds is known once a session was planned"
        )
    how = "measured" if cost.is_measured else "assumed"
    size = f"{human_bytes(cost.bytes)} ({how}: {human_bytes(cost.bytes_each)} each)"
    says = f"{span}: {cost.tickers:,} tickers x {cost.sessions:,} sessions = {cost.calls:,} API calls"
    if requests_per_minute is not None:
        time = f"{human_time(cost.seconds(requests_per_minute, 0))} at {requests_per_minute} a minute"
    elif seconds_per_call is not None:
        time = f"at least {human_time(cost.seconds(None, seconds_per_call))} of waiting for the vendor"
    else:
        time = "how long is not known"
    return ok("first backfill", f"{says}, {time}, {size}; all estimates")


def human_time(seconds: float) -> str:
    """Return a duration for people: `3.5 hours`."""
    for unit, length_s in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:,.3g} {unit}"
    return f"{seconds:.0f} seconds"
