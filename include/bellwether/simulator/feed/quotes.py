"""Quotes of option contracts, minute by minute, as far as the market has them; of stocks it has none."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from bellwether.calendar import get_calendar
from bellwether.simulator.chain import parse_symbol
from bellwether.simulator.feed.broadcasts import MINUTE_MS
from bellwether.simulator.feed.events import Event, Quote, encode
from bellwether.simulator.indices import LATE
from bellwether.simulator.records import NEVER, Contract, ContractQuery, Market, Quotes

_EXCHANGE = 302


class _Sides(NamedTuple):
    """A quote as it is told; a side without an offer is 0."""

    bid: float
    ask: float
    bid_size: int
    ask_size: int


class ContractQuotes:
    """The quotes of a market's contracts; those of one underlying are worked out together, a minute at a time."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._expiring = lru_cache(maxsize=64)(self._find_expiring)
        self._day = date.min
        self._asked: dict[str, list[Contract]] = defaultdict(list)  # of that day, by underlying
        self._minutes: dict[tuple[str, int], Quotes] = {}  # of the contracts then asked for

    def events(self, ticker: str, day: date, since_ms: int) -> Iterator[Event]:
        """Return a contract's quotes of a session that are due after a moment, each where it differs from the last."""
        symbol, calendar = parse_symbol(ticker), get_calendar()
        contract = None if symbol is None else self._expiring(symbol.expiration, day).get(ticker)
        if contract is None or not calendar.is_session(day):
            return iter(())
        hours = calendar.hours(day)
        first_ms, end_ms = (int(moment.timestamp()) * 1000 for moment in (hours.open, hours.close + LATE))
        first_ms = max(first_ms, since_ms // MINUTE_MS * MINUTE_MS)
        if day != self._day:
            self._day = day
            self._asked.clear()
            self._minutes.clear()
        asked = self._asked[contract.underlying_ticker]
        if contract not in asked:
            asked.append(contract)
        minutes_ms = range(first_ms + MINUTE_MS, end_ms + 1, MINUTE_MS)
        return self._told(ticker, contract.underlying_ticker, asked.index(contract), minutes_ms)

    def _told(self, ticker: str, underlying: str, place: int, minutes_ms: range) -> Iterator[Event]:
        before = None
        for due_ms in minutes_ms:
            sides, updated_ms = self._at(underlying, place, due_ms)
            if updated_ms != NEVER and sides != before:
                yield Event(due_ms, encode(_quote(ticker, sides, updated_ms)))
            before = sides

    def _at(self, underlying: str, place: int, moment_ms: int) -> tuple[_Sides, int]:
        """Return the quote of the contract asked for in that place at a moment, and since when it stands."""
        told = self._minutes.get((underlying, moment_ms))
        if told is None or len(told.bid) <= place:
            asked = self._asked[underlying]
            told = self._market.quotes(underlying, asked, datetime.fromtimestamp(moment_ms / 1000, UTC))
            self._minutes[underlying, moment_ms] = told
        bid, ask, bid_size, ask_size, updated_ms = (column[place].item() for column in told)
        # NaN, no offer, is unequal to itself.
        return _Sides(bid if bid > 0 else 0.0, ask if ask > 0 else 0.0, bid_size, ask_size), updated_ms

    def _find_expiring(self, expiration: date, day: date) -> dict[str, Contract]:
        query = ContractQuery(None, day, expired=False, first=expiration, last=expiration)
        return {contract.ticker: contract for contract in self._market.contracts(query)}


def session_contracts(market: Market, day: date) -> list[str]:
    """Return the tickers of all contracts listed on a day and not expired."""
    query = ContractQuery(None, day, expired=False, first=day, last=day + timedelta(days=3660))
    return [contract.ticker for contract in market.contracts(query)]


def _quote(ticker: str, sides: _Sides, updated_ms: int) -> Quote:
    return Quote(
        ev="Q",
        sym=ticker,
        bx=_EXCHANGE,
        bp=sides.bid,
        bs=sides.bid_size,
        ax=_EXCHANGE,
        ap=sides.ask,
        ask_size=sides.ask_size,
        t=updated_ms,
        q=updated_ms // MINUTE_MS,
    )
