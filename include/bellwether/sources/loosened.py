"""Rows of which less is asked than their structs promise: texts beyond the known words, promised fields that lack.

Whoever lets a vendor's change pass says of which fields. The rows are of subclasses: what reads the others reads these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Any, get_args, get_origin

import msgspec


@dataclass(frozen=True)
class Looser:
    """What is not asked of rows, by path: `insights.sentiment`.

    Attributes
    ----------
    texts
        Fields that may say any text, not only the words known.
    lacking
        Promised fields that may be null or left out.
    """

    texts: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()

    @property
    def paths(self) -> frozenset[str]:
        """All of these fields."""
        return self.texts | self.lacking


@cache
def loosened(row: type[msgspec.Struct], by: Looser, holder: str = "") -> type[msgspec.Struct]:
    """Return a subclass of a row, or of what stands in it at `holder`, of which less is asked."""
    fields = []
    for field in msgspec.structs.fields(row):
        path = f"{holder}{field.encode_name}"
        kind = str if path in by.texts else field.type
        if any(each.startswith(f"{path}.") for each in by.paths):
            kind = _inside(kind, lambda struct, path=path: loosened(struct, by, f"{path}."))  # type: ignore[misc]
        if path in by.lacking:
            fields.append((field.name, kind | None, None))
        elif kind is not field.type:
            default = () if field.required else (field.default,)
            fields.append((field.name, kind if field.required else kind | None, *default))
    return msgspec.defstruct(row.__name__, fields, bases=(row,), frozen=True, kw_only=True)


def _inside(kind: Any, change: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any type
    """Return a type with the structs in it changed."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return change(kind)
    if isinstance(kind, UnionType):
        return reduce(or_, (_inside(each, change) for each in get_args(kind)))
    if get_origin(kind) is list:
        [inner] = get_args(kind)
        return list[_inside(inner, change)]  # type: ignore[misc]
    return kind
