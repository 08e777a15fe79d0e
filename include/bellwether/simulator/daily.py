"""Day bars: `/v1/open-close/{ticker}/{date}` and `/v2/aggs/grouped/locale/us/market/stocks/{date}`.

A day bar is made of the same minutes the aggregates endpoint serves: prices of regular hours, volume of all.
"""

from collections.abc import Mapping
from datetime import date

import msgspec
import numpy as np

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.clock import Clock
from bellwether.simulator.answers import Refused
from bellwether.simulator.bars import EMPTY, NO_COUNT, Bars, adjust, encode, join
from bellwether.simulator.days import adjusted_of, date_of, midnight_ms
from bellwether.simulator.plans import Plan, end_of_day
from bellwether.simulator.records import Market


def regular_minutes(bars: Bars, ticker: str, day: date) -> tuple[int, int]:
    """Return the rows of `bars` within regular hours; all of options and indices, which have no others."""
    if ":" in ticker or not get_calendar().is_session(day):
        return 0, len(bars.start_ms)
    hours = get_calendar().hours(day)
    bounds = [hours.open.timestamp() * 1000, hours.close.timestamp() * 1000]
    low, high = np.searchsorted(bars.start_ms, bounds).tolist()
    return low, high


def day_bar(market: Market, ticker: str, day: date) -> Bars:
    """Return the day bar of `ticker`, or no row where it did not trade in regular hours."""
    own = market.daily(ticker, day)
    if len(own.start_ms):
        return own
    bars = market.bars(ticker, day)
    low, high = regular_minutes(bars, ticker, day)
    regular = bars.rows(slice(low, high))
    if not len(regular.start_ms):
        return regular
    volume = bars.volume.sum()
    uncounted = bars.transactions.min() == NO_COUNT
    return Bars(
        start_ms=np.array([midnight_ms(day)]),
        open=regular.open[:1],
        high=np.array([regular.high.max()]),
        low=np.array([regular.low.min()]),
        close=regular.close[-1:],
        volume=np.array([volume]),
        vwap=np.array([np.round((bars.vwap * bars.volume).sum() / volume, 4)]),
        transactions=np.array([NO_COUNT if uncounted else bars.transactions.sum()]),
    )


class DailyEndpoint:
    """Day bars of one market under one clock."""

    def __init__(self, market: Market, clock: Clock) -> None:
        self._market = market
        self._clock = clock

    def open_close(self, ticker: str, day: str, query: Mapping[str, str], plan: Plan) -> bytes:
        """Return the open and close of a ticker on a day.

        Raises
        ------
        Refused
            `not_found` where there was no session or no trade; what the plan refuses; `bad_request`.
        """
        session, adjusted = date_of(day), adjusted_of(query)
        plan.check_class(ticker)
        if not self._market.has_ticker(ticker):
            raise Refused("not_found")
        bar = day_bar(self._market, ticker, session) if self._visible(session, plan) else EMPTY
        if not len(bar.start_ms):
            raise Refused("not_found", "Data not found.")
        scale = self._scale(ticker, session, adjusted=adjusted)
        bar = adjust(bar, scale)
        names = ("open", "high", "low", "close")
        body: dict[str, object] = {"status": plan.status, "from": day, "symbol": ticker}
        body |= {name: float(column[0]) for name, column in zip(names, bar[1:5], strict=True)}
        if ticker.startswith("I:"):
            body["from"] = f"{day}T00:00:00.000Z"
        else:
            body["volume"] = float(bar.volume[0])
        return msgspec.json.encode(body | self._extended(ticker, session, scale))

    def grouped(self, day: str, query: Mapping[str, str], request_id: str, plan: Plan) -> bytes:
        """Return the day bars of all stocks; each `t` is the session's close, as the vendor's is.

        Raises
        ------
        Refused
            What the plan refuses; `bad_request`.
        """
        session, adjusted = date_of(day), adjusted_of(query)
        plan.check_class("")
        found = self._rows(session, adjusted=adjusted) if self._visible(session, plan) else []
        body: dict[str, object] = {
            "queryCount": len(found),
            "resultsCount": len(found),
            "adjusted": adjusted,
            "status": plan.status,
            "request_id": request_id,
            "count": len(found),
        }
        return msgspec.json.encode(body | ({"results": found} if found else {}))

    def _visible(self, session: date, plan: Plan) -> bool:
        """Return whether there is such a session and the plan shows its day bars now; Refused as the plan says."""
        now = self._clock.now()
        if not self._market.days(session, session):
            return False
        plan.check_end(session, now)
        return plan.first_day(session, now) == session and end_of_day(session) <= plan.horizon(now)

    def _rows(self, session: date, *, adjusted: bool) -> list[dict[str, object]]:
        bars = {
            ticker: adjust(day_bar(self._market, ticker, session), self._scale(ticker, session, adjusted=adjusted))
            for ticker in self._market.equities()
        }
        traded = {ticker: bar for ticker, bar in bars.items() if len(bar.start_ms)}
        if not traded:
            return []
        rows = msgspec.json.decode(b"[" + encode(join(list(traded.values()))).cut(0, len(traded)) + b"]")
        calendar = get_calendar()
        end = calendar.hours(session).close if calendar.is_session(session) else end_of_day(session)
        end_ms = int(end.timestamp()) * 1000
        return [{"T": ticker, **row, "t": end_ms} for ticker, row in zip(traded, rows, strict=True)]

    def _extended(self, ticker: str, session: date, scale: float) -> dict[str, object]:
        """Return the prices outside regular hours that there are."""
        bars = adjust(self._market.bars(ticker, session), scale)
        low, high = regular_minutes(bars, ticker, session)
        extended: dict[str, object] = {}
        if high < len(bars.start_ms):
            extended["afterHours"] = float(bars.close[-1])
        if low:
            extended["preMarket"] = float(bars.open[0])
        return extended

    def _scale(self, ticker: str, session: date, *, adjusted: bool) -> float:
        today = self._clock.now().astimezone(NEW_YORK).date()
        return self._market.scale(ticker, session, today) if adjusted else 1.0
