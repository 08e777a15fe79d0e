"""The health of a lake: of the sessions looked back on, what stands, what is fresh, which gold is to be built anew."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate.inputs import RECORDER
from bellwether.consolidate.readiness import readiness
from bellwether.errors import LakeError
from bellwether.ingest.sources import CAPTURED
from bellwether.ingest.universe import owed_universe
from bellwether.lake import Coverage, Lake, Manifest, TickerCoverage
from bellwether.lake.coverage import session_coverage
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Publication
from bellwether.schemas import HEALTH
from bellwether.tickers import WHOLE
from bellwether.universe.spec import shown

DATASET = "health"

_MOST_LISTED = 20


@dataclass(frozen=True)
class Standing:
    """How one dataset of one session stands.

    Attributes
    ----------
    dataset
        A captured one, or `minutes` for gold.
    is_required
        Whether gold waits for it; gold itself is.
    why
        What is the matter with it; empty where nothing is.
    manifest
        What is published.
    is_announced
        Whether it is gold that is to be built anew from inputs that stand.
    """

    session: date
    dataset: str
    is_required: bool
    state: Coverage
    why: str
    manifest: Manifest | None
    is_announced: bool = False


@dataclass(frozen=True)
class Health:
    """How the sessions up to one stand, by session and dataset."""

    session: date
    looked_utc: datetime
    standings: tuple[Standing, ...]

    @property
    def to_announce(self) -> list[date]:
        """Sessions whose inputs are complete and whose gold is missing or stale, ascending."""
        return [each.session for each in self.standings if each.is_announced]

    def of(self, dataset: str) -> list[Standing]:
        """Return how a dataset stands, by session."""
        return [each for each in self.standings if each.dataset == dataset]


def look_back(lake: Lake, config: Config, last: date, sessions: int) -> Health:
    """Look back on so many sessions, the last one included."""
    looked_at = sessions_until(last, sessions)
    standings = [
        _standing(lake, config, dataset, session) for session in looked_at for dataset in (*CAPTURED, RECORDER)
    ]
    return Health(last, lake.clock.now(), tuple(standings))


def sessions_until(last: date, sessions: int) -> list[date]:
    """Return so many sessions, ascending, the last one included; fewer where the calendar begins."""
    calendar = get_calendar()
    looked_at = [last]
    while len(looked_at) < sessions and looked_at[0] > calendar.first:
        looked_at.insert(0, calendar.previous(looked_at[0]))
    return looked_at


def _standing(lake: Lake, config: Config, dataset: str, session: date) -> Standing:
    """Return how it stands: failed where its file cannot be read, which holds up no other."""
    try:
        return _gold(lake, config, session) if dataset == RECORDER else _captured(lake, config, dataset, session)
    except LakeError as error:
        is_required = dataset == RECORDER or config.source(dataset).required
        return Standing(session, dataset, is_required, Coverage.FAILED, str(error), None)


def _captured(lake: Lake, config: Config, dataset: str, session: date) -> Standing:
    known = session_coverage(lake, dataset, session, owed_universe(lake, config, dataset, session))
    unproven = [ticker for ticker in known.lacking if ticker != WHOLE]
    reasons = sorted({known.tickers[ticker].reason for ticker in known.lacking} - {""})
    why = "" if known.is_complete else "; ".join([*([shown(unproven)] if unproven else []), *reasons[:1]])
    return Standing(session, dataset, config.source(dataset).required, known.state, why, known.manifest)


def _gold(lake: Lake, config: Config, session: date) -> Standing:
    found = readiness(lake, config, session)
    why = "" if found.state is Coverage.COMPLETE else found.why
    manifest = lake.manifest(RECORDER, session)
    return Standing(session, RECORDER, True, found.state, why, manifest, is_announced=found.announce)


def as_markdown(health: Health) -> str:
    """Return the summary for people: gold first, then how fresh and how complete each dataset is, then what lacks."""
    first, gold = health.standings[0].session, health.of(RECORDER)
    announced = shown(session.isoformat() for session in health.to_announce) or "none"
    lines = [
        f"### Sessions {first} to {health.session}, looked at on {health.looked_utc:%Y-%m-%d %H:%M} UTC",
        "",
        f"Gold of {len(gold)} sessions: {_counted(gold)}. Announced to be built: {announced}.",
        "",
        "| dataset | newest session | published, UTC | sessions behind | states |",
        "| --- | --- | --- | ---: | --- |",
        *(_freshness(health.of(dataset)) for dataset in (*CAPTURED, RECORDER)),
    ]
    lacking = [each for each in health.standings if each.is_required and each.why]
    if lacking:
        lines += ["", "| session | dataset | state | why |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {each.session} | {each.dataset} | {each.state} | {_in_a_cell(each.why)} |"
            for each in lacking[:_MOST_LISTED]
        ]
    if len(lacking) > _MOST_LISTED:
        lines += ["", f"and {len(lacking) - _MOST_LISTED} more."]
    return "\n".join(lines) + "\n"


def _freshness(standings: Sequence[Standing]) -> str:
    name = standings[0].dataset + (" (required)" if standings[0].is_required else "")
    standing = [number for number, each in enumerate(standings) if each.manifest is not None]
    if not standing:
        return f"| {name} | - | - | {len(standings)} | {_counted(standings)} |"
    newest = standings[standing[-1]]
    published = f"{newest.manifest.published_utc:%Y-%m-%d %H:%M}" if newest.manifest else "-"
    behind = len(standings) - 1 - standing[-1]
    return f"| {name} | {newest.session} | {published} | {behind} | {_counted(standings)} |"


def _in_a_cell(text: str) -> str:
    """Return a text, perhaps of the vendor's, that stays within its cell."""
    return " ".join(text.split()).replace("|", "/")


def _counted(standings: Sequence[Standing]) -> str:
    counts = Counter(each.state.value for each in standings)
    return ", ".join(f"{count} {state}" for state, count in counts.most_common())


def publish_health(lake: Lake, config: Config, health: Health, *, run_id: str) -> Publication:
    """Publish what was seen as the dataset `health` of the last session looked at, in place of an earlier look."""
    table = as_table(health)
    submission = GoldSubmission(
        dataset=DATASET,
        session=health.session,
        table=table,
        coverage={WHOLE: TickerCoverage(Coverage.COMPLETE, rows=len(table))},
        inputs={},
        warnings={},
        stage_id="",
        run_id=run_id,
        config_hash=config.hash,
        timings_s={},
    )
    return publish_gold(lake, submission, FileLayout(config.sinks.health, config.settings.lake.compression), dict)


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
