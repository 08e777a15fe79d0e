"""The rows of `chain`: every option print beside its underlying's price, its terms, volatility and Greeks.

A print is known at the end of its minute, and so is the underlying's price it is put beside. Whatever keeps a row from
having a volatility is its `iv_status`; no row is left out. Knows tables, not the lake.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.consolidate.align import closes_as_of, join_minutes
from bellwether.consolidate.greeks.conventions import Conventions, american_bias
from bellwether.consolidate.greeks.engine import Engine, greeks
from bellwether.consolidate.greeks.rows import rows
from bellwether.consolidate.greeks.status import IvStatus
from bellwether.consolidate.grid import MinuteGrid
from bellwether.options.hours import exercise_style, product, underlying_of
from bellwether.options.symbols import parse_symbols
from bellwether.reference.rates import rate_for
from bellwether.schemas import CHAIN

_BAR = ["ticker", "ts", "open", "high", "low", "close", "volume"]


@dataclass(frozen=True)
class Terms:
    """What is taken for granted when prices are turned into volatilities.

    Attributes
    ----------
    conventions
        How time is counted.
    engine
        What solves.
    curve
        The interest rates known to the session, from `curve_known_on`; without rows the chain says `no_rate`.
    rate
        One rate for all rows instead, a fraction per year; None for the curve.
    dividend_yield
        A fraction per year, NaN where it should be known and is not.
    """

    conventions: Conventions
    engine: Engine
    curve: pa.Table
    rate: float | None
    dividend_yield: float


def build_chain(
    underlying: str,
    prints: pa.Table,
    contracts: pa.Table,
    prices: pa.Table,
    grid: MinuteGrid,
    terms: Terms,
    *,
    spot_max_age: timedelta,
) -> pa.Table:
    """Return the chain of one underlying on one session.

    Parameters
    ----------
    underlying
        As contracts name it: SPX, not I:SPX.
    prints
        Rows of `options` of its contracts, in the order of its key.
    contracts
        Rows of `contracts`, of any underlying; what is not there is known by its symbol alone.
    prices
        Bars of what moves the contracts (`priced_by`), as for `closes_as_of`.
    grid
        The session's minutes from the open on, as far as prints go.
    terms
        Rates, yields and conventions.
    spot_max_age
        How old the underlying's last price may be.

    Returns
    -------
    pyarrow.Table
        Schema `CHAIN`, in the order of its key.
    """
    spots, ages = closes_as_of(prices, grid, max_age_s=float("inf"))
    table = join_minutes(prints.select(_BAR), grid, {"spot": spots, "spot_age_s": ages})
    # Rows are many and contracts few: what a contract is, is found out once.
    coded = table["ticker"].combine_chunks().dictionary_encode()
    known = _contracts(coded.dictionary, contracts, underlying, terms.conventions)
    each = {name: known[name].combine_chunks().take(coded.indices) for name in known.column_names}
    years = terms.conventions.t_years(
        table["ts"].cast(pa.int64()).to_numpy(), each.pop("settled_ms").to_numpy(zero_copy_only=False)
    )
    rates = _rates(years, terms)
    is_call, is_american = (
        column.to_numpy(zero_copy_only=False)
        for column in (pc.equal(each["right"], "call"), pc.equal(each["exercise_style"], "american"))
    )
    solved = greeks(
        rows(
            price=table["close"],
            spot=table["spot"],
            strike=each["strike"],
            t_years=years,
            rate=rates,
            dividend_yield=terms.dividend_yield,
            is_call=is_call,
            is_american=is_american,
        ),
        _known_before(table["spot_age_s"], each["is_adjusted"], spot_max_age),
        engine=terms.engine,
    ).table()
    spot, strike = table["spot"].to_numpy(), each["strike"].to_numpy()
    columns = {name: table[name] for name in table.column_names} | each
    columns |= {name: solved[name] for name in solved.column_names} | {
        "underlying": pa.repeat(underlying, len(table)),
        "t_years": pa.array(years),
        "rate": pa.array(rates, from_pandas=True),
        "dividend_yield": pa.array(np.full(len(table), terms.dividend_yield), from_pandas=True),
        "is_american_biased": pa.array(american_bias(is_american, is_call, spot, strike)),
    }
    return pa.table({name: columns[name] for name in CHAIN.names}).cast(CHAIN)


def underlyings_of(tickers: pa.ChunkedArray, contracts: pa.Table) -> pa.Array:
    """Return of each option symbol the underlying: as its contract says, else as its root does."""
    coded = tickers.combine_chunks().dictionary_encode()
    at = pc.index_in(coded.dictionary, contracts["ticker"].combine_chunks())
    by_root = [underlying_of(root) for root in parse_symbols(coded.dictionary)["root"].to_pylist()]
    listed = contracts["underlying"].combine_chunks().take(at)
    return pc.coalesce(listed, pa.array(by_root, pa.string())).take(coded.indices)


def _contracts(tickers: pa.Array, contracts: pa.Table, underlying: str, conventions: Conventions) -> pa.Table:
    """Return what is known of each contract: by its symbol, and by its listing where there is one."""
    symbols = parse_symbols(tickers)
    at = pc.index_in(tickers, contracts["ticker"].combine_chunks())
    listed = {
        name: contracts[name].combine_chunks().take(at) for name in ("exercise_style", "multiplier", "is_adjusted")
    }
    roots, expirations = symbols["root"].to_pylist(), symbols["expiration"].to_pylist()
    settled = [conventions.settled_at(*names) for names in zip(roots, expirations, strict=True)]
    columns = {
        "right": symbols["right"],
        "expiration": symbols["expiration"],
        "strike": symbols["strike"],
        "exercise_style": pc.coalesce(listed["exercise_style"], exercise_style(underlying)),
        "multiplier": listed["multiplier"],
        "is_adjusted": pc.coalesce(listed["is_adjusted"], pc.match_substring_regex(symbols["root"], "[0-9]$")),
        "settlement": pa.array([product(root).settlement for root in roots], pa.string()),
        "settled_ms": pa.array([int(instant.timestamp()) * 1000 for instant in settled], pa.int64()),
    }
    return pa.table(columns)


def _rates(years: npt.NDArray[np.float64], terms: Terms) -> npt.NDArray[np.float64]:
    if terms.rate is not None:
        return np.full(len(years), terms.rate)
    return rate_for(terms.curve, years)


def _known_before(spot_age_s: pa.ChunkedArray, is_adjusted: pa.Array, spot_max_age: timedelta) -> npt.NDArray[np.int8]:
    """Return the reasons that are known without a formula, 0 for rows to solve."""
    is_stale = spot_age_s.fill_null(0).to_numpy() > spot_max_age.total_seconds()
    stale = np.where(is_stale, IvStatus.STALE_UNDERLYING, IvStatus.OK)
    return np.where(is_adjusted.to_numpy(zero_copy_only=False), IvStatus.ADJUSTED_CONTRACT, stale).astype(np.int8)
