"""Aggregates: every minute bar of one ticker in one window, over as many pages as the vendor makes of them.

Which of two bars of one minute stands, and whether prices make sense, is for the quality gate; what stands in
one page is read elsewhere.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import pyarrow as pa

from bellwether.errors import OutsideHistory
from bellwether.sources.bars import Envelope, decode_aggregates, iso, times_ms
from bellwether.sources.body import refusal
from bellwether.sources.chain import Chain
from bellwether.sources.raw import RawPage, Request
from bellwether.tickers import check_ticker

NAME = "aggregates"

PAGE_LIMIT = 50_000
"""Base minutes asked for per page: the vendor's maximum. At its default, 5,000, two years cost 86 calls, not 9."""

_MINUTE_MS = 60_000
_PLANS_YEARS = (2, 5, 10, 15, 20)  # https://polygon.io/pricing: how far back the plans reach


@dataclass(frozen=True, slots=True)
class Aggregates:
    """The bars of one ticker in one window.

    `table` has schema `EQUITIES`, or `INDEX_BARS` for an index, and no rows where there were no trades.
    """

    ticker: str
    table: pa.Table
    pages: tuple[RawPage, ...]
    status: Literal["OK", "DELAYED"]
    api_calls: int


class BarChain(Chain[Aggregates]):
    """The minute bars of one ticker in one window.

    Parameters
    ----------
    ticker
        The ticker asked for: a stock, an option or an index.
    from_ms, to_ms
        First and last bar start asked for, Unix ms UTC, inclusive; the vendor widens them to whole minutes.

    Raises
    ------
    ValueError
        `ticker` is not a ticker.
    """

    def __init__(self, ticker: str, from_ms: int, to_ms: int) -> None:
        check_ticker(ticker, "equity", "option", "index")
        resource = f"/v2/aggs/ticker/{ticker}/range/1/minute"
        # Unadjusted: adjusted history changes with every split. An index knows no adjustment.
        adjusted = {} if ticker.startswith("I:") else {"adjusted": "false"}
        parameters = {**adjusted, "sort": "asc", "limit": str(PAGE_LIMIT)}
        super().__init__(
            Request(NAME, {"ticker": ticker, "from_ms": str(from_ms), "to_ms": str(to_ms)}),
            f"{resource}/{from_ms}/{to_ms}",
            parameters,
            re.escape(resource) + "/[0-9-]+/[0-9-]+",
        )
        self.ticker = ticker
        self._from_ms = from_ms - from_ms % _MINUTE_MS
        self._to_ms = to_ms
        self._tables: list[pa.Table] = []
        self._last_ms = from_ms
        self.status: Literal["OK", "DELAYED"] = "OK"

    @classmethod
    def of(cls, request: Request) -> "BarChain":
        """Return the chain of a request that was made before; `ValueError` for one that asked for no bars."""
        if request.endpoint != NAME:
            message = f"{request.endpoint} asks for no bars"
            raise ValueError(message)
        arguments = request.arguments
        return cls(arguments["ticker"], int(arguments["from_ms"]), int(arguments["to_ms"]))

    def take(self, body: bytes, *, url: str, request_id: str | None = None) -> tuple[str | None, str | None]:
        """Add a page, as `Chain.take` says; bars outside the window or before those of an earlier page are refused."""
        page, table = decode_aggregates(body, self.ticker, url=url, request_id=request_id)
        last_ms = self._check_times(page, table, url)
        next_path = self._follow(page.next_url, url, page.request_id)
        self._tables.append(table)
        self._last_ms = last_ms
        if page.status == "DELAYED":
            self.status = "DELAYED"
        if next_path:
            self._seen.add(next_path)
        return page.request_id, next_path

    def answer(self, pages: tuple[RawPage, ...], api_calls: int) -> Aggregates:
        """Return the bars of all pages; `OutsideHistory` where they begin as late as some plan's history does."""
        self._check_history(pages[0])
        table = pa.concat_tables(self._tables).combine_chunks()
        return Aggregates(self.ticker, table, pages, self.status, api_calls)

    def _check_history(self, page: RawPage) -> None:
        # The vendor does not say whether it refuses a range that begins before the plan's history, or clips it. Plans
        # reach back whole years, by day. A window clipped to nothing, or on its first day, looks like one without
        # trades: that cannot be told from here.
        first_ms = next((int(times_ms(table)[0]) for table in self._tables if table.num_rows), None)
        for years in _PLANS_YEARS:
            edge = _years_before(page.received_utc.date(), years)
            edge_ms = (edge - date(1970, 1, 1)) // timedelta(milliseconds=1)
            if first_ms is not None and self._from_ms < edge_ms <= first_ms:
                asked, answered = iso(self._from_ms), iso(first_ms)
                message = (
                    f"asked for bars from {asked}, answered from {answered}: clipped, as by a plan with {years} years "
                    f"of history; ask for nothing before {edge + timedelta(days=1)}"
                )
                raise OutsideHistory(message, url=page.url, status=200, request_id=page.request_id)

    def _check_times(self, page: Envelope, table: pa.Table, url: str) -> int:
        if not table.num_rows:
            return self._last_ms
        starts_ms = times_ms(table)
        first_ms, last_ms = int(starts_ms[0]), int(starts_ms[-1])
        if first_ms < self._from_ms or last_ms > self._to_ms:
            asked = f"{iso(self._from_ms)} to {iso(self._to_ms)}"
            message = f"asked for bars of {asked}, answered with {iso(first_ms)} to {iso(last_ms)}"
            raise refusal(message, url, page.request_id)
        if self._tables and first_ms < self._last_ms:
            message = f"page starts at {iso(first_ms)}, the one before it ended at {iso(self._last_ms)}"
            raise refusal(message, url, page.request_id)
        return last_ms


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)
