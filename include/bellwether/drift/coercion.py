"""What a JSON value is, and a value of another type that says the same: the coercions that a contract can allow.

An approval of another type allows exactly these; whatever else a value says is for the code to learn. docs/drift.md
lists them for people. Pure.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from typing import Annotated, Any, Final

import msgspec

from bellwether.config.contracts import WireType

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
}
"""As which kinds of JSON value a type may be written; others as themselves."""

_FORMS: Final[Mapping[str, Any]] = {
    "date": date,
    "instant": Annotated[datetime, msgspec.Meta(tz=True)],
}
"""Types that are texts of a form."""

READABLE: Final[Mapping[str, frozenset[str]]] = {
    "number": frozenset({"text"}),
    "integer": frozenset({"text", "number"}),
    "text": frozenset({"number", "integer"}),
    "flag": frozenset({"text", "integer", "number"}),
    "date": frozenset({"text"}),
    "instant": frozenset({"text", "integer", "number"}),
}
"""Values of which kinds may say what a type says."""

_WHOLE: Final = re.compile(r"-?\d{1,19}")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_S, _LATEST_S = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1990, 2100))
"""Between these every time of ours lies: the seconds, ms, us and ns of one never look like another's."""

PER_SECOND: Final[Mapping[str, int]] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def kind_of(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return of which kind a JSON value is."""
    return _KINDS[type(value)]


def says(kind: WireType, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Return whether a value is of a type, and of its form."""
    if kind not in _FORMS:
        return kind_of(value) in _WRITTEN.get(kind, {kind})
    if not isinstance(value, str):
        return False
    try:
        msgspec.convert(value, _FORMS[kind])
    except msgspec.ValidationError:
        return False
    return True


def coerced(value: Any, kind: WireType) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as one of another type if it says the same, else itself: the decoder refuses it then."""
    if says(kind, value) or kind not in _COERCIONS:
        return value
    try:
        found = _COERCIONS[kind](value)
    except (ValueError, OverflowError):
        return value
    return value if found is None else found


def _number(value: Any) -> float | None:  # noqa: ANN401 - any JSON value
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    number = float(value)
    return number if isfinite(number) else None


def _integer(value: Any) -> int | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)  # no float holds a nanosecond of today
    number = value if isinstance(value, float) else _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _text(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _flag(value: Any) -> bool | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return bool(value) if value in (0, 1) else None


def _date(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return the day of a text: of an instant only where that is the day's beginning."""
    if not isinstance(value, str):
        return None
    day = datetime.fromisoformat(value)
    return day.date().isoformat() if day.time() == datetime.min.time() else None


def _instant(value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    """Return the instant of a text with an offset, or of a count of s, ms, us or ns since 1970."""
    if isinstance(value, str):
        at = datetime.fromisoformat(value)
        return None if at.tzinfo is None else at.isoformat()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    for per_second in PER_SECOND.values():
        if is_of_our_time(value, per_second):
            return (_EPOCH + timedelta(microseconds=int(value * 1_000_000) // per_second)).isoformat()
    return None


def is_of_our_time(value: float, per_second: float) -> bool:
    """Return whether a count since 1970, so many a second, is an instant that data of ours may have."""
    return _EARLIEST_S * per_second <= value < _LATEST_S * per_second


_COERCIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "number": _number,
    "integer": _integer,
    "text": _text,
    "flag": _flag,
    "date": _date,
    "instant": _instant,
}
