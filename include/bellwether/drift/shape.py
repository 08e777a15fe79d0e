"""One answer's rows against the contract: what differs in names, types, words and units of time, and rows made to fit.

Slow, and therefore asked only where an answer was refused or has an unknown name. A single odd row is no drift but a
broken answer: a change is what at least half of the rows show. Pure: JSON values in, changes out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from math import isfinite
from typing import Any, Final

from bellwether.config.contracts import Contract, FieldContract
from bellwether.drift.change import MANY_NAMES, MANY_WORDS, MOST_NAMED, OTHERS, Change, Kind, beside
from bellwether.drift.coercion import PER_SECOND, coerced, is_of_our_time, kind_of, says

type Row = dict[str, Any]

_SYSTEMATIC = 0.5
_MOST_ROWS = 2_000
_MOST_WORDS = 8
_LONGEST_NAME = 200
_MOST_ALIKE = 1_000

_OF_TIMES: Final = (1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9)
"""What makes of a count of s, ms, us or ns another of them."""


@dataclass(frozen=True)
class _Seen:
    """What rows have of one field: in how many its place is, the values there that are not null."""

    places: int
    values: list[Any]


def rows_of(content: object) -> list[Row]:
    """Return the rows of a decoded page; none where it has none."""
    rows = content.get("results") if isinstance(content, dict) else content
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def differences(dataset: str, rows: Sequence[Row], contract: Contract, received_utc: datetime) -> list[Change]:
    """Return how rows differ from a contract, sorted.

    Parameters
    ----------
    dataset
        Whose contract it is.
    rows
        Of one page, as they came.
    contract
        The one in force.
    received_utc
        When they came: units hold from a moment on.
    """
    sample = rows[:: max(1, len(rows) // _MOST_ROWS)]
    if not sample:
        return []
    seen = {name: _look(sample, name, field) for name, field in contract.fields.items()}
    lacking = [name for name, field in contract.fields.items() if _lacks(field, seen[name])]
    unknown = _named(sample, contract, names_known(contract))
    # A field is often announced before the one it replaces goes: by then it is known, and not read.
    unread = {
        name: values
        for name, values in _named(sample, contract, frozenset(contract.fields)).items()
        if name in contract.also
    }
    found: list[Change] = []
    for name in lacking:
        new = _likeliest(name, contract.fields[name], unknown | unread)
        if new is not None:
            unknown.pop(new, None)
            unread.pop(new, None)
            found.append(Change(dataset, name, Kind.RENAMED, new.rpartition(".")[2]))
        elif not contract.fields[name].nullable:
            found.append(Change(dataset, name, Kind.REMOVED))
    found += _added(dataset, unknown)
    for name, field in contract.fields.items():
        found += _other_values(dataset, name, field, seen[name].values, _factor(field, received_utc))
    return sorted(found)


def _added(dataset: str, unknown: dict[str, list[Any]]) -> Iterator[Change]:
    """Yield the unknown names; of more than anybody reads, or of one that is no name, that there are."""
    named = [name for name in unknown if len(name) <= _LONGEST_NAME][:MOST_NAMED]
    yield from (Change(dataset, name, Kind.ADDED, _commonest(unknown[name])) for name in named)
    if len(named) < len(unknown):
        yield Change(dataset, OTHERS, Kind.ADDED, MANY_NAMES)


def fit(rows: Sequence[Row], contract: Contract, received_utc: datetime) -> None:
    """Make rows, in place, what the decoder reads: the contract's own names, types and units.

    Parameters
    ----------
    received_utc
        When they came: units hold from a moment on.

    Raises
    ------
    OverflowError
        A number is too large to be one in its unit.
    """
    for name, field in contract.fields.items():
        factor = _factor(field, received_utc)
        if not (field.aliases or field.lenient or factor != 1.0):
            continue
        leaf = name.rpartition(".")[2]
        for place in (place for row in rows for place in _places(row, name)):
            for alias in field.aliases:
                value = place.pop(alias, None)
                if value is not None and place.get(leaf) is None:
                    place[leaf] = value
            if leaf in place:
                place[leaf] = _fitted(place[leaf], field, factor)


def changes_rows(contract: Contract) -> bool:
    """Return whether `fit` may change anything."""
    return any(field.aliases or field.lenient or field.scales for field in contract.fields.values())


def _factor(field: FieldContract, received_utc: datetime) -> float:
    return next((scale.factor for scale in reversed(field.scales) if scale.since_utc <= received_utc), 1.0)


def _fitted(value: Any, field: FieldContract, factor: float) -> Any:  # noqa: ANN401 - any JSON value
    if field.lenient:
        value = coerced(value, field.type)
    if factor != 1.0 and isinstance(value, int | float) and not isinstance(value, bool):
        # Written numbers have no more digits, and 0.57 times 100 is to be 57.
        value = float(f"{value * factor:.15g}")
        if not isfinite(value):  # would be written as null
            raise OverflowError
        if field.type == "integer":
            value = round(value)
    return value


def _look(rows: Sequence[Row], name: str, field: FieldContract) -> _Seen:
    leaf = name.rpartition(".")[2]
    places = [place for row in rows for place in _places(row, name)]
    said = [[place.get(each) for each in (leaf, *field.aliases)] for place in places]
    values = [next((value for value in each if value is not None), None) for each in said]
    return _Seen(len(places), [value for value in values if value is not None])


def _places(row: Row, name: str) -> Iterator[Row]:
    """Yield the objects of a row that may hold a field: its parent, or each object of a list there."""
    nodes: list[Any] = [row]
    for part in name.split(".")[:-1]:
        below = [node.get(part) for node in nodes if isinstance(node, dict)]
        nodes = [each for node in below for each in (node if isinstance(node, list) else [node])]
    yield from (node for node in nodes if isinstance(node, dict))


def _lacks(field: FieldContract, seen: _Seen) -> bool:
    if seen.places == 0:
        return False
    if not field.nullable:
        return len(seen.values) <= seen.places * (1 - _SYSTEMATIC)
    return field.usual and not seen.values


def names_known(contract: Contract) -> frozenset[str]:
    """Return every name that rows may have, by path."""
    aliases = (beside(name, alias) for name, field in contract.fields.items() for alias in field.aliases)
    return frozenset({*contract.fields, *aliases, *contract.also})


def names_in(row: Row) -> Iterator[str]:
    """Yield the names that a row has, by path; those of what stands in an object of an object are not looked at."""
    for name, value in row.items():
        yield name
        for inner in value if isinstance(value, list) else (value,):
            if isinstance(inner, dict):
                yield from (f"{name}.{leaf}" for leaf in inner)


def _named(rows: Sequence[Row], contract: Contract, left_out: frozenset[str]) -> dict[str, list[Any]]:
    """Return the values under all names but some, by path; those of few rows are there too."""
    holders = {"", *(name for name, field in contract.fields.items() if field.type in {"object", "list"})}
    found: dict[str, list[Any]] = {}
    for row in rows:
        for path in set(names_in(row)) - left_out:
            if path.rpartition(".")[0] in holders:  # what stands in an unknown object is its own affair
                leaf = path.rpartition(".")[2]
                found.setdefault(path, []).extend(place[leaf] for place in _places(row, path) if leaf in place)
    return dict(sorted(found.items()))


def _likeliest(name: str, field: FieldContract, unknown: dict[str, list[Any]]) -> str | None:
    """Return the unknown name beside a lacking one that may be its new name: same type, most alike."""
    parent = name.rpartition(".")[0]
    alike = [
        path
        for path, values in unknown.items()
        if path.rpartition(".")[0] == parent
        and len(path) <= _LONGEST_NAME
        and _share(values, lambda value: says(field.type, value)) > _SYSTEMATIC
    ][:_MOST_ALIKE]
    olds = (name.rpartition(".")[2], field.column or "")
    return max(alike, key=lambda path: max(_likeness(old, path.rpartition(".")[2]) for old in olds), default=None)


def _likeness(old: str, new: str) -> float:
    return SequenceMatcher(None, old.lower(), new.lower()).ratio()


def _other_values(dataset: str, name: str, field: FieldContract, values: list[Any], factor: float) -> Iterator[Change]:
    """Yield how values differ: in their type, their words or their unit."""
    if field.lenient:
        values = [coerced(value, field.type) for value in values]
    others = [value for value in values if not says(field.type, value)]
    if others and len(others) >= len(values) * _SYSTEMATIC:
        as_ever = sum(says(field.type, coerced(value, field.type)) for value in others)
        kind = _commonest(others)
        is_readable = not field.lenient and as_ever >= len(others) * _SYSTEMATIC
        yield Change(dataset, name, Kind.RETYPED, kind if is_readable else f"{kind} that is no {field.type}")
    elif field.words:
        new = sorted({value for value in values if isinstance(value, str)} - set(field.words))
        if len(new) > _MOST_WORDS or any(len(word) > _LONGEST_NAME for word in new):
            new = [MANY_WORDS]
        yield from (Change(dataset, name, Kind.WORDS, word) for word in new)
    elif field.unit in PER_SECOND:
        yield from _in_other_time(dataset, name, PER_SECOND[field.unit], values, factor)


def _in_other_time(dataset: str, name: str, per_second: int, values: list[Any], factor: float) -> Iterator[Change]:
    """Yield that times are counted in another unit; 0 says that there is none."""
    counts = [value for value in values if says("number", value) and value]

    def are_ours(by: float) -> bool:
        return _share(counts, lambda value: is_of_our_time(value, per_second / by)) > _SYSTEMATIC

    if counts and not are_ours(factor):
        yield from (Change(dataset, name, Kind.RESCALED, f"{by:g}") for by in _OF_TIMES if are_ours(factor * by))


def _share(values: Sequence[Any], holds: Callable[[Any], bool]) -> float:
    return sum(map(holds, values)) / len(values) if values else 0.0


def _commonest(values: Sequence[Any]) -> str:
    kinds = [kind_of(value) for value in values]
    return max(sorted(set(kinds)), key=kinds.count)
