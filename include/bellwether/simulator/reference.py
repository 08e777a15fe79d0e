"""Reference lists beside contracts: tickers, dividends, splits, news, treasury yields.

Each is a table of the lists' room and one function that asks the market. What the clock has not reached is not shown.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.clock import Clock
from bellwether.simulator.answers import Refused
from bellwether.simulator.lists import Filter, ListEndpoint, ListQuery, choice, day, flag, instant
from bellwether.simulator.records import Article, Dividend, Listing, Market, Split, TreasuryYield

_SPLITS_ANNOUNCED = timedelta(days=14)
_FIRST_ARTICLE = "2000-01-01T00:00:00Z"
_MARKETS = ("stocks", "crypto", "fx", "otc", "indices")
_TICKER_FILTERS = {
    "ticker": Filter(str),
    "type": Filter(str),
    "market": Filter(choice(*_MARKETS)),
    "exchange": Filter(str, "primary_exchange"),
    "cik": Filter(str),
    "active": Filter(flag),
}
_DIVIDEND_FILTERS = {
    "ticker": Filter(str),
    **dict.fromkeys(("ex_dividend_date", "record_date", "declaration_date", "pay_date"), Filter(day)),
    "frequency": Filter(int),
    "cash_amount": Filter(float),
    "dividend_type": Filter(choice("CD", "SC", "LT", "ST")),
}


class ReferenceEndpoints:
    """The reference lists of one market under one clock."""

    def __init__(self, market: Market, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._tickers = ListEndpoint(
            filters=_TICKER_FILTERS,
            sorts=("ticker", "name", "market", "locale", "primary_exchange", "type", "cik", "last_updated_utc"),
            default_limit=100,
            rows=self._listings,
            descending=False,
            counted=True,
        )
        self._dividends = ListEndpoint(
            filters=_DIVIDEND_FILTERS,
            sorts=("ex_dividend_date", "pay_date", "declaration_date", "record_date", "cash_amount", "ticker"),
            rows=self._paid,
            key="id",
        )
        self._splits = ListEndpoint(
            filters={"ticker": Filter(str), "execution_date": Filter(day), "reverse_split": Filter(flag)},
            sorts=("execution_date", "ticker"),
            rows=self._executed,
            key="id",
        )
        self._news = ListEndpoint(
            filters={"ticker": Filter(str, "tickers"), "published_utc": Filter(instant)},
            sorts=("published_utc",),
            rows=self._articles,
            key="id",
            ordered=True,
            counted=True,
        )
        self._yields = ListEndpoint(
            filters={"date": Filter(day)},
            sorts=("date",),
            rows=self._curves,
            key="date",
            default_limit=100,
            max_limit=50_000,
        )

    def tickers(self, path: str, query: Mapping[str, str], request_id: str) -> bytes:
        """Return a page of symbols as they stood on `date`, active ones unless asked otherwise."""
        defaults = {"date": self._today().isoformat(), "active": "true"}
        return self._tickers.page(path, defaults | dict(query), request_id)

    def dividends(self, path: str, query: Mapping[str, str], request_id: str) -> bytes:
        """Return a page of the dividends declared so far."""
        return self._dividends.page(path, query, request_id)

    def splits(self, path: str, query: Mapping[str, str], request_id: str) -> bytes:
        """Return a page of the splits executed, or announced for the next two weeks."""
        return self._splits.page(path, query, request_id)

    def news(self, path: str, query: Mapping[str, str], request_id: str) -> bytes:
        """Return a page of the articles published so far."""
        return self._news.page(path, query, request_id)

    def yields(self, path: str, query: Mapping[str, str], request_id: str) -> bytes:
        """Return a page of treasury yields; a day's are known the day after."""
        return self._yields.page(path, query, request_id)

    def _listings(self, query: ListQuery) -> Iterable[Listing]:
        try:
            on = date.fromisoformat(day(query.params["date"]))
        except ValueError as error:
            raise Refused("bad_request", "Could not parse the parameter 'date'. Use YYYY-MM-DD") from error
        text = query.params.get("search", "").lower()
        return (row for row in self._market.listings(on) if text in row.ticker.lower() or text in row.name.lower())

    def _paid(self, query: ListQuery) -> Iterable[Dividend]:
        today = self._today().isoformat()
        rows = self._market.dividends(query.equal("ticker"))
        return (row for row in rows if (row.declaration_date or row.ex_dividend_date) <= today)

    def _executed(self, query: ListQuery) -> Iterable[Split]:
        known = (self._today() + _SPLITS_ANNOUNCED).isoformat()
        return (split for split in self._market.splits(query.equal("ticker")) if split.execution_date <= known)

    def _articles(self, query: ListQuery) -> Iterable[Article]:
        first, last = query.bounds("published_utc", _FIRST_ARTICLE, instant(self._clock.now().isoformat()))
        if query.cursor is not None:
            after = str(query.cursor.after[0])
            first, last = (first, min(last, after)) if query.descending else (max(first, after), last)
        start, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
        return self._market.articles(
            start, end, query.equal("ticker"), newest_first=query.descending, as_of=self._clock.now()
        )

    def _curves(self, query: ListQuery) -> Iterable[TreasuryYield]:
        yesterday = self._today() - timedelta(days=1)
        first, last = query.bounds("date", get_calendar().first.isoformat(), yesterday.isoformat())
        return self._market.yields(date.fromisoformat(first), date.fromisoformat(last))

    def _today(self) -> date:
        return self._clock.now().astimezone(NEW_YORK).date()
