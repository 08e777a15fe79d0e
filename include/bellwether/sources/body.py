"""One body: bytes to typed values, or an error that says what was wrong with them.

Strict, because the vendor's own client reads a broken body as "no data". This room knows compression and
JSON; what a page must hold is known by the rooms that read bars and listings.
"""

import zlib

import msgspec

from bellwether.errors import BadResponse, Truncated

MAX_BODY_BYTES = 64 << 20
"""Ten times the densest page of 50,000 bars: what is larger is no page, and must not take the task's memory."""

_GZIP = 16 + zlib.MAX_WBITS


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


def decode[T](decoder: "msgspec.json.Decoder[T]", body: bytes, url: str, request_id: str | None) -> T:
    """Turn JSON into what the decoder promises.

    Raises
    ------
    Truncated
        The body ends early.
    BadResponse
        It is no JSON, or JSON of another form; NaN, infinities and numbers beyond a double are no JSON.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message = f"not what the vendor promises: {error}"
        raise BadResponse(message, url=url, status=200, request_id=request_id) from None
    except msgspec.DecodeError as error:
        # msgspec tells a cut body from a wrong one by its message only.
        cls = Truncated if "truncated" in str(error) else BadResponse
        message = f"{error}; {len(body)} bytes starting {excerpt(body) or 'with nothing'}"
        raise cls(message, url=url, status=200, request_id=request_id) from None
    except (RecursionError, UnicodeDecodeError) as error:
        message = f"not readable as JSON: {error}"
        raise BadResponse(message, url=url, status=200, request_id=request_id) from None


def refusal(message: str, url: str, request_id: str | None) -> BadResponse:
    """Return the error of a body that is JSON and still not the answer to what was asked."""
    return BadResponse(message, url=url, status=200, request_id=request_id)


def excerpt(body: bytes) -> str:
    """Return the beginning of a body, for a message."""
    return " ".join(body[:200].decode("utf-8", errors="replace").split())
