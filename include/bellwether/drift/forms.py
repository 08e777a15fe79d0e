"""Contracts and decoders say the same: which fields a decoder reads, and whether a contract file agrees.

The decoders are the truth about what can be read; a contract adds units, tolerances and the names the vendor uses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec

from bellwether.config.contracts import Contract, FieldContract
from bellwether.drift.change import DISPENSABLE
from bellwether.errors import ConfigError
from bellwether.schemas import FORMS
from bellwether.sources import endpoints
from bellwether.sources.bars import INDEX_ROW, TRADED_ROW
from bellwether.sources.loosened import Looser

ROWS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "equities": TRADED_ROW,
    "options": TRADED_ROW,
    "indices": INDEX_ROW,
    "daily_bars": endpoints.GROUPED_DAILY.row,
    "contracts": endpoints.CONTRACTS.row,
    "options_snapshot": endpoints.OPTIONS_SNAPSHOT.row,
    "news": endpoints.NEWS.row,
    "splits": endpoints.SPLITS.row,
    "dividends": endpoints.DIVIDENDS.row,
    "rates": endpoints.TREASURY_YIELDS.row,
    "tickers": endpoints.TICKERS.row,
}
"""What the rows of each captured dataset are decoded to."""


@dataclass(frozen=True)
class Read:
    """A field as a decoder reads it."""

    type: str
    nullable: bool
    words: tuple[str, ...] = ()


@cache
def fields_read(dataset: str) -> Mapping[str, Read]:
    """Return the fields that the decoder of a dataset reads, by path; objects stand before what is in them."""
    return dict(_fields(msgspec.inspect.type_info(ROWS[dataset]), ""))


def looser(dataset: str, contract: Contract) -> Looser:
    """Return what a contract asks less of rows than the decoder of its dataset: what was let pass since."""
    read = {name: fields_read(dataset)[name] for name in contract.fields if name in fields_read(dataset)}
    return Looser(
        texts=frozenset(name for name, each in read.items() if set(contract.fields[name].words) - set(each.words)),
        lacking=frozenset(name for name, each in read.items() if contract.fields[name].nullable and not each.nullable),
    )


def check_contracts(contracts: Mapping[str, Contract]) -> None:
    """Refuse contracts that say otherwise than the decoders.

    Raises
    ------
    ConfigError
        Names file, key and value of each disagreement.
    """
    problems = [
        f"contracts/{dataset}.yaml: {problem}"
        for dataset, contract in contracts.items()
        for problem in contradictions(dataset, contract)
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def contradictions(dataset: str, contract: Contract) -> Iterator[str]:
    """Yield where a contract says otherwise than its decoder: key, what is right, value."""
    if dataset not in ROWS:
        yield f"no dataset is called {dataset}; known: {', '.join(ROWS)}"
        return
    read, form = fields_read(dataset), FORMS[dataset]
    if contract.key != form.key:
        yield f"key: is {', '.join(form.key)} (value: {', '.join(contract.key)})"
    for name in sorted(read.keys() - contract.fields.keys()):
        yield f"fields.{name}: is read and has no entry; add it"
    for name, field in contract.fields.items():
        if name not in read:
            yield f"fields.{name}: is not read; what is known and not read stands under `also`"
        else:
            yield from _field_problems(dataset, name, field, read[name])
        if field.column is not None and field.column not in form.schema.names:
            yield f"fields.{name}.column: {dataset} has no such column (value: {field.column})"


def _field_problems(dataset: str, name: str, field: FieldContract, read: Read) -> Iterator[str]:
    if field.type != read.type:
        yield f"fields.{name}.type: the decoder reads {read.type!r} (value: {field.type!r})"
    # What was approved may ask less than the decoder does, where rows can do without.
    if field.nullable != read.nullable and (read.nullable or name not in DISPENSABLE.get(dataset, ())):
        yield f"fields.{name}.nullable: the decoder reads {read.nullable!r} (value: {field.nullable!r})"
    if not set(field.words) >= set(read.words) or (field.words and not read.words):
        yield f"fields.{name}.words: the decoder reads {read.words!r}, and all of these (value: {field.words!r})"


def _fields(info: Any, path: str) -> Iterator[tuple[str, Read]]:  # noqa: ANN401 - any of msgspec's types
    for field in info.fields:
        name = f"{path}{field.encode_name}"
        kinds = _without_null(field.type)
        nullable = not field.required
        inner = kinds.item_type if isinstance(kinds, msgspec.inspect.ListType) else kinds
        yield name, Read(_type(kinds), nullable, _words(kinds))
        if isinstance(inner, msgspec.inspect.StructType):
            yield from _fields(inner, f"{name}.")


def _without_null(info: Any) -> Any:  # noqa: ANN401 - any of msgspec's types
    if isinstance(info, msgspec.inspect.UnionType):
        [info] = [each for each in info.types if not isinstance(each, msgspec.inspect.NoneType)]
    return info.type if isinstance(info, msgspec.inspect.Metadata) else info


def _type(info: Any) -> str:  # noqa: ANN401 - any of msgspec's types
    return _NAMES[type(info)]


def _words(info: Any) -> tuple[str, ...]:  # noqa: ANN401 - any of msgspec's types
    return tuple(sorted(map(str, info.values))) if isinstance(info, msgspec.inspect.LiteralType) else ()


_NAMES: Final[Mapping[type, str]] = {
    msgspec.inspect.FloatType: "number",
    msgspec.inspect.IntType: "integer",
    msgspec.inspect.StrType: "text",
    msgspec.inspect.LiteralType: "text",
    msgspec.inspect.BoolType: "flag",
    msgspec.inspect.DateType: "date",
    msgspec.inspect.DateTimeType: "instant",
    msgspec.inspect.StructType: "object",
    msgspec.inspect.ListType: "list",
}
