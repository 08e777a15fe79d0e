"""Which incidents people want to hear nothing of for a while: each with a reason, and with an end."""

import re
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Final, Self

import msgspec

from bellwether.errors import Blame, ConfigError, LakeError
from bellwether.incidents.incident import Incident
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode

_DATASET: Final = re.compile(r"[a-z][a-z_]{1,40}")
_ANY: Final = "*"


class Scope(msgspec.Struct, frozen=True):
    """Which incidents: of a dataset, of one session of it or of all, of one blame or of all."""

    dataset: str
    session: date | None = None
    blame: Blame | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `DATASET[.SESSION][.BLAME]` names: an incident's id, or less; `*` is every session.

        Raises
        ------
        ConfigError
            It names nothing.
        """
        dataset, *rest = text.split(".")
        try:
            if not _DATASET.fullmatch(dataset) or len(rest) > 2:
                raise ValueError(text)
            session = date.fromisoformat(rest[0]) if rest and rest[0] != _ANY else None
            blame = Blame(rest[1].partition("-")[0]) if len(rest) > 1 and rest[1] != _ANY else None
        except ValueError as error:
            msg = (
                f"{text!r} names no incidents: give DATASET, DATASET.YYYY-MM-DD, DATASET.*.BLAME or an incident's id, "
                f"BLAME being one of {', '.join(Blame)}"
            )
            raise ConfigError(msg) from error
        return cls(dataset, session, blame)

    def covers(self, incident: Incident) -> bool:
        """Return whether an incident is one of them."""
        last = incident.last
        return (
            last.dataset == self.dataset and self.session in (None, last.session) and self.blame in (None, last.blame)
        )

    def __str__(self) -> str:
        session = _ANY if self.session is None else self.session.isoformat()
        return f"{self.dataset}.{session}.{self.blame or _ANY}"


class Snooze(msgspec.Struct, frozen=True, kw_only=True):
    """That people want to hear nothing of some incidents until an instant."""

    scope: Scope
    reason: str
    by: str
    at_utc: datetime
    until_utc: datetime


def snooze(lake: Lake, scope: Scope, *, reason: str, by: str, until_utc: datetime) -> Snooze:
    """Have nothing told of some incidents until an instant, in place of what was said of the same before.

    Raises
    ------
    ConfigError
        There is no reason, or the end is not in the future.
    LakeError
        The lake refused.
    """
    now = lake.clock.now()
    if not reason.strip():
        msg = "a snooze wants a reason"
        raise ConfigError(msg)
    if until_utc <= now:
        msg = f"a snooze wants an end in the future; {until_utc:%Y-%m-%d %H:%M} UTC is past"
        raise ConfigError(msg)
    made = Snooze(scope=scope, reason=reason.strip(), by=by, at_utc=now, until_utc=until_utc)
    lake.storage.write(_place(scope), encode(made))
    return made


def unsnooze(lake: Lake, scope: Scope) -> bool:
    """Have some incidents told again; False where they were not snoozed by this very name."""
    was_there = lake.storage.read(_place(scope)) is not None
    lake.storage.delete(_place(scope))
    return was_there


def snoozes(lake: Lake) -> list[Snooze]:
    """Return those in force, by their end; the others are deleted.

    Raises
    ------
    LakeError
        The lake cannot be read, or a record is damaged.
    """
    found, now = [], lake.clock.now()
    for entry in list(lake.storage.list(paths.snoozes())):
        stored = lake.storage.read(entry.key)
        try:
            known = msgspec.json.decode(stored.content, type=Snooze) if stored else None
        except msgspec.MsgspecError as error:
            msg = f"{lake.storage.url(entry.key)} is damaged ({error}); delete it to end the snooze"
            raise LakeError(msg) from error
        if known is not None and known.until_utc > now:
            found.append(known)
        elif known is not None:
            lake.storage.delete(entry.key)
    return sorted(found, key=lambda each: each.until_utc)


def _place(scope: Scope) -> PurePosixPath:
    return paths.snoozes() / f"{str(scope).replace(_ANY, 'any')}.json"
