"""From staged batches to a published partition: validate once for the whole session, then publish."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date

import msgspec
import pyarrow as pa

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.drift.change import Change
from bellwether.drift.judging import Held, compare
from bellwether.drift.report import publish_drift
from bellwether.errors import LakeError, NothingProven, QualityError
from bellwether.faultpoints import reach
from bellwether.ingest.evidence import remembered
from bellwether.ingest.fetch import rows_by_subject
from bellwether.ingest.haul import summed
from bellwether.ingest.plan import Batch
from bellwether.lake import Coverage, Lake, TickerCoverage, paths
from bellwether.lake.coverage import record_failures, stored_universe
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import Publication, Submission, publish
from bellwether.lake.stage import BatchRecord, Stage, ValidatedRecord
from bellwether.logging import get_logger
from bellwether.news.versions import merge_versions
from bellwether.quality.gate import check_batch
from bellwether.quality.late import window
from bellwether.quality.prepare import staged_schema
from bellwether.quality.validate import validate_session
from bellwether.quarantine.decisions import Log, read_log
from bellwether.quarantine.kept import keep
from bellwether.quarantine.respect import let_pass, with_released
from bellwether.schemas import FORMS
from bellwether.streaming.compact import compact
from bellwether.tickers import WHOLE

log = get_logger(__name__)

_READ = frozenset({Coverage.COMPLETE, Coverage.PARTIAL, Coverage.EMPTY})
"""In which states an answer was read: to it what was seen before is added."""


def validate_stage(lake: Lake, config: Config, batches: Sequence[Batch]) -> ValidatedRecord:
    """Validate everything one run has staged, and stage what may be published.

    Parameters
    ----------
    lake, config
        Where it is staged, and by which contracts its values are judged.
    batches
        The whole plan, at least one batch; tickers of a batch that staged nothing count as failed.

    Returns
    -------
    ValidatedRecord
        Coverage of every planned ticker.

    Raises
    ------
    QualityError
        A table rule failed; the published partition stays as it is and refused rows are in quarantine.
    """
    plan = batches[0]
    stage = Stage(lake, plan.dataset, plan.session, plan.stage_id)
    table, record = _collect(stage, batches)
    hours = get_calendar().hours(plan.session)
    verdict = validate_session(
        table,
        dataset=plan.dataset,
        session_hours=hours,
        rows_expected=sum(known.rows for known in record.coverage.values()),
        duplicates_dropped=sum(known.duplicates_dropped for known in record.coverage.values()),
    )
    reach("validate.judged", plan.session)
    lake.storage.write(paths.quality(plan.dataset, plan.session), msgspec.json.encode(verdict.result))
    held = compare(lake, config, plan.dataset, plan.session, record, verdict)
    if held.is_seen:
        publish_drift(lake, config, [plan.session], run_id=plan.stage_id)
    if held.quarantined.num_rows:
        # With those that people let pass: whether a newer answer overtook a row is told by the newest it came in.
        key = keep(lake, plan.dataset, plan.session, plan.stage_id, held.quarantined, record.coverage)
        log.warning("quarantined", rows=held.quarantined.num_rows, file=lake.storage.url(key))
        if verdict.passed and not held.why:
            decisions = read_log(lake, plan.dataset, plan.session)
            good, refused = let_pass(decisions, held.good, held.quarantined, _in_force(lake, decisions))
            held = replace(held, good=good, quarantined=refused)
    if not verdict.passed:
        reason = f"quality: {'; '.join(verdict.failures)}"
        failed = TickerCoverage(Coverage.FAILED, stage_id=plan.stage_id, reason=reason)
        record_failures(lake, plan.dataset, plan.session, dict.fromkeys(record.coverage, failed))
        msg = f"{plan.dataset} {plan.session}: {reason}; nothing was published"
        raise QualityError(msg)
    validated = ValidatedRecord(
        coverage=_after_quarantine(plan.dataset, record.coverage, held),
        api_calls=record.api_calls,
        raw=record.raw,
        timings_s={"fetch_s": round(record.seconds, 3), "validate_s": round(verdict.seconds, 3)},
        left_out=record.left_out,
    )
    stage.write_validated(held.good, validated)
    reach("validate.staged", plan.session)
    return validated


def publish_stage(
    lake: Lake,
    config: Config,
    dataset: str,
    session: date,
    *,
    stage_id: str,
    run_id: str,
    accept_loss: bool = False,
    accept_late: bool = False,
) -> Publication:
    """Publish what a stage holds after validation.

    Parameters
    ----------
    lake, config
        Where it is staged, and until when it may revise what is published.
    dataset, session, stage_id, run_id
        Which stage, and the run that publishes it.
    accept_loss
        Let a ticker lose most of its published rows.
    accept_late
        Take what came too late to revise what is published.

    Raises
    ------
    NothingProven
        Every ticker failed and nothing was published before; the ledger records why.
    LakeError
        The stage was never validated or is gone.
    """
    staged = Stage(lake, dataset, session, stage_id).read_validated()
    if staged is None:
        msg = f"stage {stage_id} of {dataset} {session} is not there; clear the whole run to fetch again"
        raise LakeError(msg)
    table, record = staged
    coverage = record.coverage
    if FORMS[dataset].keeps_versions:
        table, coverage = _with_first_sights(lake, dataset, session, table, coverage)
    hours = get_calendar().hours(session)

    def released(
        rows: pa.Table, known: dict[str, TickerCoverage], before: Mapping[str, TickerCoverage]
    ) -> tuple[pa.Table, dict[str, TickerCoverage]]:
        decisions = read_log(lake, dataset, session)
        return with_released(decisions, rows, known, before or _in_force(lake, decisions))

    submission = Submission(
        dataset=dataset,
        session=session,
        table=table,
        coverage=coverage,
        stage_id=stage_id,
        run_id=run_id,
        config_hash=config.hash,
        inputs=record.raw,
        api_calls=record.api_calls,
        timings_s=record.timings_s,
        count_warnings=lambda merged: check_batch(merged, hours, dataset).warnings | record.left_out,
        accept_loss=accept_loss,
        universe=stored_universe(lake, dataset, session),
        window=window(config.settings.late, dataset, session),
        accept_late=accept_late,
        released=released,
    )
    try:
        return publish(lake, submission, FileLayout(config.sinks.of(dataset), config.settings.lake.compression))
    except NothingProven:
        record_failures(lake, dataset, session, record.coverage)
        raise


def _in_force(lake: Lake, decisions: Log) -> Mapping[str, TickerCoverage]:
    """Return by what is published, or was of a partition that is lost, which of the released rows are in."""
    if not decisions.entries:
        return {}
    dataset, session = decisions.dataset, decisions.session
    known = lake.manifest(dataset, session) or remembered(lake, dataset, session)
    return known.coverage if known else {}


def _with_first_sights(
    lake: Lake, dataset: str, session: date, table: pa.Table, coverage: dict[str, TickerCoverage]
) -> tuple[pa.Table, dict[str, TickerCoverage]]:
    """Add what was seen while the session went on: when each version was first seen, and versions changed since."""
    known, seen = coverage[WHOLE], compact(lake, dataset, session).table
    if known.state not in _READ or not seen.num_rows:
        return table, coverage
    merged = merge_versions(seen, table.cast(seen.schema))
    state, reason = (Coverage.COMPLETE, "") if known.state is Coverage.EMPTY else (known.state, known.reason)
    return merged, {WHOLE: msgspec.structs.replace(known, state=state, rows=merged.num_rows, reason=reason)}


def failed_tickers(lake: Lake, batches: Sequence[Batch]) -> dict[str, str]:
    """Return the tickers of a plan that could not be fetched or were refused whole, with the reason."""
    if not batches:
        return {}
    plan = batches[0]
    stage = Stage(lake, plan.dataset, plan.session, plan.stage_id)
    validated = stage.read_validated()
    coverage = validated[1].coverage if validated else _collect(stage, batches)[1].coverage
    return {ticker: known.reason for ticker, known in coverage.items() if not known.state.is_proven}


def forgivable(lake: Lake, dataset: str, session: date, failed: Collection[str]) -> set[str]:
    """Return which failed tickers the session's universe holds as best effort: they fail no run."""
    universe = stored_universe(lake, dataset, session)
    return set(failed) & set(universe.best_effort if universe else ())


def _collect(stage: Stage, batches: Sequence[Batch]) -> tuple[pa.Table, BatchRecord]:
    tables = [staged_schema(stage.dataset).empty_table()]
    coverage: dict[str, TickerCoverage] = {}
    raw: dict[str, str] = {}
    left_out: dict[str, int] = {}
    drift: dict[str, tuple[Change, ...]] = {}
    api_calls, seconds = 0, 0.0
    for batch in batches:
        staged = stage.read_batch(batch.index)
        if staged is None:
            reason = f"batch {batch.name} has nothing staged; clear it, or the whole run if that is days old"
            lost = TickerCoverage(Coverage.FAILED, stage_id=stage.stage_id, reason=reason)
            coverage |= dict.fromkeys(batch.tickers, lost)
            continue
        table, record = staged
        tables.append(table)
        coverage |= record.coverage
        raw |= record.raw
        left_out = summed(left_out, record.left_out)
        drift |= record.drift
        api_calls += record.api_calls
        seconds += record.seconds
    record = BatchRecord(
        coverage=coverage, api_calls=api_calls, seconds=seconds, raw=raw, left_out=left_out, drift=drift
    )
    return pa.concat_tables(tables), record


def _after_quarantine(dataset: str, coverage: dict[str, TickerCoverage], held: Held) -> dict[str, TickerCoverage]:
    kept, refused = rows_by_subject(held.good, dataset), rows_by_subject(held.quarantined, dataset)
    return {
        ticker: TickerCoverage(
            Coverage.PARTIAL if ticker in kept else Coverage.QUARANTINED,
            rows=kept.get(ticker, 0),
            quarantined_rows=refused[ticker],
            duplicates_dropped=known.duplicates_dropped,
            stage_id=known.stage_id,
            fetched_utc=known.fetched_utc,
            reason="; ".join(filter(None, (held.why, f"{refused[ticker]} rows in quarantine"))),
        )
        if ticker in refused
        else known
        for ticker, known in coverage.items()
    }
