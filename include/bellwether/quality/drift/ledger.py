"""What was found and decided about drift, and the contracts in force, in the lake.

Every sighting of a change is a small file that is written whole; a decision and a version of a contract are created
once, by compare-and-swap, so that of two people who decide at once one is told what the other did.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import msgspec
from pydantic import ValidationError

from bellwether.config import Config, Contract
from bellwether.errors import DriftError, LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode
from bellwether.quality.drift.change import Change
from bellwether.quality.drift.forms import check_contracts

_DECISION: Final = "decision.json"


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """A session that shows a change.

    Attributes
    ----------
    stage_id
        The run that saw it.
    subjects
        Whose answers do, sorted.
    first_utc
        When the first of them came.
    raw
        The raw files that hold the answers, each with the hash of its bodies.
    evidence
        What shows it.
    version
        Of the contract they were read by.
    """

    change: Change
    session: date
    stage_id: str
    subjects: tuple[str, ...]
    first_utc: datetime
    raw: dict[str, str]
    evidence: str
    version: int
    seen_utc: datetime


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody decided about a change.

    Attributes
    ----------
    as_it_is
        Of an approval: the values are what they should be, and earlier sessions no measure for them.
    """

    approved: bool
    as_it_is: bool = False
    by: str
    reason: str
    at_utc: datetime


@dataclass(frozen=True)
class Known:
    """A change with all that is known of it.

    Attributes
    ----------
    sightings
        By session and run.
    decision
        None while it waits for one; what is additive waits for none.
    """

    change_id: str
    change: Change
    sightings: tuple[Sighting, ...]
    decision: Decision | None

    @property
    def state(self) -> str:
        """`open`, `noted` (it is additive), `approved` or `rejected`."""
        if self.decision is not None:
            return "approved" if self.decision.approved else "rejected"
        return "open" if self.change.is_breaking else "noted"

    @property
    def sessions(self) -> tuple[date, ...]:
        """The sessions that show it, ascending."""
        return tuple(sorted({sighting.session for sighting in self.sightings}))


def contracts_in_force(lake: Lake, config: Config) -> dict[str, Contract]:
    """Return the contract of each dataset that has one: the newest version approved, or the file's if that is newer.

    Raises
    ------
    ConfigError
        A file names what the decoder does not read.
    LakeError
        A version in the lake is damaged.
    """
    check_contracts(config.contracts)
    newest: dict[str, int] = {}
    for entry in lake.storage.list(paths.DRIFT / "contracts"):
        dataset, version = entry.key.parent.name, int(entry.key.stem.removeprefix("v"))
        newest[dataset] = max(version, newest.get(dataset, 0))
    in_force = dict(config.contracts)
    for dataset, contract in config.contracts.items():
        if newest.get(dataset, 0) > contract.version:
            in_force[dataset] = read_version(lake, dataset, newest[dataset])
    return in_force


def read_version(lake: Lake, dataset: str, version: int) -> Contract:
    """Return a version that was approved.

    Raises
    ------
    LakeError
        It is gone or damaged.
    """
    key = paths.contract(dataset, version)
    stored = lake.storage.read(key)
    try:
        if stored is not None:
            return Contract.model_validate_json(stored.content)
    except ValidationError as error:
        msg = f"{lake.storage.url(key)} is damaged ({error}); restore it, or write its content into config/contracts"
        raise LakeError(msg) from error
    msg = f"{lake.storage.url(key)} is gone; restore it, or approve its changes again"
    raise LakeError(msg)


def add_version(lake: Lake, dataset: str, contract: Contract) -> bool:
    """Create a version; False where there is one of that number."""
    content = contract.model_dump_json(exclude_defaults=True).encode()
    return lake.storage.swap(paths.contract(dataset, contract.version), content, expected=None)


def write_down(lake: Lake, sighting: Sighting) -> None:
    """Keep a sighting; the same run's of the same session, written again, takes the place of the first."""
    folder = paths.change(sighting.change.dataset, _unsettled_id(lake, sighting.change))
    lake.storage.write(folder / f"{sighting.session}.{sighting.stage_id}.json", encode(sighting))


def known_changes(lake: Lake) -> list[Known]:
    """Return every change there ever was, by id."""
    root = paths.DRIFT / "changes"
    by_id: dict[tuple[str, str], list[Sighting]] = {}
    decisions: dict[tuple[str, str], Decision] = {}
    for entry in lake.storage.list(root):
        place = entry.key.parent.parent.name, entry.key.parent.name
        stored = lake.storage.read(entry.key)
        if stored is None:
            continue  # deleted meanwhile
        try:
            if entry.key.name == _DECISION:
                decisions[place] = msgspec.json.decode(stored.content, type=Decision)
            else:
                by_id.setdefault(place, []).append(msgspec.json.decode(stored.content, type=Sighting))
        except msgspec.MsgspecError as error:
            msg = f"{lake.storage.url(entry.key)} is damaged ({error}); restore it, or delete it to forget it"
            raise LakeError(msg) from error
    return [
        Known(place[1], seen[0].change, tuple(sorted(seen, key=_by_session)), decisions.get(place))
        for place, seen in sorted(by_id.items())
    ]


def find(lake: Lake, change_id: str) -> Known:
    """Return a change.

    Raises
    ------
    DriftError
        There is none of that id.
    """
    known = known_changes(lake)
    for each in known:
        if each.change_id == change_id:
            return each
    waiting = ", ".join(each.change_id for each in known if each.state == "open") or "none"
    msg = f"there is no change {change_id}; open are: {waiting}"
    raise DriftError(msg)


def decide(lake: Lake, known: Known, decision: Decision) -> Decision:
    """Record a decision where there is none, or one that rejected; return the one in force then."""
    key = paths.change(known.change.dataset, known.change_id) / _DECISION
    while True:
        stored = lake.storage.read(key)
        before = None if stored is None else msgspec.json.decode(stored.content, type=Decision)
        if before is not None and (before.approved or not decision.approved):
            return before
        if lake.storage.swap(key, encode(decision), expected=stored.version if stored else None):
            return decision


def _unsettled_id(lake: Lake, change: Change) -> str:
    """Return the id of a change; another one where that was approved, since a contract in force knows it already."""
    change_id, number = change.change_id, 1
    while True:
        stored = lake.storage.read(paths.change(change.dataset, change_id) / _DECISION)
        if stored is None or not msgspec.json.decode(stored.content, type=Decision).approved:
            return change_id
        number += 1
        change_id = f"{change.change_id}-{number}"


def _by_session(sighting: Sighting) -> tuple[date, datetime]:
    return sighting.session, sighting.seen_utc


def grouped(changes: Mapping[str, Iterable[Change]]) -> dict[Change, tuple[str, ...]]:
    """Return of each change the subjects that show it, sorted."""
    found: dict[Change, list[str]] = {}
    for subject, each in changes.items():
        for change in each:
            found.setdefault(change, []).append(subject)
    return {change: tuple(sorted(subjects)) for change, subjects in sorted(found.items())}
