"""What the gold of a session is built from: the published partitions it reads, each by its revision.

    {"equities": "9f3c...", "equities#told": "...", "options": "...", "equities@2024-01-17": "..."}

A name alone is the session's own partition, one with a session that of an earlier session, read for warm-up. A revision
is of rows alone; where gold also reads whom a partition tells of, so that no rows mean that there was nothing, the hash
of these tickers is an input of its own. Gold's manifest records exactly this, so that two such records tell whether
gold is to be built anew, and which partitions a row of gold came from. Gold never reads gold, so a revision reaches as
far as the warm-up and no further.

    {"equities_live": "51d0...", "equities_live#until": "2024-01-18T20:58:00+00:00", "options": "...", ...}

While a session lacks a required input, what the streams had of it may stand in for the inputs that are absent
(`bellwether.consolidate.streamed`). The daily pulls make the inputs others, so that gold is built anew.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.config import Config
from bellwether.consolidate.streamed import heard_inputs, standing_in
from bellwether.due import DUE
from bellwether.ingest.universe import owed_universe
from bellwether.lake import Coverage, Lake, Manifest, TickerCoverage
from bellwether.lake.coverage import session_coverage
from bellwether.producers import DAG_OF
from bellwether.tickers import WHOLE
from bellwether.universe.spec import shown

READ = (
    "equities",
    "contracts",
    "options",
    "options_snapshot",
    "indices",
    "news",
    "splits",
    "dividends",
    "rates",
)
"""What gold reads of its own session."""

WARMED_UP = ("equities",)
"""What gold reads of the sessions before, too."""

_RECORDED = frozenset({Coverage.COMPLETE, Coverage.PARTIAL, Coverage.EMPTY})
_WHOLE = frozenset({Coverage.COMPLETE, Coverage.EMPTY})

TELLING: Final[Mapping[str, frozenset[Coverage]]] = {
    "equities": _RECORDED,
    "news": _RECORDED,
    "splits": _WHOLE,
    "dividends": _WHOLE,
}
"""Of which datasets gold reads whom they tell of, and in which states a ticker is one of them.

A split that is missing makes every price before it wrong, so there a part is not enough.
"""

RECORDER = "minutes"
"""The gold dataset published last, whose manifest therefore says which inputs the session's gold was built from."""


@dataclass(frozen=True)
class Lacking:
    """A required input that does not stand.

    Attributes
    ----------
    state
        Of the dataset as a whole.
    tickers
        Its required tickers that are not proven.
    run_id
        The run that published what there is; None where nothing is published.
    """

    dataset: str
    session: date
    state: Coverage
    tickers: tuple[str, ...]
    run_id: str | None

    def __str__(self) -> str:
        if self.run_id is None:
            return f"{self.dataset} is not published"
        return f"{self.dataset} lacks {shown(self.tickers)}"

    @property
    def words(self) -> str:
        """What lacks, how it stands, and what to do."""
        return f"{self} ({self.state.value}): {self.remedy}"

    @property
    def remedy(self) -> str:
        """Which run to start or to clear, or until when to wait."""
        if self.state is Coverage.NOT_YET_DUE:
            due = DUE[self.dataset](get_calendar().hours(self.session)).astimezone(NEW_YORK)
            return f"{DAG_OF[self.dataset]} is due at {due:%H:%M} New York"
        run = f"run {self.run_id}" if self.run_id else "failed run"
        return f"trigger {DAG_OF[self.dataset]} with partition key {self.session}, or clear its {run}"


@dataclass(frozen=True)
class Inputs:
    """What is published of a session's inputs now.

    Attributes
    ----------
    session
        Whose.
    revisions
        Revision of every input that stands; see the module.
    lacking
        What keeps the session from being consolidated.
    """

    session: date
    revisions: dict[str, str]
    lacking: tuple[Lacking, ...]


def published_inputs(
    lake: Lake, config: Config, session: date, streamed: Mapping[str, datetime] | None = None
) -> Inputs:
    """Return what is published of a session's inputs now.

    A required input stands when it is published and lacks no required ticker of its universe; best-effort ones hold
    nobody up. An optional input is waited for by nobody, and counts from its publication on. So does warm-up.

    Parameters
    ----------
    streamed
        Of each dataset that was streamed, until when its minutes are heard. What is published of these streams stands
        in for what does not stand, as long as a required input lacks; by default nothing does.
    """
    read, lacking = _standing(lake, config, session)
    stood_for: dict[str, Manifest] = {}
    if streamed and lacking:
        stood_for = standing_in(lake, session, [each for each in READ if each not in read], streamed)
    read |= stood_for
    revisions = {manifest.dataset: manifest.revision for manifest in read.values()}
    revisions |= heard_inputs(stood_for, streamed or {}) | _told(lake, config, read)
    for earlier in sessions_before(session, config.settings.consolidation.warmup_sessions):
        for dataset in WARMED_UP:
            if (manifest := lake.manifest(dataset, earlier)) is not None:
                revisions[f"{dataset}@{earlier}"] = manifest.revision
    return Inputs(session, revisions, tuple(lacking))


def _standing(lake: Lake, config: Config, session: date) -> tuple[dict[str, Manifest], list[Lacking]]:
    read: dict[str, Manifest] = {}
    lacking: list[Lacking] = []
    for dataset in READ:
        known = session_coverage(lake, dataset, session, owed_universe(lake, config, dataset, session))
        manifest = known.manifest
        if config.source(dataset).required and (manifest is None or known.blocking):
            run_id = manifest.run_id if manifest else None
            lacking.append(Lacking(dataset, session, known.state, tuple(known.blocking), run_id))
        elif manifest is not None:
            read[dataset] = manifest
    return read, lacking


def streamed_tickers(lake: Lake, config: Config, session: date, heard: set[str]) -> set[str]:
    """Return whose minutes are built of those heard on a stream of equities, which may be one of all there are.

    Of a list, its tickers. A rule's are not known before the daily pull: until then those of the session before, and
    everybody where there is none.
    """
    owed = owed_universe(lake, config, "equities", session)
    for day in (session, *sessions_before(session, 1)):
        if tickers := session_coverage(lake, "equities", day, owed).universe.tickers:
            return heard & set(tickers)
    return heard


def told_of(dataset: str, coverage: Mapping[str, TickerCoverage]) -> set[str]:
    """Return the tickers that one of `TELLING` tells of: no rows of them mean that there was nothing."""
    return {ticker for ticker, known in coverage.items() if known.state in TELLING[dataset]}


def _told(lake: Lake, config: Config, read: Mapping[str, Manifest]) -> dict[str, str]:
    """Return whom the partitions tell of, as inputs, as far as there are minutes of them."""
    told = {dataset: told_of(dataset, read[dataset].coverage) for dataset in TELLING if dataset in read}
    equities = read.get("equities")
    if equities is not None and equities.is_provisional:
        told["equities"] = streamed_tickers(lake, config, equities.session, told["equities"])
    asked = {WHOLE, *told.get("equities", ())}
    return {
        f"{read[dataset].dataset}#told": hashlib.sha256("\n".join(sorted(tickers & asked)).encode()).hexdigest()
        for dataset, tickers in told.items()
    }


def sessions_before(session: date, count: int) -> Iterator[date]:
    """Return the `count` sessions before one, the nearest first; fewer where the calendar begins."""
    calendar = get_calendar()
    for _ in range(count):
        if session <= calendar.first:
            return
        session = calendar.previous(session)
        yield session
