"""The health of a lake: of the sessions looked back on, what stands, what is fresh, which gold is to be built anew.

What is unhealthy is said here alone (`problems`), for whoever looks and for the daily look back.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate.inputs import RECORDER
from bellwether.consolidate.readiness import readiness
from bellwether.errors import Blame, LakeError
from bellwether.ingest.sources import CAPTURED
from bellwether.ingest.universe import owed_universe
from bellwether.lake import Coverage, Lake, Manifest
from bellwether.lake.coverage import session_coverage
from bellwether.lake.gold import publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.operational import operational
from bellwether.lake.publish import Publication
from bellwether.monitoring import costs
from bellwether.monitoring.costs import Performance, look_at_performance
from bellwether.monitoring.judging import is_empty_for_once
from bellwether.monitoring.workers import Worker
from bellwether.operational_schemas import HEALTH
from bellwether.quarantine.held import late_waiting
from bellwether.schemas import LIVE
from bellwether.streaming.assignment import STREAMS
from bellwether.streaming.closing import in_words, is_recorded, overdue
from bellwether.streaming.live import live
from bellwether.tickers import WHOLE
from bellwether.universe.spec import shown

DATASET = "health"

NO_DATA = "no data"
_EMPTY = "published without a row, as no session looked at before it was"
_MOST_LISTED = 20


@dataclass(frozen=True)
class Standing:
    """How one dataset of one session stands.

    Attributes
    ----------
    dataset
        A captured one, `minutes` for gold, or what a stream had, `equities_live`, where one was recorded.
    is_required
        Whether gold waits for it; gold itself is.
    why
        What is the matter with it; empty where nothing is.
    manifest
        What is published.
    is_announced
        Whether it is gold that is to be built anew from inputs that stand.
    late_rows
        How many rows wait for somebody since they came too late.
    """

    session: date
    dataset: str
    is_required: bool
    state: Coverage
    why: str
    manifest: Manifest | None
    is_announced: bool = False
    late_rows: int = 0


@dataclass(frozen=True)
class Problem:
    """Something unhealthy.

    Attributes
    ----------
    session, dataset
        Of what; the DAG where a task is about no dataset.
    state
        The dataset's, its stream's condition, or what is to be said of the performance of its tasks.
    why
        In words.
    cause
        Whose fault it is, as far as performance tells; None where that is for others to say.
    """

    session: date
    dataset: str
    state: str
    why: str
    cause: Blame | None = None


@dataclass(frozen=True)
class Freshness:
    """How the sessions of one dataset stand together; `newest` is the newest published, None where none is."""

    dataset: str
    is_required: bool
    newest: Standing | None
    sessions_behind: int
    states: str


@dataclass(frozen=True)
class Health:
    """How the sessions up to one stand, by session and dataset."""

    session: date
    looked_utc: datetime
    standings: tuple[Standing, ...]
    performance: Performance | None = None

    @property
    def to_announce(self) -> list[date]:
        """Sessions whose inputs are complete and whose gold is missing or stale, ascending."""
        return [each.session for each in self.standings if each.is_announced]

    def of(self, dataset: str) -> list[Standing]:
        """Return how a dataset stands, by session."""
        return [each for each in self.standings if each.dataset == dataset]

    def fresh(self) -> list[Freshness]:
        """Return how fresh and complete each dataset is, then gold, then what was streamed."""
        return [_freshness(found) for dataset in (*CAPTURED, RECORDER, *LIVE) if (found := self.of(dataset))]


def look_back(lake: Lake, config: Config, last: date, sessions: int) -> Health:
    """Look back on so many sessions, the last one included."""
    looked_at = sessions_until(last, sessions)
    standings = [
        standing(lake, config, dataset, session)
        for session in looked_at
        for dataset in (*CAPTURED, RECORDER, *_streamed(lake, config, session))
    ]
    return Health(last, lake.clock.now(), tuple(standings), look_at_performance(lake, config, looked_at))


def sessions_until(last: date, sessions: int) -> list[date]:
    """Return so many sessions, ascending, the last one included; fewer where the calendar begins."""
    calendar = get_calendar()
    looked_at = [last]
    while len(looked_at) < sessions and looked_at[0] > calendar.first:
        looked_at.insert(0, calendar.previous(looked_at[0]))
    return looked_at


def _streamed(lake: Lake, config: Config, session: date) -> list[str]:
    return [live(dataset) for dataset in STREAMS if is_recorded(lake, config, dataset, session)]


def standing(lake: Lake, config: Config, dataset: str, session: date) -> Standing:
    """Return how it stands: failed where its file cannot be read, which holds up no other."""
    try:
        if dataset in LIVE:
            return _stream(lake, dataset, session)
        return _gold(lake, config, session) if dataset == RECORDER else _captured(lake, config, dataset, session)
    except LakeError as error:
        is_required = dataset == RECORDER or (dataset not in LIVE and config.source(dataset).required)
        return Standing(session, dataset, is_required, Coverage.FAILED, str(error), None)


def _captured(lake: Lake, config: Config, dataset: str, session: date) -> Standing:
    known = session_coverage(lake, dataset, session, owed_universe(lake, config, dataset, session))
    unproven = [ticker for ticker in known.lacking if ticker != WHOLE]
    reasons = sorted({known.tickers[ticker].reason for ticker in known.lacking} - {""})
    if not known.lacking:  # whom it concerns is not known either
        reasons = ["never fetched" if known.is_due else "the session is not due"]
    why = "" if known.is_complete else "; ".join([*([shown(unproven)] if unproven else []), *reasons[:1]])
    return Standing(
        session,
        dataset,
        config.source(dataset).required,
        known.state,
        why,
        known.manifest,
        late_rows=late_waiting(lake, known.manifest),
    )


def _gold(lake: Lake, config: Config, session: date) -> Standing:
    found = readiness(lake, config, session)
    why = "" if found.state is Coverage.COMPLETE else found.why
    manifest = lake.manifest(RECORDER, session)
    return Standing(session, RECORDER, True, found.state, why, manifest, is_announced=found.announce)


def _stream(lake: Lake, dataset: str, session: date) -> Standing:
    """Return how a stream stands: complete when no gap is open, and nobody's concern before the deadline of gaps."""
    manifest = lake.manifest(dataset, session)
    gaps = overdue(lake, dataset.removesuffix("_live"), session, lake.clock.now())
    why = f"gaps open after their deadline: {shown(map(in_words, gaps))}" if gaps else ""
    if manifest is None:
        return Standing(session, dataset, False, Coverage.MISSING if gaps else Coverage.NOT_YET_DUE, why, None)
    is_open = bool(gaps) or manifest.warnings.get("gaps", 0) > 0
    state = Coverage.PARTIAL if is_open else Coverage.COMPLETE
    return Standing(session, dataset, False, state, why, manifest, late_rows=late_waiting(lake, manifest))


def problems(health: Health, at_work: Sequence[Worker]) -> list[Problem]:
    """Return what is unhealthy.

    A session is where a required dataset of it, or its gold, is not what it is to be, or a gap of its streams is open
    after its deadline. A stream that runs is while nobody hears of it, it hears nothing, or a gap of it is open. A
    backfill never is: the ledger knows what it lacks. Of performance all is that has not passed.
    """
    lacking = [
        Problem(each.session, each.dataset, each.state.value, each.why)
        for each in health.standings
        if each.why and (each.is_required or each.dataset in LIVE)
    ]
    lacking += _without_data(health)
    if health.performance is not None:
        lacking += [
            Problem(each.session, each.dataset, each.kind, each.why, each.cause)
            for each in health.performance.findings
            if each.recovered_utc is None
        ]
        lacking += [
            Problem(session, "performance", Coverage.FAILED.value, why)
            for session, why in health.performance.unreadable.items()
        ]
    return lacking + [
        Problem(each.session, each.dataset, condition, f"{each.writer}, {each.age_s:.0f} s ago: {each.state}")
        for each in at_work
        if each.session is not None and (condition := _unhealthy(each))
    ]


def _without_data(health: Health) -> list[Problem]:
    """Return the sessions of which a required source says that there is nothing, though there always was."""
    found = []
    for dataset in CAPTURED:
        standings = [each for each in health.of(dataset) if each.is_required]
        rows = [each.manifest.rows if each.manifest else None for each in standings]
        found += [
            Problem(each.session, dataset, NO_DATA, _EMPTY, Blame.VENDOR_LATE)
            for n, each in enumerate(standings)
            if not each.why and is_empty_for_once(rows[n], rows[:n])
        ]
    return found


def _unhealthy(stream: Worker) -> str:
    if stream.is_dead or stream.is_stalled:
        return f"stream {stream.condition}"
    return f"{stream.open_gaps} gaps open" if stream.open_gaps else ""


def as_markdown(health: Health, at_work: Sequence[Worker]) -> str:
    """Return the summary for people: gold first, then how fresh and how complete each dataset is, then what lacks."""
    first, gold = health.standings[0].session, health.of(RECORDER)
    late = shown(f"{each.dataset} {each.session}" for each in health.standings if each.dataset in LIVE and each.why)
    announced = shown(session.isoformat() for session in health.to_announce) or "none"
    too_late = shown(f"{each.dataset} {each.session} ({each.late_rows})" for each in health.standings if each.late_rows)
    lines = [
        f"### Sessions {first} to {health.session}, looked at on {health.looked_utc:%Y-%m-%d %H:%M} UTC",
        "",
        f"Gold of {len(gold)} sessions: {_counted(gold)}. Announced to be built: {announced}.",
        *([f"Streams with gaps that are open after their deadline: {late}."] if late else []),
        *([f"Rows that came too late, in quarantine: {too_late}."] if too_late else []),
        "",
        "| dataset | newest session | published, UTC | sessions behind | states |",
        "| --- | --- | --- | ---: | --- |",
        *(_row(each) for each in health.fresh()),
    ]
    lacking = problems(health, at_work)
    if lacking:
        lines += ["", "| session | dataset | state | why |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {each.session} | {each.dataset} | {each.state} | {_in_a_cell(each.why)} |"
            for each in lacking[:_MOST_LISTED]
        ]
    if len(lacking) > _MOST_LISTED:
        lines += ["", f"and {len(lacking) - _MOST_LISTED} more."]
    if health.performance is not None:
        lines += costs.as_markdown(health.performance, _MOST_LISTED)
    return "\n".join(lines) + "\n"


def _freshness(standings: Sequence[Standing]) -> Freshness:
    behind = next((n for n, each in enumerate(reversed(standings)) if each.manifest is not None), len(standings))
    return Freshness(
        standings[0].dataset,
        standings[0].is_required,
        standings[-1 - behind] if behind < len(standings) else None,
        behind,
        _counted(standings),
    )


def _row(found: Freshness) -> str:
    name = found.dataset + (" (required)" if found.is_required else "")
    if found.newest is None or found.newest.manifest is None:
        return f"| {name} | - | - | {found.sessions_behind} | {found.states} |"
    published = f"{found.newest.manifest.published_utc:%Y-%m-%d %H:%M}"
    return f"| {name} | {found.newest.session} | {published} | {found.sessions_behind} | {found.states} |"


def _in_a_cell(text: str) -> str:
    """Return a text, perhaps of the vendor's, that stays within its cell."""
    return " ".join(text.split()).replace("|", "/")


def _counted(standings: Sequence[Standing]) -> str:
    counts = Counter(each.state.value for each in standings)
    return ", ".join(f"{count} {state}" for state, count in counts.most_common())


def publish_health(lake: Lake, config: Config, health: Health, *, run_id: str) -> Publication:
    """Publish what was seen as the dataset `health` of the last session looked at, in place of an earlier look."""
    made = operational(DATASET, config, health.session, run_id, as_table(health), inputs={}, warnings={})
    return publish_gold(lake, made, FileLayout(config.sinks.health, config.settings.lake.compression), dict)


def as_table(health: Health) -> pa.Table:
    """Return the rows of `health`."""
    rows = [
        {
            "session": each.session,
            "dataset": each.dataset,
            "is_required": each.is_required,
            "state": each.state.value,
            "why": each.why,
            "rows": each.manifest.rows if each.manifest else None,
            "quarantined_rows": each.manifest.quarantined_rows if each.manifest else None,
            "published_utc": each.manifest.published_utc if each.manifest else None,
            "is_announced": each.is_announced,
        }
        for each in health.standings
    ]
    table = pa.Table.from_pylist(rows, schema=HEALTH)
    return table.sort_by([("session", "ascending"), ("dataset", "ascending")]).combine_chunks()
