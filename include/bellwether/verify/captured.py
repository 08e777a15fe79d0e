"""A captured session built again from the raw responses that its manifest names, and from what people released.

The gate judges the rows as it did when they came; its verdicts are those of the suite. What depends on the sessions
before, the comparison of values, is not asked again: it decided whether the rows were published, not what they say.
"""

import pyarrow as pa

from bellwether.calendar import SessionHours, get_calendar
from bellwether.config import Config
from bellwether.drift.ledger import contracts_in_force
from bellwether.drift.reader import Reader
from bellwether.ingest.evidence import UNREADABLE, answers_in, of_manifest, one_by_one
from bellwether.ingest.haul import Haul
from bellwether.ingest.rawfiles import StoredAnswer
from bellwether.ingest.sources import source_of
from bellwether.lake import Lake, Manifest
from bellwether.news.versions import merge_versions
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import REASON_COLUMN
from bellwether.quarantine.decisions import Log, read_log
from bellwether.quarantine.held import without_held
from bellwether.quarantine.respect import let_pass, with_released
from bellwether.schemas import FORMS
from bellwether.sources.source import Source
from bellwether.streaming.compact import compact
from bellwether.universe.spec import shown
from bellwether.verify.outcome import Unverifiable


def rebuild(lake: Lake, config: Config, manifest: Manifest) -> pa.Table:
    """Return the rows that a published session should have, sorted, in the dataset's schema.

    Raises
    ------
    Unverifiable
        Its evidence is not there any more, or cannot be read by this Bellwether.
    LakeError
        A raw file is damaged, or not what was published from.
    """
    dataset, session = manifest.dataset, manifest.session
    source, hours, form = source_of(config, dataset), get_calendar().hours(session), FORMS[dataset]
    reader = Reader(contracts_in_force(lake, config), goes_on=True)
    log = read_log(lake, dataset, session)
    if form.keeps_versions:
        rows = without_held(lake, dataset, session, _all_versions(lake, source, manifest, log, hours, reader))
        rows = with_released(log, rows, manifest.coverage, manifest.coverage)[0]
        return merge_versions(form.schema.empty_table(), rows)
    recorded, lacking = of_manifest(lake, source, manifest)
    if lacking:
        msg = f"the raw responses about {shown(sorted(lacking))} are gone"
        raise Unverifiable(msg)
    haul = Haul(source, hours)
    for subject, [stored] in recorded.answers.items():
        _take(source, haul, reader, subject, stored)
    good = without_held(lake, dataset, session, _good(log, haul.table, manifest, hours))
    coverage = {subject: manifest.coverage[subject] for subject in recorded.answers}
    good, _ = with_released(log, good, coverage, coverage)
    return good.sort_by([(name, "ascending") for name in form.key]).combine_chunks()


def _take(source: Source, haul: Haul, reader: Reader, subject: str, stored: StoredAnswer) -> None:
    reader.drain()
    try:
        said = answers_in(source, stored, haul.hours, reader.take)
        haul.take(subject, said, stored.stage_id, reader.drain())
    except UNREADABLE as error:
        msg = f"the raw answer about {subject} (run {stored.stage_id}) cannot be read by this Bellwether: {error}"
        raise Unverifiable(msg) from error


def _good(log: Log, rows: pa.Table, manifest: Manifest, hours: SessionHours) -> pa.Table:
    schema = FORMS[manifest.dataset].schema
    report = check_batch(rows, hours, manifest.dataset)
    is_good = report.reasons.is_null()
    good = report.table.filter(is_good).cast(schema)
    refused = report.table.append_column(REASON_COLUMN, report.reasons).filter(report.reasons.is_valid())
    return let_pass(log, good, refused, manifest.coverage)[0]


def _all_versions(
    lake: Lake, source: Source, manifest: Manifest, log: Log, hours: SessionHours, reader: Reader
) -> pa.Table:
    rounds, lacking = one_by_one(lake, source, manifest.session, manifest, recorded_only=True)
    if lacking:
        raise Unverifiable("; ".join(lacking.values()))
    merged = compact(lake, source.dataset, manifest.session).table
    for subject, [stored] in (item for each in rounds for item in each.answers.items()):
        haul = Haul(source, hours)
        _take(source, haul, reader, subject, stored)
        merged = merge_versions(merged, _good(log, haul.table, manifest, hours))
    return merged
