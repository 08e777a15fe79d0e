"""Messages that a sink did not take: kept in the lake, and tried again by the sweep, later and later."""

from datetime import datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import msgspec

from bellwether.config import Severity
from bellwether.config.alerts import DeliverySettings
from bellwether.errors import LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode
from bellwether.lake.storage import Stored
from bellwether.logging import get_logger
from bellwether.monitoring.alerts import Delivery, Message

if TYPE_CHECKING:
    from bellwether.incidents.board import Send

_MOST_AT_ONCE: Final = 10

log = get_logger(__name__)


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """A message, the sinks that have not taken it, and when they are tried next."""

    subject: str
    body: str
    severity: Severity
    causes: tuple[str, ...]
    is_healing: bool
    refused: tuple[str, ...]
    kept_utc: datetime
    attempts: int
    next_utc: datetime

    @property
    def message(self) -> Message:
        """The message, which says since when it waits: another about the same may have come first."""
        body = f"Of {self.kept_utc:%Y-%m-%d %H:%M} UTC; it could not be delivered before.\n\n{self.body}"
        return Message(self.subject, body, self.severity, frozenset(self.causes), is_healing=self.is_healing)


def keep(lake: Lake, settings: DeliverySettings, message: Message, delivery: Delivery) -> None:
    """Keep a message for the sinks that refused it; where the lake refuses, too, it stands in the log alone."""
    now = lake.clock.now()
    kept = Undelivered(
        subject=message.subject,
        body=message.body,
        severity=message.severity,
        causes=tuple(sorted(message.causes)),
        is_healing=message.is_healing,
        refused=delivery.refused,
        kept_utc=now,
        attempts=1,
        next_utc=now + _delay(settings, 1),
    )
    try:
        lake.storage.write(paths.outbox() / f"{now:%Y%m%dT%H%M%S%f}Z-{token_hex(3)}.json", encode(kept))
    except LakeError as error:
        log.error("a message that was not taken could not be kept", subject=message.subject, problem=str(error))


def deliver_again(lake: Lake, settings: DeliverySettings, send: "Send") -> int:
    """Try what is due once more; return how many messages every sink has now. To be called by one process at a time.

    Raises
    ------
    LakeError
        The lake refused.
    """
    now, delivered = lake.clock.now(), 0
    keys = sorted(entry.key for entry in lake.storage.list(paths.outbox()))
    kept = [(key, _read(lake.storage.read(key))) for key in keys]
    due = [(key, each) for key, each in kept if each is not None and each.next_utc <= now]
    for key, each in due[:_MOST_AT_ONCE]:
        delivery = send(each.message, each.refused)
        if not delivery.refused:
            delivered += 1
            lake.storage.delete(key)
        elif each.attempts >= len(settings.retry_after_min):
            log.error("a message was given up", subject=each.subject, sinks=delivery.words, attempts=each.attempts + 1)
            lake.storage.delete(key)
        else:
            attempts = each.attempts + 1
            again = msgspec.structs.replace(
                each, refused=delivery.refused, attempts=attempts, next_utc=now + _delay(settings, attempts)
            )
            lake.storage.write(key, encode(again))
    return delivered


def _delay(settings: DeliverySettings, attempts: int) -> timedelta:
    minutes = settings.retry_after_min
    return timedelta(minutes=minutes[min(attempts, len(minutes)) - 1] if minutes else 0)


def _read(stored: Stored | None) -> Undelivered | None:
    try:
        return None if stored is None else msgspec.json.decode(stored.content, type=Undelivered)
    except msgspec.MsgspecError:
        log.error("a message in the outbox is damaged, and passed over")
        return None
