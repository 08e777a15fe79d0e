"""Drift: what a vendor does who changes its answers for good, to every row of a page.

Unlike `pagefaults` the page stays a well-formed answer; only it is not what was promised any more.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from bellwether.simulator.faults import Fault

type Row = dict[str, Any]

_KEPT_EVERY = 4
"""Of the rows of an emptied field, one in so many keeps its value."""


def _rename(row: Row, name: str, fault: "Fault", _number: int) -> None:
    if name in row:
        row[fault.to or name] = row.pop(name)


def _add(row: Row, name: str, fault: "Fault", number: int) -> None:
    row[name] = fault.to or number


def _remove(row: Row, name: str, _fault: "Fault", _number: int) -> None:
    row.pop(name, None)


def _retype(row: Row, name: str, _fault: "Fault", _number: int) -> None:
    if name in row:
        row[name] = msgspec.json.encode(row[name]).decode()


def _rescale(row: Row, name: str, fault: "Fault", _number: int) -> None:
    if name in row:
        scaled = float(f"{row[name] * fault.factor:.15g}")
        row[name] = int(scaled) if isinstance(row[name], int) and scaled.is_integer() else scaled


def _empty(row: Row, name: str, _fault: "Fault", number: int) -> None:
    if number % _KEPT_EVERY:
        row.pop(name, None)


def _say(row: Row, name: str, fault: "Fault", number: int) -> None:
    if name in row and number == 0:
        row[name] = fault.to or "new"


DRIFT_FAULTS: Final[dict[str, Callable[[Row, str, "Fault", int], None]]] = {
    "renamed": _rename,
    "added": _add,
    "removed": _remove,
    "retyped": _retype,
    "rescaled": _rescale,
    "emptied": _empty,
    "new_word": _say,
}
"""What happens to `field` in every row: `renamed` and `added` take `to`, `rescaled` a `factor`; `retyped` makes a text
of it, `removed` leaves it out, `emptied` of three rows in four, `new_word` says `to` in the first."""


def drift(fault: "Fault", body: bytes) -> bytes:
    """Return a body as the vendor writes it after the change; one without rows is left as it is."""
    if fault.kind not in DRIFT_FAULTS or fault.field is None:
        return body
    page = msgspec.json.decode(body)
    rows = page.get("results") if isinstance(page, dict) else None
    if not rows:
        return body
    path, _, name = fault.field.rpartition(".")
    for number, row in enumerate(rows):
        for place in _places(row, path):
            DRIFT_FAULTS[fault.kind](place, name, fault, number)
    return msgspec.json.encode(page)


def _places(row: Row, path: str) -> Iterator[Row]:
    nodes: list[Any] = [row]
    for part in filter(None, path.split(".")):
        below = [node[part] for node in nodes if part in node]
        nodes = [each for node in below for each in (node if isinstance(node, list) else [node])]
    yield from nodes
