"""What there is to tell of drift: the dataset `drift`, a row for each session and change, and the digest for people."""

from collections.abc import Collection
from datetime import date

import pyarrow as pa

from bellwether.config import Config
from bellwether.drift.approval import ways
from bellwether.drift.ledger import Known, contracts_in_force, known_changes
from bellwether.lake import Lake
from bellwether.lake.gold import publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.operational import operational
from bellwether.operational_schemas import DRIFT
from bellwether.schemas import OPERATIONAL
from bellwether.universe.spec import shown

DATASET = "drift"

_ONLY_REJECTED = (
    "So it can only be rejected, or left open until the code reads it: then `bellwether replay-raw` publishes the "
    "sessions from their kept answers."
)


def publish_drift(lake: Lake, config: Config, sessions: Collection[date], *, run_id: str) -> None:
    """Publish what is known of the drift of some sessions, in place of what was known before."""
    layout = FileLayout(config.sinks.of(DATASET), config.settings.lake.compression)
    for session in sorted(sessions):
        written: pa.Table | None = None
        # Whoever learns of another change meanwhile publishes, too: the last one to look has seen all.
        while (table := as_table(known_changes(lake, [session]), session)) != written:
            made = operational(DATASET, config, session, run_id, table, inputs={}, warnings={})
            publish_gold(lake, made, layout, dict)
            written = table


def as_table(changes: Collection[Known], session: date) -> pa.Table:
    """Return the rows of `drift` of a session."""
    rows = []
    for known in changes:
        seen = [sighting for sighting in known.sightings if sighting.session == session]
        if not seen:
            continue
        decision = known.decision
        rows.append(
            {
                "dataset": known.change.dataset,
                "change_id": known.change_id,
                "field": known.change.field,
                "kind": known.change.kind.value,
                "detail": seen[-1].change.to,
                "is_breaking": known.change.is_breaking,
                "state": known.state,
                "subjects": sorted({subject for sighting in seen for subject in sighting.subjects}),
                "evidence": seen[-1].evidence,
                "contract_version": seen[-1].version,
                "seen_utc": min(sighting.seen_utc for sighting in seen),
                "decided_by": decision.by if decision else None,
                "decided_utc": decision.at_utc if decision else None,
                "reason": decision.reason if decision else None,
            }
        )
    table = pa.Table.from_pylist(rows, schema=DRIFT)
    return table.sort_by([(name, "ascending") for name in OPERATIONAL[DATASET].key]).combine_chunks()


def sessions_seen(changes: Collection[Known], among: Collection[date]) -> list[date]:
    """Return which of some sessions show any change, ascending."""
    return sorted({session for known in changes for session in known.sessions} & set(among))


def waiting(changes: Collection[Known]) -> list[str]:
    """Return the ids of the changes that wait for a decision."""
    return [known.change_id for known in changes if known.state == "open"]


def digest(changes: Collection[Known], among: Collection[date]) -> str:
    """Return, as Markdown, what differed in some sessions, and what waits since whenever; empty where nothing does."""
    told = [known for known in changes if known.state == "open" or sessions_seen([known], among)]
    if not told:
        return ""
    lines = ["### Drift: what the vendor sends, beside the contracts", ""]
    lines += ["| change | what | state | sessions | subjects |", "| --- | --- | --- | --- | --- |"]
    for known in sorted(told, key=lambda each: (each.state != "open", each.change_id)):
        subjects = sorted({subject for sighting in known.sightings for subject in sighting.subjects})
        sessions = shown(session.isoformat() for session in known.sessions)
        what = str(known.sightings[-1].change).replace("|", "/")
        lines.append(f"| {known.change_id} | {what} | {known.state} | {sessions} | {shown(subjects)} |")
    if waiting(changes):
        lines += [
            "",
            "What is open is held back until somebody decides: DAG `ops_drift`, or `bellwether drift approve`.",
        ]
    return "\n".join(lines) + "\n"


def page(lake: Lake, config: Config, known: Known) -> str:
    """Return all that somebody who decides about a change must know, as Markdown."""
    change = known.change
    subjects = sorted({subject for sighting in known.sightings for subject in sighting.subjects})
    lines = [
        f"**{change.dataset}**: {known.sightings[-1].change}",
        "",
        f"State: {_state(known)}",
        "",
        f"Sessions: {shown(session.isoformat() for session in known.sessions)}; subjects: {shown(subjects)}",
        "",
        *(f"- {sighting.session}, run {sighting.stage_id}: {sighting.evidence}" for sighting in known.sightings[-5:]),
    ]
    if known.state == "approved":
        return "\n".join(lines) + "\n"
    possible = ways(contracts_in_force(lake, config).get(change.dataset), known)
    if possible.approved is not None:
        lines += ["", "Approving changes the contract:", "", "```diff", possible.approved, "```"]
    if possible.as_it_is is not None:
        lines += ["", "Taking it as it is does:", "", "```diff", possible.as_it_is, "```"]
    if possible.why_not:
        lines += ["", f"It cannot be approved: {possible.why_not}", "", _ONLY_REJECTED]
    return "\n".join(lines) + "\n"


def _state(known: Known) -> str:
    decision = known.decision
    if decision is None:
        return known.state
    why = f": {decision.reason}" if decision.reason else ""
    return f"{known.state} by {decision.by} at {decision.at_utc:%Y-%m-%d %H:%M} UTC{why}"
