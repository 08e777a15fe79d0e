"""The performance of the sessions looked back on: what there is to tell of it, for people and for machines.

    tries -> findings, costs of the last session by dataset, errors by class

An error is told of once for each class, dataset and session, however many tasks and requests met it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from bellwether.config import Config
from bellwether.errors import Blame, LakeError
from bellwether.lake import Lake
from bellwether.monitoring.alerts import blame_of
from bellwether.monitoring.judging import Finding, Judge
from bellwether.monitoring.performance import Tries, known_tries
from bellwether.monitoring.tries import TryRecord


@dataclass(frozen=True)
class Cost:
    """What a dataset of a session cost, all tries of all tasks together; seconds, counts and bytes."""

    dataset: str
    tries: int
    duration_s: float
    vendor_s: float
    read_s: float
    write_s: float
    limit_wait_s: float
    deferred_s: float
    api_calls: int
    rows: int
    bytes_received: int
    bytes_written: int


@dataclass(frozen=True)
class ErrorGroup:
    """All errors of a class that the tasks of a dataset of a session met; `example` are the first one's words."""

    session: date
    dataset: str
    error: str
    cause: Blame
    count: int
    tries: int
    first_utc: datetime
    last_utc: datetime
    example: str


@dataclass(frozen=True)
class Performance:
    """The performance of the sessions up to one.

    Attributes
    ----------
    tries
        By session.
    findings
        What is to be told, what has passed included.
    unreadable
        Sessions whose partition is damaged, with what to do.
    """

    session: date
    tries: Tries
    findings: tuple[Finding, ...]
    unreadable: dict[date, str]

    @property
    def costs(self) -> list[Cost]:
        """Of the last session, by dataset."""
        return costs(self.tries.get(self.session, ()))

    @property
    def errors(self) -> list[ErrorGroup]:
        """Of all sessions, the newest first."""
        return grouped(record for _, tries in sorted(self.tries.items(), reverse=True) for record in tries)


def look_at_performance(lake: Lake, config: Config, sessions: Sequence[date]) -> Performance:
    """Return how the tasks of some sessions, ascending, performed; a session that cannot be read holds up no other."""
    tries: dict[date, Sequence[TryRecord]] = {}
    unreadable: dict[date, str] = {}
    for session in sessions:
        try:
            tries[session] = known_tries(lake, session)
        except LakeError as error:
            unreadable[session] = str(error)
    findings = Judge(config, lake.clock.now(), tries).findings(sessions[-1])
    return Performance(sessions[-1], tries, tuple(findings), unreadable)


def costs(tries: Iterable[TryRecord]) -> list[Cost]:
    """Return what tries cost, by dataset."""
    found: dict[str, list[TryRecord]] = {}
    for record in tries:
        found.setdefault(record.identity.dataset, []).append(record)
    summed = [name for name in Cost.__dataclass_fields__ if name not in {"dataset", "tries"}]
    return [
        Cost(dataset, len(of), **{name: round(sum(getattr(each, name) for each in of), 3) for name in summed})
        for dataset, of in sorted(found.items())
    ]


def grouped(tries: Iterable[TryRecord]) -> list[ErrorGroup]:
    """Return all errors that tries met, by session, dataset and class."""
    found: dict[tuple[date, str, str], list[TryRecord]] = {}
    for record in tries:
        for name in record.errors:
            found.setdefault((record.identity.session, record.identity.dataset, name), []).append(record)
    groups = []
    for (session, dataset, name), of in found.items():
        met = sorted((record.errors[name] for record in of), key=lambda each: each.times_utc[0])
        groups.append(
            ErrorGroup(
                session=session,
                dataset=dataset,
                error=name,
                cause=blame_of(name),
                count=sum(each.count for each in met),
                tries=len(of),
                first_utc=met[0].times_utc[0],
                last_utc=max(each.last_utc for each in met),
                example=met[0].example,
            )
        )
    return groups


def as_markdown(performance: Performance, most: int) -> list[str]:
    """Return the section for people: the last session's costs, what has passed, errors; no more than `most` of each."""
    lines = ["", f"#### Performance of {performance.session}", ""]
    if performance.costs:
        lines += ["| dataset | tries | seconds | vendor | read | write | waits | calls | rows | MB in | MB out |"]
        lines += ["| --- |" + " ---: |" * 10]
        lines += [f"| {' | '.join(row)} |" for row in map(in_words, performance.costs)]
    else:
        lines += ["No task has told anything of it."]
    passed = [each for each in performance.findings if each.recovered_utc is not None]
    lines += [""] if passed else []
    lines += [
        f"- {each.session} {each.dataset}: {each.kind} ({each.cause}), recovered at {each.recovered_utc:%H:%M:%S} UTC. "
        f"{each.why}"
        for each in passed[:most]
    ]
    if groups := performance.errors:
        lines += ["", "| session | dataset | error | cause | count | first, UTC | last, UTC | example |"]
        lines += ["| --- | --- | --- | --- | ---: | --- | --- | --- |"]
        lines += [
            f"| {each.session} | {each.dataset} | {each.error} | {each.cause} | {each.count} "
            f"| {each.first_utc:%m-%d %H:%M:%S} | {each.last_utc:%m-%d %H:%M:%S} | {each.example.replace('|', '/')} |"
            for each in groups[:most]
        ]
        lines += [f"| and {len(groups) - most} more | | | | | | | |"] if len(groups) > most else []
    return lines


def in_words(cost: Cost) -> tuple[str, ...]:
    """Return a row for people."""
    seconds = (cost.duration_s, cost.vendor_s, cost.read_s, cost.write_s, cost.limit_wait_s + cost.deferred_s)
    bytes_in_out = (cost.bytes_received / 1e6, cost.bytes_written / 1e6)
    return (
        cost.dataset,
        str(cost.tries),
        *(f"{each:,.1f}" for each in seconds),
        f"{cost.api_calls:,}",
        f"{cost.rows:,}",
        *(f"{each:,.1f}" for each in bytes_in_out),
    )


def as_json(performance: Performance) -> dict[str, Any]:
    """Return all there is to tell, for machines."""
    return {
        "session": performance.session,
        "costs": [asdict(each) for each in performance.costs],
        "findings": [asdict(each) for each in performance.findings],
        "errors": [asdict(each) for each in performance.errors],
    }
