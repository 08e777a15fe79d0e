"""Equity minute bars: what to ask the vendor for, for one ticker and one session."""

from datetime import timedelta

from bellwether.calendar import SessionHours
from bellwether.sources.aggregates import Aggregates
from bellwether.sources.rest import PolygonRest
from bellwether.sources.walk import PageLog


def fetch(rest: PolygonRest, ticker: str, hours: SessionHours, page_log: PageLog) -> Aggregates:
    """Fetch every unadjusted one-minute bar of a session, extended hours included.

    Parameters
    ----------
    rest
        The vendor.
    ticker
        A well-formed ticker.
    hours
        The session's bounds; asked for in milliseconds, since dates mean UTC days to the vendor and a
        winter session ends on the next one.
    page_log
        Where an answer of several pages is resumed from.

    Raises
    ------
    VendorError
        The vendor did not give a complete answer.
    """
    return rest.aggregates(ticker, *window_ms(hours), page_log=page_log)


def window_ms(hours: SessionHours) -> tuple[int, int]:
    """Return the first and the last bar start of a session, Unix ms UTC, inclusive."""
    last_minute = hours.post_close - timedelta(minutes=1)
    return int(hours.pre_open.timestamp() * 1000), int(last_minute.timestamp() * 1000)
