"""Partitions from the raw responses, without the vendor: the same gate, suite and publication as when they came.

Of a published session exactly the answers are replayed that its manifest names: what differs afterwards was made
different by the rules, not by the choice. Of a session whose partition is lost, first those that the index remembers,
then every run's, oldest first, as they were once published; what was refused then is refused again.
"""

import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from operator import attrgetter

import msgspec

from bellwether.calendar import SessionHours, get_calendar
from bellwether.config import Config
from bellwether.errors import LakeError, NotFound, NothingProven, QualityError, SnapshotMissed, VendorError
from bellwether.ingest import rawfiles
from bellwether.ingest.finish import publish_stage, validate_stage
from bellwether.ingest.haul import Haul, overlaps
from bellwether.ingest.plan import Batch
from bellwether.ingest.rawfiles import RawFile, StoredAnswer
from bellwether.ingest.sources import source_of
from bellwether.lake import Coverage, Lake, Manifest, TickerCoverage, paths
from bellwether.lake.stage import BatchRecord, Stage
from bellwether.news.versions import merge_versions
from bellwether.quality.gate import check_batch
from bellwether.schemas import FORMS
from bellwether.sources.replay import replay
from bellwether.sources.source import Answer, Source
from bellwether.tickers import WHOLE

RUN_ID = "bellwether replay-raw"

_STAGE_PREFIX = "replay-raw-"
_FETCH_AGAIN = "fetch again by name with force"
# A later version of the code may refuse what an earlier one took. What came too late is kept too.
_UNREADABLE = (VendorError, LakeError, SnapshotMissed)


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


@dataclass(frozen=True)
class _Round:
    """Answers that are published together.

    Attributes
    ----------
    inputs
        The raw files they stand in, for the manifest.
    answers
        By subject, the newest first.
    beside
        Coverage that no answer proves, to be published with them.
    """

    inputs: dict[str, str]
    answers: dict[str, list[StoredAnswer]]
    beside: dict[str, TickerCoverage] = field(default_factory=dict)


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
        known = published or _remembered(lake, dataset, session)
        source = source_of(config, dataset)
        if FORMS[dataset].keeps_versions:
            rounds, lacking = _one_by_one(lake, source, session, known, recorded_only=published is not None)
        else:
            recorded, lacking = _recorded(lake, source, known) if known else (_Round({}, {}), {})
            rounds = [recorded]
            if known and published is None:
                rounds = [replace(recorded, beside={t: k for t, k in known.coverage.items() if not _has_raw(k)})]
            if published is None:
                rounds += _by_run(lake, source, session)
        if not lacking and not any(each.answers for each in rounds):
            msg = f"{dataset} {session}: there are no raw responses; `bellwether backfill` fetches the session"
            raise LakeError(msg)
        job = _Job(lake, config, source, session, accept_loss=accept_loss)
        for each in rounds:
            job.publish(each)
        return Replayed(job.changed, dict(sorted((job.problems | lacking).items())))


def audit_session(lake: Lake, config: Config, dataset: str, session: date) -> dict[str, str]:
    """Return the published tickers whose raw responses do not prove what is published, with the reason.

    Raises
    ------
    LakeError
        A raw file is damaged or not what was published from.
    """
    manifest = lake.manifest(dataset, session)
    if manifest is None:
        return {}
    hours = get_calendar().hours(session)
    source = source_of(config, dataset)
    if FORMS[dataset].keeps_versions:
        return _audit_versions(lake, source, manifest, hours)
    recorded, problems = _recorded(lake, source, manifest)
    for ticker, [stored] in recorded.answers.items():
        known = manifest.coverage[ticker]
        claimed = known.rows + known.quarantined_rows + known.duplicates_dropped
        is_known = True
        try:
            answers = _answers(source, stored, hours)
            found = source.rows(ticker, answers, hours).num_rows + overlaps(answers)
        except NotFound:
            is_known, found = False, 0
        except _UNREADABLE as error:
            problems[ticker] = _why_unreadable(stored, error)
            continue
        if is_known != (known.state is not Coverage.UNKNOWN_TICKER) or found != claimed:
            problems[ticker] = f"published as {known.state.value} of {claimed} rows, but the raw answer has {found}"
    return dict(sorted(problems.items()))


def _audit_versions(lake: Lake, source: Source, manifest: Manifest, hours: SessionHours) -> dict[str, str]:
    """Return whether all answers together come to what is published."""
    rounds, problems = _one_by_one(lake, source, manifest.session, manifest, recorded_only=True)
    schema = FORMS[source.dataset].schema
    merged = schema.empty_table()
    for subject, [stored] in (item for each in rounds for item in each.answers.items()):
        try:
            found = source.rows(subject, _answers(source, stored, hours), hours)
        except _UNREADABLE as error:
            problems[subject] = _why_unreadable(stored, error)
            continue
        report = check_batch(found, hours, source.dataset)
        merged = merge_versions(merged, report.table.filter(report.reasons.is_null()).cast(schema))
    if not problems and merged.num_rows != manifest.rows:
        problems[WHOLE] = f"published are {manifest.rows} rows, but the raw answers come to {merged.num_rows}"
    return problems


class _Job:
    """The replay of one session, round by round."""

    def __init__(self, lake: Lake, config: Config, source: Source, session: date, *, accept_loss: bool) -> None:
        self._lake = lake
        self._config = config
        self._source = source
        self._dataset = source.dataset
        self._session = session
        self._accept_loss = accept_loss
        self._settled: dict[str, TickerCoverage] = {}
        self.changed = False
        self.problems: dict[str, str] = {}

    def publish(self, each: _Round) -> None:
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
        if known is None or known.fetched_utc is None or not _has_raw(known):
            return True
        return known.fetched_utc < answer.fetched_utc

    def _take(self, ticker: str, answers: list[StoredAnswer], haul: Haul) -> None:
        self.problems.pop(ticker, None)
        for stored in answers:
            try:
                haul.take(ticker, _answers(self._source, stored, haul.hours), stored.stage_id)
            except _UNREADABLE as error:
                self.problems.setdefault(ticker, _why_unreadable(stored, error))
                continue
            return

    def _finish(self, stage: Stage, tickers: tuple[str, ...]) -> None:
        validate_stage(self._lake, [Batch(self._dataset, self._session, stage.stage_id, 0, tickers)])
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
            self._lake.storage.delete(paths.quarantine(self._dataset, self._session, stage.stage_id))


def _recorded(lake: Lake, source: Source, manifest: Manifest) -> tuple[_Round, dict[str, str]]:
    """Return the answers that a manifest names, and the tickers whose answer is gone."""
    dataset, session = manifest.dataset, manifest.session
    files = [rawfiles.read(lake, source, session, name, expected) for name, expected in manifest.inputs.items()]
    found = [file for file in files if file is not None]
    proofs: dict[tuple[str, str, datetime | None], StoredAnswer] = {
        (answer.subject, answer.stage_id, answer.fetched_utc): answer for file in found for answer in file.answers
    }
    answers: dict[str, list[StoredAnswer]] = {}
    lacking: dict[str, str] = {}
    for ticker, known in manifest.coverage.items():
        if not _has_raw(known):
            continue
        answer = proofs.get((ticker, known.stage_id, known.fetched_utc))
        if answer is not None:
            answers[ticker] = [answer]
        else:
            place = lake.storage.url(paths.raw(dataset, session, known.stage_id))
            lacking[ticker] = f"no raw response in {place} proves what is published; {_FETCH_AGAIN}"
    return _Round({file.name: file.digest for file in found}, answers), lacking


def _one_by_one(
    lake: Lake, source: Source, session: date, known: Manifest | None, *, recorded_only: bool
) -> tuple[list[_Round], dict[str, str]]:
    """Return every answer in a round of its own, the oldest first, and what is wrong where one is gone.

    Where versions are kept no answer displaces another: each is part of what is published.
    """
    recorded = known.inputs if known else {}
    names = {} if recorded_only else dict.fromkeys(rawfiles.names(lake, source.dataset, session))
    files = {name: rawfiles.read(lake, source, session, name, digest) for name, digest in (names | recorded).items()}
    gone = [name for name, file in files.items() if file is None]
    found = [(answer, file) for file in files.values() if file is not None for answer in file.answers]
    found.sort(key=lambda each: each[0].fetched_utc)
    rounds = [_Round({file.name: file.digest}, {answer.subject: [answer]}) for answer, file in found]
    place = lake.storage.url(paths.raws(source.dataset, session))
    return rounds, {WHOLE: f"{', '.join(gone)} is gone from {place}"} if gone else {}


def _by_run(lake: Lake, source: Source, session: date) -> list[_Round]:
    """Return all answers there are of a session, in one round for each run, by the time of its last answer."""
    found: dict[str, list[RawFile]] = {}
    for name in rawfiles.names(lake, source.dataset, session):
        file = rawfiles.read(lake, source, session, name)
        if file is not None and file.answers:
            found.setdefault(file.answers[0].stage_id, []).append(file)
    last_first = sorted(
        (answer for files in found.values() for file in files for answer in file.answers),
        key=attrgetter("fetched_utc"),
        reverse=True,
    )
    by_run: dict[str, dict[str, list[StoredAnswer]]] = {}
    for answer in last_first:
        by_run.setdefault(answer.stage_id, {}).setdefault(answer.subject, []).append(answer)
    return [
        _Round({file.name: file.digest for file in found[stage_id]}, answers)
        for stage_id, answers in reversed(by_run.items())
    ]


def _remembered(lake: Lake, dataset: str, session: date) -> Manifest | None:
    """Return the copy of a manifest that outlived its partition."""
    key = paths.manifest(dataset, session)
    stored = lake.storage.read(key)
    try:
        return msgspec.json.decode(stored.content, type=Manifest) if stored else None
    except msgspec.MsgspecError as error:
        msg = f"{lake.storage.url(key)} is damaged ({error}); delete it: the session is replayed without it then"
        raise LakeError(msg) from error


def _has_raw(known: TickerCoverage) -> bool:
    # That a plan lacks a dataset is said in a refusal, of which no page is kept.
    proves = known.state.is_proven and known.state is not Coverage.NOT_ENTITLED
    return proves or known.state is Coverage.QUARANTINED


def _answers(source: Source, stored: StoredAnswer, hours: SessionHours) -> list[Answer]:
    """Return what pages say.

    Raises
    ------
    VendorError
        They are no complete answer.
    LakeError
        They are an answer to another question than would be asked today.
    """
    answers: list[Answer] = []
    for pages in stored.chains:
        source.check_asked(pages[0].request, hours)
        try:
            answers.append(replay(pages))
        except NotFound as error:
            error.pages = tuple(pages)
            answers.append(error)
    return answers


def _why_unreadable(stored: StoredAnswer, error: Exception) -> str:
    fetched = f"{stored.fetched_utc:%Y-%m-%d %H:%M:%S} UTC"
    return f"the raw answer of {fetched} (run {stored.stage_id}) cannot be used: {error}; {_FETCH_AGAIN}"
