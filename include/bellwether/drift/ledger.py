"""What was found and decided about drift, and the contracts in force, in the lake.

Every sighting of a change is a small file that is written whole; a decision and a version of a contract are created
once, by compare-and-swap, so that of two people who decide at once one is told what the other did.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Final

import msgspec
from pydantic import ValidationError

from bellwether.config import Config, Contract
from bellwether.drift.change import Change, is_id
from bellwether.drift.forms import check_contracts, contradictions
from bellwether.errors import DriftError, LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode

_DECISION: Final = "decision.json"
_VERSION: Final = re.compile(r"v(\d{4,})\.json")


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
    """A change with what is known of it.

    Attributes
    ----------
    sessions
        All that show it, ascending.
    sightings
        The newest, and those of the sessions asked for; by session and time.
    decision
        None while it waits for one; what is additive waits for none.
    """

    change_id: str
    sessions: tuple[date, ...]
    sightings: tuple[Sighting, ...]
    decision: Decision | None

    @property
    def change(self) -> Change:
        """The change as it was seen last."""
        return self.sightings[-1].change

    @property
    def state(self) -> str:
        """`open`, `noted` (it is additive), `approved` or `rejected`."""
        if self.decision is not None:
            return "approved" if self.decision.approved else "rejected"
        return "open" if self.change.is_breaking else "noted"


def contracts_in_force(lake: Lake, config: Config) -> dict[str, Contract]:
    """Return the contract of each dataset that has one: the newest version approved, or the file's if that is newer.

    Raises
    ------
    ConfigError
        A file names what the decoder does not read.
    LakeError
        A version in the lake is damaged, or says otherwise than the decoder.
    """
    check_contracts(config.contracts)
    kept = versions(lake)
    newest = {dataset: max(kept.get(dataset, ()), default=0) for dataset in config.contracts}
    return {
        dataset: _brought_up(lake, dataset, newest[dataset], contract)
        if newest[dataset] > contract.version
        else contract
        for dataset, contract in config.contracts.items()
    }


def _brought_up(lake: Lake, dataset: str, version: int, shipped: Contract) -> Contract:
    """Return a version that was approved, with the entries of what the decoder has learnt to read since."""
    kept = read_version(lake, dataset, version)
    fields = {name: kept.fields.get(name, field) for name, field in shipped.fields.items()}
    also = tuple(name for name in kept.also if name not in fields)
    contract = kept.model_copy(update={"fields": fields, "also": also})
    if wrong := "; ".join(contradictions(dataset, contract)):
        place = lake.storage.url(paths.contract(dataset, version))
        msg = f"{place}: {wrong}. Write a config/contracts/{dataset}.yaml of a higher version"
        raise LakeError(msg)
    return contract


def versions(lake: Lake) -> dict[str, list[int]]:
    """Return which versions were approved, by dataset, ascending."""
    found: dict[str, list[int]] = {}
    for entry in lake.storage.list(paths.DRIFT / "contracts"):
        if numbered := _VERSION.fullmatch(entry.key.name):
            found.setdefault(entry.key.parent.name, []).append(int(numbered[1]))
    return {dataset: sorted(numbers) for dataset, numbers in found.items()}


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


def written(dataset: str, contract: Contract) -> bytes:
    """Return a version as it is kept.

    Raises
    ------
    DriftError
        It contradicts itself.
    """
    content = contract.model_dump_json(exclude_defaults=True).encode()
    try:
        Contract.model_validate_json(content)
    except ValidationError as error:
        wrong = "; ".join(str(problem["msg"]) for problem in error.errors())
        msg = (
            f"{dataset}: the contract would contradict itself: {wrong}. Write a config/contracts/{dataset}.yaml of a "
            "higher version that says what is meant; then approve again"
        )
        raise DriftError(msg) from error
    return content


def add_version(lake: Lake, dataset: str, contract: Contract) -> bool:
    """Create a version; False where there is one of that number. `DriftError` as `written`."""
    content = written(dataset, contract)
    return lake.storage.swap(paths.contract(dataset, contract.version), content, expected=None)


def write_down(lake: Lake, sighting: Sighting) -> None:
    """Keep a sighting; the same run's of the same session, written again, takes the place of the first."""
    known_as = None
    # Who approves looks for sightings after the decision is written: one of both sees what the other did.
    while known_as != (known_as := _unsettled_id(lake, sighting.change)):
        folder = paths.change(sighting.change.dataset, known_as)
        lake.storage.write(folder / f"{sighting.session}.{sighting.stage_id}.json", encode(sighting))


def known_changes(lake: Lake, sessions: Collection[date] = ()) -> list[Known]:
    """Return every change there ever was, by id, with its sightings of some sessions.

    Raises
    ------
    LakeError
        One of their files is damaged.
    """
    return _known(lake, paths.DRIFT / "changes", lambda session: session in sessions)


def find(lake: Lake, change_id: str) -> Known:
    """Return a change with all its sightings.

    Raises
    ------
    DriftError
        There is none of that id.
    LakeError
        One of its files is damaged.
    """
    dataset = change_id.partition(".")[0]
    found = _known(lake, paths.change(dataset, change_id), lambda _: True) if is_id(change_id) else []
    if found:
        return found[0]
    waiting = ", ".join(each.change_id for each in known_changes(lake) if each.state == "open") or "none"
    msg = f"there is no change {change_id}; open are: {waiting}"
    raise DriftError(msg)


def _known(lake: Lake, folder: PurePosixPath, is_asked: Callable[[date], bool]) -> list[Known]:
    files: dict[PurePosixPath, dict[PurePosixPath, date]] = {}
    for entry in lake.storage.list(folder):
        if entry.key.name != _DECISION:
            session = date.fromisoformat(entry.key.name.partition(".")[0])
            files.setdefault(entry.key.parent, {})[entry.key] = session
    found = []
    for place, by_key in sorted(files.items()):
        last = max(by_key.values())
        asked = [key for key, session in by_key.items() if session == last or is_asked(session)]
        read = [_decoded(lake, key, Sighting) for key in asked]
        sightings = sorted((each for each in read if each), key=lambda each: (each.session, each.seen_utc))
        if sightings:
            decision = _decoded(lake, place / _DECISION, Decision)
            found.append(Known(place.name, tuple(sorted(set(by_key.values()))), tuple(sightings), decision))
    return found


def _decoded[Record: (Sighting, Decision)](lake: Lake, key: PurePosixPath, kind: type[Record]) -> Record | None:
    stored = lake.storage.read(key)
    try:
        return None if stored is None else msgspec.json.decode(stored.content, type=kind)
    except msgspec.MsgspecError as error:
        msg = f"{lake.storage.url(key)} is damaged ({error}); restore it, or delete it to forget it"
        raise LakeError(msg) from error


def decide(lake: Lake, known: Known, decision: Decision) -> Decision:
    """Record a decision where there is none, or one that rejected; return the one in force then."""
    key = paths.change(known.change.dataset, known.change_id) / _DECISION
    while True:
        stored, before = lake.storage.read(key), _decoded(lake, key, Decision)
        if before is not None and (before.approved or not decision.approved):
            return before
        if lake.storage.swap(key, encode(decision), expected=stored.version if stored else None):
            return decision


def _unsettled_id(lake: Lake, change: Change) -> str:
    """Return the id of a change; another one where that was approved, since a contract in force knows it already."""
    change_id, number = change.change_id, 1
    while (decision := _decoded(lake, paths.change(change.dataset, change_id) / _DECISION, Decision)) is not None:
        if not decision.approved:
            break
        number += 1
        change_id = f"{change.change_id}-{number}"
    return change_id


def grouped(changes: Mapping[str, Iterable[Change]]) -> dict[Change, tuple[str, ...]]:
    """Return of each change the subjects that show it, sorted."""
    found: dict[Change, list[str]] = {}
    for subject, each in changes.items():
        for change in each:
            found.setdefault(change, []).append(subject)
    return {change: tuple(sorted(subjects)) for change, subjects in sorted(found.items())}
