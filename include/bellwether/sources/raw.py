"""The vendor's answers as they came, each with what was asked: enough to read them again without the vendor.

A page names its request, its chain and its place in it, so that pages kept anywhere, in any order, can be
put together again. This room knows their form, in memory and in Arrow; where they are kept is for others.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
import pyarrow as pa

RAW = pa.schema(
    [
        pa.field("endpoint", pa.string(), nullable=False),
        pa.field("arguments", pa.string(), nullable=False),
        pa.field("ticker", pa.string()),
        pa.field("chain_id", pa.string(), nullable=False),
        pa.field("page", pa.int32(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("http_status", pa.int32(), nullable=False),
        pa.field("request_id", pa.string()),
        pa.field("headers", pa.string(), nullable=False),
        pa.field("received_utc", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("body", pa.large_binary(), nullable=False),
    ]
)
"""`arguments` and `headers` are JSON objects of texts; `ticker` repeats the argument of that name, to search by.

`received_utc` is exact to the clock's microsecond: by it a manifest's `fetched_utc` finds its answer again.
"""

_HEADERS = ("Content-Encoding", "Content-Type", "Date", "ETag", "Retry-After", "X-Request-Id")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: an endpoint's name, and its arguments in the vendor's spelling."""

    endpoint: str
    arguments: Mapping[str, str]

    @property
    def key(self) -> str:
        """A name that equal requests share and others do not."""
        asked = msgspec.json.encode([self.endpoint, sorted(self.arguments.items())])
        return hashlib.sha256(asked).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class RawPage:
    """One response as it came.

    Attributes
    ----------
    request
        What was asked.
    chain_id
        Equal for all pages of one answer, and for no others.
    number
        The page's place in its answer, from 0.
    url
        Without key and cursor.
    headers
        Those that say what the body is, when it was made and by which request; never cookies.
    received_utc
        When its last byte had come.
    body
        Byte for byte, with the transfer's compression undone.
    """

    request: Request
    chain_id: str
    number: int
    url: str
    http_status: int
    request_id: str | None
    headers: Mapping[str, str]
    received_utc: datetime
    body: bytes


def telling_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers worth keeping, without secrets."""
    return {name: headers[name] for name in _HEADERS if name in headers}


def digest(pages: Iterable[RawPage]) -> str:
    """Return the SHA-256 of the bodies, one after the other: what manifests record of a file of pages."""
    hashed = hashlib.sha256()
    for page in pages:
        hashed.update(page.body)
    return hashed.hexdigest()


def to_table(pages: Iterable[RawPage]) -> pa.Table:
    """Return pages as a table of schema `RAW`."""
    rows = [
        {
            "endpoint": page.request.endpoint,
            "arguments": _json(page.request.arguments),
            "ticker": page.request.arguments.get("ticker"),
            "chain_id": page.chain_id,
            "page": page.number,
            "url": page.url,
            "http_status": page.http_status,
            "request_id": page.request_id,
            "headers": _json(page.headers),
            "received_utc": page.received_utc,
            "body": page.body,
        }
        for page in pages
    ]
    return pa.Table.from_pylist(rows, schema=RAW)


def from_table(table: pa.Table) -> list[RawPage]:
    """Return the pages of a table of schema `RAW`, as they stand in it."""
    return [
        RawPage(
            request=Request(row["endpoint"], msgspec.json.decode(row["arguments"], type=dict[str, str])),
            chain_id=row["chain_id"],
            number=row["page"],
            url=row["url"],
            http_status=row["http_status"],
            request_id=row["request_id"],
            headers=msgspec.json.decode(row["headers"], type=dict[str, str]),
            received_utc=row["received_utc"],
            body=row["body"],
        )
        for row in table.to_pylist()
    ]


def _json(texts: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(sorted(texts.items()))).decode()
