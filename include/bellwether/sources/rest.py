"""The vendor's REST API: every endpoint read in one strict way, and nothing silently missing.

This is the door to the room: what is asked becomes a chain, the walk asks for its pages, and what comes back
is typed rows or a typed error. It knows nothing of sessions, universes or the lake; its callers ask for a
ticker and a window of time, or for a listing by filters.
"""

import math
import random
import time
from collections.abc import Callable, Mapping
from copy import copy
from datetime import date
from typing import Self

from bellwether.clock import Clock, SystemClock
from bellwether.config import RetryPolicies
from bellwether.sources import endpoints
from bellwether.sources.aggregates import Aggregates, BarChain
from bellwether.sources.chain import Chain, Take, take
from bellwether.sources.endpoints import Endpoint
from bellwether.sources.filters import Value
from bellwether.sources.limits import RateLimit
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.retry import Retrier
from bellwether.sources.rows import GroupedBar, MarketHoliday, MarketStatus, OpenClose
from bellwether.sources.walk import PageLog, Walk
from bellwether.sources.wire import Timeouts, Wire


class PolygonRest:
    """Access to the vendor with one key. Safe to share between threads; make it inside the task that uses it.

    Every method raises a `VendorError` where there is no complete answer; its class says why, its `pages` what had
    come. A page that fails is tried again alone; with a `page_log`, also by another process.

    Parameters
    ----------
    base_url
        `https://api.polygon.io`, or the simulator's address; no path.
    api_key
        The key. Never read from the environment, masked in every message.
    sdk
        The official client's package: `polygon`, or `massive`, its successor under the vendor's new name.
    retries
        How often a request is tried again, by class of error.
    patience_s
        The longest wait between tries; one that must be longer is raised at once, with `retry_after_s` if known.
    limit
        The plan's rate limit, shared with all who use the key; None for a plan without one.
    timeouts
        When an answer is given up.
    clock
        Stamps the pages.
    sleep
        Waits between tries, in seconds.
    rng
        Draws the waits.

    Raises
    ------
    ConfigError
        The base URL, the key or the client package is unusable.
    """

    def __init__(  # noqa: PLR0913 - keywords, each set by some caller
        self,
        base_url: str,
        api_key: str,
        *,
        sdk: str = "polygon",
        retries: RetryPolicies | None = None,
        patience_s: float = math.inf,
        limit: RateLimit | None = None,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._wire = Wire(base_url, api_key, sdk, timeouts or Timeouts(), clock or SystemClock(), limit)
        jitter = rng or random.Random()  # noqa: S311 - no secret
        self._retrier = Retrier(retries or RetryPolicies(), sleep, jitter, patience_s)
        self._take: Take = take

    def reading(self, take: Take) -> Self:
        """Return the same access, whose answers are read in another way."""
        other = copy(self)
        other._take = take
        return other

    def aggregates(self, ticker: str, from_ms: int, to_ms: int, *, page_log: PageLog | None = None) -> Aggregates:
        """Return every one-minute bar of a stock, option or index in a window, unadjusted and in ascending order.

        Equal times are passed on as they come: which of two such bars stands is for the quality gate to decide.

        Parameters
        ----------
        ticker
            As the vendor writes it: `SPY`, `O:SPY240119C00470000`, `I:VIX`.
        from_ms, to_ms
            First and last bar START, Unix ms UTC, both inclusive; the vendor widens them to whole minutes.
        page_log
            Where an answer of several pages is resumed from.

        Raises
        ------
        ValueError
            `ticker` is not a ticker.
        VendorError
            No complete answer.
        """
        return self._walk(lambda: BarChain(ticker, from_ms, to_ms), page_log)

    def listing[Row](
        self, endpoint: Endpoint[Row], filters: Mapping[str, Value], *, page_log: PageLog | None = None
    ) -> Listing[Row]:
        """Return every row that an endpoint lists under some filters.

        Parameters
        ----------
        endpoint
            One of `bellwether.sources.endpoints`.
        filters
            By name, with a suffix for comparisons: `{"underlying_ticker": "SPY", "expiration_date.gte": day}`. Order
            and page size are the endpoint's.
        page_log
            Where an answer of several pages is resumed from.

        Raises
        ------
        ValueError
            A filter is unknown, missing or malformed.
        VendorError
            No complete answer, or one with a row outside the filters.
        """
        return self._walk(lambda: ListingChain.asking(endpoint, filters), page_log)

    def grouped_daily(self, day: date) -> Listing[GroupedBar]:
        """Return the day's bar of every stock that traded, OTC left out; no rows on a holiday."""
        return self.listing(endpoints.GROUPED_DAILY, {"day": day, "include_otc": False})

    def open_close(self, ticker: str, day: date) -> Listing[OpenClose]:
        """Return the one row of a ticker's day; `NotFound` where it had none."""
        return self.listing(endpoints.OPEN_CLOSE, {"ticker": ticker, "day": day})

    def market_status(self) -> MarketStatus:
        """Return what the vendor says of the market now: the cheapest call that needs a valid key."""
        return self.listing(endpoints.MARKET_STATUS, {}).rows[0]

    def market_holidays(self) -> Listing[MarketHoliday]:
        """Return coming holidays and half days, a row per exchange. The past is the calendar's."""
        return self.listing(endpoints.MARKET_HOLIDAYS, {})

    def _walk[Answer](self, begin: Callable[[], Chain[Answer]], page_log: PageLog | None) -> Answer:
        return Walk(begin, self._wire.get, self._retrier, page_log, self._take).run()
