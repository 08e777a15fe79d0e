"""Deciding about a change: an approval makes the contract's next version and replays what waited for it.

Nothing is asked of the vendor: the answers were kept. An approval that was interrupted is finished by approving again.
"""

from dataclasses import dataclass, replace

import yaml

from bellwether.config import Config, Contract
from bellwether.config.contracts import Approval
from bellwether.drift.change import accepted, as_shown, compared_anew
from bellwether.drift.ledger import (
    Decision,
    Known,
    Sighting,
    add_version,
    contracts_in_force,
    decide,
    find,
    read_version,
    versions,
    written,
)
from bellwether.errors import DriftError, LakeError
from bellwether.lake import Lake


@dataclass(frozen=True)
class Settled:
    """What deciding did.

    Attributes
    ----------
    known
        The change, with the decision in force.
    version
        Of the contract that lets it pass; None where it was rejected.
    news
        Whether this call decided; else somebody had before.
    waiting
        Sightings whose answers the decision sets free, to be replayed.
    """

    known: Known
    version: int | None
    news: bool
    waiting: tuple[Sighting, ...] = ()


def approve(
    lake: Lake, config: Config, change_id: str, *, by: str, reason: str = "", as_it_is: bool = False
) -> Settled:
    """Let a change pass: decide, and make the contract's next version.

    Parameters
    ----------
    by, reason
        Who decides, and why.
    as_it_is
        Of a change of values: they are what they should be, and earlier sessions no measure for them.

    Raises
    ------
    DriftError
        There is no such change, or no contract can let it pass.
    """
    known = find(lake, change_id)
    in_force = contracts_in_force(lake, config)
    if known.change.dataset not in in_force:
        msg = (
            f"there is no config/contracts/{known.change.dataset}.yaml any more: nothing is compared, so nothing waits"
        )
        raise DriftError(msg)
    if known.state != "approved":
        _proposed(in_force[known.change.dataset], known, as_it_is=as_it_is)  # refused before anything is decided
    mine = Decision(approved=True, as_it_is=as_it_is, by=by, reason=reason, at_utc=lake.clock.now())
    decision = decide(lake, known, mine)
    settled = replace(find(lake, change_id), decision=decision)  # with what was seen until then
    version = _put_in_force(lake, config, settled)
    waiting = settled.sightings if settled.change.is_breaking else ()
    return Settled(settled, version, news=decision is mine, waiting=waiting)


def resume(lake: Lake, config: Config, change_id: str) -> Settled:
    """Finish what a decision began, whatever interrupted it; of a rejection nothing follows.

    Raises
    ------
    DriftError
        There is no such change, or nobody decided about it.
    """
    known = find(lake, change_id)
    if known.decision is None:
        msg = f"nobody decided about {change_id} yet"
        raise DriftError(msg)
    if not known.decision.approved:
        return Settled(known, None, news=False)
    return approve(lake, config, change_id, by=known.decision.by)


def reject(lake: Lake, change_id: str, *, by: str, reason: str) -> Settled:
    """Leave what shows a change in quarantine, with the reason.

    Raises
    ------
    DriftError
        There is no such change, it was approved, or no reason is given.
    """
    known = find(lake, change_id)
    if not reason.strip():
        msg = f"say why {change_id} is rejected: whoever meets its sessions in quarantine will want to know"
        raise DriftError(msg)
    mine = Decision(approved=False, by=by, reason=reason.strip(), at_utc=lake.clock.now())
    decision = decide(lake, known, mine)
    if decision.approved:
        msg = f"{change_id} was approved by {decision.by} at {decision.at_utc:%Y-%m-%d %H:%M} UTC; see the contract"
        raise DriftError(msg)
    return Settled(replace(known, decision=decision), None, news=decision is mine)


@dataclass(frozen=True)
class Ways:
    """How a change can be let pass.

    Attributes
    ----------
    approved, as_it_is
        The lines of the contract that change; None where that cannot be.
    why_not
        Why nothing lets it pass; empty where something does.
    """

    approved: str | None
    as_it_is: str | None
    why_not: str = ""


def ways(contract: Contract | None, known: Known) -> Ways:
    """Return how a change can be let pass by the next version of its contract."""
    if contract is None:
        return Ways(None, None, "its dataset has no contract any more: nothing is compared, so nothing waits")
    found: dict[bool, str] = {}
    why_not = ""
    for as_it_is in (True, False):
        try:
            found[as_it_is] = contract_diff(contract, known, as_it_is=as_it_is)
        except DriftError as error:
            why_not = str(error)
    return Ways(found.get(False), found.get(True), "" if found else why_not)


def contract_diff(contract: Contract, known: Known, *, as_it_is: bool = False) -> str:
    """Return what approving a change does to its contract, as lines with `-` and `+`.

    Raises
    ------
    DriftError
        No contract can let it pass; the message says what can be done.
    """
    before, after = (_as_lines(each) for each in (contract, _proposed(contract, known, as_it_is=as_it_is)))
    gone = [f"- {line}" for line in before if line not in after]
    return "\n".join([*gone, *(f"+ {line}" for line in after if line not in before)])


def _as_lines(contract: Contract) -> list[str]:
    content = contract.model_dump(mode="json", exclude_defaults=True, exclude={"approval"})
    lines = [f"version: {contract.version}", f"also: {', '.join(map(as_shown, contract.also))}"]
    for name, field in content["fields"].items():
        lines.append(f"{name}: {yaml.safe_dump(field, default_flow_style=True, width=10_000).strip()}")
    return lines


def _proposed(contract: Contract, known: Known, *, as_it_is: bool) -> Contract:
    since, since_utc = min(known.sessions), min(sighting.first_utc for sighting in known.sightings)
    # Of several sessions with nulls, the most of them is what is accepted.
    change = max((sighting.change for sighting in known.sightings), key=lambda each: each.to)
    let_pass = (
        compared_anew(contract, change, since)
        if as_it_is
        else accepted(contract, change, since=since, since_utc=since_utc)
    )
    proposed = let_pass.model_copy(update={"version": contract.version + 1})
    written(known.change.dataset, proposed)  # refuses one that contradicts itself
    return proposed


def _put_in_force(lake: Lake, config: Config, known: Known) -> int:
    """Make the next version of the contract, or find the one that was made of this decision."""
    dataset, decision = known.change.dataset, known.decision
    if decision is None:
        msg = f"{known.change_id} is not decided"
        raise LakeError(msg)
    while True:
        # Before looking: what somebody else makes of the decision from here on has the number that is proposed.
        in_force = contracts_in_force(lake, config)[dataset]
        for version in versions(lake).get(dataset, ()):
            approval = read_version(lake, dataset, version).approval
            if approval is not None and approval.change_id == known.change_id:
                return version
        proposed = _proposed(in_force, known, as_it_is=decision.as_it_is)
        approval = Approval(change_id=known.change_id, by=decision.by, at_utc=decision.at_utc)
        if add_version(lake, dataset, proposed.model_copy(update={"approval": approval})):
            return proposed.version
