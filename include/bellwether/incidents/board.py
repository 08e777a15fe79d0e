"""Who tells of what: a record in the lake by which processes that decide at once agree on one message.

A claim ends by itself after some minutes, so that what a process which died was about to tell is told by another.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from bellwether.config import Alerts
from bellwether.errors import LakeError
from bellwether.incidents import incident as incidents
from bellwether.incidents.decide import Decision, Telling, Tick, decide
from bellwether.incidents.ledger import at_work, change, put_away
from bellwether.incidents.outbox import keep
from bellwether.incidents.snooze import snoozes
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode
from bellwether.logging import get_logger
from bellwether.monitoring.alerts import Delivery, Message

type Send = Callable[[Message, tuple[str, ...]], Delivery]
"""Delivers a message to the sinks named, or to all of its route; never raises."""

_MOST_ROUNDS: Final = 1000
_CLAIMED_FOR: Final = timedelta(minutes=5)

log = get_logger(__name__)


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on it.

    Attributes
    ----------
    claims
        Until when nobody else tells of an incident, by its id.
    ticks
        What was told lately, oldest first.
    number
        Of this version of the record.
    """

    claims: dict[str, datetime] = msgspec.field(default_factory=dict)
    ticks: tuple[Tick, ...] = ()
    number: int = 0


def tell(lake: Lake, settings: Alerts, send: Send, *, is_sweep: bool = False, most: int | None = None) -> list[Message]:
    """Tell people what is to be told now of all incidents; return the messages.

    Parameters
    ----------
    send
        Delivers; what a sink does not take is kept for the next sweep.
    is_sweep
        As for `decide`.
    most
        So many messages at most, where the caller is not to be kept waiting.

    Raises
    ------
    LakeError
        The lake refused: nothing more is told of than was returned or logged.
    """
    decision = claim(lake, settings, is_sweep=is_sweep, most=most)
    if decision.held:
        log.info("incidents are not told of yet", held=decision.held)
    for incident, why in decision.silent:
        log.info("an incident is over without a word", incident=incident.incident_id, why=why)
        _finish(lake, incident, partial(_closed, why=why, now=lake.clock.now()))
    for telling in decision.tellings:
        message = telling.message
        say = log.info if message.is_healing else log.error
        say(f"ALERT {message.subject}\n{message.body}", severity=message.severity)
        delivery = send(message, ())
        # First: who dies in between tells twice, and not the sinks that refused it never.
        if delivery.refused:
            keep(lake, settings.delivery, message, delivery)
        for incident, news in telling.news:
            _finish(lake, incident, partial(incidents.told, as_told=incident, news=news, now=lake.clock.now()))
    _release(lake, [incident.incident_id for telling in decision.tellings for incident, _ in telling.news])
    return [telling.message for telling in decision.tellings]


def claim(lake: Lake, settings: Alerts, *, is_sweep: bool, most: int | None = None) -> Decision:
    """Decide what is to be told, and have nobody else tell it.

    Raises
    ------
    LakeError
        The lake refused.
    """
    for _ in range(_MOST_ROUNDS):
        # First the board: what is told by then stands in the incidents.
        board, version = _read(lake)
        now = lake.clock.now()
        free = [each for each in at_work(lake) if board.claims.get(each.incident_id, now) <= now]
        left = [each for each in free if each.closed_utc is not None]
        for incident in left:  # whoever closed it died before it was put away
            put_away(lake, incident)
        decision = decide(free, snoozes(lake), board.ticks, settings, now, is_sweep=is_sweep)
        if most is not None:
            del decision.tellings[most:]
        if not decision.tellings:
            return decision
        if _swap(lake, board, version, claimed=decision.tellings, now=now, window=settings.storm.window):
            return decision
    msg = f"{paths.INCIDENT_BOARD} changed {_MOST_ROUNDS} times meanwhile; the next sweep tells of it"
    raise LakeError(msg)


def _swap(
    lake: Lake, board: Board, version: str | None, *, claimed: list[Telling], now: datetime, window: timedelta
) -> bool:
    claims = {incident_id: until for incident_id, until in board.claims.items() if until > now}
    claims |= {incident.incident_id: now + _CLAIMED_FOR for each in claimed for incident, _ in each.news}
    ticks = [tick for tick in board.ticks if now - tick.at_utc < window] + [each.tick(now) for each in claimed]
    after = Board(claims=claims, ticks=tuple(ticks), number=board.number + 1)
    return lake.storage.swap(paths.INCIDENT_BOARD, encode(after), expected=version)


def _release(lake: Lake, ids: list[str]) -> None:
    for _ in range(_MOST_ROUNDS if ids else 0):
        board, version = _read(lake)
        claims = {incident_id: until for incident_id, until in board.claims.items() if incident_id not in ids}
        after = msgspec.structs.replace(board, claims=claims, number=board.number + 1)
        if lake.storage.swap(paths.INCIDENT_BOARD, encode(after), expected=version):
            return


def _closed(incident: incidents.Incident, why: str, now: datetime) -> incidents.Incident:
    return incidents.closed(incident, why, now) if incident.news == "healed" else incident


def _finish(
    lake: Lake, incident: incidents.Incident, changed: Callable[[incidents.Incident], incidents.Incident]
) -> None:
    """Note what became of an incident; where it cannot be noted, people may be told twice rather than never."""
    try:
        change(lake, incident.incident_id, changed)
    except LakeError as error:
        log.error("that people were told could not be noted", incident=incident.incident_id, problem=str(error))


def _read(lake: Lake) -> tuple[Board, str | None]:
    stored = lake.storage.read(paths.INCIDENT_BOARD)
    if stored is None:
        return Board(), None
    try:
        return msgspec.json.decode(stored.content, type=Board), stored.version
    except msgspec.MsgspecError as error:
        msg = f"{lake.storage.url(paths.INCIDENT_BOARD)} is damaged ({error}); delete it"
        raise LakeError(msg) from error
