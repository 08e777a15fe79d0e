"""Option prints for the tests of consolidation, the chain made of them, and what the formula says they are worth."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from math import erf, exp, log, sqrt
from typing import Any

import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.consolidate.chain import Terms, build_chain
from bellwether.consolidate.greeks.conventions import BELLWETHER
from bellwether.consolidate.grid import session_grid
from bellwether.schemas import CHAIN, CONTRACTS, EQUITIES, RATES
from tests.unit.consolidate.market import DAY

CALL, PUT = "O:AAPL250718C00200000", "O:AAPL250718P00200000"
TERMS = Terms(BELLWETHER, "kernel", curve=RATES.empty_table(), rate=0.04, dividend_yield=0.0)
SOLVED = ("iv", "delta", "gamma", "theta", "vega", "rho", "iv_error")
SPOT = 200.0

Print = tuple[str, int, float]  # ticker, minutes after the open, price


def bars(prints: Sequence[Print], day: date = DAY) -> pa.Table:
    opened = get_calendar().hours(day).open
    rows = [
        {"ticker": ticker, "ts": opened + timedelta(minutes=minute), "volume": 1.0}
        | dict.fromkeys(("open", "high", "low", "close"), price)
        for ticker, minute, price in prints
    ]
    return pa.Table.from_pylist(rows, EQUITIES)


def contract(ticker: str, **terms: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"ticker": ticker, "underlying": "AAPL", "right": "call", "expiration": date(2025, 7, 18)}
    return row | {"exercise_style": "american", "strike": 200.0, "multiplier": 100.0, "is_adjusted": False} | terms


def chain_of(
    *prints: Print,
    prices: Sequence[tuple[int, float]] = tuple((minute, SPOT) for minute in range(390)),
    contracts: Sequence[dict[str, Any]] = (),
    underlying: str = "AAPL",
    day: date = DAY,
    **terms: Any,
) -> list[dict[str, Any]]:
    table = build_chain(
        underlying,
        bars(prints, day),
        pa.Table.from_pylist(list(contracts), CONTRACTS),
        bars([("", minute, price) for minute, price in prices], day).select(["ts", "close"]),
        session_grid(day, extended=True),
        replace(TERMS, **terms),
        spot_max_age=timedelta(minutes=5),
    )
    assert table.schema == CHAIN
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        assert [row[name] is None for name in SOLVED] == [row["iv_status"] != "ok"] * len(SOLVED), row
    return rows


def worth(row: dict[str, Any], volatility: float, rate: float = 0.04, dividend_yield: float = 0.0) -> float:
    """Return the price of a row's contract by the formula, written out once more."""
    spot, strike, years = row["spot"], row["strike"], row["t_years"]
    s = volatility * sqrt(years)
    d1 = (log(spot / strike) + (rate - dividend_yield) * years) / s + s / 2
    sign = 1 if row["right"] == "call" else -1

    def normal(x: float) -> float:
        return (1 + erf(x / sqrt(2))) / 2

    discounted = spot * exp(-dividend_yield * years), strike * exp(-rate * years)
    return sign * (discounted[0] * normal(sign * d1) - discounted[1] * normal(sign * (d1 - s)))
