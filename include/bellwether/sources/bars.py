"""One page of the vendor's minute bars: body bytes to Arrow.

Whatever is not exactly what the vendor promises is an error, and only a page that counts zero bars is an
empty one. Which of two bars of one minute stands, and whether prices make sense, is for the quality gate.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct as Packer
from struct import error as PackError  # noqa: N812 - an exception class under a lower-case name
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa

from bellwether.errors import Truncated
from bellwether.schemas import EQUITIES, INDEX_BARS, TIMESTAMP
from bellwether.sources.body import decode, refusal

_NO_COUNT = -(2**63)
_NO_VWAP = math.nan  # cannot come from JSON: msgspec refuses NaN, infinities and numbers beyond a double
_as_tuple = msgspec.structs.astuple


# Fields stand in the order the vendor writes them: msgspec then finds each at its first guess.
class _Bar(msgspec.Struct, gc=False, kw_only=True):
    v: float
    vw: float | None = _NO_VWAP
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    t: int
    n: Annotated[int, msgspec.Meta(gt=_NO_COUNT)] | None = _NO_COUNT


class _IndexBar(msgspec.Struct, gc=False, kw_only=True):
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    t: int


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


class _Page[Row](Envelope, kw_only=True):
    results: list[Row] | None = None
    error: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class _Form:
    """How the bars of one kind of ticker are read: `row` is the packed record, in the order of its struct."""

    decoder: msgspec.json.Decoder[Any]
    row: np.dtype[np.void]
    pack: Packer
    schema: pa.Schema


def _row(*names: str) -> np.dtype[np.void]:
    return np.dtype([(name, "=i8" if name in "tn" else "=f8") for name in names])


_TRADED = _Form(
    msgspec.json.Decoder(_Page[_Bar]), _row("v", "vw", "o", "c", "h", "l", "t", "n"), Packer("=6d2q"), EQUITIES
)
_COMPUTED = _Form(msgspec.json.Decoder(_Page[_IndexBar]), _row("o", "c", "h", "l", "t"), Packer("=4dq"), INDEX_BARS)


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
        One row per bar, never earlier than the row before it, in schema `EQUITIES` for stocks and options (`vwap` and
        `transactions` null where the vendor leaves them out), `INDEX_BARS` for indices. No rows only where the vendor
        counts zero.

    Raises
    ------
    Truncated
        The body ends early, or holds another number of bars than it declares.
    BadResponse
        The body is anything else but what the vendor promises.
    """
    form = _COMPUTED if expected_ticker.startswith("I:") else _TRADED
    page = decode(form.decoder, body, url, request_id)
    page.request_id = page.request_id or request_id or None
    bars = page.results or []
    _check_envelope(page, len(bars), expected_ticker, url)
    try:
        table = _table(form, expected_ticker, bars)
    except PackError:
        message = "a bar's t or n does not fit 64 bits"
        raise refusal(message, url, page.request_id) from None
    starts_ms = times_ms(table)
    if (starts_ms[1:] < starts_ms[:-1]).any():
        message = "bars are not in ascending order"
        raise refusal(message, url, page.request_id)
    page.results = None
    return page, table


def _check_envelope(page: _Page[Any], held: int, expected_ticker: str, url: str) -> None:
    problem = None
    if page.status not in {"OK", "DELAYED"}:
        problem = f"status {page.status!r}: {page.error or page.message or 'no message'}"
    elif page.ticker != expected_ticker:
        problem = f"asked for {expected_ticker}, answered for {page.ticker}"
    elif page.adjusted:
        problem = "asked for unadjusted bars, answered with adjusted ones"
    elif not held and (page.results_count != 0 or page.query_count or (page.results is None and page.next_url)):
        counts = f"resultsCount {page.results_count}, queryCount {page.query_count}"
        problem = f"no bars, yet not a proven empty answer: {counts}"
    elif page.results_count is None:
        problem = f"{held} bars without a resultsCount to check them by"
    if problem:
        raise refusal(problem, url, page.request_id)
    if page.results_count != held:
        message = f"declares {page.results_count} bars, holds {held}"
        raise Truncated(message, url=url, status=200, request_id=page.request_id)


def _table(form: _Form, ticker: str, bars: list[Any]) -> pa.Table:
    # One packed buffer for all columns: a third of the cost of eight passes over the bars.
    pack = form.pack.pack
    try:
        packed = b"".join([pack(*_as_tuple(bar)) for bar in bars])
    except PackError:
        if form is not _TRADED:  # holds nothing that may be null
            raise
        packed = b"".join([pack(*_without_nulls(_as_tuple(bar))) for bar in bars])
    rows = np.frombuffer(packed, form.row)
    columns = [
        pa.repeat(ticker, len(bars)),
        pa.array(np.ascontiguousarray(rows["t"])).view(TIMESTAMP),
        *(pa.array(np.ascontiguousarray(rows[name])) for name in ("o", "h", "l", "c")),
    ]
    if form is _TRADED:
        counts = np.ascontiguousarray(rows["n"])
        columns += [
            pa.array(np.ascontiguousarray(rows["v"])),
            pa.array(np.ascontiguousarray(rows["vw"]), from_pandas=True),
            pa.array(counts, mask=counts == _NO_COUNT),
        ]
    return pa.Table.from_arrays(columns, schema=form.schema)


def _without_nulls(row: tuple[float | None, ...]) -> Iterable[float]:
    defaults = (0.0, _NO_VWAP, 0.0, 0.0, 0.0, 0.0, 0, _NO_COUNT)
    return (default if value is None else value for value, default in zip(row, defaults, strict=True))


def times_ms(table: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the bar starts of a page, Unix ms UTC."""
    return table["ts"].chunk(0).view(pa.int64()).to_numpy()  # type: ignore[no-any-return]


def iso(time_ms: int) -> str:
    """Return a time as text, for a message."""
    # By arithmetic, since a wrong time may lie outside the years that datetime knows.
    return str(np.datetime64(time_ms, "ms"))
