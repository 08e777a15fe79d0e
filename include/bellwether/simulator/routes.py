"""The routing table: which path of the vendor is answered by which endpoint.

An endpoint gets what was asked as plain values and returns the bytes of its answer. This room knows no sockets.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import NamedTuple

import msgspec

from bellwether.clock import Clock
from bellwether.simulator.aggquery import first_day, parse_query
from bellwether.simulator.aggs import AggsEndpoint
from bellwether.simulator.answers import Refused
from bellwether.simulator.contracts import ContractsEndpoint
from bellwether.simulator.daily import DailyEndpoint
from bellwether.simulator.lists import asked_params
from bellwether.simulator.plans import Plan
from bellwether.simulator.records import Market
from bellwether.simulator.reference import ReferenceEndpoints
from bellwether.simulator.status import market_status, upcoming


class Asked(NamedTuple):
    """One request: its path, the path's named parts, its parameters without the key, its id and the key's plan."""

    path: str
    parts: Mapping[str, str]
    query: Mapping[str, str]
    request_id: str
    plan: Plan


type Endpoint = Callable[[Asked], bytes]


def routes(market: Market, clock: Clock) -> dict[str, Endpoint]:
    """Return the endpoint of every path served, the catch-all last."""
    aggs, daily = AggsEndpoint(market, clock), DailyEndpoint(market, clock)
    contracts, reference = ContractsEndpoint(market, clock), ReferenceEndpoints(market, clock)
    return {
        "/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}": lambda asked: aggs.page(
            parse_query(asked.parts, asked.query), asked.request_id, asked.plan
        ),
        "/v2/aggs/grouped/locale/us/market/stocks/{date}": lambda asked: daily.grouped(
            asked.parts["date"], asked.query, asked.request_id, asked.plan
        ),
        "/v1/open-close/{ticker}/{date}": lambda asked: daily.open_close(
            asked.parts["ticker"], asked.parts["date"], asked.query, asked.plan
        ),
        "/v3/snapshot/options/{ticker}": lambda asked: contracts.snapshot(
            asked.parts["ticker"], asked.path, asked.query, asked.request_id, asked.plan
        ),
        "/v3/reference/options/contracts": _listed(contracts.contracts),
        "/v3/reference/tickers": _listed(reference.tickers),
        "/v3/reference/dividends": _listed(reference.dividends),
        "/v3/reference/splits": _listed(reference.splits),
        "/v2/reference/news": _listed(reference.news),
        "/fed/v1/treasury-yields": _listed(reference.yields),
        "/v1/marketstatus/now": lambda _: msgspec.json.encode(market_status(clock.now())),
        "/v1/marketstatus/upcoming": lambda _: msgspec.json.encode(upcoming(clock.now())),
        "/{anything:.*}": _nothing,
    }


def subject(parts: Mapping[str, str], query: Mapping[str, str]) -> tuple[str | None, date | None]:
    """Return the ticker and the New York date a request is about, from its path or its parameters."""
    params = asked_params(query)
    ticker = parts.get("ticker") or params.get("ticker") or params.get("underlying_ticker")
    return ticker, first_day(parts.get("from") or parts.get("date") or params.get("date", ""))


def _listed(endpoint: Callable[[str, Mapping[str, str], str], bytes]) -> Endpoint:
    return lambda asked: endpoint(asked.path, asked.query, asked.request_id)


def _nothing(asked: Asked) -> bytes:
    raise Refused("not_found", f"The simulator does not serve {asked.path}")
