"""What a market can tell beside bars: the records of the vendor's reference endpoints, and the Market protocol.

Field names are the vendor's; a field without value is left out of the JSON, never null. Dates are
`YYYY-MM-DD` texts, as on the wire, and so compare as dates do. This room computes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol

import msgspec

from bellwether.simulator.bars import Bars, BarSource, Floats, Ints

type Maybe[T] = T | msgspec.UnsetType


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol as it stood on a date."""

    ticker: str
    name: str
    market: str
    locale: str = "us"
    primary_exchange: Maybe[str] = msgspec.UNSET
    type: Maybe[str] = msgspec.UNSET
    active: bool
    currency_name: Maybe[str] = msgspec.UNSET
    cik: Maybe[str] = msgspec.UNSET
    composite_figi: Maybe[str] = msgspec.UNSET
    share_class_figi: Maybe[str] = msgspec.UNSET
    last_updated_utc: Maybe[str] = msgspec.UNSET
    delisted_utc: Maybe[str] = msgspec.UNSET


class Split(msgspec.Struct, frozen=True):
    """From `execution_date` on, `split_from` old shares are `split_to` new ones."""

    id: str
    ticker: str
    execution_date: str
    split_from: float
    split_to: float

    @property
    def ratio(self) -> float:
        """New shares per old share."""
        return self.split_to / self.split_from

    @property
    def reverse_split(self) -> bool:
        """Whether shares become fewer."""
        return self.split_to < self.split_from


class Dividend(msgspec.Struct, frozen=True, kw_only=True):
    """A cash dividend in dollars per share as shares were on the ex-date."""

    id: str
    ticker: str
    cash_amount: float
    currency: str = "USD"
    declaration_date: Maybe[str] = msgspec.UNSET
    dividend_type: str
    ex_dividend_date: str
    frequency: int
    pay_date: Maybe[str] = msgspec.UNSET
    record_date: Maybe[str] = msgspec.UNSET


class Publisher(msgspec.Struct, frozen=True):
    """Who published an article."""

    name: str
    homepage_url: str
    logo_url: str
    favicon_url: str


class Insight(msgspec.Struct, frozen=True):
    """What an article means to one of its tickers."""

    ticker: str
    sentiment: str
    sentiment_reasoning: str


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """A news article; older ones have no insights."""

    id: str
    publisher: Publisher
    title: str
    author: str
    published_utc: str
    article_url: str
    tickers: list[str]
    description: Maybe[str] = msgspec.UNSET
    keywords: Maybe[list[str]] = msgspec.UNSET
    insights: Maybe[list[Insight]] = msgspec.UNSET


class TreasuryYield(msgspec.Struct, frozen=True):
    """Yields of one day, in percent."""

    date: str
    yield_1_month: Maybe[float] = msgspec.UNSET
    yield_3_month: Maybe[float] = msgspec.UNSET
    yield_6_month: Maybe[float] = msgspec.UNSET
    yield_1_year: Maybe[float] = msgspec.UNSET
    yield_2_year: Maybe[float] = msgspec.UNSET
    yield_3_year: Maybe[float] = msgspec.UNSET
    yield_5_year: Maybe[float] = msgspec.UNSET
    yield_7_year: Maybe[float] = msgspec.UNSET
    yield_10_year: Maybe[float] = msgspec.UNSET
    yield_20_year: Maybe[float] = msgspec.UNSET
    yield_30_year: Maybe[float] = msgspec.UNSET


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """An option contract, adjusted where it delivers other than 100 shares; a chain's worth is built per query."""

    cfi: Maybe[str] = msgspec.UNSET
    contract_type: str
    exercise_style: str
    expiration_date: str
    primary_exchange: Maybe[str] = msgspec.UNSET
    shares_per_contract: int = 100
    strike_price: float
    ticker: str
    underlying_ticker: str


class ContractQuery(NamedTuple):
    """Which contracts are asked for, in bounds a market can use to build no more than needed.

    `underlying` None means all; `first` and `last` bound the expiration, both included.
    """

    underlying: str | None
    as_of: date
    expired: bool
    first: date
    last: date


class Quotes(NamedTuple):
    """Last quotes of contracts, columns of one length.

    `bid` and `ask` are dollars per share, NaN where that side has none and its size is 0; `updated_ms` is when
    the quote was last known to stand, ms UTC, NEVER where the contract has not been quoted at all.
    """

    bid: Floats
    ask: Floats
    bid_size: Ints
    ask_size: Ints
    updated_ms: Ints


NEVER = -1
"""Stands for "no quote yet" among times."""


class Model(NamedTuple):
    """Model values of contracts at one moment, columns of one length; `greeks` rows are delta, gamma, theta, vega.

    NaN where the vendor computes none: adjusted contracts.
    """

    iv: Floats
    greeks: Floats


class Market(BarSource, Protocol):
    """Everything the endpoints ask for: a generated market or an archive."""

    def daily(self, ticker: str, day: date) -> Bars:
        """Return the day bar of a known ticker where a table of its own holds it; else none, and minutes make it."""
        ...

    def equities(self) -> Sequence[str]:
        """Return all tickers of stocks that ever have bars."""
        ...

    def listings(self, day: date) -> Iterable[Listing]:
        """Return every symbol listed on or before `day`, as it stood then."""
        ...

    def splits(self, ticker: str | None) -> Iterable[Split]:
        """Return the splits of a ticker, or of all, whenever executed."""
        ...

    def dividends(self, ticker: str | None) -> Iterable[Dividend]:
        """Return the dividends of a ticker, or of all, whenever declared."""
        ...

    def articles(
        self, first: datetime, last: datetime, ticker: str | None, *, newest_first: bool, as_of: datetime
    ) -> Iterator[Article]:
        """Yield the articles published from `first` to `last`, both included, in order of time; texts of `as_of`."""
        ...

    def yields(self, first: date, last: date) -> Iterable[TreasuryYield]:
        """Return the yields of the days from `first` to `last` that have any, ascending."""
        ...

    def contracts(self, query: ContractQuery) -> Iterable[Contract]:
        """Return the contracts asked for, in no order."""
        ...

    def spot(self, underlying: str, moment: datetime) -> float | None:
        """Return the last price of an option chain's underlying at `moment`; None where there is no chain."""
        ...

    def quotes(self, underlying: str, contracts: Sequence[Contract], moment: datetime) -> Quotes:
        """Return the last quotes of contracts of one underlying."""
        ...

    def model(self, underlying: str, contracts: Sequence[Contract], moment: datetime) -> Model | None:
        """Return model values of contracts of one underlying; None where the market has no model."""
        ...

    def open_interest(self, contract: Contract, day: date) -> int | None:
        """Return the contract's open interest as published on the morning of `day`; None where none was."""
        ...
