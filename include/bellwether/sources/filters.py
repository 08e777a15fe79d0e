"""Filters of a listing: what may be asked, how it is written, and whether a row satisfies it.

The vendor has returned rows outside the filter it was sent
(https://github.com/polygon-io/client-python/issues/388), and its client sends datetimes as nanoseconds and
takes `any_of` texts apart by letter. So values are written here, and every row is judged by what was
written: a stored request is judged as a live one. This room knows no endpoint.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from bellwether.tickers import Family, check_ticker

Value = str | bool | int | float | date | datetime | Sequence[str]
"""A filter's value; datetimes are aware, a sequence is for `.any_of`."""

MOST_ANY_OF: Final = 250
"""Values that one `any_of` may list."""

RANGES: Final = ("lt", "lte", "gt", "gte")

_HOLDS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "": operator.eq,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "any_of": lambda held, asked: held in asked,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of value: how it is written for the vendor, and read again to judge rows by."""

    write: Callable[[Any], str]
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """One thing a listing may be asked by.

    Attributes
    ----------
    kind
        The type of its values.
    held
        What a row holds of it: one value, or a tuple of which one must satisfy the filter; None where rows do not
        show it, and the vendor must be believed.
    suffixes
        Comparisons allowed beside equality: of `RANGES`, and `any_of`.
    """

    kind: Kind
    held: Callable[[Any], Any] | None
    suffixes: tuple[str, ...] = ()


Asked = Callable[[Any], bool]


def write(filters: Mapping[str, Filter], values: Mapping[str, Value], listing: str) -> dict[str, str]:
    """Return filter values as the vendor's query parameters.

    Parameters
    ----------
    filters
        What may be asked.
    values
        What is asked, by name or name and suffix: `{"expiration_date.gte": date(2024, 1, 19)}`.
    listing
        The listing's name, for errors.

    Raises
    ------
    ValueError
        A name is unknown, or its value is none that the vendor understands.
    """
    written = {}
    for parameter, value in values.items():
        name, _, suffix = parameter.partition(".")
        known = filters.get(name)
        if known is None or (suffix and suffix not in known.suffixes) or parameter.endswith("."):
            message = f"{listing} cannot be asked by {parameter!r}; by {', '.join(_spelled(filters))} it can"
            raise ValueError(message)
        try:
            written[parameter] = _write_all(known.kind, value) if suffix == "any_of" else known.kind.write(value)
        except ValueError as error:
            message = f"{listing}, filter {parameter}: {error}"
            raise ValueError(message) from None
    return written


def judges(filters: Mapping[str, Filter], written: Mapping[str, str]) -> dict[str, Asked]:
    """Return, for each filter that was asked and that rows show, the test that every row must pass."""
    found: dict[str, Asked] = {}
    for parameter, text in written.items():
        name, _, suffix = parameter.partition(".")
        known = filters[name]
        if known.held is None:
            continue
        asked = [known.kind.read(part) for part in text.split(",")] if suffix == "any_of" else known.kind.read(text)
        found[f"{parameter}={text}"] = _judge(known.held, _HOLDS[suffix], asked)
    return found


def _judge(held: Callable[[Any], Any], holds: Callable[[Any, Any], bool], asked: object) -> Asked:
    def satisfied(row: object) -> bool:
        value = held(row)
        values = value if isinstance(value, tuple) else (value,)
        # What a row leaves out cannot be shown to satisfy anything.
        return any(one is not None and holds(one, asked) for one in values)

    return satisfied


def _spelled(filters: Mapping[str, Filter]) -> Iterable[str]:
    for name, known in filters.items():
        yield f"{name}[.{'/.'.join(known.suffixes)}]" if known.suffixes else name


def _write_all(kind: Kind, value: object) -> str:
    if isinstance(value, str) or not isinstance(value, Sequence) or not 1 <= len(value) <= MOST_ANY_OF:
        message = f"any_of takes a sequence of 1 to {MOST_ANY_OF} values"
        raise ValueError(message)
    return ",".join(kind.write(part) for part in value)


def _write_text(value: object) -> str:
    if not isinstance(value, str) or not value or "," in value:
        message = f"{value!r} is no plain text"
        raise ValueError(message)
    return value


def _write_flag(value: object) -> str:
    if not isinstance(value, bool):
        message = f"{value!r} is neither True nor False"
        raise ValueError(message)
    return str(value).lower()


def _write_number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or value - value != 0:
        message = f"{value!r} is no finite number"
        raise ValueError(message)
    return repr(value)


def _write_day(value: object) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        message = f"{value!r} is no date"
        raise ValueError(message)
    return value.isoformat()


def _write_instant(value: object) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        message = f"{value!r} is no datetime with a time zone"
        raise ValueError(message)
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def tickers(*families: Family) -> Kind:
    """Return the kind of tickers of some families."""

    def write_ticker(value: object) -> str:
        return check_ticker(_write_text(value), *families)

    return Kind(write_ticker, str)


TEXT: Final = Kind(_write_text, str)
FLAG: Final = Kind(_write_flag, "true".__eq__)
NUMBER: Final = Kind(_write_number, float)
DAY: Final = Kind(_write_day, date.fromisoformat)
INSTANT: Final = Kind(_write_instant, datetime.fromisoformat)


def one_of(*texts: str) -> Kind:
    """Return the kind of a text that is one of a few."""

    def write_choice(value: object) -> str:
        if value not in texts:
            message = f"{value!r} is none of {', '.join(texts)}"
            raise ValueError(message)
        return str(value)

    return Kind(write_choice, str)
