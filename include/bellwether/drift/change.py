"""What may differ from a contract, one change at a time, and what accepting it does to the contract."""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

import msgspec

from bellwether.config.contracts import Contract, FieldContract, Scale
from bellwether.drift.coercion import READABLE
from bellwether.errors import Drifted, DriftError


class Kind(StrEnum):
    """How a field differs."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    RETYPED = "retyped"
    RESCALED = "rescaled"
    WORDS = "words"
    NULLS = "nulls"
    MOVED = "moved"

    @property
    def is_breaking(self) -> bool:
        """Whether values would be lost or wrong if it passed."""
        return self not in _ADDITIVE


_ADDITIVE = frozenset({Kind.ADDED, Kind.MOVED})

DISPENSABLE: Final[Mapping[str, frozenset[str]]] = {
    "contracts": frozenset(f"additional_underlyings.{name}" for name in ("type", "underlying", "amount")),
    "news": frozenset({"insights.sentiment"}),
    "options_snapshot": frozenset({"last_trade.price", "last_trade.size"}),
    "tickers": frozenset({"locale"}),
}
"""Promised fields that the rows of a dataset can do without: their columns may be null, or they have none."""

MOST_NAMED: Final = 50
"""New names told one by one; of more the vendor sends something else than rows with a new field."""

OTHERS, MANY_NAMES, MANY_WORDS = "(others)", "more names", "more words than anybody reads"
"""What is told of new names and of new words beyond."""

_OTHERS: Final = re.compile(r"[^A-Za-z0-9_.=-]+|(?<=\.)\.+")
_LONGEST_ID: Final = 120
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f`|<>]")
_LONGEST_SHOWN: Final = 80

_SAYS: Final = {
    Kind.ADDED: "`{field}` is new ({to})",
    Kind.REMOVED: "`{field}` is gone",
    Kind.RENAMED: "`{field}` seems to be called `{to}` now",
    Kind.RETYPED: "`{field}` is of type {to} now",
    Kind.RESCALED: "`{field}` is in another unit now: times {to} it is what it was",
    Kind.WORDS: "`{field}` says what it never said: `{to}`",
    Kind.NULLS: "`{field}` is empty in a share of {to} of the rows",
    Kind.MOVED: "`{field}` is {to} times what it was",
}


class Change(msgspec.Struct, frozen=True, order=True):
    """One way in which answers differ from the contract of their dataset.

    Attributes
    ----------
    field
        Name on the wire, as the contract has it; of an added one, the vendor's.
    to
        The new name, the type, the factor that undoes it, the word, the share: by kind.
    """

    dataset: str
    field: str
    kind: Kind
    to: str = ""

    @property
    def is_breaking(self) -> bool:
        """Whether values would be lost or wrong if it passed."""
        return self.kind.is_breaking

    @property
    def change_id(self) -> str:
        """A name that equal changes share; fit for a file and for a run of Airflow's."""
        # How many nulls there are differs by session; that there are more than usual is one change.
        parts = (self.dataset, self.field, self.kind, "" if self.kind in {Kind.NULLS, Kind.MOVED} else self.to)
        wanted = ".".join(part for part in parts if part)
        name = _OTHERS.sub("-", wanted)
        if name == wanted and len(name) <= _LONGEST_ID:
            return name
        # Vendors name things as they like, and no two of them may be taken for each other.
        return f"{name[:_LONGEST_ID]}-{sha256(wanted.encode()).hexdigest()[:8]}"

    def __str__(self) -> str:
        return _SAYS[self.kind].format(field=as_shown(self.field), to=as_shown(self.to))


def as_shown(text: str) -> str:
    """Return what a vendor wrote as people may be shown it: short, in a line, and never taken for markup."""
    text = _UNSAFE.sub("?", text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def is_id(text: str) -> bool:
    """Return whether a text may be a change's id, and a place in the lake be named by it."""
    return not _OTHERS.search(text) and ".." not in text


def why_held(changes: Iterable[Change]) -> str:
    """Return why what shows these changes may not be published, as alerts tell causes; empty where it may."""
    breaking = in_words(changes)
    return f"{Drifted.__name__}: {breaking}" if breaking else ""


def in_words(changes: Iterable[Change]) -> str:
    """Return the breaking ones among changes as one line."""
    return "; ".join(str(change) for change in changes if change.is_breaking)


def accepted(contract: Contract, change: Change, *, since: date, since_utc: datetime) -> Contract:
    """Return a contract that lets a change pass, of the same version.

    Parameters
    ----------
    since, since_utc
        The first session of which it was seen, and when the first such answer came.

    Raises
    ------
    DriftError
        No contract can say how to read such answers: the code must learn it.
    """
    if change.kind is Kind.ADDED:
        return contract.model_copy(update={"also": tuple(sorted({*contract.also, change.field}))})
    field = contract.fields.get(change.field)
    if field is None:
        msg = f"{change.dataset}: {change}. The contract in force has no such field: see its newest version"
        raise DriftError(msg)
    if why := _why_unreadable(field, change):
        msg = (
            f"{change.dataset}: {change}. {why}. Where what it said has another name now, add that to "
            f"fields.{change.field}.aliases in config/contracts/{change.dataset}.yaml; else the decoder must learn it"
        )
        raise DriftError(msg)
    new = beside(change.field, change.to)
    contract = contract.model_copy(update={"also": tuple(name for name in contract.also if name != new)})
    return _with(contract, change.field, _update(field, change, since, since_utc))


def _why_unreadable(field: FieldContract, change: Change) -> str:
    """Return why no contract can say how such answers are read; empty where one can."""
    if change.kind is Kind.REMOVED and change.field not in DISPENSABLE.get(change.dataset, ()):
        return "The dataset has no rows without it"
    if change.kind is Kind.WORDS and change.to == MANY_WORDS:
        return "It is no choice of words any more"
    if change.kind is Kind.RETYPED and change.to not in READABLE.get(field.type, ()):
        return f"Nothing says which {field.type} that is"
    return ""


def beside(name: str, leaf: str) -> str:
    """Return the path of what stands beside a field."""
    parent = name.rpartition(".")[0]
    return f"{parent}.{leaf}" if parent else leaf


def compared_anew(contract: Contract, change: Change, since: date) -> Contract:
    """Return a contract by which a field's values are what they should be, and earlier sessions no measure for them.

    Raises
    ------
    DriftError
        The change is none of values: as it is, nobody can read it.
    """
    field = contract.fields.get(change.field)
    is_of_values = change.kind in {Kind.RESCALED, Kind.NULLS, Kind.MOVED}
    if not is_of_values or field is None or field.column is None:
        msg = f"{change.dataset}: {change}. That cannot be taken as it is, only approved or rejected"
        raise DriftError(msg)
    return _with(contract, change.field, {"compared_since": since})


def _with(contract: Contract, name: str, update: dict[str, object]) -> Contract:
    """Return a contract with a field updated, and with it those that become the same column: they share their unit."""
    column = contract.fields[name].column if update.keys() & {"scales", "tolerance", "compared_since"} else None
    fields = {
        each: field.model_copy(update=update) if each == name or (column and field.column == column) else field
        for each, field in contract.fields.items()
    }
    return contract.model_copy(update={"fields": fields})


def _update(field: FieldContract, change: Change, since: date, since_utc: datetime) -> dict[str, object]:
    match change.kind:
        case Kind.RENAMED:
            return {"aliases": tuple(dict.fromkeys((*field.aliases, change.to)))}
        case Kind.RETYPED | Kind.REMOVED:
            return {"lenient" if change.kind is Kind.RETYPED else "nullable": True}
        case Kind.WORDS:
            return {"words": tuple(sorted({*field.words, change.to}))}
        case Kind.RESCALED:
            in_force = next((scale.factor for scale in reversed(field.scales) if scale.since_utc <= since_utc), 1.0)
            factor = float(f"{in_force * float(change.to):.12g}")
            others = [scale for scale in field.scales if scale.since_utc != since_utc]
            scales = [*others, Scale(since_utc=since_utc, factor=factor)]
            return {"scales": tuple(sorted(scales, key=lambda scale: scale.since_utc))}
        case Kind.NULLS:
            return {"tolerance": field.tolerance.model_copy(update={"nulls": min(1.0, float(change.to) + 0.01)})}
        case _:
            return {"compared_since": since}
