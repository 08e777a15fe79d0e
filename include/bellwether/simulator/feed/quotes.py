"""Quotes of option contracts, minute by minute, as far as the market has them; of stocks it has none."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np

from bellwether.calendar import get_calendar
from bellwether.simulator.chain import parse_symbol
from bellwether.simulator.feed.broadcasts import MINUTE_MS
from bellwether.simulator.feed.events import Event, Quote, encode
from bellwether.simulator.indices import LATE
from bellwether.simulator.records import NEVER, Contract, ContractQuery, Market

_EXCHANGE = 302


class ContractQuotes:
    """The quotes of a market's contracts."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._expiring = lru_cache(maxsize=64)(self._find_expiring)

    def events(self, ticker: str, day: date, since_ms: int) -> Iterator[Event]:
        """Yield a contract's quotes of a session that are due after a moment, each where it differs from the last."""
        symbol, calendar = parse_symbol(ticker), get_calendar()
        contract = None if symbol is None else self._expiring(symbol.expiration, day).get(ticker)
        if contract is None or not calendar.is_session(day):
            return
        hours = calendar.hours(day)
        first_ms, end_ms = (int(moment.timestamp()) * 1000 for moment in (hours.open, hours.close + LATE))
        before: tuple[float, ...] = ()
        for number, due_ms in enumerate(range(first_ms + MINUTE_MS, end_ms + 1, MINUTE_MS), 1):
            if due_ms <= since_ms:
                continue
            moment = datetime.fromtimestamp(due_ms / 1000, UTC)
            told = self._market.quotes(contract.underlying_ticker, [contract], moment)
            bid, ask, bid_size, ask_size, updated_ms = (column[0].item() for column in told)
            now = (bid, ask, bid_size, ask_size)
            if updated_ms != NEVER and now != before:
                yield Event(due_ms, encode(_quote(ticker, now, int(updated_ms), number)))
            before = now

    def _find_expiring(self, expiration: date, day: date) -> dict[str, Contract]:
        query = ContractQuery(None, day, expired=False, first=expiration, last=expiration)
        return {contract.ticker: contract for contract in self._market.contracts(query)}


def session_contracts(market: Market, day: date) -> list[str]:
    """Return the tickers of all contracts listed on a day and not expired."""
    query = ContractQuery(None, day, expired=False, first=day, last=day + timedelta(days=3660))
    return [contract.ticker for contract in market.contracts(query)]


def _quote(ticker: str, sides: tuple[float, ...], updated_ms: int, number: int) -> Quote:
    bid, ask, bid_size, ask_size = sides
    return Quote(
        ev="Q",
        sym=ticker,
        bx=_EXCHANGE,
        bp=float(np.nan_to_num(bid)),
        bs=int(bid_size),
        ax=_EXCHANGE,
        ap=float(np.nan_to_num(ask)),
        ask_size=int(ask_size),
        t=updated_ms,
        q=number,
    )
