"""Option contracts: `/v3/reference/options/contracts` and the chain's snapshot, `/v3/snapshot/options/{underlying}`.

Both show the same contracts. The snapshot is of the clock's now, as far behind it as the plan says.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import numpy as np

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.clock import Clock
from bellwether.simulator.answers import Refused
from bellwether.simulator.bars import Bars
from bellwether.simulator.lists import Filter, ListEndpoint, ListQuery, choice, day, flag
from bellwether.simulator.plans import Plan
from bellwether.simulator.records import NEVER, Contract, ContractQuery, Market, Model, Quotes

_FILTERS = {
    "contract_type": Filter(choice("call", "put", "other")),
    "expiration_date": Filter(day),
    "strike_price": Filter(float),
}
_SORTS = ("ticker", "underlying_ticker", "expiration_date", "strike_price")
_NO_GREEKS_DELTA = 0.995  # beyond it the vendor leaves Greeks and volatility out


class ContractsEndpoint:
    """Contracts and chains of one market under one clock."""

    def __init__(self, market: Market, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        filters = {"ticker": Filter(str), "underlying_ticker": Filter(str), **_FILTERS}
        self._contracts = ListEndpoint(filters=filters, sorts=_SORTS, descending=False, rows=self._contract_rows)

    def contracts(self, path: str, query: Mapping[str, str], request_id: str) -> bytes:
        """Return a page of contracts: those alive on `as_of`, or with `expired=true` those that had ended by then.

        Raises
        ------
        Refused
            `bad_request`; also for all expired contracts of all underlyings at once, which the simulator refuses.
        """
        today = self._clock.now().astimezone(NEW_YORK).date()
        return self._contracts.page(path, {"as_of": today.isoformat(), **query}, request_id)

    def snapshot(self, underlying: str, path: str, query: Mapping[str, str], request_id: str, plan: Plan) -> bytes:
        """Return a page of the chain as it stands at the plan's now.

        Raises
        ------
        Refused
            `not_entitled` on plans without snapshots; `not_found` without a chain; `bad_request`.
        """
        plan.check_class("O:")
        if plan.snapshot is None:
            raise Refused("not_entitled")
        moment = plan.horizon(self._clock.now())
        chain = _Chain(self._market, underlying.removeprefix("I:"), moment, plan)
        endpoint = ListEndpoint(filters=_FILTERS, sorts=_SORTS, descending=False, max_limit=250, rows=chain.contracts)
        return endpoint.page(path, query, request_id, chain.present)

    def _contract_rows(self, query: ListQuery) -> Iterable[Contract]:
        try:
            as_of = date.fromisoformat(day(query.params["as_of"]))
            expired = flag(query.params.get("expired", "false"))
        except ValueError as error:
            raise Refused("bad_request", f"Could not parse the parameter 'as_of' or 'expired': {error}") from error
        first, last = query.bounds("expiration_date", date.min.isoformat(), date.max.isoformat())
        underlying = query.equal("underlying_ticker")
        if expired and underlying is None and first == date.min.isoformat():
            words = "The simulator lists expired contracts by underlying_ticker or from an expiration_date on"
            raise Refused("bad_request", words)
        asked = ContractQuery(underlying, as_of, expired, date.fromisoformat(first), date.fromisoformat(last))
        return self._market.contracts(asked)


class _Chain:
    """The living contracts of one underlying at one moment."""

    def __init__(self, market: Market, underlying: str, moment: datetime, plan: Plan) -> None:
        self._market = market
        self._underlying = underlying
        self._moment = moment
        self._plan = plan
        self._spot = market.spot(underlying, moment)
        today = moment.astimezone(NEW_YORK).date()
        days = market.days(get_calendar().first, today)
        if self._spot is None or not days:
            raise Refused("not_found")
        self._today = today
        self._days = days[-2:][::-1]  # the session under way or last ended, and the one before

    def contracts(self, _query: ListQuery) -> Iterable[Contract]:
        """Return the contracts alive."""
        return self._market.contracts(ContractQuery(self._underlying, self._today, False, self._today, date.max))

    def present(self, contracts: list[Contract]) -> Sequence[object]:
        """Return the rows of a page."""
        quotes = self._market.quotes(self._underlying, contracts, self._moment)
        model = self._market.model(self._underlying, contracts, self._moment)
        return [self._row(contract, place, quotes, model) for place, contract in enumerate(contracts)]

    def _row(self, contract: Contract, place: int, quotes: Quotes, model: Model | None) -> dict[str, object]:
        bars = self._bars(contract.ticker, self._days[0])
        row: dict[str, object] = {
            "details": {
                name: getattr(contract, name)
                for name in (
                    "contract_type",
                    "exercise_style",
                    "expiration_date",
                    "shares_per_contract",
                    "strike_price",
                    "ticker",
                )
            },
        }
        interest = self._market.open_interest(contract, self._days[0])
        if interest is not None:
            row["open_interest"] = interest
        if "quote" in (self._plan.snapshot or ()) and quotes.updated_ms[place] != NEVER:
            row["last_quote"] = self._quote(quotes, place)
        if model is not None:
            row |= _greeks(model, place)
        middle = (quotes.bid[place] + quotes.ask[place]) / 2
        price = float(bars.close[-1]) if np.isnan(middle) and len(bars.close) else float(middle)
        if not np.isnan(price):
            sign = 1 if contract.contract_type == "call" else -1
            row["break_even_price"] = round(contract.strike_price + sign * price, 4)
        row["underlying_asset"] = self._asset(row.get("break_even_price"))
        if len(bars.close):
            row["day"] = self._day(contract.ticker, bars)
            if "trade" in (self._plan.snapshot or ()):
                row["last_trade"] = _last_trade(bars)
        return row

    def _quote(self, quotes: Quotes, place: int) -> dict[str, object]:
        # A side without an offer is a price of 0 and a size of 0: the wire has no null here (the documents require
        # both prices), and the consolidated feed marks an absent side so.
        bid, ask = (float(np.nan_to_num(side[place])) for side in (quotes.bid, quotes.ask))
        return {
            "ask": ask,
            "ask_size": int(quotes.ask_size[place]),
            "bid": bid,
            "bid_size": int(quotes.bid_size[place]),
            "last_updated": int(quotes.updated_ms[place]) * 1_000_000,
            "midpoint": round((bid + ask) / 2, 4),
            "timeframe": self._timeframe(),
        }

    def _asset(self, break_even: object) -> dict[str, object]:
        index = self._underlying == "SPX"
        asset: dict[str, object] = {
            "ticker": f"I:{self._underlying}" if index else self._underlying,
            "value" if index else "price": self._spot,
            "last_updated": self._nanoseconds(),
            "timeframe": self._timeframe(),
        }
        if isinstance(break_even, float) and self._spot is not None:
            asset["change_to_break_even"] = round(break_even - self._spot, 4)
        return asset

    def _day(self, ticker: str, bars: Bars) -> dict[str, object]:
        close = float(bars.close[-1])
        day_row: dict[str, object] = {
            "open": float(bars.open[0]),
            "high": float(bars.high.max()),
            "low": float(bars.low.min()),
            "close": close,
            "volume": float(bars.volume.sum()),
            "last_updated": (int(bars.start_ms[-1]) + 60_000) * 1_000_000,
        }
        if not np.isnan(bars.vwap).any():
            day_row["vwap"] = round(float((bars.vwap * bars.volume).sum() / bars.volume.sum()), 4)
        before = self._bars(ticker, self._days[1]).close if len(self._days) > 1 else bars.close[:0]
        if len(before):
            change = close - float(before[-1])
            day_row |= {
                "previous_close": float(before[-1]),
                "change": round(change, 4),
                "change_percent": round(100 * change / float(before[-1]), 4),
            }
        return day_row

    def _bars(self, ticker: str, session: date) -> Bars:
        bars = self._market.bars(ticker, session)
        return bars.rows(bars.start_ms + 60_000 <= self._moment.timestamp() * 1000)

    def _nanoseconds(self) -> int:
        return int(self._moment.timestamp()) * 1_000_000_000

    def _timeframe(self) -> str:
        return "DELAYED" if self._plan.delay else "REAL-TIME"


def _greeks(model: Model, place: int) -> dict[str, object]:
    """Return Greeks and volatility where the vendor would."""
    if not abs(float(model.greeks[0, place])) < _NO_GREEKS_DELTA:  # also where there are none
        return {}
    names = ("delta", "gamma", "theta", "vega")
    return {
        "greeks": dict(zip(names, model.greeks[:, place].tolist(), strict=True)),
        "implied_volatility": float(model.iv[place]),
    }


def _last_trade(bars: Bars) -> dict[str, object]:
    return {
        "price": float(bars.close[-1]),
        "size": int(min(bars.volume[-1], 10)),
        "sip_timestamp": (int(bars.start_ms[-1]) + 59_000) * 1_000_000,
        "conditions": [209],
        "exchange": 312,
    }
