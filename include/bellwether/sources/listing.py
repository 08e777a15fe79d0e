"""Listings: the vendor's answers in rows, each checked against what was asked.

An answer without rows is believed only where the vendor says that there are none, and a row outside the
filter is the vendor's error, not the reader's problem. This room knows no single endpoint.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from urllib.parse import quote, unquote

import msgspec

from bellwether.errors import Truncated
from bellwether.sources.body import decode, refusal
from bellwether.sources.chain import Chain
from bellwether.sources.endpoints import ENDPOINTS, Endpoint
from bellwether.sources.filters import Value, judges, write
from bellwether.sources.loosened import Looser, loosened
from bellwether.sources.raw import RawPage, Request


@dataclass(frozen=True, slots=True)
class Listing[Row]:
    """Every row of one answer, in the vendor's order.

    Attributes
    ----------
    rows
        Typed; every one satisfies the filters asked.
    pages
        The responses as they came.
    status
        `DELAYED` where the vendor says so of any page.
    duplicates_dropped
        Rows that came twice, equal in every field: pages overlap when the vendor's data moves while it is paged.
    api_calls
        Requests made.
    rows_by_page
        How many of `rows` each page brought: by them a row finds when it came.
    """

    rows: tuple[Row, ...]
    pages: tuple[RawPage, ...]
    status: Literal["OK", "DELAYED"]
    duplicates_dropped: int
    api_calls: int
    rows_by_page: tuple[int, ...] = ()


class _Envelope(msgspec.Struct, kw_only=True, rename={"results_count": "resultsCount"}):
    status: str | None = None
    request_id: str | None = None
    count: int | None = None
    results_count: int | None = None
    adjusted: bool | None = None
    next_url: str | None = None
    error: str | None = None
    message: str | None = None


class _Page[Row](_Envelope, kw_only=True):
    results: list[Row] | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class ListingChain[Row](Chain[Listing[Row]]):
    """The rows of one listing.

    Parameters
    ----------
    endpoint
        What is asked.
    arguments
        Filters in the vendor's spelling, as `asking` writes them.
    """

    def __init__(self, endpoint: Endpoint[Row], arguments: Mapping[str, str]) -> None:
        places = {name: quote(arguments[name], safe=":") for name in endpoint.in_path}
        path = endpoint.path.format(**places)
        query = {name: text for name, text in arguments.items() if name not in places}
        request = Request(endpoint.name, dict(arguments))
        super().__init__(request, path, {**query, **endpoint.parameters}, re.escape(unquote(path)))
        self.duplicates_dropped = 0
        self.status: Literal["OK", "DELAYED"] = "OK"
        self._endpoint = endpoint
        self._rows: dict[object, Row] = {}
        self._rows_by_page: list[int] = []
        self._last: Any = None
        self._judges = judges(endpoint.filters, arguments)
        if endpoint.jointly:
            self._judges |= endpoint.jointly(arguments)

    @classmethod
    def asking(cls, endpoint: Endpoint[Row], filters: Mapping[str, Value]) -> "ListingChain[Row]":
        """Return the chain of a new request.

        Raises
        ------
        ValueError
            A filter is unknown, missing or malformed.
        """
        missing = sorted(endpoint.in_path - filters.keys())
        if missing:
            message = f"{endpoint.name} must be asked by {', '.join(missing)}"
            raise ValueError(message)
        return cls(endpoint, write(endpoint.filters, filters, endpoint.name))

    @classmethod
    def of(cls, request: Request) -> "ListingChain[Any]":
        """Return the chain of a request that was made before."""
        return ListingChain(ENDPOINTS[request.endpoint], request.arguments)

    def take(self, body: bytes, *, url: str, request_id: str | None = None) -> tuple[str | None, str | None]:
        """Add a page, as `Chain.take` says; also refused are rows outside the filter, and two rows of one key."""
        envelope, rows = self._read(body, url, request_id)
        request_id = envelope.request_id or request_id or None
        self._check_envelope(envelope, rows, url, request_id)
        rows = rows or ()
        fresh: dict[object, Row] = {}
        last = self._last
        for number, row in enumerate(rows):
            try:
                key, last = self._check_row(row, fresh, last)
            except (ValueError, OverflowError) as error:  # the latter from times beyond any calendar
                message = f"row {number} {error}: {row}"
                raise refusal(message, url, request_id) from None
            if key not in self._rows:
                fresh.setdefault(key, row)
        if rows and not fresh and envelope.next_url:
            message = "a page of nothing but rows that earlier pages held: it leads nowhere"
            raise refusal(message, url, request_id)
        next_path = self._follow(envelope.next_url, url, request_id)
        self._rows |= fresh
        self._rows_by_page.append(len(fresh))
        self._last = last
        self.duplicates_dropped += len(rows) - len(fresh)
        if envelope.status == "DELAYED":
            self.status = "DELAYED"
        if next_path:
            self._seen.add(next_path)
        return request_id, next_path

    def answer(self, pages: tuple[RawPage, ...], api_calls: int) -> Listing[Row]:
        """Return the rows of all pages."""
        rows, by_page = tuple(self._rows.values()), tuple(self._rows_by_page)
        return Listing(rows, pages, self.status, self.duplicates_dropped, api_calls, by_page)

    def _read(self, body: bytes, url: str, request_id: str | None) -> tuple[_Envelope, Sequence[Row] | None]:
        decoder = _decoder(self._endpoint.name, self.looser)
        if self._endpoint.shape == "page":
            page = decode(decoder, body, url, request_id)
            return page, page.results
        if self._endpoint.shape == "array":
            rows = decode(decoder, body, url, request_id)
            return _Envelope(status="OK"), rows
        envelope = decode(_ENVELOPE, body, url, request_id)
        if envelope.status not in {None, "OK", "DELAYED"}:
            return envelope, ()  # of another form, and refused for its status
        return envelope, [decode(decoder, body, url, request_id)]

    def _check_envelope(
        self, envelope: _Envelope, rows: Sequence[Row] | None, url: str, request_id: str | None
    ) -> None:
        declared = envelope.results_count if self._endpoint.counted else envelope.count
        problem = None
        if envelope.status not in {"OK", "DELAYED"} and (envelope.status or self._endpoint.shape == "page"):
            problem = f"status {envelope.status!r}: {envelope.error or envelope.message or 'no message'}"
        elif envelope.adjusted:
            problem = "asked for unadjusted prices, answered with adjusted ones"
        elif declared is None and self._endpoint.counted:
            problem = f"{len(rows or ())} rows without a resultsCount to check them by"
        elif not rows and self._endpoint.shape == "page":
            problem = _doubt_of_emptiness(envelope, absent=rows is None, declared=declared)
        if problem:
            raise refusal(problem, url, request_id)
        held = len(rows or ())
        if declared is not None and declared != held:
            message = f"declares {declared} rows, holds {held}"
            raise Truncated(message, url=url, status=200, request_id=request_id)

    def _check_row(self, row: Row, fresh: Mapping[object, Row], last: Any) -> tuple[object, Any]:  # noqa: ANN401 - a time
        for asked, satisfied in self._judges.items():
            if not satisfied(row):
                message = f"is outside the filter {asked}"
                raise ValueError(message)
        key = self._endpoint.key(row)
        known = self._rows.get(key, fresh.get(key))
        if known is not None:
            if known != row:
                message = f"contradicts the one of the same key that came before, {known}"
                raise ValueError(message)
            return key, last
        if self._endpoint.ascending:
            at = self._endpoint.ascending(row)
            if last is not None and at < last:
                message = f"comes after {last}, and ascending order was asked"
                raise ValueError(message)
            last = at
        return key, last


def _doubt_of_emptiness(envelope: _Envelope, *, absent: bool, declared: int | None) -> str | None:
    """Return why an answer without rows is no proof that there are none, or None where it is one.

    Lists of the reference and snapshot families that have nothing say `"results":[],"status":"OK","request_id":"..."`,
    those of tickers and news `"count":0` as well; a holiday's grouped days leave `results` out and say
    `"resultsCount":0`. The vendor's documents show no empty answer: this rests on what its users noted and keep as
    test data (dividends of a ticker the vendor does not cover, searches that find nothing), and on the envelope in
    https://github.com/polygon-io/issues/issues/182 and 288. Anything less may have been cut on its way. An empty page
    that says it has a successor is none of these: the official client follows it, but nothing tells what it lost.
    """
    if envelope.next_url:
        return "no results, yet more pages"
    if absent and declared != 0:
        return f"no results, yet not a proven empty answer: count {declared}"
    if not envelope.request_id:
        return "no results, and no request_id as whole answers have"
    return None


@cache
def _decoder(endpoint_name: str, looser: Looser) -> msgspec.json.Decoder[Any]:
    endpoint = ENDPOINTS[endpoint_name]
    row: Any = endpoint.row
    if looser.paths:
        row = loosened(row, looser)
    return msgspec.json.Decoder({"page": _Page[row], "array": list[row], "object": row}[endpoint.shape])
