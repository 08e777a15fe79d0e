"""What the server says on one connection: greeting, key, topics. A state machine without sockets and without time.

The words are the vendor's as far as they are known (POLYGON.md section 2).
"""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from bellwether.simulator.feed import points
from bellwether.simulator.feed.events import status
from bellwether.simulator.feed.outbox import Close, Send, Step
from bellwether.simulator.feed.topics import Topic, parse_topics, refusal

POLICY_VIOLATION = 1008
GREETING = Send(status("connected", "Connected Successfully"))
AUTH_FAILED = (Send(status("auth_failed", "authentication failed")), Close(POLICY_VIOLATION))
AUTH_TIMEOUT = (Send(status("auth_timeout", "No authentication request received.")), Close(POLICY_VIOLATION))
MAX_CONNECTIONS = (
    Send(
        status(
            "max_connections",
            "Maximum number of websocket connections exceeded. You have reached the connection limit for your account.",
        )
    ),
    Close(POLICY_VIOLATION),
)
SLOW_CONSUMER = (Send(status("slow_consumer", "Slow consumer: too much data is waiting")), Close(POLICY_VIOLATION))
GOING_AWAY = (Close(1001),)


class Admission(StrEnum):
    """What becomes of a key."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    ONE_TOO_MANY = "one too many"


class Answer(NamedTuple):
    """Steps, and the points of the protocol they pass: those of `points` before the steps, or after them."""

    steps: tuple[Step, ...]
    point: str = ""
    point_after: str = ""


class _Message(msgspec.Struct):
    action: str
    params: str = ""


class Session:
    """One connection's protocol.

    Parameters
    ----------
    cluster
        Key of CLUSTERS.
    admit
        Judges a key; asked once for each key given.
    """

    def __init__(self, cluster: str, admit: Callable[[str], Admission]) -> None:
        self.cluster = cluster
        self.authenticated = False
        self.topics: set[Topic] = set()
        self._admit = admit

    def receive(self, text: str | bytes) -> Answer:
        """Return the answer to a client's message."""
        try:
            message = msgspec.json.decode(text, type=_Message)
        except msgspec.MsgspecError as error:
            return _error(f"invalid message: {error}")
        if message.action == "auth":
            return self._authenticate(message.params)
        if message.action not in {"subscribe", "unsubscribe"}:
            return _error(f"unknown action: {message.action}")
        if not self.authenticated:
            return _error("not authorized: authenticate first")
        topics = parse_topics(message.params)
        if message.action == "subscribe":
            return Answer(tuple(map(self._subscribe, topics)), points.SUBSCRIBE)
        return Answer(tuple(map(self._unsubscribe, topics)))

    def _authenticate(self, key: str) -> Answer:
        admission = Admission.ADMITTED if self.authenticated else self._admit(key)
        if admission is Admission.REFUSED:
            return Answer(AUTH_FAILED, points.AUTH)
        self.authenticated = admission is Admission.ADMITTED
        success = Send(status("auth_success", "authenticated"))
        if not self.authenticated:
            return Answer((success, *MAX_CONNECTIONS), points.AUTH)
        return Answer((success,), points.AUTH, points.AUTHENTICATED)

    def _subscribe(self, topic: Topic) -> Step:
        refused = refusal(self.cluster, topic, self.topics)
        if refused is not None:
            return Send(status("error", refused))
        self.topics.add(topic)
        return Send(status("success", f"subscribed to: {topic}"))

    def _unsubscribe(self, topic: Topic) -> Step:
        self.topics.discard(topic)
        return Send(status("success", f"unsubscribed to: {topic}"))


def _error(message: str) -> Answer:
    return Answer((Send(status("error", message)),))
