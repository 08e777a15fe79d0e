"""One page of the vendor's minute bars: body bytes to Arrow.

Whatever is not exactly what the vendor promises is an error, and only a page that counts zero bars is an
empty one. Which of two bars of one minute stands, and whether prices make sense, is for the quality gate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from struct import Struct as Packer
from struct import error as PackError  # noqa: N812 - an exception class under a lower-case name
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from bellwether.errors import Truncated
from bellwether.schemas import EQUITIES, INDEX_BARS, TIMESTAMP
from bellwether.sources.body import decode, refusal

_FEW = 80
"""Bars up to which Arrow reads them one by one for less than the fixed cost of packing; measured."""

_as_tuple = msgspec.structs.astuple


# Fields stand in the order the vendor writes them: msgspec then finds each at its first guess.
class _Bar(msgspec.Struct, gc=False, kw_only=True):
    v: float
    vw: float | None = None
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    t: int
    n: int | None = None


class _IndexBar(msgspec.Struct, gc=False, kw_only=True):
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the vendor's name
    t: int


TRADED_ROW: Final[type[msgspec.Struct]] = _Bar
"""A bar of what is traded, as the vendor writes it."""

INDEX_ROW: Final[type[msgspec.Struct]] = _IndexBar
"""A bar of an index."""


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
    """How the bars of one kind of ticker are read.

    Attributes
    ----------
    pack, packed
        A bar without nulls as bytes, in the order of its struct, and what NumPy makes of them.
    names, values
        The vendor's names in the order of the schema, the ticker left out, and what reads them off a bar.
    row
        The schema as one type.
    """

    decoder: msgspec.json.Decoder[Any]
    pack: Callable[..., bytes]
    packed: np.dtype[np.void]
    names: tuple[str, ...]
    values: Callable[[Any], tuple[Any, ...]]
    row: pa.StructType


def _form(bar: type[msgspec.Struct], names: tuple[str, ...], schema: pa.Schema) -> _Form:
    codes = {name: "q" if name in {"t", "n"} else "d" for name in bar.__struct_fields__}
    row: Any = bar
    return _Form(
        decoder=msgspec.json.Decoder(_Page[row]),
        pack=Packer("=" + "".join(codes.values())).pack,
        packed=np.dtype(list(codes.items())),
        names=names,
        values=attrgetter(*names),
        row=pa.struct(list(schema)),
    )


_TRADED = _form(_Bar, ("t", "o", "h", "l", "c", "v", "vw", "n"), EQUITIES)
_COMPUTED = _form(_IndexBar, ("t", "o", "h", "l", "c"), INDEX_BARS)


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
    if not _is_ascending([bar.t for bar in bars]):
        message = "bars are not in ascending order"
        raise refusal(message, url, page.request_id)
    try:
        table = _table(form, expected_ticker, bars)
    except OverflowError:
        message = "a bar's t or n does not fit 64 bits"
        raise refusal(message, url, page.request_id) from None
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


def _is_ascending(starts_ms: list[int]) -> bool:
    return starts_ms == sorted(starts_ms)


def _table(form: _Form, ticker: str, bars: list[Any]) -> pa.Table:
    columns = _packed(form, ticker, bars) if len(bars) > _FEW else None
    if columns is None:
        rows = pa.array([(ticker, *form.values(bar)) for bar in bars], form.row)
    else:
        rows = pa.StructArray.from_arrays(columns, fields=list(form.row))
    return pa.Table.from_batches([pa.RecordBatch.from_struct_array(rows)])


def _packed(form: _Form, ticker: str, bars: list[Any]) -> list[pa.Array] | None:
    """Return the columns of bars by way of one buffer, a third of the cost of reading each; None if one is null."""
    pack = form.pack
    try:
        rows = np.frombuffer(b"".join([pack(*_as_tuple(bar)) for bar in bars]), form.packed)
    except PackError:
        return None
    times, *numbers = [pa.array(np.ascontiguousarray(rows[name])) for name in form.names]
    return [pa.repeat(ticker, len(bars)), times.view(TIMESTAMP), *numbers]


def times_ms(table: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return the bar starts of a page, Unix ms UTC."""
    return table["ts"].chunk(0).view(pa.int64()).to_numpy()  # type: ignore[no-any-return]


def iso(time_ms: int) -> str:
    """Return a time as text, for a message."""
    # By arithmetic, since a wrong time may lie outside the years that datetime knows.
    return str(np.datetime64(time_ms, "ms"))
