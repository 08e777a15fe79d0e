"""Which contracts of an underlying matter on a session: the rules `sources.yaml` may hold, and the choice itself.

A rule says which strikes and which expirations. Strikes are compared by their decimal text, never in floating point;
expirations by their last trading day. Everything is known at the opening. Knows neither where contracts and prices
come from nor where the choice goes.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from fractions import Fraction
from math import isfinite
from typing import Annotated, Any

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_serializer, model_validator

from bellwether.calendar import get_calendar
from bellwether.options.hours import is_monthly, last_trading_day
from bellwether.options.symbols import parse_symbols
from bellwether.tickers import check_ticker

Chain = tuple[str, date]
"""Root and expiration: SPX and SPXW of one day are two chains, and so are those of AAPL and the adjusted AAPL1."""

_ALLOWED = "strikes are {percent: 1.0}, {count: 10} or wide"


class Strikes(BaseModel):
    """Which strikes: those near the opening price, by distance or by number, or all.

    Attributes
    ----------
    percent
        As far as this from the opening price, in percent of it, both bounds included.
    count
        Of each chain as many strikes at or below the opening price, and as many above it; fewer where it ends.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    percent: float | None = Field(default=None, gt=0, le=100)
    count: int | None = Field(default=None, ge=1, le=1000)

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, content: object) -> object:
        if content == "wide":
            return {}
        if isinstance(content, Mapping) and [*content] in (["percent"], ["count"]) and None not in content.values():
            return content
        raise ValueError(_ALLOWED)

    @model_serializer
    def _written(self) -> dict[str, float | int] | str:
        if self.percent is not None:
            return {"percent": self.percent}
        return "wide" if self.count is None else {"count": self.count}

    def among(self, ladder: Iterable[float], opening_price: float | None) -> set[float]:
        """Return the chosen strikes of one chain.

        Raises
        ------
        ValueError
            The rule needs an opening price, and this is none.
        """
        if self.percent is not None:
            price = _exact(_known(opening_price))
            reach = price * _exact(self.percent) / 100
            return {strike for strike in ladder if abs(_exact(strike) - price) <= reach}
        if self.count is not None:
            ordered = sorted(set(ladder))
            below = bisect_right(ordered, _known(opening_price))
            return {*ordered[max(below - self.count, 0) : below + self.count]}
        return set(ladder)

    def words(self, opening_price: float | None) -> str:
        """Return the rule in words.

        Raises
        ------
        ValueError
            The rule needs an opening price, and this is none.
        """
        if self.percent is not None:
            return f"strike within {_plain(self.percent)} % of {_plain(_known(opening_price))}"
        if self.count is not None:
            return f"strike one of {self.count} at or below and {self.count} above {_plain(_known(opening_price))}"
        return "any strike"


class ContractRule(BaseModel):
    """Which contracts of one underlying.

    Attributes
    ----------
    strikes
        Within 1 % of the opening price, unless said otherwise.
    lookahead_days
        Expirations whose last trading day is at most as many calendar days after the session; 0 is the session's own.
    monthlies
        Beside those, the next listed months' standard monthly expirations, however far away.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    strikes: Strikes = Strikes(percent=1.0)
    lookahead_days: int = Field(default=7, ge=0, le=10_000)
    monthlies: int = Field(default=0, ge=0, le=120)

    def words(self, opening_price: float | None) -> str:
        """Return the rule in words, as the chosen contracts carry it."""
        days = self.lookahead_days
        near = "expires on the session" if days == 0 else f"expires within {days} day{'s' if days > 1 else ''}"
        far = {0: "", 1: " or on the next monthly expiration"}.get(
            self.monthlies, f" or on one of the next {self.monthlies} monthly expirations"
        )
        return f"{self.strikes.words(opening_price)}; {near}{far}"


class ContractSelection(ContractRule):
    """Which contracts of every underlying: a rule for all, and what differs for some.

    Attributes
    ----------
    overrides
        By underlying, as the vendor lists its contracts: `SPX`, not `I:SPX`. What one leaves out holds as for all.
    """

    overrides: dict[Annotated[str, AfterValidator(check_ticker)], ContractRule] = {}

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, content: Any) -> Any:  # noqa: ANN401 - whatever the YAML file holds
        if not isinstance(content, Mapping) or not isinstance(overrides := content.get("overrides"), Mapping):
            return content
        general = {key: content[key] for key in ContractRule.model_fields if key in content}
        merged = {
            key: {**general, **override} if isinstance(override, Mapping) else override
            for key, override in overrides.items()
        }
        return {**content, "overrides": merged}

    def rule_for(self, underlying: str) -> ContractRule:
        """Return the rule that holds for `underlying`."""
        return self.overrides.get(underlying, self)


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


def _exact(number: float) -> Fraction:
    """Return the number that is written, not the binary one nearest to it: 645.2 is 6452/10."""
    return Fraction(repr(float(number)))


def _plain(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def _known(opening_price: float | None) -> float:
    if opening_price is None or not isfinite(opening_price) or opening_price <= 0:
        msg = f"{opening_price} is no opening price, and only wide strikes can be chosen without one"
        raise ValueError(msg)
    return opening_price
