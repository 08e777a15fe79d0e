"""A plan in words, as Markdown: what the dry run shows."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby

from bellwether.calendar import get_calendar
from bellwether.doctor.cost import human_time
from bellwether.recovery.plan import Plan, Step
from bellwether.recovery.request import Mode

_MOST_ROWS = 100


def headline(plan: Plan, requests_per_minute: int | None) -> str:
    """Return a plan in one line: sessions, calls, time.

    Parameters
    ----------
    plan
        The plan.
    requests_per_minute
        The vendor's rate limit, None without one.
    """
    if not plan.steps:
        return f"Nothing is to be done{', as far as the budget reaches' if plan.beyond else ''}."
    sessions = {step.session for step in plan.steps}
    runs = _count(len(plan.steps), "run")
    calls = _count(plan.calls, "API call")
    if any(step.calls is None for step in plan.steps):
        calls = f"at least {calls}"
    return f"{_count(len(sessions), 'session')}, {runs}, {calls}, {_time(plan.calls, requests_per_minute)}."


def markdown(plan: Plan, requests_per_minute: int | None) -> str:
    """Return the whole plan: what runs and why, what will be built again, what is left out."""
    request = plan.request
    order = "newest first" if request.newest_first else "oldest first"
    parts = [
        f"### Recovery of {', '.join(request.datasets)}: {request.mode}, {order}",
        f"**{headline(plan, requests_per_minute)}** Calls and time are estimates.",
        *_steps(plan),
        *_rebuilt(plan),
        *_left_out(plan),
    ]
    return "\n\n".join(parts)


def _steps(plan: Plan) -> Iterable[str]:
    if not plan.steps:
        return
    yield _table(
        ("DAG", "sessions", "API calls"),
        [
            (dag_id, f"{len(steps):,}: {spans(step.session for step in steps)}", _calls(steps))
            for dag_id, steps in _by_dag(plan.steps).items()
        ],
    )
    rows = [(_day(step.session), step.dag_id, step.why, _calls([step])) for step in plan.steps[:_MOST_ROWS]]
    yield _table(("session", "DAG", "why", "API calls"), rows)
    if (more := len(plan.steps) - _MOST_ROWS) > 0:
        yield f"... and {_count(more, 'more run')}."


def _rebuilt(plan: Plan) -> Iterable[str]:
    yield "#### Built again"
    if not plan.rebuilt:
        yield "No gold."
    elif plan.request.mode is Mode.REVISED:
        yield f"Gold of {spans(plan.rebuilt)}."
    else:
        yield f"Gold of {spans(plan.rebuilt)}, where what is fetched differs from what gold records."


def _left_out(plan: Plan) -> Iterable[str]:
    lines = []
    if plan.beyond:
        steps = ", ".join(
            f"{dag_id} {spans(s.session for s in steps)}" for dag_id, steps in _by_dag(plan.beyond).items()
        )
        reason = f"beyond the budget of {_count(plan.request.budget or 0, 'API call')}; the same request goes on there"
        if plan.beyond[0].calls is None:
            reason = "what they cost is not known before one was captured; recover one without a budget first"
        lines.append(f"- {steps}: {reason}.")
    for dataset, found in groupby(plan.lost, key=lambda each: each[0]):
        sessions = [session for _, session in found]
        lines.append(f"- {dataset} {spans(sessions)}: lost for ever. {plan.lost[dataset, sessions[0]]}.")
    for session, lacking in plan.unready.items():
        lines.append(f"- gold of {session}: lacks {', '.join(sorted(lacking))}; recover what is missing first.")
    if lines:
        yield "#### Left out"
        yield "\n".join(lines)


def spans(sessions: Iterable[date]) -> str:
    """Return sessions in words, those in a row as a span: `2025-11-26 to 2025-12-01, 2025-12-05`."""
    calendar = get_calendar()
    found: list[list[date]] = []
    for session in sorted(set(sessions)):
        if found and calendar.next(found[-1][-1]) == session:
            found[-1].append(session)
        else:
            found.append([session])
    return ", ".join(str(row[0]) if len(row) == 1 else f"{row[0]} to {row[-1]}" for row in found)


def _by_dag(steps: Sequence[Step]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(step.dag_id, []).append(step)
    return found


def _calls(steps: Sequence[Step]) -> str:
    known = sum(step.calls or 0 for step in steps)
    if all(step.calls is None for step in steps):
        return "not known"
    return f"{known:,}" if all(step.calls is not None for step in steps) else f"{known:,} or more"


def _time(calls: int, requests_per_minute: int | None) -> str:
    if requests_per_minute is None:
        return "as fast as the vendor answers: no rate limit is set"
    return f"{human_time(calls * 60 / requests_per_minute)} at {requests_per_minute} requests a minute"


def _day(session: date) -> str:
    return f"{session} (half day)" if get_calendar().hours(session).is_half_day else str(session)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
