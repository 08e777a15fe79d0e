"""What a request for aggregates asks: path and query, or the cursor of a page before, in exact bounds.

It knows the vendor's parameters, their defaults and its words about wrong ones (POLYGON.md section 1).
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import msgspec

from bellwether.calendar import NEW_YORK
from bellwether.simulator.answers import Refused
from bellwether.simulator.cursors import decode_cursor, integer, limit_of, next_url
from bellwether.simulator.days import adjusted_of, midnight_ms

DEFAULT_LIMIT = 5_000
MAX_LIMIT = 50_000
MINUTE_MS = 60_000
_TIMESPANS = {"minute": MINUTE_MS, "hour": 60 * MINUTE_MS}
_DAY = "day"  # days are no windows of minutes: they begin at New York's midnight, whatever its offset is
_MAX_WINDOW_MS = 8 * 60 * MINUTE_MS  # trading pauses 8 hours overnight, so no window reaches into two sessions
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
    def daily(self) -> bool:
        """Whether the bars read are those of days."""
        return self.timespan == _DAY

    @property
    def window_ms(self) -> int:
        """Width of the windows that bars read are gathered in; a minute where they stay as they are."""
        return MINUTE_MS if self.daily else self.multiplier * _TIMESPANS[self.timespan]


class _Cursor(msgspec.Struct):
    from_ms: int
    to_ms: int
    limit: int
    descending: bool
    adjusted: bool


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
    multiplier = integer("multiplier", path["multiplier"])
    daily = path["timespan"] == _DAY
    width_ms = (multiplier == 1) * MINUTE_MS if daily else multiplier * _TIMESPANS.get(path["timespan"], 0)
    if not 0 < width_ms <= _MAX_WINDOW_MS:
        raise Refused("bad_request", "The simulator serves bars of 1 minute to 8 hours, and of 1 day")
    cursor = decode_cursor(query["cursor"], _Cursor) if "cursor" in query else _first_cursor(path, query)
    if daily:
        from_ms, to_ms = midnight_ms(new_york_day(cursor.from_ms)), midnight_ms(new_york_day(cursor.to_ms))
    else:
        from_ms = cursor.from_ms // width_ms * width_ms
        to_ms = cursor.to_ms // width_ms * width_ms + width_ms - 1
    if to_ms < from_ms:
        raise Refused("bad_request", "The parameter 'to' cannot be a time that occurs before 'from'")
    return Query(
        path["ticker"],
        multiplier,
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
        return new_york_day(_moment("from", text, end=False))
    except Refused:
        return None


def _first_cursor(path: Mapping[str, str], query: Mapping[str, str]) -> _Cursor:
    limit = limit_of(query.get("limit", str(DEFAULT_LIMIT)), MAX_LIMIT)
    sort = query.get("sort", "asc")
    if sort not in {"asc", "desc"}:
        raise Refused("bad_request", "Could not parse the parameter 'sort'. Use asc or desc")
    from_ms, to_ms = _moment("from", path["from"], end=False), _moment("to", path["to"], end=True)
    return _Cursor(from_ms, to_ms, limit, sort == "desc", adjusted_of(query))


def _moment(name: str, text: str, *, end: bool) -> int:
    try:
        if _DATE.fullmatch(text):
            midnight = datetime.combine(date.fromisoformat(text) + timedelta(days=end), time(), NEW_YORK)
            return int(midnight.timestamp()) * 1000 - end
        moment_ms = int(text)
        new_york_day(moment_ms)
    except (ValueError, OverflowError) as error:
        words = f"Could not parse the time parameter: '{name}'. Use YYYY-MM-DD or Unix MS Timestamps"
        raise Refused("bad_request", words) from error
    return moment_ms


def new_york_day(moment_ms: int) -> date:
    """Return the New York date of a moment."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone(NEW_YORK).date()


def continued(query: Query, next_ms: int) -> str:
    """Return the address of the page that begins with the bar at `next_ms`."""
    from_ms, to_ms = (query.from_ms, next_ms) if query.descending else (next_ms, query.to_ms)
    path = f"/v2/aggs/ticker/{query.ticker}/range/{query.multiplier}/{query.timespan}/{from_ms}/{to_ms}"
    return next_url(path, _Cursor(from_ms, to_ms, query.limit, query.descending, query.adjusted))
