"""Every error Bellwether raises on purpose, with what its reader needs to act.

The retry policy, Airflow's retries and the coverage ledger all decide by these classes, so a
failure keeps its meaning from the socket to the run list. No error shows a secret. This room knows no
other but the one that masks them.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from bellwether.logging import redact

if TYPE_CHECKING:
    from bellwether.sources.raw import RawPage

_LONGEST_MESSAGE = 500


class Blame(StrEnum):
    """Whose a failure is: what an incident is about, and who can mend it."""

    ENTITLEMENT = "entitlement"
    """Key or plan do not allow it."""

    RATE_LIMIT = "rate_limit"
    """The key's requests are used up."""

    VENDOR_LATE = "vendor_late"
    """The vendor has not published it yet."""

    VENDOR = "vendor"
    """The vendor failed, or answered what it does not promise."""

    DRIFT = "drift"
    """The vendor changed what it sends."""

    QUALITY = "quality"
    """The rows broke rules."""

    STALL = "stall"
    """A stream goes on and hears nothing."""

    OURS = "ours"
    """Everything else: this machine, this configuration, Bellwether itself."""


class BellwetherError(Exception):
    """Root of all errors raised on purpose."""

    advice: ClassVar[str] = "see the task's log"
    """What the reader is to do about it."""

    blame: ClassVar[Blame] = Blame.OURS
    """Whose it is."""


class ConfigError(BellwetherError):
    """A configuration value is wrong; the message names file, key and value."""

    advice = "a configuration value is wrong; correct it as the text says, then clear"


class NotASession(BellwetherError, ValueError):
    """A date is no trading session of the exchange; the message names the nearest ones."""

    advice = "there is nothing to capture on this day, or not yet; trigger another session"


class LakeError(BellwetherError):
    """The lake refused an operation; what was published before still stands."""

    advice = "the lake refused; see that its disk is there, writable and not full, then clear"


class NothingProven(LakeError):
    """Every ticker failed and nothing was published before: there is nothing to say of the session."""

    advice = "not one ticker came through, so nothing was published; mend their causes, then clear"


class InputsMissing(BellwetherError):
    """Consolidation lacks a required input of the session; the message names dataset, state and the run to clear."""

    advice = "a required input is missing; clear its producer's run of the session, which announces the session again"


class InputsChanged(BellwetherError):
    """An input was published anew while gold was being built from the old one; what was built is dropped."""

    advice = "nothing is to be done: the newer input has announced the session again"


class NotRecovered(BellwetherError):
    """A recovery came to its end, and some of its sessions did not come through; the message names them."""

    advice = "mend what the alerts of the sessions' own runs name, then clear: what is done is not done again"


class DrillFailed(BellwetherError):
    """A drill lost or doubled something, did not recover, or had nobody told."""

    advice = "the report in its log and XCom names what went wrong; the lake was not touched"


class QualityError(BellwetherError):
    """A table rule failed: the staged data must not replace the published partition."""

    advice = "a table rule refused the session, what was published stands; see state/quality in the lake"
    blame = Blame.QUALITY


class DriftError(BellwetherError):
    """A change of what the vendor sends cannot be decided like that; the message says why, and what can be done."""

    advice = "decide otherwise, or mend what the text names; until then the sessions stay in quarantine"
    blame = Blame.DRIFT


class QuarantineError(BellwetherError):
    """Rows in quarantine cannot be decided about like that; the message says which and why, nothing was changed."""

    advice = "decide otherwise, or mend what the text names; the rows stay in quarantine until then"


class NotReproduced(BellwetherError):
    """What is published is not what its raw responses, or its inputs, come to; the message names the first difference.

    Somebody or something changed bytes that were published, or the same code gives other rows.
    """

    advice = (
        "published rows are not those their evidence gives; see docs/quarantine.md#verification before trusting them"
    )


class SnapshotMissed(BellwetherError):
    """A session of what the vendor shows of the present alone was not captured in time; it is `missing` for ever."""

    advice = "nobody can capture this session any more; see why its run came late, so that the next one does not"


class StreamError(BellwetherError):
    """A recorder cannot go on; what had come is on disk."""

    advice = "the recorder ended; what it did not hear is an open gap: see the text, then clear"


class StreamRefused(StreamError):
    """The vendor refuses the key or the plan: connecting again cannot help."""

    advice = "the key, or its plan, has no such stream; correct the Connection, then clear"
    blame = Blame.ENTITLEMENT


class LeaseHeld(StreamError):
    """Another recorder writes this dataset and session; the message names it."""

    advice = "one recorder is enough: let the other go on, or stop it, then clear"


class NotBroadcast(StreamError):
    """A session is over at the feed, and nobody recorded it; the message says since when."""

    advice = "a session is broadcast once; the daily producers fetch what it had"


class Stopped(BellwetherError):
    """Somebody asked a command that runs for long to end; what it had done stands, and the next one goes on there."""

    advice = "run it again to go on"


class GapsLeft(StreamError):
    """Gaps of a stream are open after their deadline; the message lists them, each with what keeps it open."""

    advice = "mend what the text names, then clear: gaps are filled whenever REST has what they hid"
    blame = Blame.VENDOR_LATE


class VendorError(BellwetherError):
    """A request to the vendor did not give the promised answer.

    Parameters
    ----------
    message
        What happened, in the vendor's words where it gave any.
    url
        The request's URL without credentials.
    status
        HTTP status, where there was one.
    request_id
        The vendor's identifier of the request, for a support ticket.
    retry_after_s
        Seconds to wait before another try can help, or None where nobody knows.

    Attributes
    ----------
    pages
        The raw pages of the request that came before it failed, oldest first; for `NotFound` the answer that proves
        it. Feeding them to the same request again goes on behind the last one. Left behind when pickled: they are
        megabytes, and the process that fetched them has kept them.
    api_calls
        Requests the failed one had cost by then.
    """

    advice = "the vendor did not give the promised answer; clear later"
    blame = Blame.VENDOR

    def __init__(
        self,
        message: str,
        *,
        url: str,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        # Vendor texts end up in logs, manifests and alerts; a page of HTML, or the key it was sent, must not.
        message = redact(message)
        self.message = message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + " ..."
        self.url = redact(url)
        self.status = status
        self.request_id = redact(request_id) if request_id else None
        self.retry_after_s = retry_after_s
        self.pages: tuple[RawPage, ...] = ()
        self.api_calls = 0
        super().__init__(self.message, self.url, status, self.request_id)

    def __str__(self) -> str:
        details = [f"HTTP {self.status}"] if self.status is not None else []
        details += [f"request {self.request_id}"] if self.request_id else []
        return f"{self.message} [{', '.join([*details, self.url])}]"

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries (task runner, executor); keyword-only arguments do not survive the default.
        return (_rebuild, (type(self), self.__dict__ | {"pages": ()}))


def _rebuild(cls: type[VendorError], state: dict[str, object]) -> VendorError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    error.args = (error.message, error.url, error.status, error.request_id)
    return error


class BadRequest(VendorError):
    """HTTP 400: the request itself is wrong; repeating it cannot help."""

    advice = "the vendor calls the request itself wrong; compare its words with the universe, or report a bug"
    blame = Blame.OURS


class Unauthorized(VendorError):
    """HTTP 401: the API key is missing or unknown."""

    advice = "the vendor does not accept the API key; correct the Connection polygon_default"
    blame = Blame.ENTITLEMENT


class NotEntitled(VendorError):
    """HTTP 403: the plan does not include this data; another plan, and nothing else, helps."""

    advice = "the plan does not include these data; upgrade it, or take the tickers out of the universe"
    blame = Blame.ENTITLEMENT


class OutsideHistory(NotEntitled):
    """HTTP 403 "data timeframe", or an answer clipped at the plan's edge: this part of the past is not in the plan."""


class NotPublishedYet(VendorError):
    """HTTP 403 "before end of day": the data will exist later; `retry_after_s` says when, if that can be known."""

    advice = "the vendor had not published them after the longest wait allowed; clear later"
    blame = Blame.VENDOR_LATE


class NotFound(VendorError):
    """HTTP 404: the vendor knows no such ticker, or no such day; `pages` holds the answer that proves it."""

    advice = "the vendor knows no such ticker on this day; check the universe"


class RateLimited(VendorError):
    """HTTP 429: the key's allowance is used up; `retry_after_s` where the vendor named a wait (it usually does not)."""

    advice = "the key's requests were used up; see that nothing else uses the key, then clear"
    blame = Blame.RATE_LIMIT


class ServerError(VendorError):
    """HTTP 499 or 5xx: the vendor failed; worth another try."""

    advice = "the vendor had a failure of its own; clear later"


class ConnectionFailed(VendorError):
    """No complete answer came: refused, reset or timed out."""

    advice = "no answer came from the vendor; check the network and the base URL, then clear"


class BadResponse(VendorError):
    """HTTP 200 whose body is not what the vendor promises; never to be read as "no data"."""

    advice = "the vendor's answer was not what it promises; clear later, and tell the vendor if it stays"


class Truncated(BadResponse):
    """HTTP 200 whose body was cut short or holds fewer rows than it declares."""


class Drifted(BadResponse):
    """HTTP 200 whose rows are, as a rule, not what the dataset's contract says; `pages` holds them as they came."""

    advice = "the vendor changed what it sends; see `bellwether drift list`, and docs/drift.md"
    blame = Blame.DRIFT


class CursorRefused(BadResponse):
    """HTTP 400 or 404 to a page the vendor itself had pointed to: the next try begins at the first page."""
