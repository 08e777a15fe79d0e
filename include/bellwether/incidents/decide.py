"""What of all incidents is to be told now, and in how many messages. Pure: who claims and who delivers is elsewhere.

The first word after a calm goes out at once. What follows within the window of a storm waits for the next sweep, so
that many are one message; during a storm nothing is told but one summary when it is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from bellwether.calendar import NEW_YORK
from bellwether.config import Alerts
from bellwether.config.alerts import QuietHours
from bellwether.incidents.incident import Incident, News, Watch
from bellwether.incidents.snooze import Snooze
from bellwether.incidents.words import of_many, of_one_report
from bellwether.monitoring.alerts import Message, why_quiet

type Waiting = tuple[Incident, News]


class Tick(msgspec.Struct, frozen=True):
    """That so many incidents were told of, in one message."""

    at_utc: datetime
    incidents: int
    is_storm: bool
    is_healing: bool


@dataclass(frozen=True)
class Telling:
    """A message, and what it says of which incidents, as they stood."""

    message: Message
    news: tuple[Waiting, ...]
    is_storm: bool = False

    def tick(self, now: datetime) -> Tick:
        """Return what is remembered of it."""
        return Tick(now, len(self.news), self.is_storm, self.message.is_healing)


@dataclass
class Decision:
    """What is to be done.

    Attributes
    ----------
    tellings
        Messages to be sent.
    silent
        Incidents that are over, of which nobody need hear, each with the reason.
    held
        Why others wait, by the incident's id.
    """

    tellings: list[Telling] = field(default_factory=list)
    silent: list[tuple[Incident, str]] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)


def decide(
    incidents: Sequence[Incident],
    snoozes: Sequence[Snooze],
    lately: Sequence[Tick],
    settings: Alerts,
    now: datetime,
    *,
    is_sweep: bool,
) -> Decision:
    """Decide what is to be told.

    Parameters
    ----------
    incidents
        Those at work that nobody else is telling of.
    snoozes
        Those in force.
    lately
        What was told, as long ago as a storm's window at least.
    is_sweep
        Whether this is the look that comes every few minutes, and not somebody who reports.
    """
    made, waiting = Decision(), list[Waiting]()
    for incident in incidents:
        if (news := incident.news) is None:
            continue
        why = _why_not_told(incident, snoozes, settings, now)
        if news == "healed" and incident.told is None and (why or incident.last.watch is Watch.STANDING):
            made.silent.append((incident, why or "it was over before anybody was told"))
        elif why and news != "healed":
            made.held[incident.incident_id] = why
        else:
            waiting.append((incident, news))
    waiting = _mind_quiet_hours(made, waiting, last_quiet(settings.quiet_hours, now), now)
    for is_healing in (False, True):
        some = [each for each in waiting if (each[1] == "healed") == is_healing]
        recent = [tick for tick in lately if tick.is_healing == is_healing]
        _gather(made, some, recent, settings, now, is_sweep=is_sweep)
    return made


def last_quiet(hours: QuietHours, now: datetime) -> tuple[datetime, datetime] | None:
    """Return begin and end, aware, of the quiet hours that began last; None where there are none."""
    if hours.begin is None or hours.end is None:
        return None
    today = now.astimezone(NEW_YORK).date()
    for day in (today, today - timedelta(days=1)):
        begin = datetime.combine(day, hours.begin, NEW_YORK)
        if begin <= now:
            over_midnight = timedelta(days=hours.end < hours.begin)
            return begin, datetime.combine(day + over_midnight, hours.end, NEW_YORK)
    return None


def _why_not_told(incident: Incident, snoozes: Sequence[Snooze], settings: Alerts, now: datetime) -> str:
    for each in snoozes:
        if each.scope.covers(incident):
            return f"snoozed by {each.by} until {each.until_utc:%Y-%m-%d %H:%M} UTC: {each.reason}"
    last = incident.last
    message = Message(last.subject, last.body, incident.severity, frozenset(last.causes))
    return why_quiet(message, settings, last.run.dag_id if last.run else last.dag_id, now.date()) or ""


def _mind_quiet_hours(
    made: Decision, waiting: list[Waiting], quiet: tuple[datetime, datetime] | None, now: datetime
) -> list[Waiting]:
    """Hold what is to wait for the end of quiet hours, or add the one message of what has; return the others."""
    if quiet is None:
        return waiting
    begin, end = quiet
    if now < end:
        _hold(made, [each for each in waiting if each[0].severity != "critical"], "quiet hours")
        return [each for each in waiting if each[0].severity == "critical"]
    kept = [each for each in waiting if begin <= each[0].changed_utc < end]
    if kept:
        head = f"{_number(len(kept))} in the quiet hours until {end:%H:%M} New York"
        made.tellings.append(Telling(of_many(kept, head), tuple(kept)))
    return [each for each in waiting if not begin <= each[0].changed_utc < end]


def _gather(
    made: Decision, waiting: list[Waiting], recent: list[Tick], settings: Alerts, now: datetime, *, is_sweep: bool
) -> None:
    """Add the messages of what is to be told now, and hold the rest."""
    if not waiting:
        return
    window = settings.storm.window
    recent = [tick for tick in recent if now - tick.at_utc < window]
    # Nobody sweeps where what waits has waited for so long.
    may_tell = is_sweep or not recent or min(each.changed_utc for each, _ in waiting) <= now - window
    is_storm = sum(tick.incidents for tick in recent) + len(waiting) > settings.storm.incidents
    if any(tick.is_storm for tick in recent):
        _hold(made, waiting, "a storm of incidents; one summary tells of them when it is over")
    elif is_storm and may_tell:
        what = "healed" if waiting[0][1] == "healed" else "incidents"
        head = f"{len(waiting)} {what} within {settings.storm.minutes} minutes"
        made.tellings.append(Telling(of_many(waiting, head), tuple(waiting), is_storm=True))
    elif is_storm:
        _hold(made, waiting, "many incidents; the next sweep tells of them in one message")
    else:
        told = [each for each in waiting if may_tell or each[0].severity == "critical"]
        _hold(made, [each for each in waiting if each not in told], "others were told of a moment ago; the next sweep")
        for group in _by_report(told):
            news = group[0][1]
            message = of_one_report([incident for incident, _ in group], news)
            made.tellings.append(Telling(message, tuple(group)))


def _by_report(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    groups: dict[tuple[str, ...], list[Waiting]] = {}
    for incident, news in waiting:
        last = incident.last
        of_whom = (incident.healed_by, str(last.session)) if news == "healed" else (last.report_id,)
        groups.setdefault((news, *of_whom), []).append((incident, news))
    return list(groups.values())


def _hold(made: Decision, waiting: Sequence[Waiting], why: str) -> None:
    made.held |= {incident.incident_id: why for incident, _ in waiting}


def _number(count: int) -> str:
    return "One incident" if count == 1 else f"{count} incidents"
