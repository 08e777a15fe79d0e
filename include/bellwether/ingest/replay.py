"""Partitions from the raw responses, without the vendor: the same gate, suite and publication as when they came.

Of a published session exactly the answers are replayed that its manifest names: what differs afterwards was made
different by the rules, not by the choice. Of a session whose partition is lost, first those that the index remembers,
then every run's, oldest first, as they were once published; what was refused then is refused again.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.drift.ledger import contracts_in_force
from bellwether.drift.reader import Reader
from bellwether.errors import LakeError, NothingProven, QualityError
from bellwether.ingest.evidence import (
    UNREADABLE,
    Evidence,
    answers_in,
    by_run,
    has_raw,
    of_manifest,
    one_by_one,
    remembered,
    why_unreadable,
)
from bellwether.ingest.finish import publish_stage, validate_stage
from bellwether.ingest.haul import Haul
from bellwether.ingest.plan import Batch
from bellwether.ingest.rawfiles import StoredAnswer
from bellwether.ingest.sources import source_of
from bellwether.lake import Lake, TickerCoverage, paths
from bellwether.lake.stage import BatchRecord, Stage
from bellwether.quarantine.kept import forget
from bellwether.schemas import FORMS
from bellwether.sources.source import Source

RUN_ID = "bellwether replay-raw"

_STAGE_PREFIX = "replay-raw-"


@dataclass(frozen=True)
class Replayed:
    """What replaying a session did.

    Attributes
    ----------
    changed
        Whether a partition was written.
    problems
        Tickers that are not what their raw responses say, or have none, with the reason.
    """

    changed: bool
    problems: dict[str, str]


def replay_session(lake: Lake, config: Config, dataset: str, session: date, *, accept_loss: bool = False) -> Replayed:
    """Publish a session again from its raw responses; one that comes out equal is left alone.

    Parameters
    ----------
    accept_loss
        Let a ticker lose most of its published rows.

    Raises
    ------
    LakeError
        There are no raw responses, or a raw file is damaged or not what was published from.
    """
    with lake.storage.locked(paths.stages(dataset, session)):  # as a backfill does: two would do the work twice
        published = lake.manifest(dataset, session)
        known = published or remembered(lake, dataset, session)
        source = source_of(config, dataset)
        if FORMS[dataset].keeps_versions:
            rounds, lacking = one_by_one(lake, source, session, known, recorded_only=published is not None)
        else:
            recorded, lacking = of_manifest(lake, source, known) if known else (Evidence({}, {}), {})
            rounds = [recorded]
            if known and published is None:
                rounds = [replace(recorded, beside={t: k for t, k in known.coverage.items() if not has_raw(k)})]
            if published is None:
                rounds += by_run(lake, source, session)
        if not lacking and not any(each.answers for each in rounds):
            msg = f"{dataset} {session}: there are no raw responses; `bellwether backfill` fetches the session"
            raise LakeError(msg)
        job = _Job(lake, config, source, session, accept_loss=accept_loss)
        for each in rounds:
            job.publish(each)
        return Replayed(job.changed, dict(sorted((job.problems | lacking).items())))


def replay_evidence(lake: Lake, config: Config, dataset: str, session: date, rounds: Sequence[Evidence]) -> Replayed:
    """Publish these answers of a session, round by round; those older than what is published and proven are left."""
    with lake.storage.locked(paths.stages(dataset, session)):
        job = _Job(lake, config, source_of(config, dataset), session, accept_loss=False)
        published = lake.manifest(dataset, session)
        if published is not None:
            job.begin_after(published.coverage)
        for each in rounds:
            job.publish(each)
        return Replayed(job.changed, dict(sorted(job.problems.items())))


class _Job:
    """The replay of one session, round by round."""

    def __init__(self, lake: Lake, config: Config, source: Source, session: date, *, accept_loss: bool) -> None:
        self._lake = lake
        self._config = config
        self._source = source
        self._dataset = source.dataset
        self._session = session
        self._accept_loss = accept_loss
        self._reader = Reader(contracts_in_force(lake, config), goes_on=True)
        self._settled: Mapping[str, TickerCoverage] = {}
        self.changed = False
        self.problems: dict[str, str] = {}

    def begin_after(self, coverage: Mapping[str, TickerCoverage]) -> None:
        """Pass over what is no news to those who know this."""
        self._settled = {ticker: known for ticker, known in coverage.items() if known.state.is_proven}

    def publish(self, each: Evidence) -> None:
        """Pass a round's answers through gate, suite and publication; note what went wrong."""
        started_s = time.perf_counter()
        haul = Haul(self._source, get_calendar().hours(self._session))
        for ticker, answers in each.answers.items():
            if newer := [answer for answer in answers if self._is_news(answer)]:
                self._take(ticker, newer, haul)
        if not haul.coverage:
            return
        record = BatchRecord(
            coverage=dict(sorted((each.beside | haul.coverage).items())),
            api_calls=0,
            seconds=time.perf_counter() - started_s,
            raw=each.inputs,
            left_out=haul.left_out,
            drift=haul.drift,
        )
        stage = Stage(self._lake, self._dataset, self._session, _STAGE_PREFIX + secrets.token_hex(4))
        try:
            stage.write_batch(0, haul.table, record)
            self._finish(stage, tuple(record.coverage))
        except (QualityError, NothingProven) as error:
            self.problems |= dict.fromkeys(haul.coverage, str(error))
        finally:
            stage.remove()

    def _is_news(self, answer: StoredAnswer) -> bool:
        if FORMS[self._dataset].keeps_versions:
            return True
        known = self._settled.get(answer.subject)
        if known is None or known.fetched_utc is None or not has_raw(known):
            return True
        return known.fetched_utc < answer.fetched_utc

    def _take(self, ticker: str, answers: list[StoredAnswer], haul: Haul) -> None:
        self.problems.pop(ticker, None)
        for stored in answers:
            try:
                self._reader.drain()  # of one that could not be read
                said = answers_in(self._source, stored, haul.hours, self._reader.take)
                haul.take(ticker, said, stored.stage_id, self._reader.drain())
            except UNREADABLE as error:
                self.problems.setdefault(ticker, why_unreadable(stored, error))
                continue
            return

    def _finish(self, stage: Stage, tickers: tuple[str, ...]) -> None:
        validate_stage(self._lake, self._config, [Batch(self._dataset, self._session, stage.stage_id, 0, tickers)])
        publication = publish_stage(
            self._lake,
            self._config,
            self._dataset,
            self._session,
            stage_id=stage.stage_id,
            run_id=RUN_ID,
            accept_loss=self._accept_loss,
        )
        self._settled = publication.manifest.coverage
        self.problems |= publication.refused
        if publication.changed:
            self.changed = True
        else:  # the same rows were put there by the run that published them
            forget(self._lake, self._dataset, self._session, stage.stage_id)
