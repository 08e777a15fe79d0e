"""The vendor's answers as typed values: body bytes to Arrow, page by page.

Strict, because the vendor's own client reads a broken body as "no data": whatever is not exactly what
the vendor promises is an error, and only a page that counts zero rows is an empty one. This room reads
no socket: a chain of stored pages passes through it exactly as a live one does.
"""

import math
import re
import zlib
from collections.abc import Iterable
from datetime import datetime
from struct import Struct as Packer
from struct import error as PackError  # noqa: N812 - an exception class under a lower-case name
from typing import Annotated, Literal, NoReturn
from urllib.parse import unquote, urlsplit

import msgspec
import numpy as np
import pyarrow as pa

from bellwether.errors import BadResponse, Truncated
from bellwether.logging import redact
from bellwether.schemas import EQUITIES, TIMESTAMP

MAX_BODY_BYTES = 64 << 20
"""Ten times the densest page of 50,000 bars: what is larger is no page, and must not take the task's memory."""

_MINUTE_MS = 60_000
_GZIP = 16 + zlib.MAX_WBITS
_NO_COUNT = -(2**63)
_NO_VWAP = math.nan  # cannot come from JSON: msgspec refuses NaN, infinities and numbers beyond a double

# Fields stand in the order the vendor writes them: msgspec then finds each at its first guess.
_ROW = np.dtype([(name, "=i8" if name in "tn" else "=f8") for name in ("v", "vw", "o", "c", "h", "l", "t", "n")])
_pack_row = Packer("=6d2q").pack
_as_tuple = msgspec.structs.astuple


class _Bar(msgspec.Struct, gc=False, kw_only=True):
    v: float
    vw: float | None = _NO_VWAP
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    t: int
    n: Annotated[int, msgspec.Meta(gt=_NO_COUNT)] | None = _NO_COUNT


class Envelope(msgspec.Struct, kw_only=True, rename={"query_count": "queryCount", "results_count": "resultsCount"}):
    """What stands around the bars of an aggregates page.

    `results_count` is the number of bars on this page, `query_count` the number of base minutes read for it.
    """

    ticker: str | None = None
    query_count: int | None = None
    results_count: int | None = None
    adjusted: bool | None = None
    status: str
    request_id: str | None = None
    next_url: str | None = None


class _Page(Envelope, kw_only=True):
    results: list[_Bar] | None = None
    error: str | None = None
    message: str | None = None


class MarketStatus(msgspec.Struct, frozen=True, kw_only=True, rename={"server_time": "serverTime"}):
    """The vendor's view of the market now; `server_time` is aware."""

    market: Literal["open", "closed", "extended-hours"]
    server_time: Annotated[datetime, msgspec.Meta(tz=True)]


_PAGES = msgspec.json.Decoder(_Page)
_MARKET_STATUS = msgspec.json.Decoder(MarketStatus)


def gunzip(body: bytes, *, url: str, request_id: str | None = None) -> bytes:
    """Decompress a whole response body.

    Raises
    ------
    Truncated
        It ends before its gzip trailer.
    BadResponse
        It is not gzip, its checksum is wrong, or it holds more than `MAX_BODY_BYTES`.
    """
    if not body:
        return b""
    inflate = zlib.decompressobj(wbits=_GZIP)
    try:
        content = inflate.decompress(body, MAX_BODY_BYTES)
    except zlib.error as error:
        message = f"gzip body of {len(body)} bytes: {error}"
        raise BadResponse(message, url=url, status=200, request_id=request_id) from None
    if inflate.unconsumed_tail:
        message = f"gzip body of {len(body)} bytes holds more than {MAX_BODY_BYTES}"
        raise BadResponse(message, url=url, status=200, request_id=request_id)
    if not inflate.eof:
        message = f"gzip body of {len(body)} bytes ends before its trailer"
        raise Truncated(message, url=url, status=200, request_id=request_id)
    return content


def decode_aggregates(
    body: bytes, expected_ticker: str, *, url: str, request_id: str | None = None
) -> tuple[Envelope, pa.Table]:
    """Turn one page of unadjusted aggregates into a table.

    Parameters
    ----------
    body
        The response's JSON, decompressed.
    expected_ticker
        The ticker that was asked for.
    url
        Where the body came from, for errors.
    request_id
        The one in the response's headers, for a body that names none.

    Returns
    -------
    tuple of Envelope and pa.Table
        The table has schema `EQUITIES`, one row per bar, never earlier than the row before it; `vwap` and
        `transactions` are null where the vendor leaves them out. No rows only where the vendor counts zero.

    Raises
    ------
    Truncated
        The body ends early, or holds another number of bars than it declares.
    BadResponse
        The body is anything else but what the vendor promises.
    """
    page = _decode(_PAGES, body, url, request_id)
    page.request_id = redact(page.request_id or request_id or "") or None
    bars = page.results or []
    _check_envelope(page, len(bars), expected_ticker, url)
    try:
        table = _table(expected_ticker, bars)
    except PackError:
        _refuse("a bar's t or n does not fit 64 bits", page, url)
    times_ms = _times_ms(table)
    if (times_ms[1:] < times_ms[:-1]).any():
        _refuse("bars are not in ascending order", page, url)
    page.results = None
    return page, table


class PageChain:
    """One answer of several pages: takes them in order and proves that they belong together.

    A page that is refused leaves the chain as it was, so that it can be fetched again.

    Parameters
    ----------
    ticker
        The ticker asked for.
    from_ms, to_ms
        The window asked for: first and last bar start, Unix ms UTC, inclusive, widened to whole minutes.
    """

    def __init__(self, ticker: str, from_ms: int, to_ms: int) -> None:
        self._ticker = ticker
        self._from_ms = from_ms - from_ms % _MINUTE_MS
        self._to_ms = to_ms
        self._resource = re.compile(rf"/v2/aggs/ticker/{re.escape(ticker)}/range/1/minute/[0-9-]+/[0-9-]+")
        self._tables: list[pa.Table] = []
        self._seen: set[str] = set()
        self._last_ms = from_ms
        self.status: Literal["OK", "DELAYED"] = "OK"

    def take(self, body: bytes, *, url: str, request_id: str | None = None) -> tuple[str | None, str | None]:
        """Add a page; return its request id, and path and query of the next page or None at the end.

        Raises
        ------
        BadResponse
            As `decode_aggregates`; or bars outside the window or before those of an earlier page; or a `next_url`
            that leads to another resource or to a page already taken.
        """
        page, table = decode_aggregates(body, self._ticker, url=url, request_id=request_id)
        last_ms = self._check_times(page, table, url)
        next_path = self._next_path(page, url)
        self._tables.append(table)
        self._last_ms = last_ms
        if page.status == "DELAYED":
            self.status = "DELAYED"
        if next_path:
            self._seen.add(next_path)
        return page.request_id, next_path

    def table(self) -> pa.Table:
        """Return the bars of all pages."""
        return pa.concat_tables(self._tables or [EQUITIES.empty_table()]).combine_chunks()

    def _check_times(self, page: Envelope, table: pa.Table, url: str) -> int:
        if not table.num_rows:
            return self._last_ms
        times_ms = _times_ms(table)
        first_ms, last_ms = int(times_ms[0]), int(times_ms[-1])
        if first_ms < self._from_ms or last_ms > self._to_ms:
            asked = f"{_iso(self._from_ms)} to {_iso(self._to_ms)}"
            _refuse(f"asked for bars of {asked}, answered with {_iso(first_ms)} to {_iso(last_ms)}", page, url)
        if self._tables and first_ms < self._last_ms:
            _refuse(f"page starts at {_iso(first_ms)}, the one before it ended at {_iso(self._last_ms)}", page, url)
        return last_ms

    def _next_path(self, page: Envelope, url: str) -> str | None:
        # The vendor leaves next_url out at the end; its own client crashes on null and asks for "/" on "".
        if not page.next_url:
            return None
        try:
            parts = urlsplit(page.next_url)
        except ValueError:
            parts = urlsplit("")
        if not self._resource.fullmatch(unquote(parts.path)):
            _refuse(f"next_url leads to {parts.path or 'no path'}, not to more bars of {self._ticker}", page, url)
        next_path = f"{parts.path}?{parts.query}"
        if next_path in self._seen:
            _refuse("next_url leads to a page that was taken before", page, url)
        return next_path


def decode_market_status(body: bytes, *, url: str, request_id: str | None = None) -> MarketStatus:
    """Turn the body of `/v1/marketstatus/now` into a value; errors as for `decode_aggregates`."""
    return _decode(_MARKET_STATUS, body, url, request_id)


def _decode[T](decoder: "msgspec.json.Decoder[T]", body: bytes, url: str, request_id: str | None) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message = redact(f"not what the vendor promises: {error}")
        raise BadResponse(message, url=url, status=200, request_id=request_id) from None
    except msgspec.DecodeError as error:
        # msgspec tells a cut body from a wrong one by its message only.
        cls = Truncated if "truncated" in str(error) else BadResponse
        message = redact(f"{error}; {len(body)} bytes starting {excerpt(body) or 'with nothing'}")
        raise cls(message, url=url, status=200, request_id=request_id) from None
    except (RecursionError, UnicodeDecodeError) as error:
        message = redact(f"not readable as JSON: {error}")
        raise BadResponse(message, url=url, status=200, request_id=request_id) from None


def _check_envelope(page: _Page, held: int, expected_ticker: str, url: str) -> None:
    if page.status not in {"OK", "DELAYED"}:
        _refuse(f"status {page.status!r}: {page.error or page.message or 'no message'}", page, url)
    if page.ticker != expected_ticker:
        _refuse(f"asked for {expected_ticker}, answered for {page.ticker}", page, url)
    if page.adjusted:
        _refuse("asked for unadjusted bars, answered with adjusted ones", page, url)
    if not held and (page.results_count != 0 or page.query_count or (page.results is None and page.next_url)):
        counts = f"resultsCount {page.results_count}, queryCount {page.query_count}"
        _refuse(f"no bars, yet not a proven empty answer: {counts}", page, url)
    if page.results_count is None:
        _refuse(f"{held} bars without a resultsCount to check them by", page, url)
    if page.results_count != held:
        message = f"declares {page.results_count} bars, holds {held}"
        raise Truncated(message, url=url, status=200, request_id=page.request_id)


def _refuse(message: str, page: Envelope, url: str) -> NoReturn:
    raise BadResponse(redact(message), url=url, status=200, request_id=page.request_id)


def excerpt(body: bytes) -> str:
    """Return the beginning of a body, for a message."""
    return " ".join(body[:200].decode("utf-8", errors="replace").split())


def _table(ticker: str, bars: list[_Bar]) -> pa.Table:
    # One packed buffer for all columns: a third of the cost of eight passes over the bars.
    try:
        packed = b"".join([_pack_row(*_as_tuple(bar)) for bar in bars])
    except PackError:
        packed = b"".join([_pack_row(*_without_nulls(_as_tuple(bar))) for bar in bars])
    rows = np.frombuffer(packed, _ROW)
    counts = np.ascontiguousarray(rows["n"])
    columns = [
        pa.repeat(ticker, len(bars)),
        pa.array(np.ascontiguousarray(rows["t"])).view(TIMESTAMP),
        *(pa.array(np.ascontiguousarray(rows[name])) for name in ("o", "h", "l", "c", "v")),
        pa.array(np.ascontiguousarray(rows["vw"]), from_pandas=True),
        pa.array(counts, mask=counts == _NO_COUNT),
    ]
    return pa.Table.from_arrays(columns, schema=EQUITIES)


def _without_nulls(row: tuple[float | None, ...]) -> Iterable[float]:
    defaults = (0.0, _NO_VWAP, 0.0, 0.0, 0.0, 0.0, 0, _NO_COUNT)
    return (default if value is None else value for value, default in zip(row, defaults, strict=True))


def _times_ms(table: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return table["ts"].chunk(0).view(pa.int64()).to_numpy()  # type: ignore[no-any-return]


def _iso(time_ms: int) -> str:
    # By arithmetic, since a wrong time may lie outside the years that datetime knows.
    return str(np.datetime64(time_ms, "ms"))
