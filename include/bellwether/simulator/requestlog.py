"""The log of what was asked: requests in order of arrival, with helpers to find and count them.

Keys never stand in it: a request is known by `key_id`, a short hash. This room knows no HTTP.
"""

import hashlib
from datetime import date

import msgspec


def key_id(key: str) -> str:
    """Return what stands for an API key in the log: eight hexadecimal digits; empty for none."""
    return hashlib.sha256(key.encode()).hexdigest()[:8] if key else ""


class RequestLog(msgspec.Struct):
    """One request as it arrived.

    Attributes
    ----------
    path, query
        As asked for, the key left out.
    ticker, session
        What it names: the ticker, and the New York date its window begins on.
    key
        `key_id` of its key.
    arrived_s
        When it arrived, in seconds of a clock that never goes back (`time.monotonic`).
    fault
        The kind of fault it suffered.
    status
        HTTP status of the answer; None before one begins, and for a request left hanging.
    """

    path: str
    query: dict[str, str]
    ticker: str | None
    session: date | None
    key: str = ""
    arrived_s: float = 0.0
    fault: str | None = None
    status: int | None = None


class Requests(list[RequestLog]):
    """Requests in order of arrival."""

    def where(
        self,
        *,
        path: str | None = None,
        ticker: str | None = None,
        session: date | None = None,
        key: str | None = None,
        status: int | None = None,
    ) -> "Requests":
        """Return the requests of all that is given: a prefix of the path, a ticker, a date, a `key_id`, a status."""
        wanted = {"ticker": ticker, "session": session, "key": key, "status": status}
        return Requests(
            entry
            for entry in self
            if entry.path.startswith(path or "")
            and all(value is None or getattr(entry, name) == value for name, value in wanted.items())
        )
