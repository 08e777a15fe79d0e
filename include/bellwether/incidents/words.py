"""The words about incidents: of one report, of what grew, of what healed, and of many at once."""

from collections.abc import Sequence
from datetime import date, datetime

from bellwether.config import SEVERITIES, Severity
from bellwether.errors import Blame
from bellwether.incidents.incident import Incident, News, is_worse
from bellwether.monitoring.alerts import Message

_MOST_LINES = 20
_DONE = "Nothing is left to be done."


def of_one_report(incidents: Sequence[Incident], news: News) -> Message:
    """Put into words what one report, or one run that healed, says of its incidents."""
    if news == "healed":
        return _healed(incidents)
    last, footer = incidents[-1].last, _footer(incidents)
    if news == "opened":
        return _message(incidents, last.subject, f"{last.body}\n\n{footer}")
    grown = [_growth(each) for each in incidents]
    return _message(
        incidents, f"{last.subject} ({grown[0]})", f"It has grown: {'; '.join(grown)}.\n\n{last.body}\n\n{footer}"
    )


def of_many(waiting: Sequence[tuple[Incident, News]], head: str) -> Message:
    """Put into words what is to be told of many incidents at once.

    Parameters
    ----------
    waiting
        The incidents, each with what is new of it.
    head
        Why they come together, as a sentence without its full stop.
    """
    incidents = [incident for incident, _ in waiting]
    lines: dict[tuple[str, str, str], list[Incident]] = {}
    for incident, news in waiting:
        lines.setdefault((news, incident.last.dataset, incident.last.blame), []).append(incident)
    shown = [_line(*key, met) for key, met in sorted(lines.items())][:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        shown.append(f"- and {len(lines) - _MOST_LINES} more kinds")
    body = "\n\n".join(
        [
            f"{head}: {_span(incidents)}.",
            "\n".join(shown),
            "`bellwether incidents list` shows each of them; the DAG ops_recover recovers many sessions at once.",
        ]
    )
    return _message(incidents, head, body, is_healing=all(news == "healed" for _, news in waiting))


def _healed(incidents: Sequence[Incident]) -> Message:
    first = incidents[0]
    lines = [
        f"- {each.last.dataset}, {each.last.blame}: {_counts(each)}; open for "
        f"{_lasting(each.opened_utc, each.healed_utc)}, reported {_times(each.updates + 1)}"
        + ("" if each.told else "; nobody was told of it before")
        for each in incidents
    ]
    is_heard_again = any(each.last.blame is Blame.STALL for each in incidents)
    left = "What was not heard meanwhile is a gap; gap_repair fills it." if is_heard_again else _DONE
    body = f"Healed by {first.healed_by}.\n\n" + "\n".join(lines) + f"\n\n{left}"
    heads = list(dict.fromkeys(each.last.subject.partition(": ")[0] for each in incidents))
    subject = heads[0] if len(heads) == 1 else f"{heads[0]} and {len(heads) - 1} more"
    return _message(incidents, f"{subject}: healed", body, is_healing=True)


def _message(incidents: Sequence[Incident], subject: str, body: str, *, is_healing: bool = False) -> Message:
    worst: Severity = max((each.severity for each in incidents), key=SEVERITIES.index)
    causes = frozenset(cause for each in incidents for cause in each.last.causes)
    return Message(subject, body, worst, causes, is_healing=is_healing)


def _growth(incident: Incident) -> str:
    told = incident.told
    if told is None:
        return "new"
    if is_worse(incident.severity, told.severity):
        return f"now {incident.severity}, {told.severity} when last told"
    return f"{told.failed or 'none'} when last told"


def _footer(incidents: Sequence[Incident]) -> str:
    ids = ", ".join(each.incident_id for each in incidents)
    snoozed = incidents[0].incident_id
    return (
        f"Incident {ids}. To hear nothing more of it for a while: "
        f"bellwether incidents snooze {snoozed} --until YYYY-MM-DD --reason WHY"
    )


def _line(news: str, dataset: str, blame: str, met: Sequence[Incident]) -> str:
    sessions = sorted({each.last.session for each in met})
    cause = next((line for each in met for line in each.last.body.splitlines() if line.startswith("- ")), "")
    what = f"- {news}: {dataset}, {blame}, of {_sessions(sessions)}"
    return what if news == "healed" or not cause else f"{what}; {cause.removeprefix('- ')}"


def _span(incidents: Sequence[Incident]) -> str:
    datasets = sorted({each.last.dataset for each in incidents})
    sessions = sorted({each.last.session for each in incidents})
    return f"{', '.join(datasets)} of {_sessions(sessions)}"


def _sessions(sessions: Sequence[date]) -> str:
    if len(sessions) == 1:
        return sessions[0].isoformat()
    return f"{len(sessions)} sessions, {sessions[0]} to {sessions[-1]}"


def _counts(incident: Incident) -> str:
    last = incident.last
    return f"{last.failed} of {last.planned} {last.unit} had failed" if last.unit else "it was not as it should be"


def _lasting(start: datetime, end: datetime | None) -> str:
    minutes = 0 if end is None else round((end - start).total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
