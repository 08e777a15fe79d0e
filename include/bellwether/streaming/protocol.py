"""What the vendor and we say to each other on one connection: greeting, key, topics. No sockets, no time.

The words are the vendor's; a `Dialogue` belongs to one connection and dies with it, the topics it is given are the
recorder's and are asked for again on the next.
"""

from collections.abc import Iterable

import msgspec

from bellwether.errors import StreamRefused
from bellwether.logging import redact
from bellwether.streaming.decode import UNREADABLE

_TOPICS_AT_ONCE = 500
"""Of one message; eleven thousand symbols in one would be a frame of 100 kB."""

_SUBSCRIBED = "subscribed to: "
_FATAL = {"auth_timeout", "slow_consumer", "force_disconnect"}


class Status(msgspec.Struct, frozen=True):
    """What the vendor says of the connection."""

    ev: str = ""
    status: str = ""
    message: str = ""


class ConnectionLost(Exception):
    """A connection ended, or has to be ended; another may do better.

    Parameters
    ----------
    cause
        One word for the ledger of gaps.
    evidence
        What was seen.
    """

    def __init__(self, cause: str, evidence: str) -> None:
        self.cause = cause
        self.evidence = redact(evidence)
        super().__init__(cause, self.evidence)


_decode = msgspec.json.Decoder(list[Status]).decode


def statuses(frame: bytes) -> list[Status]:
    """Return the statuses in a frame; of one that cannot be read, none: it is told of where events are decoded."""
    if b'"status"' not in frame:  # nearly every frame; a search of the bytes costs a hundredth of reading them
        return []
    try:
        return [event for event in _decode(frame) if event.ev == "status"]
    except UNREADABLE:
        return []


class Dialogue:
    """What has been said on a connection.

    Parameters
    ----------
    key
        The API key.
    topics
        What to subscribe to, `AM.SPY` or `AM.*`.
    ignored
        Those of them that nobody waits for: they got no word before.

    Attributes
    ----------
    missing
        Topics that were asked for and are not acknowledged.
    refused
        The vendor's words on topics it does not serve, none on those it ignores.
    complaint
        Its last words of an error.
    """

    def __init__(self, key: str, topics: Iterable[str], ignored: Iterable[str] = ()) -> None:
        self._key = key
        self._authenticated = False
        self._probe: str | None = None
        self.topics = list(dict.fromkeys(topics))
        self.refused = dict.fromkeys(ignored, "")
        self.missing = set(self.topics) - self.refused.keys()
        self.complaint = ""

    @property
    def is_listening(self) -> bool:
        """Whether the key was accepted and every topic answered."""
        return self._authenticated and not self.missing

    @property
    def is_probing(self) -> bool:
        """Whether `probe` waits for its answer."""
        return self._probe is not None

    def hear(self, status: Status) -> list[bytes]:
        """Take in a status and return the messages to send.

        Raises
        ------
        StreamRefused
            The key, or its plan, is refused: asking again cannot help.
        ConnectionLost
            The vendor is about to close the connection.
        """
        match status.status:
            case "connected":
                return [_message("auth", self._key)]
            case "auth_success":
                self._authenticated = True
                return _subscriptions(self.topics)
            case "auth_failed":
                msg = f"the vendor refuses the key, or its plan has no such stream: {redact(status.message)}"
                raise StreamRefused(msg)
            case "max_connections":
                raise ConnectionLost("max_connections", status.message)
            case "success":
                self._acknowledge(status.message)
            case "error":
                self._refuse(status.message)
            case name if name in _FATAL:
                raise ConnectionLost(name, status.message)
        return []

    def want(self, topics: Iterable[str]) -> list[bytes]:
        """Ask for more topics; return the messages to send."""
        new = [topic for topic in dict.fromkeys(topics) if topic not in self.topics]
        self.topics += new
        self.missing |= set(new)
        return _subscriptions(new) if self._authenticated else []

    def probe(self) -> bytes:
        """Return a message that a living connection answers: a subscription it already has."""
        self._probe = next(topic for topic in self.topics if topic not in self.refused)
        return _message("subscribe", self._probe)

    def _acknowledge(self, message: str) -> None:
        topic = message.removeprefix(_SUBSCRIBED)
        self.missing.discard(topic)
        if topic == self._probe:
            self._probe = None

    def _refuse(self, message: str) -> None:
        self.complaint = message
        topic = message.rpartition(": ")[2]
        if topic in self.missing:
            self.missing.discard(topic)
            self.refused[topic] = message


def _subscriptions(topics: list[str]) -> list[bytes]:
    return [
        _message("subscribe", ",".join(topics[low : low + _TOPICS_AT_ONCE]))
        for low in range(0, len(topics), _TOPICS_AT_ONCE)
    ]


def _message(action: str, params: str) -> bytes:
    return msgspec.json.encode({"action": action, "params": params})
