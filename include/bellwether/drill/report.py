"""What came of a drill, for people: a page, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from bellwether.calendar import NEW_YORK
from bellwether.drill.faults import Drilled


@dataclass(frozen=True)
class Sent:
    """A message that people were to get: its subject, its causes, and why it did not go out, empty where it did."""

    subject: str
    causes: frozenset[str]
    fate: str
    is_lost: bool


@dataclass
class Outcome:
    """What came of one fault.

    Attributes
    ----------
    began, recovered
        When it was brought about, and when everything was heard and written again; None where that did not happen.
    real_s
        Seconds of this machine in between.
    causes
        Of the gaps that were opened meanwhile.
    connections
        Made with the wrong key, where there was one.
    missed, lost, doubled
        Minutes that were not recorded before repair, and those that lack, differ or stand twice after it.
    sent
        Messages meanwhile.
    """

    name: str
    fault: Drilled
    began: datetime
    recovered: datetime | None = None
    real_s: float = 0.0
    causes: tuple[str, ...] = ()
    connections: int | None = None
    missed: int = 0
    lost: int = 0
    doubled: int = 0
    sent: list[Sent] = field(default_factory=list)

    def problems(self) -> list[str]:
        """Return what went wrong, in words."""
        fault, made = self.fault, self.connections
        told = sum(fault.alert in message.causes for message in self.sent)
        counts = f"{self.lost} minutes are lost, {self.doubled} doubled"
        found = [
            ("it did not recover", self.recovered is None),
            (counts, bool(self.lost or self.doubled)),
            (
                f"no gap tells of it; one with cause {' or '.join(sorted(fault.causes))} was to",
                bool(fault.causes) and not fault.causes & set(self.causes),
            ),
            ("a gap tells of it, though nothing was missed", not fault.causes and bool(self.causes)),
            (f"people got {told} messages of {fault.alert}, not one", bool(fault.alert) and told != 1),
            ("people were told of what heals by itself", not fault.alert and bool(self.sent)),
            (f"{made} connections were made with the wrong key, not one", made not in (None, 1)),
            *((f"the message did not go out: {message.fate}", message.is_lost) for message in self.sent),
        ]
        return [f"{self.name}: {words}" for words, is_so in found if is_so]


@dataclass(frozen=True)
class Judged:
    """What was recorded beside what REST has.

    Attributes
    ----------
    minutes
        That were compared, all tickers together.
    lost, unlike, doubled
        Of these, after repair.
    gaps
        The cause of each gap.
    left
        Gaps that repair could not close, with the reason.
    """

    minutes: int
    lost: int
    unlike: int
    doubled: int
    gaps: Sequence[str]
    left: Sequence[str]


@dataclass(frozen=True)
class Report:
    """What came of a drill.

    Attributes
    ----------
    outcomes, judged
        Of the faults, and of everything that was recorded.
    unplayed
        Faults for which there was no time.
    log
        How the recorder's log ends, where something went wrong.
    """

    session: date
    speed: float
    start: datetime
    until: datetime
    outcomes: Sequence[Outcome]
    judged: Judged
    unplayed: Sequence[str]
    real_s: float
    log: Sequence[str]

    def problems(self) -> list[str]:
        """Return what went wrong, in words; empty where all went as it should."""
        judged = self.judged
        amiss = {"lost": judged.lost, "unlike REST's": judged.unlike, "doubled": judged.doubled}
        return [
            *(problem for outcome in self.outcomes for problem in outcome.problems()),
            *(f"{count} of {judged.minutes} minutes are {what}" for what, count in amiss.items() if count),
            *(f"a gap was not closed: {words}" for words in judged.left),
            *(f"{name}: the session was over; at a lower speed there is time for it" for name in self.unplayed),
        ]


def as_markdown(report: Report) -> str:
    """Return the page."""
    judged, length = report.judged, report.until - report.start
    lines = [
        f"# Drill: {report.session}, {_clock(report.start)} to {_clock(report.until)} New York, {report.speed:g}x",
        "",
        "| fault | what happened | gap | recovered after | missed, then filled | lost | doubled | messages |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
        *map(_row, report.outcomes),
        "",
        (
            f"{judged.minutes:,} minutes of bars were compared with REST's: {judged.lost} lost, "
            f"{judged.unlike} unlike, {judged.doubled} doubled. Gaps: {', '.join(judged.gaps) or 'none'}; "
            f"{len(judged.left)} of them are open. {length.total_seconds() / 60:.0f} minutes of the session took "
            f"{report.real_s:.0f} s."
        ),
        "",
    ]
    problems = report.problems()
    if not problems:
        return "\n".join([*lines, "**All went as it should.**"])
    log = ["", "The recorder's log ends:", "", *(f"    {line}" for line in report.log)] if report.log else []
    return "\n".join([*lines, "**What went wrong:**", "", *(f"- {problem}" for problem in problems), *log])


def _row(outcome: Outcome) -> str:
    after = "not at all"
    if outcome.recovered is not None:
        after = f"{_length(outcome.recovered - outcome.began)} ({outcome.real_s:.1f} s real)"
    cells = (
        outcome.name,
        outcome.fault.what,
        ", ".join(outcome.causes) or "none",
        after,
        outcome.missed,
        outcome.lost,
        outcome.doubled,
        "; ".join(f"{message.subject} ({message.fate})" for message in outcome.sent) or "none",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _length(length: timedelta) -> str:
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    return f"{minutes}:{seconds:02d} min"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%H:%M}"
