"""The aggregates endpoint: `/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}`.

It knows windows, base-minute limits and cursors (POLYGON.md, sections 1 and 7.2) and answers with the
bytes of a page. It knows nothing of sockets, keys or faults.
"""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.clock import Clock
from bellwether.simulator.answers import Refused
from bellwether.simulator.bars import EncodedBars, Ints, Market, encode, join, resample

FOREIGN_HOST = "https://api.polygon.io"
"""Where `next_url` points, as the vendor's does: a pager that follows it unchanged leaves the loopback."""

DEFAULT_LIMIT = 5_000
MAX_LIMIT = 50_000
_MINUTE_MS = 60_000
_TIMESPANS = {"minute": _MINUTE_MS, "hour": 60 * _MINUTE_MS}
_MAX_WINDOW_MS = 8 * 60 * _MINUTE_MS  # trading pauses 8 hours overnight, so no window reaches into two sessions
_CACHED_SESSIONS = 1024
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Query(NamedTuple):
    """What one request asks for; bounds are the snapped window's first and last ms UTC, both included."""

    ticker: str
    multiplier: int
    timespan: str
    from_ms: int
    to_ms: int
    limit: int
    descending: bool
    adjusted: bool

    @property
    def window_ms(self) -> int:
        """Width of one bar."""
        return self.multiplier * _TIMESPANS[self.timespan]


class _Cursor(msgspec.Struct):
    from_ms: int
    to_ms: int
    limit: int
    descending: bool
    adjusted: bool


class _Envelope(msgspec.Struct, omit_defaults=True):
    ticker: str
    queryCount: int  # noqa: N815 - the vendor's name
    resultsCount: int  # noqa: N815
    adjusted: bool
    status: str
    request_id: str
    count: int
    # Omitted, never empty or null: the official client requests "/" for "" and fails on null.
    results: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    next_url: str | msgspec.UnsetType = msgspec.UNSET


class _Part(NamedTuple):
    """Rows `low` to before `high` of one day."""

    day: date
    low: int
    high: int


def parse_query(path: Mapping[str, str], query: Mapping[str, str]) -> Query:
    """Return what the request asks for.

    Parameters
    ----------
    path
        The path's `ticker`, `multiplier`, `timespan`, `from`, `to`.
    query
        `adjusted`, `sort`, `limit`; or `cursor`, which replaces them and the bounds.

    Raises
    ------
    Refused
        `bad_request`, in the vendor's words where they are known.
    """
    width_ms = _integer("multiplier", path["multiplier"]) * _TIMESPANS.get(path["timespan"], 0)
    if not 0 < width_ms <= _MAX_WINDOW_MS:
        raise Refused("bad_request", "The simulator serves bars of 1 minute to 8 hours")
    cursor = _decode_cursor(query["cursor"]) if "cursor" in query else _first_cursor(path, query)
    from_ms = cursor.from_ms // width_ms * width_ms
    to_ms = cursor.to_ms // width_ms * width_ms + width_ms - 1
    if to_ms < from_ms:
        raise Refused("bad_request", "The parameter 'to' cannot be a time that occurs before 'from'")
    return Query(
        path["ticker"],
        int(path["multiplier"]),
        path["timespan"],
        from_ms,
        to_ms,
        cursor.limit,
        cursor.descending,
        cursor.adjusted,
    )


def first_day(text: str) -> date | None:
    """Return the New York date a path's `from` names, or None where it names none."""
    try:
        return _new_york_day(_moment("from", text, end=False))
    except Refused:
        return None


def _first_cursor(path: Mapping[str, str], query: Mapping[str, str]) -> _Cursor:
    limit = _integer("limit", query.get("limit", str(DEFAULT_LIMIT)))
    if not 0 < limit <= MAX_LIMIT:
        raise Refused("bad_request", f"The parameter 'limit' must lie between 1 and {MAX_LIMIT}")
    sort, adjusted = query.get("sort", "asc"), query.get("adjusted", "true").lower()
    if sort not in {"asc", "desc"}:
        raise Refused("bad_request", "Could not parse the parameter 'sort'. Use asc or desc")
    if adjusted not in {"true", "false"}:
        raise Refused("bad_request", "Could not parse the parameter 'adjusted'. Use true or false")
    from_ms, to_ms = _moment("from", path["from"], end=False), _moment("to", path["to"], end=True)
    return _Cursor(from_ms, to_ms, limit, sort == "desc", adjusted == "true")


def _integer(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Refused("bad_request", f"Could not parse the parameter '{name}'. Use a whole number")
    return int(text)


def _moment(name: str, text: str, *, end: bool) -> int:
    try:
        if _DATE.fullmatch(text):
            midnight = datetime.combine(date.fromisoformat(text) + timedelta(days=end), time(), NEW_YORK)
            return int(midnight.timestamp()) * 1000 - end
        moment_ms = int(text)
        _new_york_day(moment_ms)
    except (ValueError, OverflowError) as error:
        words = f"Could not parse the time parameter: '{name}'. Use YYYY-MM-DD or Unix MS Timestamps"
        raise Refused("bad_request", words) from error
    return moment_ms


def _new_york_day(moment_ms: int) -> date:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone(NEW_YORK).date()


def _encode_cursor(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def _decode_cursor(text: str) -> _Cursor:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=_Cursor)
    except ValueError as error:
        raise Refused("bad_request", "Could not parse the parameter 'cursor'") from error


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

    def page(self, query: Query, request_id: str) -> bytes:
        """Return the body of the page `query` asks for.

        Raises
        ------
        Refused
            `not_found` for a ticker the market lacks; `before_end_of_day` where the window reaches
            into a day of data that is not over.
        """
        if not self._market.has_ticker(query.ticker):
            raise Refused("not_found")
        days = self._market.days(_new_york_day(query.from_ms), _new_york_day(query.to_ms))
        if days and _end_of_day(days[-1]) > self._clock.now():
            raise Refused("before_end_of_day")
        parts, next_ms = self._read(query, days)
        count, results = self._results(query, parts)
        envelope = _Envelope(
            ticker=query.ticker,
            queryCount=sum(part.high - part.low for part in parts),
            resultsCount=count,
            adjusted=query.adjusted,
            status="OK",
            request_id=request_id,
            count=count,
        )
        if count:
            envelope.results = msgspec.Raw(results)
        if next_ms is not None:
            envelope.next_url = _next_url(query, next_ms)
        return msgspec.json.encode(envelope)

    def _read(self, query: Query, days: list[date]) -> tuple[list[_Part], int | None]:
        """Return the base minutes of the page in reading order, and the start of the first one left out."""
        parts: list[_Part] = []
        left = query.limit
        for day in reversed(days) if query.descending else days:
            starts = self._encoded(query.ticker, day).start_ms
            low, high = np.searchsorted(starts, [query.from_ms, query.to_ms + 1]).tolist()
            if low == high:
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

    def _results(self, query: Query, parts: list[_Part]) -> tuple[int, bytes]:
        """Return how many bars the page has and their JSON array."""
        if not parts:
            return 0, b"[]"
        if query.window_ms == _MINUTE_MS and not query.descending:
            texts = [self._encoded(query.ticker, part.day).cut(part.low, part.high) for part in parts]
            return sum(part.high - part.low for part in parts), b"[" + b",".join(texts) + b"]"
        bars = join([self._market.bars(query.ticker, part.day).rows(slice(*part[1:])) for part in sorted(parts)])
        if query.window_ms > _MINUTE_MS:
            bars = resample(bars, query.window_ms)
        if query.descending:
            bars = bars.rows(slice(None, None, -1))
        encoded = encode(bars)
        return len(bars.start_ms), b"[" + encoded.cut(0, len(bars.start_ms)) + b"]"

    def _encode_day(self, ticker: str, day: date) -> EncodedBars:
        return encode(self._market.bars(ticker, day))


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


def _end_of_day(day: date) -> datetime:
    calendar = get_calendar()
    if calendar.is_session(day):
        return calendar.hours(day).post_close
    return datetime.combine(day + timedelta(days=1), time(), NEW_YORK)  # an archive may hold any day


def _next_url(query: Query, next_ms: int) -> str:
    from_ms, to_ms = (query.from_ms, next_ms) if query.descending else (next_ms, query.to_ms)
    cursor = _encode_cursor(_Cursor(from_ms, to_ms, query.limit, query.descending, query.adjusted))
    path = f"/v2/aggs/ticker/{query.ticker}/range/{query.multiplier}/{query.timespan}/{from_ms}/{to_ms}"
    return f"{FOREIGN_HOST}{path}?cursor={cursor}"
