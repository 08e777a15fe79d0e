"""What `sources.yaml` may say of the contracts to capture: which strikes, which expirations, of which underlying.

Strikes are compared by their decimal text, never in floating point. Read with the configuration, so this room imports
nothing heavy; the choice itself is in `selection`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_serializer, model_validator

from bellwether.tickers import check_ticker

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
