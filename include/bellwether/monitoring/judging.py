"""What is to be said of the performance of tasks: pure functions of tries, thresholds and the time.

Times are the machine's. What is paced by the feed (streams, polls, rounds) takes as long as the session does, at
whatever speed that is replayed, and is judged by its heartbeats elsewhere; here it is not.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final, Literal

from bellwether.config import Config
from bellwether.config.settings import PerformanceSettings
from bellwether.errors import Blame
from bellwether.monitoring.alerts import blame_of
from bellwether.monitoring.tries import DEFERRED, RUNNING, TryRecord

type Kind = Literal["stale", "hung", "overrun", "slower", "error burst"]
type Work = tuple[str, str, str]
"""DAG, task and dataset: what can be compared between sessions."""

PACED: Final = frozenset({"wait", "stream", "poll", "intraday", "reconcile"})
"""Tasks that last as long as the session, or wait for it; so do all of `gap_repair`."""

_PACED_DAGS: Final = frozenset({"gap_repair", "ops_recover", "ops_drill"})


@dataclass(frozen=True)
class Finding:
    """Something to be told of performance.

    Attributes
    ----------
    session, dataset
        Of what.
    cause
        Whose fault it is, as far as can be told.
    why
        In words; the vendor's among them are tame.
    began_utc
        Since when.
    recovered_utc
        When it had passed: then it is told of, and no problem any more.
    """

    session: date
    dataset: str
    kind: Kind
    cause: Blame
    why: str
    began_utc: datetime
    recovered_utc: datetime | None = None


@dataclass(frozen=True)
class Burst:
    """Many errors at once; `ended_utc` is when the last of them came, None while more may follow."""

    began_utc: datetime
    last_utc: datetime
    ended_utc: datetime | None
    count: int


def work_of(record: TryRecord) -> Work:
    """Return what a try did."""
    return record.identity.dag_id, record.identity.task_id, record.identity.dataset


def is_paced(record: TryRecord) -> bool:
    """Return whether a task's length is the feed's doing."""
    identity = record.identity
    return identity.dag_id in _PACED_DAGS or identity.task_id.rpartition(".")[2] in PACED


def standstill(
    record: TryRecord, settings: PerformanceSettings, now: datetime, longest_wait: timedelta
) -> Literal["stale", "hung", ""]:
    """Return whether a try that should go on does not.

    Stale: nothing was heard of it for `stale_after_min`. Hung: it is heard of, and had done nothing for as long.
    What is deferred is silent for as long as the retry policy lets it wait.
    """
    if record.is_over or is_paced(record):
        return ""
    silent = now - record.heard_utc
    if record.state == DEFERRED:
        return "stale" if silent >= longest_wait + settings.stale_after else ""
    if silent >= settings.stale_after:
        return "stale"
    return "hung" if record.heard_utc - record.moved_utc >= settings.stale_after else ""


def is_overrun(duration_s: float, median_s: float | None, settings: PerformanceSettings) -> bool:
    """Return whether a task took more than `overrun_factor` times as long as usual, and noticeably so."""
    if median_s is None:
        return False
    return duration_s > settings.overrun_factor * median_s and duration_s - median_s > settings.overrun_least_s


def session_medians(tries: Sequence[TryRecord]) -> dict[Work, float]:
    """Return how long the tries of a session took that succeeded, the median by what they did, seconds."""
    durations: dict[Work, list[float]] = {}
    for record in tries:
        if record.state == "success" and not is_paced(record):
            durations.setdefault(work_of(record), []).append(record.duration_s)
    return {work: median(found) for work, found in durations.items()}


def is_slower(medians_s: Sequence[float], settings: PerformanceSettings) -> bool:
    """Return whether a task has become slow by and by.

    Parameters
    ----------
    medians_s
        By session, the oldest first. The median of the newest `history_sessions` is compared with that of the oldest;
        fewer than twice as many tell nothing.
    """
    sessions = settings.history_sessions
    if len(medians_s) < 2 * sessions:
        return False
    before_s, now_s = median(medians_s[:sessions]), median(medians_s[-sessions:])
    return now_s > settings.degradation_factor * before_s and now_s - before_s > settings.overrun_least_s


def bursts(times_utc: Sequence[datetime], settings: PerformanceSettings, now: datetime) -> list[Burst]:
    """Return the bursts among errors of one cause.

    Parameters
    ----------
    times_utc
        When they came, ascending. `burst_errors` of them that lie no further apart than `burst_min` begin a burst; it
        goes on while the next one comes within `burst_min` of the one before.
    now
        The present: a burst has ended once `burst_min` have passed without an error.
    """
    found, first = [], 0
    while first + settings.burst_errors <= len(times_utc):
        last = first + settings.burst_errors - 1
        if times_utc[last] - times_utc[first] > settings.burst:
            first += 1
            continue
        while last + 1 < len(times_utc) and times_utc[last + 1] - times_utc[last] <= settings.burst:
            last += 1
        ended_utc = times_utc[last] if now - times_utc[last] >= settings.burst else None
        found.append(Burst(times_utc[first], times_utc[last], ended_utc, last - first + 1))
        first = last + 1
    return found


def is_empty_for_once(rows: int | None, rows_before: Sequence[int | None]) -> bool:
    """Return whether a session has no rows though none of those before was empty; None is what is not published."""
    return rows == 0 and 0 not in rows_before


class Judge:
    """Judges tries beside those of the sessions before.

    Parameters
    ----------
    config
        Holds the thresholds, and how long a task may wait for the vendor.
    now
        The present.
    tries
        By session.
    """

    def __init__(self, config: Config, now: datetime, tries: Mapping[date, Sequence[TryRecord]]) -> None:
        self._settings = config.settings.monitoring.performance
        self._longest_wait = timedelta(seconds=config.retry_policy.longest_wait_s)
        self._now = now
        self._tries = dict(sorted(tries.items()))
        self._medians = {session: session_medians(found) for session, found in self._tries.items()}

    def median_s(self, record: TryRecord) -> float | None:
        """Return how long a task usually takes: the median of the sessions before, None where they are too few."""
        earlier = self._history(work_of(record), before=record.identity.session)
        return median(earlier) if len(earlier) >= self._settings.history_sessions else None

    def verdict(self, record: TryRecord) -> Literal["stale", "hung", "overrun", ""]:
        """Return what is to be said of a try; empty where nothing is."""
        if stands := standstill(record, self._settings, self._now, self._longest_wait):
            return stands
        is_judged = record.state in (RUNNING, "success") and not is_paced(record)
        return "overrun" if is_judged and self._is_overrun(record) else ""

    def findings(self, last: date) -> list[Finding]:
        """Return what is to be told: of the last session all, of the ones before what stands still or met bursts."""
        found = [
            self._of_try(record, kind)
            for session, tries in self._tries.items()
            for record in tries
            if (kind := self.verdict(record)) and (kind != "overrun" or session == last)
        ]
        return [*found, *self._slower(last), *self._bursts()]

    def _is_overrun(self, record: TryRecord) -> bool:
        return is_overrun(record.duration_s, self.median_s(record), self._settings)

    def _history(self, work: Work, before: date) -> list[float]:
        return [known[work] for session, known in self._medians.items() if session < before and work in known]

    def _of_try(self, record: TryRecord, kind: Literal["stale", "hung", "overrun"]) -> Finding:
        who = _who(record)
        if kind == "overrun":
            usual_s = self.median_s(record) or 0.0
            why = f"{who} took {record.duration_s:.0f} s, usually {usual_s:.0f} s"
            spent, cause = _spent(record)
            return self._finding(record, kind, cause, f"{why}; most of it {spent}")
        where = f" ({record.doing})" if record.doing else ""
        if kind == "hung":
            cause = Blame.VENDOR if record.doing.startswith("vendor") else Blame.OURS
            why = f"{who} is alive, but has done nothing since {_at(record.moved_utc)}{where}"
            return self._finding(record, kind, cause, why)
        why = f"{who} is {record.state}, but was last heard of {_at(record.heard_utc)}{where}"
        return self._finding(record, kind, Blame.OURS, why)

    def _finding(self, record: TryRecord, kind: Kind, cause: Blame, why: str) -> Finding:
        return Finding(record.identity.session, record.identity.dataset, kind, cause, why, record.started_utc)

    def _slower(self, last: date) -> list[Finding]:
        found = []
        for work in self._medians.get(last, {}):
            history = [known[work] for session, known in self._medians.items() if session <= last and work in known]
            if is_slower(history, self._settings):
                newest = [record for record in self._tries[last] if work_of(record) == work]
                _, cause = _spent(newest[-1])
                sessions = self._settings.history_sessions
                before_s, now_s = median(history[:sessions]), median(history[-sessions:])
                ago = f"{len(history) - 1} sessions ago it took {before_s:.0f} s"
                why = f"{work[0]}.{work[1]} takes {now_s:.0f} s, {ago}"
                found.append(Finding(last, work[2], "slower", cause, why, newest[0].started_utc))
        return found

    def _bursts(self) -> list[Finding]:
        found = []
        for (session, dataset, cause), met in _by_cause(self._tries).items():
            times = sorted(time for _, _, time in met)
            for burst in bursts(times, self._settings, self._now):
                within = [each for each in met if burst.began_utc <= each[2] <= burst.last_utc]
                names = Counter(name for name, _, _ in within)
                told = ", ".join(f"{count} {name}" for name, count in names.most_common())
                recovered = self._success_after(session, dataset, burst.last_utc) if burst.ended_utc else None
                state = "lasting" if burst.ended_utc is None else f"last {_at(burst.last_utc)}"
                why = f"{burst.count} errors since {_at(burst.began_utc)}, {state}: {told}; first: {within[0][1]}"
                found.append(Finding(session, dataset, "error burst", cause, why, burst.began_utc, recovered))
        return found

    def _success_after(self, session: date, dataset: str, moment: datetime) -> datetime | None:
        return min(
            (
                record.ended_utc
                for record in self._tries[session]
                if record.identity.dataset == dataset
                and record.state == "success"
                and record.ended_utc is not None
                and record.ended_utc >= moment
            ),
            default=None,
        )


def _by_cause(
    tries: Mapping[date, Sequence[TryRecord]],
) -> dict[tuple[date, str, Blame], list[tuple[str, str, datetime]]]:
    """Return all errors by session, dataset and cause, as class, example and time, in the order of time."""
    met: dict[tuple[date, str, Blame], list[tuple[str, str, datetime]]] = {}
    for session, found in tries.items():
        for record in found:
            for name, errors in record.errors.items():
                where = met.setdefault((session, record.identity.dataset, blame_of(name)), [])
                # Of those whose times were not kept the last is known.
                times = list(errors.times_utc) + [errors.last_utc] * (errors.last_utc > errors.times_utc[-1])
                where += [(name, errors.example, time) for time in times]
    return {key: sorted(found, key=lambda each: each[2]) for key, found in met.items()}


def _spent(record: TryRecord) -> tuple[str, Blame]:
    """Return what a try spent most of its time on, and whose doing that is."""
    ours_s = record.duration_s - record.vendor_s - record.limit_wait_s - record.read_s - record.write_s
    shares: dict[str, tuple[float, Blame]] = {
        "waiting for the vendor": (record.vendor_s, Blame.VENDOR),
        "waiting for the rate limit": (record.limit_wait_s, Blame.RATE_LIMIT),
        "reading the lake": (record.read_s, Blame.OURS),
        "writing the lake": (record.write_s, Blame.OURS),
        "work of its own": (ours_s, Blame.OURS),
    }
    most = max(shares, key=lambda name: shares[name][0])
    return most, shares[most][1]


def _who(record: TryRecord) -> str:
    identity = record.identity
    mapped = f"[{identity.map_index}]" if identity.map_index >= 0 else ""
    return f"{identity.dag_id}.{identity.task_id}{mapped}, try {identity.try_number} of {identity.run_id},"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
