"""What an approval sets free: the kept answers of the sessions that waited, replayed by the contract in force.

The same gate, suite, comparison and publication as for every other answer: what is still invalid stays in quarantine.
"""

from dataclasses import dataclass
from datetime import date

from bellwether.config import Config
from bellwether.drift.approval import Settled
from bellwether.drift.ledger import Sighting
from bellwether.errors import BellwetherError, LakeError
from bellwether.ingest import rawfiles
from bellwether.ingest.evidence import Evidence
from bellwether.ingest.replay import replay_evidence
from bellwether.ingest.sources import source_of
from bellwether.lake import Lake, paths
from bellwether.universe.spec import shown


@dataclass(frozen=True)
class Released:
    """What replaying did.

    Attributes
    ----------
    sessions
        Those that were published anew, ascending.
    problems
        Why some are still not, or not wholly, published; by session, in lines.
    """

    sessions: tuple[date, ...]
    problems: tuple[str, ...]


def release(lake: Lake, config: Config, settled: Settled) -> Released:
    """Publish what waited for a change to be approved; asks nobody but the lake."""
    by_session: dict[date, list[Sighting]] = {}
    for sighting in settled.waiting:
        by_session.setdefault(sighting.session, []).append(sighting)
    published, problems = [], []
    dataset = settled.known.change.dataset
    for session, sightings in sorted(by_session.items()):
        try:
            replayed = replay_evidence(lake, config, dataset, session, _evidence(lake, config, dataset, sightings))
        except BellwetherError as error:
            problems.append(f"{session}: {error}")
            continue
        if replayed.changed:
            published.append(session)
        left = _left(lake, dataset, session, sightings) | replayed.problems
        problems += [f"{session} {subject}: {reason}" for subject, reason in sorted(left.items())]
    return Released(tuple(published), tuple(problems))


def _evidence(lake: Lake, config: Config, dataset: str, sightings: list[Sighting]) -> list[Evidence]:
    """Return the answers that showed the change, of each run in a round of its own, the oldest first."""
    source = source_of(config, dataset)
    rounds = []
    for sighting in sorted(sightings, key=lambda each: each.first_utc):
        files = [rawfiles.read(lake, source, sighting.session, *named) for named in sighting.raw.items()]
        stored = [answer for file in files if file is not None for answer in file.answers]
        stored.sort(key=lambda answer: answer.fetched_utc, reverse=True)
        answers = {subject: [each for each in stored if each.subject == subject] for subject in sighting.subjects}
        if gone := [subject for subject, found in answers.items() if not found]:
            place = lake.storage.url(paths.raw(dataset, sighting.session, sighting.stage_id))
            msg = f"the raw answers about {shown(gone)} are gone from {place}; fetch them again by name with force"
            raise LakeError(msg)
        rounds.append(Evidence(sighting.raw, answers))
    return rounds


def _left(lake: Lake, dataset: str, session: date, sightings: list[Sighting]) -> dict[str, str]:
    """Return the subjects of which still nothing is published, with the reason."""
    manifest = lake.manifest(dataset, session)
    known = manifest.coverage if manifest else {}
    subjects = {subject for sighting in sightings for subject in sighting.subjects}
    return {each: known[each].reason for each in subjects & known.keys() if not known[each].state.is_proven}
