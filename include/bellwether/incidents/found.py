"""From what was found to reports: a failed run, a stream that stalls, an unhealthy look back."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from bellwether.calendar import get_calendar
from bellwether.config import Config, Severity
from bellwether.consolidate.inputs import RECORDER
from bellwether.errors import Blame, NotBroadcast, NothingProven, SnapshotMissed, StreamRefused
from bellwether.incidents.incident import Incident, Report, Run, Watch
from bellwether.ingest.sources import CAPTURED
from bellwether.lake import Coverage, Lake
from bellwether.logging import tame
from bellwether.monitoring.alerts import STALLED, FailedRun, Message, blame_of, causes_of
from bellwether.monitoring.health import Health, Problem
from bellwether.schemas import LIVE
from bellwether.streaming.live import live

_GONE: Final = {SnapshotMissed.__name__, NotBroadcast.__name__, StreamRefused.__name__, STALLED}
"""What cannot be had later, or is lost while nobody acts."""

_UNREPEATABLE: Final = "options_snapshot"
_BLAME: Final = {
    Coverage.NOT_ENTITLED: Blame.ENTITLEMENT,
    Coverage.VENDOR_LATE: Blame.VENDOR_LATE,
    Coverage.QUARANTINED: Blame.QUALITY,
}
_MOST_LINES: Final = 20
_OF_A_RECORDER: Final = re.compile(r"stream (dead|stalled)|\d+ gaps open")
_TO_DO: Final = (
    "No failed run told of it: see whether there is a run at all and its DAG is not paused; the DAG ops_recover fills "
    "what lacks."
)
_NAMED: Final = re.compile(r"\b([A-Z]\w+): ")


def in_a_session(session: date | None, today: date) -> date | None:
    """Return the session to file a report under: its own, or of what has none the last; None on a day without one."""
    calendar = get_calendar()
    if session is None:
        return calendar.on_or_before(today)
    return session if calendar.is_session(session) else None


def concerned(what: str, group: str) -> str:
    """Return which dataset a group of tasks is about, in a DAG that captures something called `what`."""
    if what == "gold" or group == "gold":
        return RECORDER
    if group and what in {"stream", "repair"}:
        return live(group)
    return group or what


def of_failed_run(
    config: Config,
    whole: Message,
    parts: Mapping[str, FailedRun],
    *,
    session: date,
    run: Run,
    planned_tasks: Mapping[str, int],
) -> list[Report]:
    """Return the reports on a failed run, one for each dataset and blame.

    Parameters
    ----------
    whole
        The words about the whole run.
    parts
        What failed, by dataset.
    planned_tasks
        How many of each task there are, by dataset and name: `equities.ingest`.
    """
    found = []
    for dataset, part in parts.items():
        for blame, (tickers, tasks, causes) in _counted(part).items():
            planned = sum(planned_tasks.get(f"{dataset}.{name}", 1) for name in {_bare(task) for task in tasks})
            found.append(
                Report(
                    report_id=run.run_id,
                    dataset=dataset,
                    session=session,
                    blame=blame,
                    severity=severity_of(config, dataset, causes, is_partial=whole.severity == "warning"),
                    subject=whole.subject,
                    body=whole.body,
                    causes=tuple(sorted(whole.causes)),
                    failed=tickers or len(tasks),
                    planned=part.failures.planned if tickers and part.failures else max(planned, len(tasks)),
                    unit="tickers" if tickers else "tasks",
                    run=run,
                )
            )
    return found


def severity_of(config: Config, dataset: str, causes: Sequence[str], *, is_partial: bool) -> Severity:
    """Return how bad it is that a dataset failed, by what can still be had and who waits for it."""
    if dataset == _UNREPEATABLE or _GONE.intersection(causes):
        return "critical"
    is_required = dataset not in CAPTURED or config.source(dataset).required
    return "error" if is_required and not is_partial else "warning"


def of_stall(message: Message, dataset: str, session: date, dag_id: str) -> Report:
    """Return the report on what goes on and brings nothing: a stream, or the rounds of provisional gold."""
    return Report(
        report_id=f"{STALLED} {dataset} {session}",
        dataset=dataset,
        session=session,
        blame=Blame.STALL,
        severity=message.severity,
        subject=message.subject,
        body=message.body,
        causes=tuple(message.causes),
        dag_id=dag_id,
        watch=Watch.STREAM,
    )


def of_look_back(
    lake: Lake, health: Health, problems: Sequence[Problem], known: Sequence[Incident], *, dag_id: str
) -> list[Report]:
    """Return the reports on what is unhealthy and no incident tells of: all of one look, to be told together.

    That is also what no run ever met: a run that was never created. Of sessions before the first that was ever
    published nothing is said, except of the newest one; nor of gold whose input is what is missing, or which has just
    been announced.
    """
    told = {(each.last.dataset, each.last.session) for each in known if each.healed_utc is None}
    announced = set(health.to_announce)
    new: dict[tuple[str, date], Problem] = {}
    lacking = {each.session for each in problems if each.dataset in CAPTURED}
    for each in problems:
        dataset = dataset_of(each)
        is_gold = dataset == RECORDER and (each.session in lacking or each.session in announced)
        if not is_gold and (dataset, each.session) not in told and _is_ours_to_tell(lake, health, dataset, each):
            new.setdefault((dataset, each.session), each)
    lines = [f"- {dataset} {session}: {each.state}: {tame(each.why)}" for (dataset, session), each in new.items()]
    body = "\n\n".join(
        [
            f"Looking back on the sessions until {health.session}:",
            "\n".join(
                lines[:_MOST_LINES] + ([f"- and {len(lines) - _MOST_LINES} more"] if lines[_MOST_LINES:] else [])
            ),
            _TO_DO,
        ]
    )
    subject = f"health {health.session}: {len(new)} not as they should be"
    return [
        Report(
            report_id=f"health {health.session} {health.looked_utc.isoformat()}",
            dataset=dataset,
            session=session,
            blame=blame_of_problem(each),
            severity=_severity(each),
            subject=subject,
            body=body,
            dag_id=dag_id,
            watch=_watch(each),
        )
        for (dataset, session), each in new.items()
    ]


def blame_of_problem(problem: Problem) -> Blame:
    """Return whose a problem is: as the error that its reason names, or as its state."""
    if _is_of_a_recorder(problem):
        return Blame.STALL
    named = _NAMED.search(problem.why)
    if named and (blame := blame_of(named[1])) is not Blame.OURS:
        return blame
    return next((blame for state, blame in _BLAME.items() if state.value == problem.state), Blame.OURS)


def _is_of_a_recorder(problem: Problem) -> bool:
    """Whether it is the condition of a recorder that runs, and not what stands in the lake."""
    return live(problem.dataset) in LIVE and bool(_OF_A_RECORDER.fullmatch(problem.state))


def _watch(problem: Problem) -> Watch:
    if _is_of_a_recorder(problem):
        return Watch.STREAM
    return Watch.STANDING if problem.state in set(Coverage) else Watch.LOOK


def _severity(problem: Problem) -> Severity:
    by_watch: dict[Watch, Severity] = {Watch.STREAM: "critical", Watch.STANDING: "error"}
    return by_watch.get(_watch(problem), "warning")


def dataset_of(problem: Problem) -> str:
    """Return which dataset a problem is about; that of a recorder is what it streams."""
    return live(problem.dataset) if _is_of_a_recorder(problem) else problem.dataset


def _is_ours_to_tell(lake: Lake, health: Health, dataset: str, problem: Problem) -> bool:
    if dataset in LIVE or problem.session == health.session:
        return True
    published = lake.sessions(dataset)
    return bool(published) and published[0] <= problem.session


def _counted(part: FailedRun) -> dict[Blame, tuple[int, list[str], list[str]]]:
    """Return tickers, tasks and causes of a failed run by blame; what failed because others did counts only alone."""
    tickers, tasks = causes_of(part)
    names = [*tickers, *(name for name in tasks if name not in tickers)]
    if len(names) > 1 and NothingProven.__name__ in names:
        names.remove(NothingProven.__name__)
    counts: Counter[Blame] = Counter()
    met: dict[Blame, tuple[list[str], list[str]]] = {}
    for name in names:
        blame = blame_of(name)
        counts[blame] += tickers[name].count if name in tickers else 0
        who, causes = met.setdefault(blame, ([], []))
        who += tasks.get(name, ([], ""))[0]
        causes.append(name)
    if not met:
        return {Blame.OURS: (0, ["run"], [])}
    if len(met) == 1 and part.failures:  # the tickers that its tasks cost are its own
        counts[next(iter(met))] = part.failures.failed
    return {blame: (counts[blame], who, causes) for blame, (who, causes) in met.items()}


def _bare(task: str) -> str:
    return task.partition("[")[0].rpartition(".")[2]
