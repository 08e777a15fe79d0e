"""The aggregates endpoint: `/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}`.

It cuts a market's bars into pages by windows and base-bar limits (POLYGON.md, sections 1 and 7.2) and answers
with the bytes of a page. It knows nothing of sockets, keys or faults.
"""

from datetime import date
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from bellwether.clock import Clock
from bellwether.simulator.aggquery import MINUTE_MS, Query, continued, new_york_day
from bellwether.simulator.answers import Refused
from bellwether.simulator.bars import Bars, EncodedBars, Ints, adjust, encode, join, resample
from bellwether.simulator.daily import day_bar
from bellwether.simulator.days import midnight_ms
from bellwether.simulator.plans import OPEN, Plan, end_of_day
from bellwether.simulator.records import Market

_CACHED_SESSIONS = 1024


class _Envelope(msgspec.Struct, omit_defaults=True):
    ticker: str
    queryCount: int  # noqa: N815 - the vendor's name
    resultsCount: int  # noqa: N815
    status: str
    request_id: str
    count: int
    adjusted: bool | msgspec.UnsetType = msgspec.UNSET
    # Omitted, never empty or null: the official client requests "/" for "" and fails on null.
    results: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    next_url: str | msgspec.UnsetType = msgspec.UNSET


class _Part(NamedTuple):
    """Rows `low` to before `high` of one day."""

    day: date
    low: int
    high: int


class AggsEndpoint:
    """Pages of bars of one market under one clock.

    Parameters
    ----------
    market
        Where bars come from.
    clock
        Decides which days are over: as on the vendor's end-of-day plans, the others are refused.
    """

    def __init__(self, market: Market, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._encoded = lru_cache(maxsize=_CACHED_SESSIONS)(self._encode_day)

    def page(self, query: Query, request_id: str, plan: Plan = OPEN) -> bytes:
        """Return the body of the page `query` asks for, as far as `plan` shows it.

        Raises
        ------
        Refused
            `not_found` for a ticker the market lacks; `before_end_of_day` where the window reaches
            into a day of data that is not over; what else the plan refuses.
        """
        plan.check_class(query.ticker)
        if not self._market.has_ticker(query.ticker):
            raise Refused("not_found")
        query, days = self._visible(query, plan)
        today = new_york_day(int(self._clock.now().timestamp() * 1000)) if query.adjusted else date.min
        parts, next_ms = self._read(query, days, today)
        count, results = self._results(query, parts, today)
        envelope = _Envelope(
            ticker=query.ticker,
            queryCount=sum(part.high - part.low for part in parts),
            resultsCount=count,
            status=plan.status,
            request_id=request_id,
            count=count,
        )
        if not query.ticker.startswith("I:"):
            envelope.adjusted = query.adjusted
        if count:
            envelope.results = msgspec.Raw(results)
        if next_ms is not None:
            envelope.next_url = continued(query, next_ms)
        return msgspec.json.encode(envelope)

    def _visible(self, query: Query, plan: Plan) -> tuple[Query, list[date]]:
        """Return the query within what the plan shows now, and the days of the market in it."""
        now = self._clock.now()
        asked = new_york_day(query.from_ms)
        first = plan.first_day(asked, now)
        if first != asked:
            query = query._replace(from_ms=midnight_ms(first))
        days = self._market.days(first, new_york_day(query.to_ms))
        if not days:
            return query, days
        plan.check_end(days[-1], now)
        horizon = plan.horizon(now)
        if query.daily:
            return query, [day for day in days if end_of_day(day) <= horizon]
        last_ms = int(horizon.timestamp() * 1000) - MINUTE_MS  # the last minute that is over
        return query._replace(to_ms=min(query.to_ms, last_ms)), days

    def _read(self, query: Query, days: list[date], today: date) -> tuple[list[_Part], int | None]:
        """Return the base minutes of the page in reading order, and the start of the first one left out."""
        parts: list[_Part] = []
        left = query.limit
        for day in reversed(days) if query.descending else days:
            starts = self._encode(query, day, today).start_ms
            low, high = np.searchsorted(starts, [query.from_ms, query.to_ms + 1]).tolist()
            if low >= high:  # none, or the window begins after what the plan shows
                continue
            fit_low, fit_high = _fit(query, starts, low, high, left)
            if fit_low < fit_high:
                parts.append(_Part(day, fit_low, fit_high))
            if query.descending and low < fit_low:
                return parts, int(starts[fit_low - 1])
            if not query.descending and fit_high < high:
                return parts, int(starts[fit_high])
            left -= high - low
        return parts, None

    def _results(self, query: Query, parts: list[_Part], today: date) -> tuple[int, bytes]:
        """Return how many bars the page has and their JSON array."""
        if not parts:
            return 0, b"[]"
        if query.window_ms == MINUTE_MS and not query.descending:
            texts = [self._encode(query, part.day, today).cut(part.low, part.high) for part in parts]
            return sum(part.high - part.low for part in parts), b"[" + b",".join(texts) + b"]"
        bars = join(
            [
                adjust(self._base(query.ticker, part.day, daily=query.daily), self._scale(query, part.day, today)).rows(
                    slice(part.low, part.high)
                )
                for part in sorted(parts)
            ]
        )
        if query.window_ms > MINUTE_MS:
            bars = resample(bars, query.window_ms)
        if query.descending:
            bars = bars.rows(slice(None, None, -1))
        encoded = encode(bars)
        return len(bars.start_ms), b"[" + encoded.cut(0, len(bars.start_ms)) + b"]"

    def _encode(self, query: Query, day: date, today: date) -> EncodedBars:
        return self._encoded(query.ticker, day, query.daily, self._scale(query, day, today))

    def _encode_day(self, ticker: str, day: date, daily: bool, scale: float) -> EncodedBars:
        return encode(adjust(self._base(ticker, day, daily=daily), scale))

    def _base(self, ticker: str, day: date, *, daily: bool) -> Bars:
        return day_bar(self._market, ticker, day) if daily else self._market.bars(ticker, day)

    def _scale(self, query: Query, day: date, today: date) -> float:
        return self._market.scale(query.ticker, day, today) if query.adjusted else 1.0


def _fit(query: Query, starts: Ints, low: int, high: int, left: int) -> tuple[int, int]:
    """Return the rows, of `low` to before `high`, that a page with room for `left` still takes."""
    width_ms = query.window_ms
    if high - low <= left:
        return low, high
    if left <= 0:
        return (high, high) if query.descending else (low, low)
    # A page may end only where a window does, or its last bar would come twice, each time in part.
    if query.descending:
        edge_ms = starts[high - left] // width_ms * width_ms
        return max(low, int(np.searchsorted(starts, edge_ms))), high
    edge_ms = (starts[low + left - 1] // width_ms + 1) * width_ms
    return low, min(high, int(np.searchsorted(starts, edge_ms)))
