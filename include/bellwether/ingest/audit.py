"""Whether the raw responses of a session prove what is published of it. Reads alone: nothing is written."""

from datetime import date

from bellwether.calendar import SessionHours, get_calendar
from bellwether.config import Config
from bellwether.drift.change import why_held
from bellwether.drift.ledger import contracts_in_force
from bellwether.drift.reader import Reader
from bellwether.errors import Drifted, NotFound
from bellwether.ingest.evidence import UNREADABLE, answers_in, of_manifest, one_by_one, why_unreadable
from bellwether.ingest.haul import overlaps
from bellwether.ingest.rawfiles import StoredAnswer
from bellwether.ingest.sources import source_of
from bellwether.lake import Coverage, Lake, Manifest, TickerCoverage
from bellwether.news.versions import merge_versions
from bellwether.quality.gate import check_batch
from bellwether.quarantine.decisions import read_log
from bellwether.quarantine.held import without_held
from bellwether.quarantine.respect import with_released
from bellwether.schemas import FORMS
from bellwether.sources.source import Source
from bellwether.streaming.compact import compact
from bellwether.tickers import WHOLE


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
    source, reader = source_of(config, dataset), Reader(contracts_in_force(lake, config), goes_on=True)
    if FORMS[dataset].keeps_versions:
        return _audit_versions(lake, source, manifest, hours, reader)
    recorded, problems = of_manifest(lake, source, manifest)
    for ticker, [stored] in recorded.answers.items():
        known = manifest.coverage[ticker]
        if why := _why_unproven(source, reader, stored, known, hours):
            problems[ticker] = why
    return dict(sorted(problems.items()))


def _why_unproven(
    source: Source, reader: Reader, stored: StoredAnswer, known: TickerCoverage, hours: SessionHours
) -> str:
    """Return why an answer does not prove what is published of its subject; empty where it does.

    Some rows may be of other answers, perhaps in the place of its own: people released them.
    """
    beside = len(known.released.beside) if known.released else 0
    claimed = known.rows + known.quarantined_rows + known.duplicates_dropped
    is_known = True
    reader.drain()  # of the one before
    try:
        answers = answers_in(source, stored, hours, reader.take)
        found = source.rows(stored.subject, answers, hours).num_rows + overlaps(answers)
    except NotFound:
        is_known, found = False, 0
    except UNREADABLE as error:
        is_held_back = isinstance(error, Drifted) and known.state is Coverage.QUARANTINED
        return "" if is_held_back else why_unreadable(stored, error)
    if known.state is Coverage.QUARANTINED and why_held(reader.drain()):
        return ""  # nothing is published of it, and raw is kept until somebody decides
    if is_known != (known.state is not Coverage.UNKNOWN_TICKER) or not claimed - beside <= found <= claimed:
        return f"published as {known.state.value} of {claimed} rows, but the raw answer has {found}"
    return ""


def _audit_versions(
    lake: Lake, source: Source, manifest: Manifest, hours: SessionHours, reader: Reader
) -> dict[str, str]:
    """Return whether all answers together, and what was seen live, come to what is published."""
    rounds, problems = one_by_one(lake, source, manifest.session, manifest, recorded_only=True)
    schema = FORMS[source.dataset].schema
    merged = compact(lake, source.dataset, manifest.session).table
    for subject, [stored] in (item for each in rounds for item in each.answers.items()):
        try:
            found = source.rows(subject, answers_in(source, stored, hours, reader.take), hours)
        except UNREADABLE as error:
            problems[subject] = why_unreadable(stored, error)
            continue
        report = check_batch(found, hours, source.dataset)
        merged = merge_versions(merged, report.table.filter(report.reasons.is_null()).cast(schema))
    log = read_log(lake, source.dataset, manifest.session)
    merged = without_held(lake, source.dataset, manifest.session, merged)
    merged = merge_versions(schema.empty_table(), with_released(log, merged, manifest.coverage, manifest.coverage)[0])
    if not problems and merged.num_rows != manifest.rows:
        problems[WHOLE] = f"published are {manifest.rows} rows, but the raw answers come to {merged.num_rows}"
    return problems
