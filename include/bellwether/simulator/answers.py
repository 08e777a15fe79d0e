"""What the vendor says when it refuses: status and body of each error, in its own words.

Bodies come from live reports (POLYGON.md, section 1, "Errors"); the wording sits in `error` or in
`message` depending on the kind, as it does there. This room sends nothing.
"""

from dataclasses import dataclass

import msgspec

_PRICING = "https://polygon.io/pricing"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One kind of refusal: HTTP status, the body's `status`, which field carries the words, and the words."""

    http_status: int
    status: str
    field: str
    words: str

    def body(self, request_id: str, words: str | None = None) -> bytes:
        """Return the JSON body, with other words where given."""
        return msgspec.json.encode(
            {"status": self.status, "request_id": request_id, self.field: self.words if words is None else words}
        )


REFUSALS = {
    "bad_request": Refusal(400, "ERROR", "error", "Could not parse the request"),
    "unauthorized": Refusal(401, "ERROR", "error", "Unknown API Key"),
    "not_entitled": Refusal(
        403,
        "NOT_AUTHORIZED",
        "message",
        f"You are not entitled to this data. Please upgrade your plan at {_PRICING}",
    ),
    "outside_timeframe": Refusal(
        403,
        "NOT_AUTHORIZED",
        "message",
        f"Your plan doesn't include this data timeframe. Please upgrade your plan at {_PRICING}",
    ),
    "before_end_of_day": Refusal(
        403,
        "NOT_AUTHORIZED",
        "message",
        f"Attempted to request today's data before end of day. Please upgrade your plan at {_PRICING}",
    ),
    "not_found": Refusal(404, "NOT_FOUND", "message", "Ticker not found."),
    "rate_limited": Refusal(
        429,
        "ERROR",
        "error",
        "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue. "
        + _PRICING,
    ),
    "server_error": Refusal(500, "ERROR", "error", "Internal server error"),
}


class Refused(Exception):
    """Raised by an endpoint instead of an answer.

    Parameters
    ----------
    kind
        Key of REFUSALS.
    words
        Replaces the kind's usual words.
    """

    def __init__(self, kind: str, words: str | None = None) -> None:
        self.kind = kind
        self.words = words
        super().__init__(kind, words)
