"""Refused rows in words: as Markdown for a run of `ops_recover`, and one row with all that is known of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bellwether.quarantine.decisions import Action
from bellwether.quarantine.release import Judged
from bellwether.quarantine.standing import Row, State

_MOST_ROWS = 100
_DOES = {Action.RELEASED: "release", Action.DISCARDED: "discard"}


def markdown(judged: Judged) -> str:
    """Return what deciding would do: which rows, what would be refused and why."""
    does = _DOES[judged.action]
    parts = [f"### Quarantine: {does}", f"**{headline(judged)}**"]
    if judged.refused:
        lines = [f"- {row_id}: {why}" for row_id, why in sorted(judged.refused.items())[:_MOST_ROWS]]
        parts += ["#### Refused", "As long as one is, nothing is changed.", "\n".join(lines)]
    rows = [*judged.to_decide, *judged.decided]
    if rows:
        parts.append(_table(rows[:_MOST_ROWS]))
    if (more := len(rows) - _MOST_ROWS) > 0:
        parts.append(f"... and {more:,} more rows.")
    return "\n\n".join(parts)


def headline(judged: Judged) -> str:
    """Return what deciding would do in one line."""
    done = judged.action.value
    told = [f"{_rows(len(judged.to_decide))} would be {done}"]
    if judged.decided:
        left = sum(row.state is State.UNFINISHED for row in judged.decided)
        told.append(
            f"{_rows(len(judged.decided))} were {done} before" + (f", {left} still to be published" * bool(left))
        )
    if judged.refused:
        told.append(f"{_rows(len(judged.refused))} cannot be {done}")
    return "; ".join(told) + "."


def counted(rows: Iterable[Row]) -> list[tuple[str, str, str, str, int]]:
    """Return how many rows there are, by dataset, session, what they broke, and state."""
    counts = Counter((row.dataset, row.session.isoformat(), ", ".join(row.reasons), row.state.value) for row in rows)
    return [(*what, count) for what, count in sorted(counts.items())]


def as_json(row: Row) -> dict[str, Any]:
    """Return all that is known of a row."""
    decision = row.decision.decision if row.decision else None
    return {
        "row": row.row_id,
        "dataset": row.dataset,
        "session": row.session,
        "subject": row.subject,
        "key": row.key,
        "broke": list(row.reasons),
        "state": row.state.value,
        "stage_id": row.origin.stage_id,
        "fetched_utc": row.origin.fetched_utc,
        "quarantined_utc": row.quarantined_utc,
        "decided_by": decision.by if decision else None,
        "decided_utc": decision.at_utc if decision else None,
        "reason": decision.why if decision else None,
        "digest": row.digest,
        "values": row.values,
    }


def _table(rows: Sequence[Row]) -> str:
    lines = ["| row | key | broke | state |", "| --- | --- | --- | --- |"]
    for row in rows:
        broke = ", ".join(row.reasons).replace("|", "\\|")
        lines.append(f"| {row.row_id} | {row.key.replace('|', '/')} | {broke} | {row.state} |")
    return "\n".join(lines)


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
