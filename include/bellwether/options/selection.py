"""Which contracts of an underlying matter on a session, by the rules of `bellwether.options.rules`.

Expirations count by their last trading day. Everything is known at the opening. Knows neither where contracts and
prices come from nor where the choice goes.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.options.hours import is_monthly, last_trading_day
from bellwether.options.rules import ContractRule
from bellwether.options.symbols import parse_symbols

Chain = tuple[str, date]
"""Root and expiration: SPX and SPXW of one day are two chains, and so are those of AAPL and the adjusted AAPL1."""


def select(contracts: pa.Table, opening_price: float | None, session: date, rule: ContractRule) -> pa.Table:
    """Return the contracts of one underlying that matter on a session.

    Adjusted contracts are chosen like all others, by their own strikes, and stay flagged (`is_adjusted`): what they
    deliver is another thing, so their strikes need not be near the money.

    Parameters
    ----------
    contracts
        What is listed on `session`; of its columns `ticker`, `expiration` (date32) and `strike` (float64) are read.
    opening_price
        Of the underlying on `session`, dollars, unadjusted as strikes are; only wide strikes can do without.
    session
        The exchange date.
    rule
        What is wanted.

    Returns
    -------
    pa.Table
        The chosen rows in their order, with all columns and `chosen_by`, the rule in words; no rows where nothing is
        listed that the rule means. Never a contract whose last trading day is before the session.

    Raises
    ------
    NotASession
        `session` is not a trading session.
    ValueError
        A ticker is no option symbol, or the rule needs an opening price and this is none.
    """
    get_calendar().parse(session.isoformat())
    words = rule.words(opening_price)
    roots = parse_symbols(contracts["ticker"])["root"].to_pylist()
    chains: list[Chain] = list(zip(roots, contracts["expiration"].to_pylist(), strict=True))
    strikes = contracts["strike"].to_pylist()
    ladders: dict[Chain, set[float]] = defaultdict(set)
    for chain, strike in zip(chains, strikes, strict=True):
        ladders[chain].add(strike)
    chosen = {chain: rule.strikes.among(ladders[chain], opening_price) for chain in _near(ladders, session, rule)}
    mask = [strike in chosen.get(chain, ()) for chain, strike in zip(chains, strikes, strict=True)]
    rows = contracts.filter(pa.array(mask, pa.bool_()))
    chosen_by = pa.repeat(pa.scalar(words, pa.string()), rows.num_rows)
    return rows.append_column(pa.field("chosen_by", pa.string(), nullable=False), chosen_by)


def _near(chains: Iterable[Chain], session: date, rule: ContractRule) -> list[Chain]:
    """Return the chains the rule means, among those that still trade."""
    days_left = {chain: (last_trading_day(*chain) - session).days for chain in chains}
    alive = [chain for chain in chains if days_left[chain] >= 0]
    # Roots of one underlying may end their month on different days, as SPX and SPXW do: months are counted.
    months = {chain: (chain[1].year, chain[1].month) for chain in alive if is_monthly(*chain)}
    wanted = sorted({*months.values()})[: rule.monthlies]
    return [chain for chain in alive if days_left[chain] <= rule.lookahead_days or months.get(chain) in wanted]
