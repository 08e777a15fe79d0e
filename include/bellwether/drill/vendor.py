"""The simulator of a drill from outside: its clock, its switches, and what it saw."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import urllib3

from bellwether.errors import StreamError
from bellwether.simulator.faults import Fault
from bellwether.simulator.requestlog import key_id
from bellwether.streaming.simulated import ask_clock


class _Seen(msgspec.Struct):
    path: str
    key: str
    fault: str | None = None


class Vendor:
    """A simulator that runs in another process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def now(self) -> datetime:
        """Return what its clock says."""
        return ask_clock(self.url).now_utc

    def stand_at(self, moment: datetime) -> None:
        """Set its clock, and stop it."""
        self._ask("POST", "clock", {"now_utc": moment, "speed": 0.0})

    def arm(self, switches: Sequence[Fault]) -> None:
        """Add switches."""
        self._ask("POST", "faults", switches)

    def disarm(self) -> None:
        """Remove all switches."""
        self._ask("DELETE", "faults")

    def struck(self) -> list[str | None]:
        """Return the last fault each connection suffered, in the order in which they were made."""
        return [seen.fault for seen in self._connections()]

    def connections(self, key: str) -> int:
        """Return how many connections were made with a key."""
        return sum(seen.key == key_id(key) for seen in self._connections())

    def _connections(self) -> list[_Seen]:
        seen = msgspec.json.decode(self._ask("GET", "requests"), type=list[_Seen])
        return [each for each in seen if each.path == "/stocks"]

    def _ask(self, method: str, what: str, body: object = None) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        answer = urllib3.request(method, f"{self.url}/_simulator/{what}", body=content, headers=headers, timeout=10.0)
        if answer.status != 200:
            msg = f"the simulator refuses {method} {what}: {answer.data.decode(errors='replace')}"
            raise StreamError(msg)
        return answer.data
