"""One answer's rows against the contract: what differs in names, types, words and units of time, and rows made to fit.

Slow, and therefore asked only where an answer was refused or has an unknown name. A single odd row is no drift but a
broken answer: a change is what at least half of the rows show. Pure: JSON values in, changes out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import SequenceMatcher
from math import isfinite
from typing import Any, Final

from bellwether.config.contracts import Contract, FieldContract, WireType
from bellwether.drift.change import Change, Kind, beside

type Row = dict[str, Any]

_SYSTEMATIC = 0.5
_MOST_ROWS = 2_000
_MOST_WORDS = 8

_KINDS: Final[dict[type, str]] = {
    bool: "flag",
    int: "integer",
    float: "number",
    str: "text",
    dict: "object",
    list: "list",
    type(None): "null",
}
_WRITTEN: Final[dict[str, frozenset[str]]] = {
    "number": frozenset({"number", "integer"}),
    "integer": frozenset({"integer"}),
    "date": frozenset({"text"}),
    "instant": frozenset({"text"}),
}
"""As which kinds of JSON value a type may be written; others as themselves."""

_EARLIEST_MS, _LATEST_MS = (datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000 for year in (1990, 2100))
_OF_MS: Final = (1e-6, 1e-3, 1e3)
"""What makes milliseconds of nanoseconds, of microseconds and of seconds."""


@dataclass(frozen=True)
class _Seen:
    """What rows have of one field: in how many its place is, the values there that are not null."""

    places: int
    values: list[Any]


def rows_of(content: object) -> list[Row]:
    """Return the rows of a decoded page; none where it has none."""
    rows = content.get("results") if isinstance(content, dict) else content
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def differences(dataset: str, rows: Sequence[Row], contract: Contract) -> list[Change]:
    """Return how rows differ from a contract, sorted.

    Parameters
    ----------
    dataset
        Whose contract it is.
    rows
        Of one page, as they came.
    contract
        The one in force.
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
            found.append(Change(dataset, name, Kind.RENAMED, new.rpartition(".")[2]))
        elif not contract.fields[name].nullable:
            found.append(Change(dataset, name, Kind.REMOVED))
    found += [Change(dataset, name, Kind.ADDED, _commonest(values)) for name, values in unknown.items()]
    for name, field in contract.fields.items():
        if change := _other_values(dataset, name, field, seen[name].values):
            found.append(change)
    return sorted(found)


def fit(rows: Sequence[Row], contract: Contract, received_utc: datetime) -> None:
    """Make rows, in place, what the decoder reads: the contract's own names, types and units.

    Parameters
    ----------
    received_utc
        When they came: units hold from a moment on.
    """
    for name, field in contract.fields.items():
        factor = next((scale.factor for scale in reversed(field.scales) if scale.since_utc <= received_utc), 1.0)
        if not (field.aliases or field.lenient or factor != 1.0):
            continue
        leaf = name.rpartition(".")[2]
        for place in (place for row in rows for place in _places(row, name)):
            for alias in field.aliases:
                if alias in place:
                    place.setdefault(leaf, place.pop(alias))
            if leaf in place:
                place[leaf] = _fitted(place[leaf], field, factor)


def changes_rows(contract: Contract) -> bool:
    """Return whether `fit` may change anything."""
    return any(field.aliases or field.lenient or field.scales for field in contract.fields.values())


def _fitted(value: Any, field: FieldContract, factor: float) -> Any:  # noqa: ANN401 - any JSON value
    if field.lenient:
        value = _coerced(value, field.type)
    if factor != 1.0 and isinstance(value, int | float) and not isinstance(value, bool):
        # Written numbers have no more digits, and 0.57 times 100 is to be 57.
        value = float(f"{value * factor:.15g}")
        if field.type == "integer":
            value = round(value)
    return value


def _coerced(value: Any, kind: WireType) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as one of another type if it says the same, else itself: the decoder refuses it then."""
    try:
        if kind in {"number", "integer"} and isinstance(value, str):
            number = float(value)
            value = number if isfinite(number) else value
        if kind == "integer" and isinstance(value, float) and value.is_integer():
            return int(value)
        if kind == "text" and isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if kind == "flag" and value in (0, 1):
            return bool(value)
    except ValueError:
        pass
    return value


def _look(rows: Sequence[Row], name: str, field: FieldContract) -> _Seen:
    leaf = name.rpartition(".")[2]
    places = [place for row in rows for place in _places(row, name)]
    values = [next((place[each] for each in (leaf, *field.aliases) if each in place), None) for place in places]
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
        if path.rpartition(".")[0] == parent and _share(values, lambda value: _is(field.type, value)) > _SYSTEMATIC
    ]
    olds = (name.rpartition(".")[2], field.column or "")
    return max(alike, key=lambda path: max(_likeness(old, path.rpartition(".")[2]) for old in olds), default=None)


def _likeness(old: str, new: str) -> float:
    return SequenceMatcher(None, old.lower(), new.lower()).ratio()


def _other_values(dataset: str, name: str, field: FieldContract, values: list[Any]) -> Change | None:
    if not values:
        return None
    if not field.lenient and _share(values, lambda value: not _is(field.type, value)) >= _SYSTEMATIC:
        return Change(dataset, name, Kind.RETYPED, _commonest(values))
    if field.words:
        others = sorted({str(value) for value in values} - set(field.words))
        return Change(dataset, name, Kind.WORDS, ", ".join(others[:_MOST_WORDS])) if others else None
    if field.unit == "ms" and not field.scales and _share(values, _is_no_ms) >= _SYSTEMATIC:
        for factor in _OF_MS:
            if _share([value * factor for value in values if _is("number", value)], _is_no_ms) < _SYSTEMATIC:
                return Change(dataset, name, Kind.RESCALED, f"{factor:g}")
    return None


def _is_no_ms(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(value, int | float) and not _EARLIEST_MS <= value < _LATEST_MS


def _is(kind: WireType, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return _KINDS[type(value)] in _WRITTEN.get(kind, {kind})


def _share(values: Sequence[Any], holds: Callable[[Any], bool]) -> float:
    return sum(map(holds, values)) / len(values) if values else 0.0


def _commonest(values: Sequence[Any]) -> str:
    kinds = [_KINDS[type(value)] for value in values]
    return max(sorted(set(kinds)), key=kinds.count)
