"""Incidents in the lake: a file for each that is at work, replaced by compare-and-swap; those that are over for good.

Of processes that report the same at once one creates the file, and the others update it. An incident that is closed is
copied to its session and leaves the folder of those at work; what comes after it is another incident, with a number.
"""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Final

import msgspec

from bellwether.errors import LakeError
from bellwether.incidents.incident import Incident, Report, base_id, opened, updated
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode

_MOST_ROUNDS: Final = 1000


def report(lake: Lake, found: Report) -> Incident:
    """Open the incident a report is about, or update it; return it as it stands then.

    Raises
    ------
    LakeError
        The lake refused, or a file of an incident is damaged.
    """
    now, base = lake.clock.now(), base_id(found.dataset, found.session, found.blame)
    number = 1 + _closed(lake, base, found.session)
    for _ in range(_MOST_ROUNDS):
        incident_id = base if number == 1 else f"{base}-{number}"
        known = _read(lake, _place(incident_id))
        if known is not None and known.closed_utc is not None:  # it has not been put away yet
            number += 1
        elif known is not None:
            after = _changed(lake, incident_id, lambda before: updated(before, found, now))
            if after is not None:
                return after
            number = 1 + _closed(lake, base, found.session)
        elif (closed := _closed(lake, base, found.session)) >= number:  # put away since they were counted
            number = 1 + closed
        else:
            fresh = opened(incident_id, found, now)
            if lake.storage.swap(_place(incident_id), encode(fresh), expected=None):
                return fresh
    msg = f"{base}: it changed {_MOST_ROUNDS} times while it was reported; report it again"
    raise LakeError(msg)


def change(lake: Lake, incident_id: str, changed: Callable[[Incident], Incident]) -> Incident | None:
    """Replace an incident at work by what `changed` makes of it; None where it is closed, or gone.

    Raises
    ------
    LakeError
        The lake refused, or the file is damaged.
    """
    after = _changed(lake, incident_id, changed)
    if after is not None and after.closed_utc is not None:
        put_away(lake, after)
    return after


def put_away(lake: Lake, incident: Incident) -> None:
    """Move a closed incident to those of its session; to be done again by whoever finds it left at work."""
    lake.storage.write(paths.incidents_closed(incident.last.session) / _name(incident.incident_id), encode(incident))
    lake.storage.delete(_place(incident.incident_id))


def at_work(lake: Lake) -> list[Incident]:
    """Return the incidents that are open, or whose end is still to be told, the oldest first.

    Raises
    ------
    LakeError
        The lake cannot be read, or a file is damaged.
    """
    found = [_read(lake, entry.key) for entry in lake.storage.list(paths.incidents_at_work())]
    return sorted((each for each in found if each), key=lambda each: (each.opened_utc, each.incident_id))


def of_session(lake: Lake, session: date) -> list[Incident]:
    """Return every incident there ever was of a session, the oldest first; `LakeError` as `at_work`."""
    over = [_read(lake, entry.key) for entry in lake.storage.list(paths.incidents_closed(session))]
    known = {each.incident_id: each for each in over if each}
    known = {each.incident_id: each for each in at_work(lake) if each.last.session == session} | known
    return sorted(known.values(), key=lambda each: (each.opened_utc, each.incident_id))


def find(lake: Lake, incident_id: str) -> Incident | None:
    """Return an incident, at work or closed; None where there is none of that id. `LakeError` as `at_work`."""
    parts = incident_id.split(".")
    try:
        session = date.fromisoformat(parts[1]) if len(parts) == 3 and "/" not in incident_id else None
    except ValueError:
        session = None
    if session is None:
        return None
    closed = _read(lake, paths.incidents_closed(session) / _name(incident_id))
    return closed or _read(lake, _place(incident_id))


def _changed(lake: Lake, incident_id: str, changed: Callable[[Incident], Incident]) -> Incident | None:
    key = _place(incident_id)
    for _ in range(_MOST_ROUNDS):
        stored = lake.storage.read(key)
        before = _decoded(lake, key, stored.content) if stored else None
        if stored is None or before is None or before.closed_utc is not None:
            return None
        after = changed(before)
        if after is before:
            return before
        if lake.storage.swap(key, encode(after), expected=stored.version):
            return after
    msg = f"{incident_id}: it changed {_MOST_ROUNDS} times meanwhile; try again"
    raise LakeError(msg)


def _closed(lake: Lake, base: str, session: date) -> int:
    """Return how many incidents of a kind are over and put away."""
    names = (entry.key.stem for entry in lake.storage.list(paths.incidents_closed(session)))
    return sum(name == base or name.startswith(f"{base}-") for name in names)


def _place(incident_id: str) -> PurePosixPath:
    return paths.incidents_at_work() / _name(incident_id)


def _name(incident_id: str) -> str:
    return f"{incident_id}.json"


def _read(lake: Lake, key: PurePosixPath) -> Incident | None:
    stored = lake.storage.read(key)
    return None if stored is None else _decoded(lake, key, stored.content)


def _decoded(lake: Lake, key: PurePosixPath, content: bytes) -> Incident:
    try:
        return msgspec.json.decode(content, type=Incident)
    except msgspec.MsgspecError as error:
        msg = f"{lake.storage.url(key)} is damaged ({error}); delete it to forget it"
        raise LakeError(msg) from error


def age_s(incident: Incident, now: datetime) -> float:
    """Return for how long an incident was, or has been, open, in seconds."""
    return ((incident.healed_utc or now) - incident.opened_utc).total_seconds()
