"""What the configuration may say of a universe: a list, a file of tickers, or a rule; required or best effort.

Refuses what cannot be meant, naming all of it at once: malformed tickers, duplicates, nothing to capture. Knows
neither the vendor nor the lake.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bellwether.tickers import WHOLE, Family, check_ticker

DEFAULT_TICKERS = ("AAPL", "AMZN", "GOOGL", "IWM", "JPM", "META", "MSFT", "NVDA", "QQQ", "SPY", "TSLA", "XOM")

Role = Literal["required", "best_effort"]
_ROLES: tuple[Role, ...] = ("required", "best_effort")

TickerType = Annotated[str, Field(pattern="^[A-Z]{2,10}$")]
"""The vendor's codes: `CS` common stock, `ETF`, `ADRC`, ...; its endpoint `/v3/reference/tickers/types` lists them."""


_MOST_SHOWN = 20


def shown(names: Iterable[str]) -> str:
    """Return names for a message: the first twenty, and how many more there are."""
    listed = list(names)
    more = len(listed) - _MOST_SHOWN
    return ", ".join(listed[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")


def malformed_among(names: Iterable[str], family: Family = "equity") -> dict[str, str]:
    """Return the names that are no tickers of a family, each with the reason."""
    reasons: dict[str, str] = {}
    for name in names:
        try:
            check_ticker(name, family)
        except ValueError as error:
            reasons[name] = str(error)
    return reasons


class NamedTickers(BaseModel):
    """Tickers named one by one, each with its role.

    Attributes
    ----------
    required
        A session is announced only when each of them is captured, or proven not to exist.
    best_effort
        Captured, retried and shown like the others, but neither the run nor the announcement waits for them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    _family: ClassVar[Family] = "equity"

    required: tuple[str, ...] = ()
    best_effort: tuple[str, ...] = ()

    @field_validator(*_ROLES, mode="before")
    @classmethod
    def _well_formed(cls, tickers: object) -> object:
        if not isinstance(tickers, Sequence) or isinstance(tickers, str):
            return tickers
        if any(isinstance(ticker, bool) for ticker in tickers):
            msg = "YAML reads ON, OFF, YES, NO, TRUE and FALSE as truth values; quote a ticker of that name: 'ON'"
            raise ValueError(msg)
        names = sorted(str(ticker)[:40] for ticker in tickers)
        if malformed := malformed_among(names, cls._family):
            _, *others = malformed
            msg = next(iter(malformed.values())) + (f"; nor are {shown(map(repr, others))}" if others else "")
            raise ValueError(msg)
        return tuple(names)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        counts = Counter((*self.required, *self.best_effort))
        if duplicates := sorted(ticker for ticker, count in counts.items() if count > 1):
            both = " (as required and as best effort)" if set(self.required) & set(self.best_effort) else ""
            msg = f"tickers listed more than once{both}: {shown(duplicates)}; delete the surplus lines"
            raise ValueError(msg)
        return self

    @property
    def hash(self) -> str:
        """SHA-256 of what is meant, wherever it is written: equal for a list and a file that say the same."""
        # Without defaults, so that a later version with one key more does not resolve all of history anew.
        meant = self.model_dump(mode="json", exclude={"file"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()


class TickerList(NamedTickers):
    """A plain list, or a file with one ticker a line; the only universe known without asking the vendor.

    Attributes
    ----------
    file
        Where the tickers were read from, as written in the configuration; None for a list.
    """

    file: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, content: object, info: ValidationInfo) -> object:
        if isinstance(content, Sequence) and not isinstance(content, str):
            return {"required": content}
        if not isinstance(content, Mapping):
            msg = "expected a list of tickers, {file: PATH} or {rule: NAME, ...}"
            raise ValueError(msg)
        if isinstance(content.get("file"), str) and info.context is not None:
            read = read_tickers(info.context["folder"] / content["file"])
            # What beside the file is no list is left as it is, to be refused under its own key.
            beside = {role: content[role] for role in _ROLES if role in content}
            return {**content, **{r: [*read[r], *b] if isinstance(b := beside.get(r, []), list) else b for r in _ROLES}}
        return content

    @model_validator(mode="after")
    def _names_someone(self) -> Self:
        if not self.required:
            msg = "the universe is empty" if not self.best_effort else "every ticker is best effort"
            msg += ": name at least one required ticker, or nothing tells when a session is complete"
            raise ValueError(msg)
        return self

    @property
    def origin(self) -> str:
        """Where the tickers come from, in words."""
        return "list" if self.file is None else f"file {self.file}"


class IndexList(TickerList):
    """Indices: `[I:VIX, I:SPX]`, or a file of them."""

    _family: ClassVar[Family] = "index"


@dataclass(frozen=True)
class WholeFeed:
    """All of a dataset whose rows are asked for at once: the one universe that nobody configures."""

    required: ClassVar = (WHOLE,)
    best_effort: ClassVar[tuple[str, ...]] = ()
    origin: ClassVar = "the whole feed"
    hash: ClassVar = WHOLE


class _Rule(NamedTickers):
    """Tickers found anew for each session, beside those named one by one, whose role is the one they are named in.

    Attributes
    ----------
    role
        Of the tickers the rule finds.
    """

    role: Role = "required"

    @model_validator(mode="after")
    def _names_someone(self) -> Self:
        if self.role == "best_effort" and not self.required:
            msg = "no required ticker: name at least one under required, or leave role at required"
            raise ValueError(msg)
        return self


class ActiveTickers(_Rule):
    """Every stock of some types that was listed on the session: `{rule: active, types: [CS]}`."""

    rule: Literal["active"]
    types: tuple[TickerType, ...] = Field(default=("CS",), min_length=1)

    @property
    def origin(self) -> str:
        """The rule in words."""
        return f"rule active, types {', '.join(self.types)}"


class TopDollarVolume(_Rule):
    """The most traded of the session before, by volume times VWAP: `{rule: top_dollar_volume, count: 500}`.

    Attributes
    ----------
    count
        How many.
    types
        Only stocks of these types, as listed on the session; none given: of every type, funds included.
    """

    rule: Literal["top_dollar_volume"]
    count: int = Field(ge=1, le=20_000)
    types: tuple[TickerType, ...] = ()

    @property
    def origin(self) -> str:
        """The rule in words."""
        return f"rule top_dollar_volume, count {self.count}, types {', '.join(self.types) or 'all'}"


def _kind(content: object) -> str:
    rule = content.get("rule", "list") if isinstance(content, Mapping) else getattr(content, "rule", "list")
    return str(rule)


KINDS = ("list", "active", "top_dollar_volume")
"""What tells the kinds apart; pydantic puts it into the path of a wrong key, where no user wrote it."""

UniverseSpec = Annotated[
    Annotated[TickerList, Tag("list")]
    | Annotated[ActiveTickers, Tag("active")]
    | Annotated[TopDollarVolume, Tag("top_dollar_volume")],
    Discriminator(
        _kind,
        custom_error_type="unknown_rule",
        custom_error_message="no such rule; there are active and top_dollar_volume, or give a list or a file",
    ),
]
"""What may stand under `universe`."""


def read_tickers(path: Path) -> dict[str, list[str]]:
    """Return the tickers of a file by role.

    One ticker a line, `#` begins a comment; or CSV with the header `ticker` or `ticker,role`.

    Raises
    ------
    ValueError
        The file cannot be read, or a line of it is not understood; the message names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read {path}: {error}; paths are relative to the folder of the configuration"
        raise ValueError(msg) from None
    found: dict[str, list[str]] = {role: [] for role in _ROLES}
    columns = ["ticker"]
    begun = False
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.split("#", 1)[0].split(",")]
        if not any(cells):
            continue
        if not begun and cells[0] == "ticker":
            columns = cells
        else:
            ticker, role = _row(cells, columns, f"{path}, line {number}")
            found[role].append(ticker)
        begun = True
    if not begun:
        msg = f"{path} holds no ticker: write one a line"
        raise ValueError(msg)
    return found


def _row(cells: list[str], columns: list[str], where: str) -> tuple[str, str]:
    if columns not in (["ticker"], ["ticker", "role"]):
        msg = f"{where}: the header is {','.join(columns)!r}; it is 'ticker' or 'ticker,role'"
        raise ValueError(msg)
    if len(cells) != len(columns):
        msg = f"{where}: {','.join(cells)!r} has {len(cells)} columns, not {len(columns)} ({','.join(columns)})"
        raise ValueError(msg)
    ticker, role = cells[0], cells[1] if len(cells) == 2 else "required"
    if role not in _ROLES:
        msg = f"{where}: role {role!r} of {ticker} is neither {' nor '.join(_ROLES)}"
        raise ValueError(msg)
    return ticker, role
