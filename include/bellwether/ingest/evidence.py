"""What the raw responses of a session prove: which answers there are, of which publication or run, and what they say.

Nothing is published and nothing is judged here: `replay` does the one, `audit` the other.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from operator import attrgetter

import msgspec

from bellwether.calendar import SessionHours
from bellwether.errors import LakeError, NotFound, SnapshotMissed, VendorError
from bellwether.ingest import rawfiles
from bellwether.ingest.rawfiles import RawFile, StoredAnswer
from bellwether.lake import Coverage, Lake, Manifest, TickerCoverage, paths
from bellwether.sources.chain import Take
from bellwether.sources.replay import replay
from bellwether.sources.source import Answer, Source
from bellwether.tickers import WHOLE

UNREADABLE = (VendorError, LakeError, SnapshotMissed)
"""What a stored answer may be refused by: later code may be stricter than earlier, and what came too late is kept."""

_FETCH_AGAIN = "fetch again by name with force"


@dataclass(frozen=True)
class Evidence:
    """Answers that are published together, and what they stand on.

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


def of_manifest(lake: Lake, source: Source, manifest: Manifest) -> tuple[Evidence, dict[str, str]]:
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
        if not has_raw(known):
            continue
        answer = proofs.get((ticker, known.stage_id, known.fetched_utc))
        if answer is not None:
            answers[ticker] = [answer]
        else:
            place = lake.storage.url(paths.raw(dataset, session, known.stage_id))
            lacking[ticker] = f"no raw response in {place} proves what is published; {_FETCH_AGAIN}"
    return Evidence({file.name: file.digest for file in found}, answers), lacking


def one_by_one(
    lake: Lake, source: Source, session: date, known: Manifest | None, *, recorded_only: bool
) -> tuple[list[Evidence], dict[str, str]]:
    """Return every answer in a round of its own, the oldest first, and what is wrong where one is gone.

    Where versions are kept no answer displaces another: each is part of what is published.
    """
    recorded = known.inputs if known else {}
    names = {} if recorded_only else dict.fromkeys(rawfiles.names(lake, source.dataset, session))
    files = {name: rawfiles.read(lake, source, session, name, digest) for name, digest in (names | recorded).items()}
    gone = [name for name, file in files.items() if file is None]
    found = [(answer, file) for file in files.values() if file is not None for answer in file.answers]
    found.sort(key=lambda each: each[0].fetched_utc)
    rounds = [Evidence({file.name: file.digest}, {answer.subject: [answer]}) for answer, file in found]
    place = lake.storage.url(paths.raws(source.dataset, session))
    return rounds, {WHOLE: f"{', '.join(gone)} is gone from {place}"} if gone else {}


def by_run(lake: Lake, source: Source, session: date) -> list[Evidence]:
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
        Evidence({file.name: file.digest for file in found[stage_id]}, answers)
        for stage_id, answers in reversed(by_run.items())
    ]


def remembered(lake: Lake, dataset: str, session: date) -> Manifest | None:
    """Return the copy of a manifest that outlived its partition."""
    key = paths.manifest(dataset, session)
    stored = lake.storage.read(key)
    try:
        return msgspec.json.decode(stored.content, type=Manifest) if stored else None
    except msgspec.MsgspecError as error:
        msg = f"{lake.storage.url(key)} is damaged ({error}); delete it: the session is replayed without it then"
        raise LakeError(msg) from error


def has_raw(known: TickerCoverage) -> bool:
    """Return whether what is known of a ticker rests on an answer that was kept."""
    # That a plan lacks a dataset is said in a refusal, of which no page is kept.
    proves = known.state.is_proven and known.state is not Coverage.NOT_ENTITLED
    return proves or known.state is Coverage.QUARANTINED


def answers_in(source: Source, stored: StoredAnswer, hours: SessionHours, take: Take) -> list[Answer]:
    """Return what pages say, added to their chains by `take`.

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
            answers.append(replay(pages, take))
        except NotFound as error:
            error.pages = tuple(pages)
            answers.append(error)
    return answers


def why_unreadable(stored: StoredAnswer, error: Exception) -> str:
    """Return why a stored answer cannot be used, and what helps."""
    fetched = f"{stored.fetched_utc:%Y-%m-%d %H:%M:%S} UTC"
    return f"the raw answer of {fetched} (run {stored.stage_id}) cannot be used: {error}; {_FETCH_AGAIN}"
