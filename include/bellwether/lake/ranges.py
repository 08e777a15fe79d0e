"""Random access, as a Parquet reader wants it, to what can only be fetched by ranges of bytes.

This room knows no store: what fetches also decides which version the bytes are of.
"""

import io
import os
from collections.abc import Callable


class Ranges(io.RawIOBase):
    """A file whose last bytes are at hand and whose others are fetched when they are read.

    Parameters
    ----------
    size
        Its length in bytes.
    tail
        The bytes at hand.
    fetch
        Returns the bytes from a start to an end.
    """

    def __init__(self, size: int, tail: bytes, fetch: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._tail = tail
        self._fetch = fetch
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, at most up to the end."""
        end = self._size if size is None or size < 0 else min(self._position + size, self._size)
        start, tail_start = self._position, self._size - len(self._tail)
        if start >= end:
            return b""
        content = self._fetch(start, min(end, tail_start)) if start < tail_start else b""
        content += self._tail[max(start - tail_start, 0) : max(end - tail_start, 0)]
        self._position = end
        return content
