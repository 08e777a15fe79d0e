"""The vendor's listings and single answers, one table row each: path, row, filters, page limit, order.

A new endpoint is a new row here. This room knows what may be asked and what comes back; asking, paging and
checking are the same for all and done elsewhere. Source: the official OpenAPI document.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from string import Formatter
from typing import Any, Final, Literal

from bellwether.calendar import NEW_YORK
from bellwether.sources import rows
from bellwether.sources.filters import DAY, FLAG, INSTANT, NUMBER, RANGES, TEXT, Asked, Filter, one_of, tickers


@dataclass(frozen=True)
class Endpoint[Row]:
    """What may be asked of one endpoint, and what it answers.

    Attributes
    ----------
    name
        How the project calls it; stands in raw pages.
    path
        With the names of those filters in braces that are part of it; they must be asked.
    row
        The struct of one row.
    key
        What tells a row from every other of one answer.
    filters
        What may be asked, by name.
    parameters
        What is always sent: the order, so that pages join, and the page limit, which is the vendor's maximum. The
        limit is a page's size and caps nothing.
    shape
        `page`: an envelope with `results` and perhaps `next_url`; `object`: one row and nothing around it;
        `array`: rows and nothing around them.
    counted
        The envelope promises `resultsCount`, without which no answer is complete.
    ascending
        What never descends from row to row, where the vendor sorts by time.
    jointly
        A test of rows that follows from several filters together.
    """

    name: str
    path: str
    row: type[Row]
    key: Callable[[Row], object]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    shape: Literal["page", "object", "array"] = "page"
    counted: bool = False
    ascending: Callable[[Row], Any] | None = None
    jointly: Callable[[Mapping[str, str]], Mapping[str, Asked]] | None = None

    @property
    def in_path(self) -> frozenset[str]:
        """Names of the filters that are part of the path."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self.path) if name)


def _sorted_by(field_name: str, limit: int) -> dict[str, str]:
    return {"sort": field_name, "order": "asc", "limit": str(limit)}


def _known_on(written: Mapping[str, str]) -> Mapping[str, Asked]:
    """Contracts of a day: unexpired ones expire on it or later, expired ones not later."""
    if "as_of" not in written:
        return {}
    day = date.fromisoformat(written["as_of"])
    if written.get("expired") == "true":
        return {f"expired=true, as_of={day}": lambda row: row.expiration_date <= day}
    return {f"as_of={day}": lambda row: row.expiration_date >= day}


def _new_york_day(time_ms: int) -> date:
    return datetime.fromtimestamp(time_ms / 1000, NEW_YORK).date()


def _padded(cik: str | None) -> str | None:
    return None if cik is None else cik.zfill(10)


_CONTRACT_TYPE: Final = one_of("call", "put", "other")

TICKERS: Final = Endpoint(
    name="tickers",
    path="/v3/reference/tickers",
    row=rows.Ticker,
    # Tickers are used again: delisted ones stand beside each other, told apart by when and what.
    key=lambda row: (row.ticker, row.market, row.locale, row.type, row.active, row.delisted_utc, row.composite_figi),
    filters={
        "ticker": Filter(tickers("equity", "option", "index"), lambda row: row.ticker, RANGES),
        "type": Filter(TEXT, lambda row: row.type),
        "market": Filter(one_of("stocks", "crypto", "fx", "otc", "indices"), lambda row: row.market),
        "exchange": Filter(TEXT, lambda row: row.primary_exchange),
        "cik": Filter(TEXT, lambda row: (row.cik, _padded(row.cik))),
        "date": Filter(DAY, None),
        "active": Filter(FLAG, lambda row: row.active),
        "search": Filter(TEXT, None),
    },
    parameters=_sorted_by("ticker", 1000),
)

CONTRACTS: Final = Endpoint(
    name="contracts",
    path="/v3/reference/options/contracts",
    row=rows.Contract,
    key=lambda row: row.ticker,
    filters={
        "underlying_ticker": Filter(tickers("equity", "index"), lambda row: row.underlying_ticker, RANGES),
        "contract_type": Filter(_CONTRACT_TYPE, lambda row: row.contract_type),
        "expiration_date": Filter(DAY, lambda row: row.expiration_date, RANGES),
        "as_of": Filter(DAY, None),
        "strike_price": Filter(NUMBER, lambda row: row.strike_price, RANGES),
        "expired": Filter(FLAG, None),
    },
    parameters=_sorted_by("ticker", 1000),
    jointly=_known_on,
)

NEWS: Final = Endpoint(
    name="news",
    path="/v2/reference/news",
    row=rows.Article,
    key=lambda row: row.id,
    filters={
        "ticker": Filter(tickers("equity", "option", "index"), lambda row: tuple(row.tickers), RANGES),
        "published_utc": Filter(INSTANT, lambda row: row.published_utc, RANGES),
    },
    parameters=_sorted_by("published_utc", 1000),
    ascending=lambda row: row.published_utc,
)

OPTIONS_SNAPSHOT: Final = Endpoint(
    name="options_snapshot",
    path="/v3/snapshot/options/{underlying}",
    row=rows.OptionSnapshot,
    key=lambda row: row.details.ticker,
    filters={
        "underlying": Filter(tickers("equity", "index"), lambda row: row.underlying_asset.ticker),
        "strike_price": Filter(NUMBER, lambda row: row.details.strike_price, RANGES),
        "expiration_date": Filter(DAY, lambda row: row.details.expiration_date, RANGES),
        "contract_type": Filter(_CONTRACT_TYPE, lambda row: row.details.contract_type),
    },
    parameters=_sorted_by("ticker", 250),
)

DIVIDENDS: Final = Endpoint(
    name="dividends",
    path="/v3/reference/dividends",
    row=rows.Dividend,
    key=lambda row: row.id,
    filters={
        "ticker": Filter(tickers("equity"), lambda row: row.ticker, RANGES),
        "ex_dividend_date": Filter(DAY, lambda row: row.ex_dividend_date, RANGES),
        "record_date": Filter(DAY, lambda row: row.record_date, RANGES),
        "declaration_date": Filter(DAY, lambda row: row.declaration_date, RANGES),
        "pay_date": Filter(DAY, lambda row: row.pay_date, RANGES),
        "frequency": Filter(NUMBER, lambda row: row.frequency),
        "cash_amount": Filter(NUMBER, lambda row: row.cash_amount, RANGES),
        "dividend_type": Filter(one_of("CD", "SC", "LT", "ST"), lambda row: row.dividend_type),
    },
    parameters=_sorted_by("ex_dividend_date", 1000),
    ascending=lambda row: row.ex_dividend_date,
)

SPLITS: Final = Endpoint(
    name="splits",
    path="/v3/reference/splits",
    row=rows.Split,
    key=lambda row: row.id,
    filters={
        "ticker": Filter(tickers("equity"), lambda row: row.ticker, RANGES),
        "execution_date": Filter(DAY, lambda row: row.execution_date, RANGES),
        "reverse_split": Filter(FLAG, lambda row: row.split_from > row.split_to),
    },
    parameters=_sorted_by("execution_date", 1000),
    ascending=lambda row: row.execution_date,
)

TREASURY_YIELDS: Final = Endpoint(
    name="treasury_yields",
    path="/fed/v1/treasury-yields",
    row=rows.TreasuryYields,
    key=lambda row: row.date,
    filters={"date": Filter(DAY, lambda row: row.date, (*RANGES, "any_of"))},
    parameters={"sort": "date.asc", "limit": "50000"},
    ascending=lambda row: row.date,
)

INDICES_SNAPSHOT: Final = Endpoint(
    name="indices_snapshot",
    path="/v3/snapshot/indices",
    row=rows.IndexSnapshot,
    key=lambda row: row.ticker,
    filters={"ticker": Filter(tickers("index"), lambda row: row.ticker, (*RANGES, "any_of"))},
    parameters=_sorted_by("ticker", 250),
)

GROUPED_DAILY: Final = Endpoint(
    name="grouped_daily",
    path="/v2/aggs/grouped/locale/us/market/stocks/{day}",
    row=rows.GroupedBar,
    key=lambda row: row.ticker,
    filters={
        "day": Filter(DAY, lambda row: _new_york_day(row.t)),
        # Asked for, they come beside the others.
        "include_otc": Filter(FLAG, lambda row: (row.otc, True)),
    },
    parameters={"adjusted": "false"},
    counted=True,
)

OPEN_CLOSE: Final = Endpoint(
    name="open_close",
    path="/v1/open-close/{ticker}/{day}",
    row=rows.OpenClose,
    key=lambda row: row.symbol,
    filters={
        "ticker": Filter(tickers("equity", "option", "index"), lambda row: row.symbol),
        "day": Filter(DAY, lambda row: date.fromisoformat(row.day[:10])),
    },
    parameters={"adjusted": "false"},
    shape="object",
)

MARKET_STATUS: Final = Endpoint(
    name="market_status",
    path="/v1/marketstatus/now",
    row=rows.MarketStatus,
    key=lambda row: row.server_time,
    shape="object",
)

MARKET_HOLIDAYS: Final = Endpoint(
    name="market_holidays",
    path="/v1/marketstatus/upcoming",
    row=rows.MarketHoliday,
    key=lambda row: (row.date, row.exchange, row.name),
    shape="array",
)

ENDPOINTS: Final[Mapping[str, Endpoint[Any]]] = {
    endpoint.name: endpoint
    for endpoint in (
        TICKERS,
        CONTRACTS,
        NEWS,
        OPTIONS_SNAPSHOT,
        DIVIDENDS,
        SPLITS,
        TREASURY_YIELDS,
        INDICES_SNAPSHOT,
        GROUPED_DAILY,
        OPEN_CLOSE,
        MARKET_STATUS,
        MARKET_HOLIDAYS,
    )
}
"""By the name that raw pages carry."""
