"""A generated market: stocks, indices, options and everything the reference endpoints know of them.

Any ticker and any session at random access, the same for the same seed, and one story: day bars are made of the
minutes, options follow the smile on their underlying, I:VIX follows the same smile. This room knows no HTTP.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cache, lru_cache

import numpy as np

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.simulator.actions import ETFS, HALTED, LIVES, SPLITTING, Actions, life
from bellwether.simulator.bars import EMPTY, Bars
from bellwether.simulator.chain import Chains
from bellwether.simulator.equities import WELL_KNOWN, Equities
from bellwether.simulator.indices import INDICES, Indices
from bellwether.simulator.news import News
from bellwether.simulator.options import Options
from bellwether.simulator.records import (
    Article,
    Contract,
    ContractQuery,
    Dividend,
    Listing,
    Model,
    Quotes,
    Split,
    TreasuryYield,
)
from bellwether.simulator.seeds import identifier
from bellwether.simulator.yields import Yields
from bellwether.tickers import check_ticker


def universe(count: int) -> tuple[str, ...]:
    """Return `count` tickers: the well-known ones first, then `T0001`, `T0002`, ..."""
    made_up = (f"T{number:04d}" for number in range(1, count - len(WELL_KNOWN) + 1))
    return (*list(WELL_KNOWN)[:count], *made_up)


class GeneratedMarket:
    """A made-up history of correlated stocks, two indices and their options.

    Parameters
    ----------
    seed
        Equal seeds give equal markets, whatever is asked for and in whichever order.
    tickers
        Names, or how many (see `universe`). Any well-formed name is possible. A market of a number also
        has the special symbols of `actions`: those that came and went (`LIVES`), `HALTED`, `SPLITTING`.
    start, end
        First and last session served; None leaves that side open to what the calendar knows.

    Raises
    ------
    ValueError
        A ticker is malformed.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        tickers: Sequence[str] | int = 500,
        start: date | None = None,
        end: date | None = None,
    ) -> None:
        calendar = get_calendar()
        self.tickers = universe(tickers) if isinstance(tickers, int) else tuple(map(check_ticker, tickers))
        special = (*LIVES, HALTED, SPLITTING) if isinstance(tickers, int) else ()
        self._stocks = tuple(dict.fromkeys((*self.tickers, *special)))
        self._known = frozenset((*self._stocks, *INDICES))
        self._seed = seed
        self._start = start or calendar.first
        self._end = end or calendar.last
        self._actions = Actions(seed)
        self._equities = Equities(seed, self._actions)
        self._yields = Yields(seed)
        self._indices = Indices(seed, self._equities, self._yields.rate)
        self._chains = Chains(self._stocks, self._equities, self._actions)
        # Drawn in Python, a hundred per payer: once.
        self._dividends = cache(lambda stock: list(self._actions.dividends(stock, self._equities.profile(stock).price)))
        paid = lru_cache(maxsize=4096)(self._dividend_yield)
        self._options = Options(seed, self._chains, self._indices, self._equities, self._yields, paid)
        self._news = News(seed, self._stocks)

    def has_ticker(self, ticker: str) -> bool:
        """Return whether `ticker` is a stock or index of the market, or an option on one of its stocks."""
        return ticker in self._known or self._chains.underlying(ticker) is not None

    def days(self, start: date, end: date) -> list[date]:
        """Return the market's sessions from `start` to `end`, ascending."""
        return get_calendar().sessions(max(start, self._start), min(end, self._end))

    def bars(self, ticker: str, day: date) -> Bars:
        """Return the session's minutes in which `ticker` traded."""
        if ticker in INDICES:
            return self._indices.bars(ticker, day)
        if ticker.startswith("O:"):
            return self._options.bars(ticker, day)
        return self._equities.bars(ticker, day)

    def daily(self, _ticker: str, _day: date) -> Bars:
        """Return no day bar: minutes make it."""
        return EMPTY

    def scale(self, ticker: str, day: date, until: date) -> float:
        """Return how many shares at `until` one share of `day` has become; 1 for what is no stock."""
        return 1.0 if ":" in ticker else self._actions.scale(ticker, day, until)

    def equities(self) -> Sequence[str]:
        """Return the tickers of all stocks, also of those that no longer or not yet trade."""
        return self._stocks

    def listings(self, day: date) -> Iterator[Listing]:
        """Yield every symbol listed on or before `day`, as it stood then."""
        for ticker, name in INDICES.items():
            yield Listing(ticker=ticker, name=name, market="indices", active=True)
        for ticker in self._stocks:
            first = life(ticker).first
            if first is None or first <= day:
                yield self._listing(ticker, day)

    def splits(self, ticker: str | None) -> Iterator[Split]:
        """Yield the splits of a ticker, or of all."""
        for stock in self._chosen(ticker):
            yield from self._actions.splits(stock)

    def dividends(self, ticker: str | None) -> Iterator[Dividend]:
        """Yield the dividends of a ticker, or of all."""
        for stock in self._chosen(ticker):
            yield from self._dividends(stock)

    def articles(
        self, first: datetime, last: datetime, ticker: str | None, *, newest_first: bool, as_of: datetime
    ) -> Iterator[Article]:
        """Yield the articles published from `first` to `last`, both included, in order of time; texts of `as_of`."""
        return self._news.between(first, last, ticker, newest_first=newest_first, as_of=as_of)

    def yields(self, first: date, last: date) -> list[TreasuryYield]:
        """Return the yields of the days from `first` to `last` that have any, ascending."""
        return self._yields.between(first, last)

    def contracts(self, query: ContractQuery) -> Iterator[Contract]:
        """Yield the contracts asked for."""
        return self._chains.contracts(query)

    def spot(self, underlying: str, moment: datetime) -> float | None:
        """Return the underlying's last price at `moment`; None where it has no options."""
        day = self._session_at(moment)
        if underlying not in self._chains.underlyings or day is None:
            return None
        return self._options.spot(underlying, moment, day)

    def quotes(self, underlying: str, contracts: Sequence[Contract], moment: datetime) -> Quotes:
        """Return quotes of contracts of one underlying, those of the last session's end where none is under way."""
        return self._options.quotes(underlying, contracts, moment, self._opened(moment))

    def model(self, underlying: str, contracts: Sequence[Contract], moment: datetime) -> Model:
        """Return model values of contracts of one underlying at `moment`."""
        return self._options.model(underlying, contracts, moment, self._opened(moment))

    def open_interest(self, contract: Contract, day: date) -> int:
        """Return a contract's open interest."""
        return self._options.open_interest(contract, day)

    def _opened(self, moment: datetime) -> date:
        day = self._session_at(moment)
        if day is None:
            message = f"no session of the market has opened by {moment}"
            raise LookupError(message)
        return day

    def _dividend_yield(self, underlying: str, day: date) -> float:
        """Return the dividends of the year before over the price before, as a source of them would reckon it."""
        if underlying not in self._stocks:
            return 0.0
        number = self._equities.number(day)
        price = float(np.exp(self._equities.daily(underlying)[max(number - 1, 0)])) * self._actions.scale(
            underlying, day
        )
        first, last = (day - timedelta(days=365)).isoformat(), day.isoformat()
        cash = sum(
            dividend.cash_amount / self._actions.scale(underlying, date.fromisoformat(dividend.ex_dividend_date), day)
            for dividend in self._dividends(underlying)
            if first < dividend.ex_dividend_date <= last
        )
        return cash / price

    def _chosen(self, ticker: str | None) -> Sequence[str]:
        return self._stocks if ticker is None else [stock for stock in self._stocks if stock == ticker]

    def _session_at(self, moment: datetime) -> date | None:
        """Return the last session that has opened by `moment`."""
        day = moment.astimezone(NEW_YORK).date()
        days = self.days(self._start, day)
        if days and get_calendar().hours(days[-1]).open > moment:
            days.pop()
        return days[-1] if days else None

    def _listing(self, ticker: str, day: date) -> Listing:
        company, _, last = life(ticker)
        active = last is None or day <= last
        ended = {} if active or last is None else {"delisted_utc": f"{get_calendar().next(last)}T00:00:00Z"}
        number = int(identifier(self._seed, company, "cik")[:8], 16)
        return Listing(
            ticker=ticker,
            name=f"{company} {'Trust' if ticker in ETFS else 'Corporation'} (simulated)",
            market="stocks",
            primary_exchange=("XNAS", "XNYS", "ARCX")[2 if ticker in ETFS else number % 2],
            type="ETF" if ticker in ETFS else "CS",
            active=active,
            currency_name="usd",
            cik=f"{number % 10**7:010d}",
            composite_figi=f"BBG{identifier(self._seed, company, 'figi')[:9].upper()}",
            share_class_figi=f"BBG{identifier(self._seed, company, 'class')[:9].upper()}",
            last_updated_utc=f"{day}T00:00:00Z",
            **ended,
        )
