"""What one JSON value says as another type, and what nobody may read into it."""

from typing import Any

import pytest

from bellwether.config.contracts import WireType
from bellwether.drift.coercion import READABLE, coerced, kind_of, says

SAYS: list[tuple[WireType, Any, Any]] = [
    ("number", "12.5", 12.5),
    ("number", "-1e3", -1000.0),
    ("integer", "1751376600000000123", 1_751_376_600_000_000_123),
    ("integer", 7.0, 7),
    ("text", 42, "42"),
    ("text", 0.5, "0.5"),
    ("flag", 1, True),
    ("flag", "False", False),
    ("date", "20250701", "2025-07-01"),
    ("date", "2025-07-01T00:00:00-04:00", "2025-07-01"),
    ("instant", "20250701T120000Z", "2025-07-01T12:00:00+00:00"),
    ("instant", 1_751_371_200, "2025-07-01T12:00:00+00:00"),
    ("instant", 1_751_371_200_500, "2025-07-01T12:00:00.500000+00:00"),
    ("instant", 1_751_371_200_000_001, "2025-07-01T12:00:00.000001+00:00"),
    ("instant", 1_751_371_200_000_001_000, "2025-07-01T12:00:00.000001+00:00"),
]
SAYS_NOT: list[tuple[WireType, Any]] = [
    ("number", "n/a"),
    ("number", "1,234"),
    ("number", "1_234"),
    ("number", "1e999"),
    ("number", "nan"),
    ("number", True),
    ("number", [1]),
    ("integer", 7.5),
    ("integer", "9" * 5_000),
    ("text", True),
    ("text", {"of": 1}),
    ("flag", 2),
    ("flag", "yes"),
    ("date", "2025-07-01T12:00:00"),
    ("date", "07/01/2025"),
    ("date", 20250701),
    ("instant", "2025-07-01T12:00:00"),
    ("instant", 12),
    ("instant", 10**400),
    ("object", []),
]


@pytest.mark.parametrize(("kind", "value", "expected"), SAYS)
def test_a_value_that_says_the_same_is_read(kind: WireType, value: Any, expected: Any) -> None:
    assert not says(kind, value)
    read = coerced(value, kind)
    assert (read, type(read)) == (expected, type(expected))
    assert says(kind, read)
    assert kind_of(value) in READABLE[kind], "an approval of such values would be refused"


@pytest.mark.parametrize(("kind", "value"), SAYS_NOT)
def test_a_value_that_says_anything_else_stays_what_it_is(kind: WireType, value: Any) -> None:
    assert coerced(value, kind) is value
    assert not says(kind, value)


@pytest.mark.parametrize(
    ("kind", "value"), [("number", 1), ("date", "2025-07-01"), ("instant", "2025-07-01T12:00:00Z")]
)
def test_what_is_of_the_type_is_left_alone(kind: WireType, value: Any) -> None:
    assert says(kind, value)
    assert coerced(value, kind) is value
