"""The rows of the vendor's listings, as it names them: one typed struct each.

Fields the vendor promises are required, those it may leave out are optional, unknown ones are ignored. This
room knows forms only. Sources: the official OpenAPI document and https://polygon.io/docs.
"""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Ticker(msgspec.Struct, frozen=True, kw_only=True):
    """A ticker and what it stands for, as of the date asked for."""

    ticker: Text
    name: str | None = None
    market: Text
    locale: Text
    type: str | None = None
    active: bool | None = None
    primary_exchange: str | None = None
    currency_name: str | None = None
    cik: str | None = None
    composite_figi: str | None = None
    share_class_figi: str | None = None
    last_updated_utc: Instant | None = None
    delisted_utc: Instant | None = None


class AdditionalUnderlying(msgspec.Struct, frozen=True, kw_only=True):
    """What else an adjusted contract delivers."""

    type: str
    underlying: str
    amount: float


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """An option contract; `strike_price` in dollars a share, `shares_per_contract` other than 100 after a split."""

    ticker: Text
    underlying_ticker: Text
    contract_type: Literal["call", "put", "other"]
    exercise_style: Literal["american", "european", "bermudan"]
    expiration_date: date
    strike_price: float
    shares_per_contract: float
    primary_exchange: str | None = None
    cfi: str | None = None
    correction: int | None = None
    additional_underlyings: list[AdditionalUnderlying] | None = None


class Publisher(msgspec.Struct, frozen=True, kw_only=True):
    """Who published an article."""

    name: str
    homepage_url: str | None = None
    logo_url: str | None = None
    favicon_url: str | None = None


class Insight(msgspec.Struct, frozen=True, kw_only=True):
    """What the vendor reads out of an article, for one ticker."""

    ticker: str
    sentiment: Literal["positive", "neutral", "negative"]
    sentiment_reasoning: str | None = None


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """A news article; older ones have no insights."""

    id: Text
    title: str
    author: str | None = None
    published_utc: Instant
    article_url: str
    tickers: list[str]
    publisher: Publisher
    amp_url: str | None = None
    image_url: str | None = None
    description: str | None = None
    keywords: list[str] | None = None
    insights: list[Insight] | None = None


class OptionDay(msgspec.Struct, frozen=True, kw_only=True):
    """A contract's trading day so far; prices per share, volume in contracts, `last_updated` in ns."""

    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    volume: float | None = None
    vwap: float | None = None
    previous_close: float | None = None
    change: float | None = None
    change_percent: float | None = None
    last_updated: int | None = None


class OptionDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Which contract a snapshot is of."""

    ticker: Text
    contract_type: Literal["call", "put", "other"]
    exercise_style: Literal["american", "european", "bermudan"]
    expiration_date: date
    strike_price: float
    shares_per_contract: float


class Greeks(msgspec.Struct, frozen=True, kw_only=True):
    """The vendor's Greeks: theta per day, vega per volatility point."""

    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None


class OptionQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The last quote; a side that nobody quotes is 0 or left out. `last_updated` in ns."""

    bid: float | None = None
    ask: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    midpoint: float | None = None
    last_updated: int | None = None
    timeframe: str | None = None


class OptionTrade(msgspec.Struct, frozen=True, kw_only=True):
    """The last trade; `sip_timestamp` in ns."""

    price: float
    size: float
    sip_timestamp: int | None = None
    conditions: list[int] | None = None
    exchange: int | None = None
    timeframe: str | None = None


class UnderlyingAsset(msgspec.Struct, frozen=True, kw_only=True):
    """The underlying of a chain: a stock has a `price`, an index a `value`."""

    ticker: Text
    price: float | None = None
    value: float | None = None
    change_to_break_even: float | None = None
    last_updated: int | None = None
    timeframe: str | None = None


class OptionSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One contract of a chain now. Greeks and volatility are left out deep in the money, quotes and trades by plan."""

    details: OptionDetails
    underlying_asset: UnderlyingAsset
    break_even_price: float | None = None
    day: OptionDay | None = None
    greeks: Greeks | None = None
    implied_volatility: float | None = None
    last_quote: OptionQuote | None = None
    last_trade: OptionTrade | None = None
    open_interest: float | None = None
    fmv: float | None = None


class Dividend(msgspec.Struct, frozen=True, kw_only=True):
    """A cash dividend; `frequency` per year, 0 once."""

    id: Text
    ticker: Text
    cash_amount: float
    currency: str | None = None
    declaration_date: date | None = None
    ex_dividend_date: date
    record_date: date | None = None
    pay_date: date | None = None
    frequency: int | None = None
    dividend_type: Literal["CD", "SC", "LT", "ST"]


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A split: `split_from` old shares become `split_to` new ones."""

    id: Text
    ticker: Text
    execution_date: date
    split_from: Annotated[float, msgspec.Meta(gt=0)]
    split_to: Annotated[float, msgspec.Meta(gt=0)]


class TreasuryYields(msgspec.Struct, frozen=True, kw_only=True):
    """One day's yields in percent; maturities that did not exist are absent."""

    date: date
    yield_1_month: float | None = None
    yield_3_month: float | None = None
    yield_6_month: float | None = None
    yield_1_year: float | None = None
    yield_2_year: float | None = None
    yield_3_year: float | None = None
    yield_5_year: float | None = None
    yield_7_year: float | None = None
    yield_10_year: float | None = None
    yield_20_year: float | None = None
    yield_30_year: float | None = None


class IndexSession(msgspec.Struct, frozen=True, kw_only=True):
    """An index's day so far."""

    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    previous_close: float | None = None
    change: float | None = None
    change_percent: float | None = None


class IndexSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An index now; one the vendor does not know, or the plan does not include, has `error` instead of a value."""

    ticker: Text
    name: str | None = None
    type: str | None = None
    value: float | None = None
    market_status: str | None = None
    last_updated: int | None = None
    timeframe: str | None = None
    session: IndexSession | None = None
    error: str | None = None
    message: str | None = None


class GroupedBar(msgspec.Struct, frozen=True, kw_only=True, rename={"ticker": "T"}):
    """One stock's day; `t`, Unix ms, is the END of regular trading, 16:00 New York (daily aggregates say midnight)."""

    ticker: Text
    o: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    c: float
    v: float
    t: int
    vw: float | None = None
    n: int | None = None
    otc: bool = False


class OpenClose(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"day": "from", "after_hours": "afterHours", "pre_market": "preMarket"},
):
    """One ticker's day; an index has no volume, and its `day` is a full timestamp."""

    symbol: Text
    day: Text
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None
    after_hours: float | None = None
    pre_market: float | None = None
    otc: bool = False


class MarketStatus(msgspec.Struct, frozen=True, kw_only=True, rename={"server_time": "serverTime"}):
    """The vendor's view of the market now; `server_time` is aware."""

    market: Literal["open", "closed", "extended-hours"]
    server_time: Instant


class MarketHoliday(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange's coming holiday or half day; `open` and `close` (UTC) on half days."""

    date: date
    exchange: Text
    name: str
    status: Literal["closed", "early-close"]
    open: Instant | None = None
    close: Instant | None = None
