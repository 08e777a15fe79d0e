"""Cursors and numbers as every paged endpoint of the vendor writes them: opaque, absolute, on a foreign host."""

import base64

import msgspec

from bellwether.simulator.answers import Refused

FOREIGN_HOST = "https://api.polygon.io"
"""Where `next_url` points, as the vendor's does: a pager that follows it unchanged leaves the loopback."""


def next_url(path: str, cursor: msgspec.Struct) -> str:
    """Return the address of the page a cursor leads to."""
    return f"{FOREIGN_HOST}{path}?cursor={encode_cursor(cursor)}"


def encode_cursor(cursor: msgspec.Struct) -> str:
    """Return a cursor as it stands in a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def decode_cursor[T](text: str, cls: type[T]) -> T:
    """Return the cursor that a URL carries.

    Raises
    ------
    Refused
        `bad_request`: it is none of this kind.
    """
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
    except ValueError as error:
        raise Refused("bad_request", "Could not parse the parameter 'cursor'") from error


def integer(name: str, text: str) -> int:
    """Return a parameter's whole number.

    Raises
    ------
    Refused
        `bad_request`: it is none.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Refused("bad_request", f"Could not parse the parameter '{name}'. Use a whole number")
    return int(text)


def limit_of(text: str, most: int) -> int:
    """Return a page's size.

    Raises
    ------
    Refused
        `bad_request`: it is no number from 1 to `most`.
    """
    limit = integer("limit", text)
    if not 0 < limit <= most:
        raise Refused("bad_request", f"The parameter 'limit' must lie between 1 and {most}")
    return limit
