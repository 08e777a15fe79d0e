"""Publishing: the one way rows become visible, safe against death at any step and against any other publisher.

One swap of the storage puts rows and manifest in force together, on condition that the publication they were merged
from still is, and keeps the replaced file. If another publication came first, everything is merged again.
Correctness rests on that comparison, not on Airflow's pools.
"""

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from bellwether import __version__
from bellwether.errors import LakeError, NothingProven
from bellwether.faultpoints import LATE_KEPT, reach
from bellwether.lake import paths
from bellwether.lake.history import shorten
from bellwether.lake.lake import Lake, Published
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import METADATA_KEY, Coverage, Manifest, TickerCoverage, Universe, encode
from bellwether.lake.revisions import revision_of
from bellwether.logging import get_logger
from bellwether.meter import count
from bellwether.news.versions import merge_versions
from bellwether.quality.late import (
    OPEN,
    Late,
    Window,
    is_late_version,
    is_new_version,
    is_version_of,
    late_answers,
    quarantined,
)
from bellwether.quality.reasons import WarningName
from bellwether.quarantine.identity import digests
from bellwether.quarantine.kept import keep_late, late_rows
from bellwether.schemas import FORMS, SCHEMA_VERSION, Form
from bellwether.tickers import WHOLE
from bellwether.universe.spec import shown

# Every round means that another publisher finished its own; so many in a row mean something else is wrong.
MOST_ROUNDS = 100

# A correction moves or adds a few bars; an answer that halves a ticker's session is a fault of the vendor or the way.
_LEAST_SHARE_LEFT = 0.5

_ANSWERED = frozenset({Coverage.COMPLETE, Coverage.PARTIAL, Coverage.EMPTY})
"""Of whom an answer is published, which a late one does not revise."""

_LATE = (WarningName.LATE_ROWS.value, WarningName.LATE_REMOVALS.value)

log = get_logger(__name__)

type _Accepted = tuple[pa.Table, dict[str, TickerCoverage]]


def _nothing_released(
    rows: pa.Table, coverage: dict[str, TickerCoverage], _before: Mapping[str, TickerCoverage]
) -> _Accepted:
    return rows, coverage


@dataclass(frozen=True)
class Submission:
    """Validated rows of some tickers, on their way into a partition.

    Attributes
    ----------
    table
        Rows with the dataset's schema, in any order.
    coverage
        Every ticker submitted; those in a proven state replace the published rows of that ticker, or are merged with
        them where the dataset keeps versions.
    stage_id, run_id, config_hash, inputs, api_calls, timings_s
        For the manifest.
    count_warnings
        Counts the oddities of the merged partition, by name.
    accept_loss
        Let a ticker lose most of its published rows; otherwise they are kept and the ticker is refused.
    universe
        What the session was to capture; None keeps what the partition says of it.
    window
        Until when answers may revise what is published. What came later and differs goes to quarantine.
    accept_late
        Take answers whenever they came: somebody asked for just these, or releases them.
    released
        Returns rows and coverage with what people let pass of refused rows, given the coverage in force; called anew
        in each round, so that a release meanwhile is not lost.
    """

    dataset: str
    session: date
    table: pa.Table
    coverage: dict[str, TickerCoverage]
    stage_id: str
    run_id: str
    config_hash: str
    inputs: dict[str, str]
    api_calls: int
    timings_s: dict[str, float]
    count_warnings: Callable[[pa.Table], dict[str, int]]
    accept_loss: bool = False
    universe: Universe | None = None
    window: Window = OPEN
    accept_late: bool = False
    released: Callable[[pa.Table, dict[str, TickerCoverage], Mapping[str, TickerCoverage]], _Accepted] = (
        _nothing_released
    )


@dataclass(frozen=True)
class Publication:
    """What publishing did.

    Attributes
    ----------
    manifest
        The manifest now in force.
    changed
        Whether the partition was written.
    refused
        Tickers whose published rows were kept against what was submitted, with the reason.
    """

    manifest: Manifest
    changed: bool
    refused: dict[str, str]


def publish(lake: Lake, submission: Submission, layout: FileLayout) -> Publication:
    """Merge a submission into its partition, or leave the partition as it is if nothing differs.

    Parameters
    ----------
    lake
        Where to publish.
    submission
        What to publish.
    layout
        How the file is encoded.

    Raises
    ------
    NothingProven
        Every ticker failed and nothing is published.
    LakeError
        The storage refused (full, read-only, out of reach), or the swap lost against other publishers too often. What
        was published before stands, or, where a bucket gave no answer, it or the new publication: never half of one.
    """
    reach("publish.begun", submission.session)
    for _ in range(MOST_ROUNDS):
        current = lake.partition(submission.dataset, submission.session)
        # After the partition: whoever releases a row in between makes the swap fail.
        before = current.manifest.coverage if current else {}
        rows, coverage = submission.released(submission.table, submission.coverage, before)
        decided = replace(submission, table=rows, coverage=coverage)
        refused = _refused(decided, before)
        late = _late(lake, decided, current, refused)
        counts = _keep(lake, decided, late, current.manifest.warnings if current else {})
        table, manifest = _merge(lake, _in_time(decided, late), current, refused, counts)
        reach("publish.merged", submission.session)
        if current is not None and _says_the_same(current.manifest, manifest):
            # A publisher that died between swap and index left the index behind.
            write_index(lake, current.manifest)
            return Publication(current.manifest, changed=False, refused=refused)
        if put_in_force(lake, table, manifest, current, layout):
            log.info(
                "published",
                dataset=manifest.dataset,
                session=manifest.session.isoformat(),
                revision=manifest.revision[:12],
                rows=manifest.rows,
            )
            reach("publish.returned", submission.session)
            return Publication(manifest, changed=True, refused=refused)
    msg = f"{submission.dataset} {submission.session}: {MOST_ROUNDS} other publications came in between; try again"
    raise LakeError(msg)


def _refused(submission: Submission, before: dict[str, TickerCoverage]) -> dict[str, str]:
    """Return the tickers whose answer must not displace what is published, with the reason."""
    keeps_versions = FORMS[submission.dataset].keeps_versions
    reasons = {
        ticker: _why_refused(known, before[ticker], submission.accept_loss, keeps_versions)
        for ticker, known in submission.coverage.items()
        if ticker in before
    }
    return {ticker: reason for ticker, reason in reasons.items() if reason}


def _why_refused(known: TickerCoverage, published: TickerCoverage, accept_loss: bool, keeps_versions: bool) -> str:
    if not published.state.is_proven:
        is_older = known.fetched_utc and published.fetched_utc and known.fetched_utc < published.fetched_utc
        return f"{known.reason}; a newer answer is {published.state}" if is_older and not known.state.is_proven else ""
    if not known.state.is_proven:
        return f"{known.reason}; the {published.rows} published rows are kept"
    if keeps_versions and known.state is not Coverage.NOT_ENTITLED:
        return ""  # whatever it lacks stays published, whatever its age
    if known.fetched_utc and published.fetched_utc and known.fetched_utc < published.fetched_utc:
        return (
            f"fetched {known.fetched_utc:%Y-%m-%d %H:%M:%S} UTC, before the published rows "
            f"({published.fetched_utc:%Y-%m-%d %H:%M:%S}); clear the whole run to fetch again"
        )
    if known.rows < published.rows * _LEAST_SHARE_LEFT and not accept_loss:
        return (
            f"{known.rows} rows ({known.state.value}) in place of {published.rows}: the published rows are kept; "
            "to accept the loss, fetch this ticker again by name with force"
        )
    return ""


def _late(lake: Lake, submission: Submission, current: Published | None, refused: Collection[str]) -> Late | None:
    """Return what of a submission came too late to revise what is published; None where none of its answers did."""
    dataset, window = submission.dataset, submission.window
    if current is None or submission.accept_late or window == OPEN:
        return None
    before = {t: known for t, known in current.manifest.coverage.items() if known.state in _ANSWERED}
    answers = {t: known for t, known in submission.coverage.items() if t in before and t not in refused}
    # What is read once more by other rules is no later than it was.
    newer = {t: known.fetched_utc for t, known in answers.items() if _is_newer(known, before[t])}
    published, arriving = (table.cast(FORMS[dataset].schema) for table in (current.table, submission.table))
    if window.of_a_row is not None and answers:
        if newer:
            is_late = is_late_version(published, arriving, window.of_a_row)
        else:
            is_late = is_new_version(arriving, published, among=late_rows(lake, dataset, submission.session))
        late = arriving.filter(is_late)
        released = {digest for known in answers.values() if known.released for digest in known.released.rows}
        if released:  # whoever let a version pass knew that it had come too late
            let_pass = [digest in released for digest in digests(late, dataset, submission.session)]
            late = late.filter(pc.invert(pa.array(let_pass, pa.bool_())))
        return Late(quarantined(late, dataset)) or None
    until = window.until_utc
    subjects = [ticker for ticker, fetched_utc in newer.items() if until and fetched_utc and fetched_utc > until]
    return late_answers(published, arriving, dataset, subjects) if subjects else None


def _is_newer(known: TickerCoverage, before: TickerCoverage) -> bool:
    if known.fetched_utc is None or before.fetched_utc is None:
        return known.fetched_utc is not None
    is_another = known.stage_id != before.stage_id
    return known.fetched_utc > before.fetched_utc or (is_another and known.fetched_utc == before.fetched_utc)


def _in_time(submission: Submission, late: Late | None) -> Submission:
    """Return a submission without what came too late."""
    if not late:
        return submission
    coverage = {ticker: known for ticker, known in submission.coverage.items() if ticker not in late.subjects}
    table = submission.table
    if FORMS[submission.dataset].keeps_versions:
        table = table.filter(pc.invert(is_version_of(table, late.rows)))
    return replace(submission, coverage=coverage, table=table)


def _keep(lake: Lake, submission: Submission, late: Late | None, before: dict[str, int]) -> dict[str, int]:
    """Put what came too late into quarantine; return the warnings of all that ever did, and of what was removed.

    It is there before the manifest that counts it is in force, and written again, the same, by whoever publishes again.
    """
    counts = {name: before[name] for name in _LATE if name in before}
    if late is None or not (late or counts):
        return counts
    count = before.get(WarningName.LATE_ROWS.value, 0)
    if late.rows.num_rows:
        answers = {t: submission.coverage[t] for t in late.subjects or {WHOLE} & submission.coverage.keys()}
        count = keep_late(lake, submission.dataset, submission.session, late.rows, answers)
        reach(LATE_KEPT, submission.session)
    if late:
        log.warning(
            "came too late to revise what is published, which stays; docs/late-data.md tells how to accept it",
            dataset=submission.dataset,
            session=submission.session.isoformat(),
            rows_in_quarantine=late.rows.num_rows,
            rows_removed=late.removals,
            tickers=shown(sorted(late.subjects)),
        )
    return {WarningName.LATE_ROWS.value: count, WarningName.LATE_REMOVALS.value: late.removals}


def _merge(
    lake: Lake,
    submission: Submission,
    current: Published | None,
    refused: dict[str, str],
    late: dict[str, int],
) -> tuple[pa.Table, Manifest]:
    form = FORMS[submission.dataset]
    schema = form.schema
    published, before = (current.table, current.manifest.coverage) if current else (schema.empty_table(), {})
    accepted = {ticker: known for ticker, known in submission.coverage.items() if ticker not in refused}
    coverage = dict(sorted((before | accepted).items()))
    if coverage and not any(known.state.is_proven for known in coverage.values()):
        reasons = sorted({known.reason for known in accepted.values()})
        msg = (
            f"{submission.dataset} {submission.session}: nothing to publish, every ticker failed: {'; '.join(reasons)}"
        )
        raise NothingProven(msg)
    kept, displaced = _split(published, form, accepted)
    _, arriving = _split(submission.table, form, accepted)
    earlier = current.manifest.inputs if current else {}
    if form.keeps_versions:
        arriving = merge_versions(displaced.cast(schema), arriving.cast(schema))
        coverage |= {
            ticker: _after_merging(known, before.get(ticker, known), arriving) for ticker, known in accepted.items()
        }
    else:
        stages = {known.stage_id for known in coverage.values()}
        earlier = {path: digest for path, digest in earlier.items() if path.split("/")[0] in stages}
    table = pa.concat_tables([kept.cast(schema), arriving.cast(schema)])
    table = table.sort_by([(column, "ascending") for column in form.key]).combine_chunks()
    return table, Manifest(
        dataset=submission.dataset,
        session=submission.session,
        revision=revision_of(table),
        publication_id=uuid.uuid4().hex,
        stage_id=submission.stage_id,
        run_id=submission.run_id,
        published_utc=lake.clock.now(),
        rows=table.num_rows,
        coverage=coverage,
        schema_version=SCHEMA_VERSION,
        code_version=__version__,
        config_hash=submission.config_hash,
        provenance=lake.provenance,
        replaces=paths.revision(current.manifest).name if current else None,
        inputs=earlier | submission.inputs,
        warnings=submission.count_warnings(table)
        | {"duplicates_dropped": sum(known.duplicates_dropped for known in coverage.values())}
        | late,
        api_calls=submission.api_calls,
        timings_s=submission.timings_s,
        universe=submission.universe or (current.manifest.universe if current else None),
    )


def _after_merging(known: TickerCoverage, before: TickerCoverage, merged: pa.Table) -> TickerCoverage:
    """Return what is known of the one subject of a dataset: its newest answer that had rows speaks for all of them."""
    newest = max(known, before, key=lambda each: (each.rows > 0, each.fetched_utc is not None, each.fetched_utc))
    return structs.replace(newest, rows=merged.num_rows, released=known.released)


def _split(table: pa.Table, form: Form, subjects: Collection[str]) -> tuple[pa.Table, pa.Table]:
    """Return the rows of all other subjects, and those of these."""
    if form.subject is None:
        of_these = pa.repeat(WHOLE in subjects, table.num_rows)
    else:
        of_these = pc.is_in(table[form.subject], value_set=pa.array(sorted(subjects), pa.string()))
    return table.filter(pc.invert(of_these)), table.filter(of_these)


def _says_the_same(current: Manifest, merged: Manifest) -> bool:
    def claim(manifest: Manifest) -> tuple[object, ...]:
        # Of an answer that was refused whole only its own rows can be released, so that the newest has to be named.
        coverage = {
            ticker: structs.replace(known, reason="")
            if known.state is Coverage.QUARANTINED
            else structs.replace(known, stage_id="", fetched_utc=None, reason="")
            for ticker, known in manifest.coverage.items()
        }
        universe = manifest.universe and (manifest.universe.required, manifest.universe.best_effort)
        late = [manifest.warnings.get(name, 0) for name in _LATE]
        return manifest.revision, coverage, manifest.schema_version, universe, late

    return claim(current) == claim(merged)


def put_in_force(lake: Lake, table: pa.Table, manifest: Manifest, base: Published | None, layout: FileLayout) -> bool:
    """Put a new file in place of the one it was made from; False if that one is no longer in force.

    The replaced file is kept, unless both come from streams: one every few minutes would be gigabytes a day. Its
    history then begins with the new one, as after a pruning.
    """
    is_kept = base is not None and not (base.manifest.is_provisional and manifest.is_provisional)
    if base is not None and not is_kept:
        shorten(lake, manifest.dataset, manifest.session, manifest.published_utc)
    content = layout.compose(
        table, {METADATA_KEY: encode(manifest)}, base.content if base else None, manifest.published_utc
    )
    is_done = lake.storage.swap(
        paths.partition(manifest.dataset, manifest.session),
        content,
        expected=base.version if base else None,
        keep_as=paths.revision(base.manifest) if base and is_kept else None,
        reached=lambda step: reach(f"publish.{step}", manifest.session),
    )
    if is_done:
        count("rows", table.num_rows)
        write_index(lake, manifest)
        reach("publish.indexed", manifest.session)
    return is_done


def write_index(lake: Lake, manifest: Manifest) -> None:
    """Copy into the index whichever manifest is in force: no lock is needed, since the last to write looks again."""
    index = paths.manifest(manifest.dataset, manifest.session)
    written = ""
    while written != manifest.publication_id:
        stored, content = lake.storage.read(index), encode(manifest)
        if stored is None or stored.content != content:
            lake.storage.write(index, content)
        written, manifest = manifest.publication_id, lake.manifest(manifest.dataset, manifest.session) or manifest
    lake.storage.delete(paths.failures(manifest.dataset, manifest.session))
