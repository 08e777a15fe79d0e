"""The vendor: can it be reached, does it take the key, and do its clock and ours agree.

Also asks for the other rooms, one question at a time, and slows down for good at the first 429 of a key
for which no limit was set. Which questions there are is known elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bellwether.clock import Clock
from bellwether.config import RetryPolicies
from bellwether.doctor.finding import Finding, ok, problem, unknown, warning
from bellwether.errors import BadResponse, ConnectionFailed, RateLimited, Unauthorized, VendorError
from bellwether.sources.endpoints import MARKET_STATUS
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import MarketStatus

FREE_REQUESTS_PER_MINUTE = 5

_NOTICED_S = 2.0
_HARMFUL_S = 60.0
# A wait for the rate limit counts as part of the answer's time; what took so long tells nothing of two seconds.
_LONGEST_ANSWER_S = 10.0

_ONCE = {"attempts": 1}
_FINAL = {name: _ONCE for name in ("BadRequest", "Unauthorized", "NotEntitled", "NotFound", "NotPublishedYet")}


class Vendor:
    """One key's answers.

    Parameters
    ----------
    connect
        Returns the transport that keeps to a number of requests per minute, or to none.
    requests_per_minute
        The limit that was set for the key.

    Attributes
    ----------
    was_refused
        Whether the vendor refused a request for coming too fast, though no limit was set.
    """

    def __init__(self, connect: Callable[[int | None], PolygonRest], requests_per_minute: int | None) -> None:
        self._connect = connect
        self._rest = connect(requests_per_minute)
        self.requests_per_minute = requests_per_minute
        self.was_refused = False

    def ask[T](self, question: Callable[[PolygonRest], T]) -> T:
        """Return the answer to one question; VendorError where there is none."""
        try:
            return question(self._rest)
        except RateLimited:
            if self.requests_per_minute is not None or self.was_refused:
                raise
            self.was_refused = True
            self._rest = self._connect(FREE_REQUESTS_PER_MINUTE)
            return question(self._rest)


def policies(requests_per_minute: int | None) -> RetryPolicies:
    """Return how often the doctor asks again: less often than a capture, and not at all what came too fast unheeded."""
    rate_limited = _ONCE if requests_per_minute is None else {"attempts": 3, "base_s": 60.0}
    return RetryPolicies.model_validate({"default": {"attempts": 2}, "errors": {**_FINAL, "RateLimited": rate_limited}})


@dataclass(frozen=True)
class Greeting:
    """The vendor's first answer, and when it was asked for and received, by our clock."""

    status: MarketStatus
    asked_utc: datetime
    received_utc: datetime


def greet(vendor: Vendor, clock: Clock) -> Greeting | VendorError:
    """Return the vendor's word on the market, the cheapest call that needs a valid key, or why there is none."""
    asked_utc = clock.now()
    try:
        listing = vendor.ask(lambda rest: rest.listing(MARKET_STATUS, {}))
    except VendorError as error:
        return error
    return Greeting(listing.rows[0], asked_utc, listing.pages[0].received_utc)


def judge_key(outcome: Greeting | VendorError, url: str) -> Finding:
    """Return whether the vendor was reached and took the key."""
    match outcome:
        case Greeting():
            return ok("key", f"{url} answers and accepts the API key; the market is {outcome.status.market}")
        case Unauthorized():
            advice = "copy the key from the vendor's dashboard into POLYGON_API_KEY or Connection polygon_default"
            return problem("key", f"{url} does not accept this API key ({outcome.message}): nothing works", advice)
        case ConnectionFailed():
            advice = "check the base URL, the network and the proxy"
            return problem("key", f"{url} cannot be reached ({outcome.message}): nothing works", advice)
        case BadResponse():
            advice = "check the base URL: https://api.polygon.io, https://api.massive.com, or a simulator's"
            return problem("key", f"{url} answers, but not as Polygon does ({outcome.message})", advice)
        case _:
            return unknown("key", f"{url} refused to answer ({outcome.message})", "try again in a few minutes")


def judge_clock(greeting: Greeting, *, simulated: bool) -> Finding:
    """Return whether the vendor's clock and ours agree, as far as its whole seconds and the answer's time can tell."""
    theirs, latency = greeting.status.server_time, greeting.received_utc - greeting.asked_utc
    if simulated:
        return ok("clock", f"not compared: a simulated market keeps its own time, {theirs:%Y-%m-%d %H:%M:%S}")
    if latency.total_seconds() > _LONGEST_ANSWER_S:
        return unknown("clock", f"the answer took {latency.total_seconds():.0f} s, too long to compare clocks by")
    # It was stamped between asking and receiving, and its fraction of a second was cut off.
    ahead = greeting.asked_utc - (theirs + timedelta(seconds=1))
    behind = theirs - greeting.received_utc
    skew_s = max(ahead, behind, timedelta(0)).total_seconds()
    if skew_s <= _NOTICED_S:
        return ok("clock", f"agrees with the vendor's within {_NOTICED_S:.0f} s")
    says = f"this machine's clock is at least {skew_s:.0f} s {'ahead of' if ahead > behind else 'behind'} the vendor's"
    advice = "set the clock by NTP (timedatectl set-ntp true)"
    if skew_s <= _HARMFUL_S:
        return warning("clock", f"{says}; live times would be wrong by as much", advice)
    return problem("clock", f"{says}: sessions would be asked for before their data is there", advice)
