"""The one room of paged lists: filters with suffixes, order, limit, cursors. Every list endpoint is a table here.

An endpoint names its filters and where rows come from; this room asks for them, filters, sorts, cuts the page and
writes the envelope (POLYGON.md section 1). It knows no market and no HTTP.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from operator import attrgetter, ge, gt, le, lt
from typing import Any, NamedTuple

import msgspec

from bellwether.simulator.answers import Refused
from bellwether.simulator.cursors import decode_cursor, limit_of, next_url

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {"lt": lt, "lte": le, "gt": gt, "gte": ge}


class Cursor(msgspec.Struct):
    """Where a page begins: the first request's parameters, and sort value and key of the last row before it."""

    query: dict[str, str]
    after: tuple[float | str, str]
    # Only a fault asks for it: the last row of the page before comes again.
    inclusive: bool = False


class Filter(NamedTuple):
    """How a parameter is read, and the field of a row it is compared with: of the same name unless given."""

    parse: Callable[[str], Any]
    field: str = ""


class Condition(NamedTuple):
    """One filter of a request; `operator` is `eq`, `any_of` or a suffix."""

    name: str
    operator: str
    value: Any
    field: str

    def holds(self, row: object) -> bool:
        """Return whether a row passes; a row without such a value does not."""
        found = getattr(row, self.field)
        if found is msgspec.UNSET:
            return False
        values = found if isinstance(found, list) else [found]
        if self.operator == "eq":
            return self.value in values
        if self.operator == "any_of":
            return any(value in self.value for value in values)
        return any(_COMPARE[self.operator](value, self.value) for value in values)


class ListQuery(NamedTuple):
    """What a request asks for; `params` are its parameters as given, with the endpoint's defaults."""

    params: Mapping[str, str]
    conditions: list[Condition]
    sort: str
    descending: bool
    limit: int
    cursor: Cursor | None

    def equal(self, name: str) -> str | None:
        """Return the text a filter without suffix asks for, or None."""
        return next((str(cond.value) for cond in self.conditions if cond[:2] == (name, "eq")), None)

    def bounds(self, name: str, first: str, last: str) -> tuple[str, str]:
        """Return bounds, both included, within `first` and `last` that hold every row the filters of `name` pass."""
        for cond in self.conditions:
            if cond.name != name:
                continue
            values = cond.value if cond.operator == "any_of" else [cond.value]
            if cond.operator in {"eq", "any_of", "gt", "gte"}:
                first = max(first, min(values))
            if cond.operator in {"eq", "any_of", "lt", "lte"}:
                last = min(last, max(values))
        return first, last


@dataclass(frozen=True, kw_only=True)
class ListEndpoint[R]:
    """One list endpoint as a table.

    Attributes
    ----------
    filters
        Parameters that choose rows. A filter on a list passes a row if it passes any element.
    sorts
        Fields that may order the rows; the first does unless another is asked for.
    descending
        Whether the order descends unless asked otherwise: lists of events do, the newest first.
    rows
        Returns rows for a query, at least all that pass; it need not filter or sort.
    default_limit, max_limit
        Rows per page; as most of the vendor's endpoints unless given.
    key
        Field that breaks ties; unique within a sort value.
    ordered
        Whether rows come in the order asked for, of which only as many as needed are then taken.
    counted
        Whether the envelope counts the page's rows.
    """

    filters: Mapping[str, Filter]
    sorts: Sequence[str]
    rows: Callable[[ListQuery], Iterable[R]]
    default_limit: int = 10
    max_limit: int = 1000
    descending: bool = True
    key: str = "ticker"
    ordered: bool = False
    counted: bool = False

    def page(
        self,
        path: str,
        query: Mapping[str, str],
        request_id: str,
        present: Callable[[list[R]], Sequence[object]] = list,
    ) -> bytes:
        """Return the body of the page `query` asks for.

        Parameters
        ----------
        path
            Where the next page is asked for.
        query
            The request's parameters, or a `cursor`.
        request_id
            Of the envelope.
        present
            Turns the page's rows into what is written of them.

        Raises
        ------
        Refused
            `bad_request`: a value that cannot be read or is not offered.
        """
        asked = self.read(query)
        rows = list(islice(self._after(asked), asked.limit + 1))
        more, rows = len(rows) > asked.limit, rows[: asked.limit]
        # Without rows the list is there and empty; aggregates leave it out. Evidence: sources/listing.py.
        body: dict[str, object] = {"results": present(rows), "status": "OK", "request_id": request_id}
        if self.counted:
            body["count"] = len(rows)
        if more:
            body["next_url"] = next_url(path, Cursor(dict(asked.params), self._place(asked.sort)(rows[-1])))
        return msgspec.json.encode(body)

    def read(self, query: Mapping[str, str]) -> ListQuery:
        """Return what the parameters ask for."""
        cursor = decode_cursor(query["cursor"], Cursor) if "cursor" in query else None
        params = query if cursor is None else cursor.query
        conditions = [cond for name, text in params.items() for cond in self._condition(name, text)]
        sort, _, direction = params.get("sort", self.sorts[0]).partition(".")
        order = direction or params.get("order", "desc" if self.descending else "asc")
        if sort not in self.sorts:
            raise Refused("bad_request", f"Could not parse the parameter 'sort'. Use {', '.join(self.sorts)}")
        if order not in {"asc", "desc"}:
            raise Refused("bad_request", "Could not parse the parameter 'order'. Use asc or desc")
        limit = limit_of(params.get("limit", str(self.default_limit)), self.max_limit)
        return ListQuery(params, conditions, sort, order == "desc", limit, cursor)

    def _condition(self, name: str, text: str) -> Iterator[Condition]:
        field, _, suffix = name.partition(".")
        known = self.filters.get(field)
        if known is None:  # the vendor ignores parameters it does not know
            return
        if suffix not in {"", "any_of", *_COMPARE}:
            raise Refused("bad_request", f"Could not parse the parameter '{name}'")
        try:
            value = [known.parse(part) for part in text.split(",")] if suffix == "any_of" else known.parse(text)
        except (ValueError, OverflowError) as error:
            raise Refused("bad_request", f"Could not parse the parameter '{name}'") from error
        yield Condition(field, suffix or "eq", value, known.field or field)

    def _after(self, asked: ListQuery) -> Iterable[R]:
        """Return the rows of this page and all after it, in order."""
        place = self._place(asked.sort)
        rows: Iterable[R] = (row for row in self.rows(asked) if all(cond.holds(row) for cond in asked.conditions))
        cursor = asked.cursor
        if cursor is not None:
            compare = (le if cursor.inclusive else lt) if asked.descending else (ge if cursor.inclusive else gt)
            rows = (row for row in rows if compare(place(row), cursor.after))
        return rows if self.ordered else sorted(rows, key=place, reverse=asked.descending)

    def _place(self, sort: str) -> Callable[[R], tuple[float | str, str]]:
        value, key = attrgetter(sort), attrgetter(self.key)

        def place(row: R) -> tuple[float | str, str]:
            found = value(row)
            return ("" if found is msgspec.UNSET else found, key(row))

        return place


def asked_params(query: Mapping[str, str]) -> Mapping[str, str]:
    """Return the parameters a request stands for: those in its cursor, where it has one of a list."""
    try:
        return decode_cursor(query["cursor"], Cursor).query if "cursor" in query else query
    except Refused:
        return query


def choice(*values: str) -> Callable[[str], str]:
    """Return a parser that takes `values` and nothing else."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return text

    return parse


def day(text: str) -> str:
    """Return a date's text if it is one."""
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError(text)
    return text


def flag(text: str) -> bool:
    """Return whether a parameter says true."""
    return choice("true", "false")(text.lower()) == "true"


def instant(text: str) -> str:
    """Return a moment (RFC 3339, or a date) as the vendor's rows write it, in whole seconds UTC."""
    moment = datetime.fromisoformat(text)
    if "T" in text and moment.tzinfo is None:
        raise ValueError(text)
    moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
