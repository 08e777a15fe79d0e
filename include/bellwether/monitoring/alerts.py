"""The words of an alert: from what is known of a failed run to a subject and a body.

Pure. Who gathers the facts and who delivers the words is not known here. Only texts of Bellwether's own
errors are quoted, tamed where the task dies; of any other exception its class alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import msgspec

from bellwether import errors
from bellwether.config import Alerts, Severity
from bellwether.errors import (
    BellwetherError,
    Blame,
    NotBroadcast,
    NothingProven,
    SnapshotMissed,
    VendorError,
)
from bellwether.logging import tame

KILLED = "killed"
TIMED_OUT = "timed out"
QUARANTINED = "quarantined"
REFUSED = "refused"
LOST = "nothing staged"
UNREAD = "unread"
STALLED = "stalled"
OVERDUE = "overdue"

_NAMES_SHOWN = 5

# Sessions that cannot be had by running a task again.
_LOST = {SnapshotMissed.__name__, NotBroadcast.__name__}

# Failures of these tasks alone leave the rest of the session published.
_PARTIAL = ("ingest", "report")

_TO_DO = {
    KILLED: "the task ended without a word: killed, or out of memory; see the machine's log, then clear",
    TIMED_OUT: "it took longer than allowed; see what the task's log ends with, then clear",
    QUARANTINED: "every row broke a rule; see quarantine in the lake, which names the rules",
    REFUSED: "the published rows were kept against what came; to accept it, fetch by name with Fetch again",
    UNREAD: "Airflow did not say what it died of; see the task's log",
    LOST: "the batch left nothing behind; see its log, then clear",
}
_BLAME = {QUARANTINED: Blame.QUALITY, REFUSED: Blame.QUALITY, STALLED: Blame.STALL}
_UNKNOWN = "an error Bellwether does not know; see the task's log"


class Cause(msgspec.Struct, frozen=True):
    """One cause of failure and whom it met.

    Attributes
    ----------
    count
        How many tickers.
    tickers
        The first few of them.
    example
        The first one's reason.
    """

    count: int
    tickers: list[str]
    example: str


class Failures(msgspec.Struct, frozen=True):
    """What a run's last task found, in counts: small enough to travel between tasks.

    Attributes
    ----------
    planned
        Tickers the run was to fetch.
    causes
        By name: a class of `bellwether.errors` or one of this module's words.
    """

    planned: int
    causes: dict[str, Cause]

    @property
    def failed(self) -> int:
        """Tickers that failed."""
        return sum(cause.count for cause in self.causes.values())


@dataclass(frozen=True)
class FailedRun:
    """What is known of a failed run.

    Attributes
    ----------
    subject
        What was captured: dataset and session, or dataset and run.
    reason
        Airflow's word for why it calls the run failed.
    tasks
        What each failed task died of, as `describe` puts it; None where it left no word.
    failures
        Its last task's findings; None where it found nothing out.
    url
        Where people clear it.
    """

    subject: str
    reason: str
    tasks: Mapping[str, str | None]
    failures: Failures | None
    url: str


@dataclass(frozen=True)
class Message:
    """An alert: the subject fits a line, the body is plain text; `causes` are the names of all causes in it."""

    subject: str
    body: str
    severity: Severity
    causes: frozenset[str]
    is_healing: bool = False


@dataclass(frozen=True)
class Delivery:
    """What became of a message.

    Attributes
    ----------
    words
        In words.
    refused
        The sinks that did not take it, by place and scheme; `*` where none could be made out.
    """

    words: str
    refused: tuple[str, ...] = ()

    @property
    def is_lost(self) -> bool:
        """Whether it did not reach people it was to reach."""
        return bool(self.refused)


def in_drill(message: Message) -> Message:
    """Return a message that says that it is only a drill."""
    return replace(message, subject=f"[drill] {message.subject}")


def describe(error: BaseException) -> str:
    """Return what a task died of in one short line, `Class: words`, without anything that might be secret."""
    words = error.message if isinstance(error, VendorError) else str(error)
    name = type(error).__name__
    return f"{name}: {tame(words)}" if isinstance(error, BellwetherError) else name


def group(failed: Mapping[str, str], refused: Mapping[str, str], planned: int) -> Failures:
    """Group tickers by cause.

    Parameters
    ----------
    failed
        Reason by ticker, of those that could not be fetched or were refused whole, as the ledger has it.
    refused
        Reason by ticker, of those whose published rows were kept against what came.
    planned
        How many tickers the run was to fetch.
    """
    reasons = {**refused, **failed}
    by_cause: dict[str, list[str]] = {}
    for ticker, reason in sorted(reasons.items()):
        by_cause.setdefault(_cause_of(reason, refused=ticker not in failed), []).append(ticker)
    causes = {
        name: Cause(len(tickers), tickers[:_NAMES_SHOWN], tame(reasons[tickers[0]]))
        for name, tickers in by_cause.items()
    }
    return Failures(planned, causes)


def together(found: Sequence[Failures]) -> Failures | None:
    """Return the findings on several datasets of one run as one; None where there are none."""
    if not found:
        return None
    causes: dict[str, Cause] = {}
    for name in dict.fromkeys(name for failures in found for name in failures.causes):
        met = [failures.causes[name] for failures in found if name in failures.causes]
        tickers = list(dict.fromkeys(ticker for cause in met for ticker in cause.tickers))
        causes[name] = Cause(sum(cause.count for cause in met), tickers[:_NAMES_SHOWN], met[0].example)
    return Failures(sum(failures.planned for failures in found), causes)


def compose(run: FailedRun) -> Message:
    """Put a failed run into words."""
    tickers, tasks = causes_of(run)
    is_partial = _is_partial(run)
    lines = [_line(name, _names(cause.tickers, cause.count), cause.example) for name, cause in tickers.items()]
    lines += [_line(name, _names(who, len(who)), words) for name, (who, words) in tasks.items()]
    causes = frozenset(tickers) | frozenset(tasks)
    is_lost = bool(causes & _LOST) and causes <= {*_LOST, NothingProven.__name__}
    paragraphs = [
        f"{_headline(run)}.",
        "\n".join(lines),
        "The other tickers are published." if is_partial else "",
        f"Clearing it would help nothing: {run.url}"
        if is_lost
        else f"Clear the failed tasks with everything downstream: {run.url}",
    ]
    subject, body = f"{run.subject}: {_headline(run)}", "\n\n".join(filter(None, paragraphs))
    return Message(subject, body, "warning" if is_partial else "error", causes)


def blame_of(name: str) -> Blame:
    """Return whose a cause is, by its name: a class of `bellwether.errors` or one of this module's words."""
    cls = _class_of(name)
    return cls.blame if cls else _BLAME.get(name, Blame.OURS)


def compose_stall(dataset: str, session: date, state: str, covered_utc: datetime, minutes: float) -> Message:
    """Put into words that a stream, or the polling of news, goes on without hearing anything.

    Parameters
    ----------
    dataset, session
        Of what.
    state, covered_utc
        What it does instead, and until when it has heard.
    minutes
        For how long, of the feed's time.
    """
    what, misses = "has not listened, or not written,", "What it does not hear is a gap"
    if dataset == "news":
        what, misses = "has read nothing", "The first answer brings what came since"
    body = (
        f"The recorder is alive, but {what} for {minutes:g} minutes: {tame(state)}. It has everything until "
        f"{covered_utc:%H:%M} UTC. {misses}, and it goes on trying; its log says what it met."
    )
    return Message(f"{dataset}_live {session}: stalled", body, "critical", frozenset({STALLED}))


def compose_failing_rounds(session: date, rounds: int, why: str) -> Message:
    """Put into words that provisional gold is no longer built.

    Parameters
    ----------
    session
        Of which.
    rounds
        How many failed, one after the other.
    why
        Of the last one.
    """
    body = (
        f"{rounds} rounds in a row failed to build the gold of the session so far: {tame(why)}. What was published "
        "before stands and grows old. The streams go on, and so do the rounds; the log of the task gold.intraday says "
        "what they meet. Final gold does not depend on it."
    )
    return Message(f"minutes {session}: provisional gold stands still", body, "error", frozenset({STALLED}))


def why_quiet(message: Message, settings: Alerts, dag_id: str, today: date) -> str | None:
    """Return why a message is to stay in the log, or None if people are to be told."""
    if settings.is_below(message.severity):
        return f"minimum_severity of alerts.yaml is {settings.minimum_severity}"
    for mute in settings.mute:
        matches = mute.cause is None or message.causes == {mute.cause}
        if mute.dag_id == dag_id and matches and today <= mute.until:
            return f"muted until {mute.until} by alerts.yaml: {mute.reason}"
    return None


def _cause_of(reason: str, *, refused: bool) -> str:
    name = reason.partition(":")[0]
    if _class_of(name):
        return name
    if refused:
        return REFUSED
    return QUARANTINED if reason.endswith("rows in quarantine") else LOST


def causes_of(run: FailedRun) -> tuple[dict[str, Cause], dict[str, tuple[list[str], str]]]:
    """Return the causes of a failed run.

    Returns
    -------
    tickers : dict of str to Cause
        Those found at tickers, by name.
    tasks : dict of str to (list of str, str)
        Those only failed tasks know of: the tasks, and the words of the first.
    """
    tickers = dict(run.failures.causes) if run.failures else {}
    tasks: dict[str, tuple[list[str], str]] = {}
    if run.reason == "timed_out":
        tasks[TIMED_OUT] = (["the whole run"], "")
    for task, words in run.tasks.items():
        if _step(task) == "report" and words is not None and (run.failures or len(run.tasks) > 1):
            continue  # it fails because others did
        name = _task_cause(words)
        if name not in tickers:
            tasks.setdefault(name, ([], words or ""))[0].append(task)
    if tasks:
        tickers.pop(LOST, None)
    return tickers, tasks


def _step(task: str) -> str:
    """Return which step of a dataset's graph a task is: `ingest` of `splits.ingest[3]`."""
    return task.partition("[")[0].rpartition(".")[2]


def _task_cause(words: str | None) -> str:
    if words is None:
        return KILLED
    name = words.partition(":")[0]
    return TIMED_OUT if name in ("AirflowTaskTimeout", "TaskDeferralTimeout") else name


def _is_partial(run: FailedRun) -> bool:
    others = [task for task in run.tasks if _step(task) not in _PARTIAL]
    return bool(run.failures and 0 < run.failures.failed < run.failures.planned and run.reason != "timed_out") and (
        not others
    )


def _headline(run: FailedRun) -> str:
    if run.failures and run.failures.failed:
        return f"{run.failures.failed} of {run.failures.planned} tickers failed"
    tasks = [task for task in run.tasks if _step(task) != "report"] or list(run.tasks)
    if tasks:
        return f"{_names(tasks, len(tasks))} failed"
    return f"the run failed ({run.reason})"


def _line(name: str, who: str, words: str) -> str:
    quoted = words.removeprefix(f"{name}: ")
    # A class without words has been named already.
    return f"- {name} ({who}): {_to_do(name)}." + (f' "{quoted}"' if " " in quoted else "")


def _to_do(name: str) -> str:
    cls = _class_of(name)
    return cls.advice if cls else _TO_DO.get(name, _UNKNOWN)


def _class_of(name: str) -> type[BellwetherError] | None:
    """Return the class of `bellwether.errors` of this name; None where there is none."""
    cls = getattr(errors, name, None)
    return cls if isinstance(cls, type) and issubclass(cls, BellwetherError) else None


def _names(names: Sequence[str], count: int) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return shown if count <= _NAMES_SHOWN else f"{shown} and {count - _NAMES_SHOWN} more"
