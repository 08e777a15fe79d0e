"""What is known of an incident, and what of it people do not know yet."""

from datetime import date, datetime
from enum import StrEnum
from typing import Final, Literal

import msgspec

from bellwether.config import SEVERITIES, Severity
from bellwether.errors import Blame

type News = Literal["opened", "grown", "healed"]
"""What people do not know yet of an incident."""

_GROWS_BY: Final = 2
_MOST_RUNS: Final = 20
_MOST_EVENTS: Final = 50


class Watch(StrEnum):
    """What shows that an incident is over."""

    RUN = "run"
    """Its dataset is published whole after its last report, or all runs that reported it have turned green."""

    STANDING = "standing"
    """Its dataset is found as it should be: it was found otherwise."""

    LOOK = "look"
    """The daily look back does not find it any more."""

    STREAM = "stream"
    """A recorder hears again, or the session's stream is published without gaps that are overdue."""


class Run(msgspec.Struct, frozen=True, order=True):
    """A run of a DAG, by Airflow's ids."""

    dag_id: str
    run_id: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody found wrong with one dataset of a session, of one blame.

    Attributes
    ----------
    report_id
        The same of all that was found at once: they are told in one message.
    dataset
        Which dataset; of DAGs that publish none, what they do.
    severity
        How bad it is.
    failed, planned
        So many of so many of `unit`; 0 while nothing failed yet.
    unit
        `tickers` or `tasks`; empty where nothing is counted.
    subject, body
        The words of the whole report.
    causes
        Names of all its causes, for the waivers of alerts.yaml.
    run
        Which run met it, None where somebody looked.
    """

    report_id: str
    dataset: str
    session: date
    blame: Blame
    severity: Severity
    subject: str
    body: str
    causes: tuple[str, ...] = ()
    failed: int = 1
    planned: int = 1
    unit: str = ""
    run: Run | None = None
    dag_id: str = ""
    watch: Watch = Watch.RUN


class Told(msgspec.Struct, frozen=True):
    """What people were told last."""

    news: News
    severity: Severity
    failed: int
    at_utc: datetime


class Event(msgspec.Struct, frozen=True):
    """One thing that happened to an incident."""

    at_utc: datetime
    what: str


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as it stands; times are the machine's.

    Attributes
    ----------
    incident_id
        `<dataset>.<session>.<blame>`, from the second time on with a number.
    last
        What was reported last.
    severity
        The worst so far.
    runs
        Those that reported it, the newest last.
    changed_utc
        Since when people do not know how it stands.
    updates
        Reports after the first.
    healed_utc, healed_by
        When it was seen to be over, and the run that ended it.
    told
        None while nobody was told.
    closed_utc
        From then on nothing of it changes.
    number
        Of this version of the record.
    """

    incident_id: str
    last: Report
    severity: Severity
    opened_utc: datetime
    updated_utc: datetime
    changed_utc: datetime
    runs: tuple[Run, ...] = ()
    updates: int = 0
    healed_utc: datetime | None = None
    healed_by: str = ""
    told: Told | None = None
    closed_utc: datetime | None = None
    events: tuple[Event, ...] = ()
    number: int = 1

    @property
    def state(self) -> str:
        """`open` or `healed`."""
        return "open" if self.healed_utc is None else "healed"

    @property
    def news(self) -> News | None:
        """What people do not know: that it opened; that it is twice as large as told, or worse; that it healed."""
        if self.closed_utc is not None:
            return None
        if self.healed_utc is not None:
            return "healed"
        if self.told is None or self.told.news == "healed":
            return "opened"
        known = self.told.failed
        has_grown = self.last.failed >= _GROWS_BY * known and self.last.failed > known
        return "grown" if has_grown or is_worse(self.severity, self.told.severity) else None


def is_worse(severity: Severity, other: Severity) -> bool:
    """Return whether one severity is above another."""
    return SEVERITIES.index(severity) > SEVERITIES.index(other)


def base_id(dataset: str, session: date, blame: Blame) -> str:
    """Return the id of the first incident of its kind."""
    return f"{dataset}.{session.isoformat()}.{blame}"


def opened(incident_id: str, report: Report, now: datetime) -> Incident:
    """Return a new incident."""
    return Incident(
        incident_id=incident_id,
        last=report,
        severity=report.severity,
        opened_utc=now,
        updated_utc=now,
        changed_utc=now,
        runs=(report.run,) if report.run else (),
        events=(Event(now, f"opened: {report.subject}"),),
    )


def updated(incident: Incident, report: Report, now: datetime) -> Incident:
    """Return an incident after another report; one that had healed meanwhile, and nobody knew, goes on."""
    runs = tuple(run for run in incident.runs if run != report.run) + ((report.run,) if report.run else ())
    after = msgspec.structs.replace(
        incident,
        last=report,
        severity=report.severity if is_worse(report.severity, incident.severity) else incident.severity,
        updated_utc=now,
        runs=runs[-_MOST_RUNS:],
        updates=incident.updates + 1,
        healed_utc=None,
        healed_by="",
    )
    return _changed(after, incident, now, f"reported again: {report.subject}")


def healed(incident: Incident, by: str, now: datetime) -> Incident:
    """Return an incident that is over."""
    after = msgspec.structs.replace(incident, healed_utc=now, healed_by=by)
    return _changed(after, incident, now, f"healed by {by}")


def told(incident: Incident, as_told: Incident, news: News, now: datetime) -> Incident:
    """Return an incident of which people were told as it stood then; over, if they know that it is."""
    is_over = news == "healed" and incident.healed_utc is not None
    after = msgspec.structs.replace(
        incident,
        told=Told(news, as_told.severity, as_told.last.failed, now),
        closed_utc=now if is_over else None,
    )
    return _changed(after, incident, now, f"told: {news}")


def closed(incident: Incident, why: str, now: datetime) -> Incident:
    """Return an incident that is over without another word."""
    return _changed(msgspec.structs.replace(incident, closed_utc=now), incident, now, f"closed: {why}")


def _changed(after: Incident, before: Incident, now: datetime, what: str) -> Incident:
    return msgspec.structs.replace(
        after,
        changed_utc=now if after.news != before.news else before.changed_utc,
        events=(*before.events, Event(now, what))[-_MOST_EVENTS:],
        number=before.number + 1,
    )
