"""When options trade: the end of their day, the last day of an expiration, how and when it is settled.

The one table of products, on top of the exchange's calendar. Regular trading hours only: the sessions of SPX, VIX and
others at night and from 16:15 to 17:00 are not known here. The hours are those of today; settlement holds for what has
expired since 2014. Sources:

- Firstrade, "options that trade until 4:15 p.m. ET": https://help.zh-tw.firstrade.com/article/833-4-15 (the present
  list, and which index options end at 16:00 on their last day); NYSE Arca's list of 2017, shorter:
  https://webarchive.library.unt.edu/web/20170117013735/https://www.nyse.com/markets/arca-options/market-info
- Cboe's specifications of SPX/SPXW, XSP, DJX, RUT/RUTW, MSCI: https://www.cboe.com/tradable_products/; a table of
  settlement and last trading day by root: tastytrade, "Cash-Settled Indexes Options Specifications",
  https://tastyworks.freshdesk.com/support/solutions/articles/43000435289
- Nasdaq's of NDX: http://www.nasdaqtrader.com/Micro.aspx?id=phlxbroadbased, of MNX: http://www.marketswiki.com/wiki/Options_on_NASDAQ-100_Index
- Saturday expirations until February 2015: http://www.gpo.gov/fdsys/pkg/FR-2013-05-06/html/2013-10605.htm
- SPXQ became SPXW in July 2014 and SPXPM in May 2017, RUTQ became RUTW in January 2016 (Cboe's announcements).
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final, Literal

from bellwether.calendar import get_calendar, usual_close, usual_open

Settlement = Literal["am", "pm"]

_LATE = timedelta(minutes=15)
_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Product:
    """How the options of one root trade.

    Attributes
    ----------
    settlement
        By opening (`am`) or closing prices (`pm`) of the settlement day.
    trades_late
        Whether they trade until 15 minutes after the stocks' close: 16:15, on half days 13:15.
    expires_late
        Whether they do so on their last trading day too.
    ends_before_settlement
        Whether their last trading day is the session before settlement, not the day itself.
    """

    settlement: Settlement = "pm"
    trades_late: bool = False
    expires_late: bool = False
    ends_before_settlement: bool = False


_STOCK: Final = Product()
_LATE_FUND: Final = Product(trades_late=True, expires_late=True)
_AM_INDEX: Final = Product("am", trades_late=True, expires_late=True, ends_before_settlement=True)
_PM_INDEX: Final = Product(trades_late=True)
_MSCI_INDEX: Final = Product(trades_late=True, expires_late=True, ends_before_settlement=True)

_PRODUCTS: Final[dict[str, Product]] = {
    **dict.fromkeys(("DJX", "MNX", "NDX", "RUT", "SPX", "VIX", "VIXW"), _AM_INDEX),
    **dict.fromkeys(("MRUT", "NDXP", "OEX", "RUTQ", "RUTW", "SPXPM", "SPXQ", "SPXW", "XEO", "XSP"), _PM_INDEX),
    **dict.fromkeys(("MXEA", "MXEF"), _MSCI_INDEX),
    **dict.fromkeys(
        (
            *("AMJ", "DBA", "DBB", "DBC", "DBO", "DIA", "EEM", "EFA", "GAZ", "GLD", "IWM", "IWN", "IWO", "IWV"),
            *("JJC", "KBE", "KRE", "MDY", "MOO", "OEF", "OIL", "QQQ", "SLX", "SPY", "SVIX", "SVXY", "UNG", "UUP"),
            *("UVIX", "UVXY", "VIXM", "VIXY", "VXX", "VXZ", "XHB", "XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP"),
            *("XLRE", "XLU", "XLV", "XLY", "XME", "XRT"),
        ),
        _LATE_FUND,
    ),
}

_SECOND_ROOTS: Final = {
    **dict.fromkeys(("SPXW", "SPXQ", "SPXPM"), "SPX"),
    **dict.fromkeys(("RUTW", "RUTQ"), "RUT"),
    **{"NDXP": "NDX", "VIXW": "VIX"},
}
"""Roots beside the one that is named like the index."""


def product(root: str) -> Product:
    """Return how the options of `root` trade: adjusted ones (`SPY1`) like `SPY`, those of no table like a stock's."""
    return _PRODUCTS.get(root.rstrip("0123456789"), _STOCK)


def underlying_of(root: str) -> str:
    """Return the underlying of the options of `root`: SPX of SPXW, AAPL of the adjusted AAPL1, else the root itself."""
    bare = root.rstrip("0123456789")
    return _SECOND_ROOTS.get(bare, bare)


def priced_by(underlying: str) -> str:
    """Return the ticker whose price moves the options of an underlying: `I:SPX` for SPX, itself for what is traded."""
    on_index = product(underlying) in (_AM_INDEX, _PM_INDEX, _MSCI_INDEX)
    return f"I:{underlying}" if on_index else underlying


def exercise_style(underlying: str) -> Literal["american", "european"]:
    """Return when options on `underlying` may be exercised: on indices at the end alone, but of OEX as of shares."""
    return "american" if priced_by(underlying) == underlying or underlying == "OEX" else "european"


@cache
def settlement_day(expiration: date) -> date:
    """Return the session on which options of `expiration` are settled: itself, or the one before a day without trading.

    Saturdays (the rule until February 2015) are settled on Friday, or Thursday where that Friday was a holiday.
    """
    return get_calendar().on_or_before(expiration)


@cache
def settled_at(root: str, expiration: date) -> datetime:
    """Return the instant, aware UTC, whose prices decide what options of `root` pay that expire on `expiration`.

    The opening or the close of the settlement day, whatever the hours in which the options themselves trade. Of
    sessions that are not known yet, early closes are not known either.
    """
    calendar, day, by_opening = get_calendar(), settlement_day(expiration), product(root).settlement == "am"
    if day > calendar.last:
        return usual_open(day) if by_opening else usual_close(day)
    hours = calendar.hours(day)
    return hours.open if by_opening else hours.close


def last_trading_day(root: str, expiration: date) -> date:
    """Return the last session on which options of `root` trade that expire on `expiration`."""
    day = settlement_day(expiration)
    return settlement_day(day - timedelta(days=1)) if product(root).ends_before_settlement else day


def trading_hours(root: str, expiration: date, session: date) -> tuple[datetime, datetime]:
    """Return the start and the end of a contract's regular trading on a session, aware UTC; the end is not included.

    Trades may be reported later.

    Raises
    ------
    NotASession
        `session` is not a trading session.
    ValueError
        The contract no longer trades on `session`.
    """
    last = last_trading_day(root, expiration)
    if session > last:
        msg = f"{root} of {expiration} last traded on {last}, before {session}"
        raise ValueError(msg)
    hours, how = get_calendar().hours(session), product(root)
    late = how.expires_late if session == last else how.trades_late
    return hours.open, hours.close + (_LATE if late else timedelta(0))


def is_monthly(root: str, expiration: date) -> bool:
    """Return whether `expiration` is a standard monthly one.

    That is the third Friday, the Saturday after it under the old rule, Thursday if the Friday is a holiday; of VIX the
    session 30 days before the next month's, mostly a Wednesday.
    """
    if root != "VIX":
        return settlement_day(expiration) == _third_friday(expiration)
    following = expiration.replace(day=1) + timedelta(days=31)
    return settlement_day(expiration) == settlement_day(_third_friday(following) - timedelta(days=30))


def _third_friday(month: date) -> date:
    """Return the session on which monthly options of a date's month are settled."""
    fifteenth = month.replace(day=15)
    return settlement_day(fifteenth + timedelta(days=(_FRIDAY - fifteenth.weekday()) % 7))
