"""A session's rows against the sessions published before it: summaries kept, history found, rows held back.

A summary is a small file in `state/`, made anew from the partition where it is lost or of another revision.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.config import Config, Contract
from bellwether.drift.change import MANY_NAMES, MOST_NAMED, OTHERS, Change, Kind, why_held
from bellwether.drift.ledger import Sighting, contracts_in_force, grouped, write_down
from bellwether.drift.values import (
    TRAILING,
    Finding,
    Summary,
    compared_columns,
    findings,
    subject_columns,
    summarise,
)
from bellwether.lake import Lake, paths
from bellwether.lake.manifest import encode
from bellwether.lake.stage import BatchRecord
from bellwether.logging import get_logger
from bellwether.quality.prepare import REASON_COLUMN, quarantine_schema
from bellwether.quality.validate import Verdict
from bellwether.universe.spec import shown

log = get_logger(__name__)

_SPLIT = frozenset({"equities", "options", "contracts", "options_snapshot"})
"""Datasets whose values are of shares, tickers or underlyings apart."""


@dataclass(frozen=True)
class Held:
    """What may be published of a session, and what is held back.

    Attributes
    ----------
    good, quarantined
        Rows.
    findings
        How the values differ; where one is breaking no row may be published.
    is_seen
        Whether anything of the session differed.
    """

    good: pa.Table
    quarantined: pa.Table
    findings: tuple[Finding, ...]
    is_seen: bool = False

    @property
    def why(self) -> str:
        """Why rows are held back; empty where none are."""
        return why_held([finding.change for finding in self.findings])


def compare(lake: Lake, config: Config, dataset: str, session: date, record: BatchRecord, verdict: Verdict) -> Held:
    """Judge a session's values, and write down all that was seen of it that differs from the contract.

    Parameters
    ----------
    record
        What all batches brought, and how their answers differed.
    verdict
        What the suite says; rows it refused as a whole are not judged.
    """
    held = Held(verdict.good, verdict.quarantined, ())
    contract = contracts_in_force(lake, config).get(dataset)
    if contract is None:
        return held
    if verdict.passed:
        held = judge(lake, contract, dataset, session, held.good, held.quarantined)
    with_rows = tuple(sorted(subject for subject, known in record.coverage.items() if known.rows))
    for change, subjects in _told(grouped(record.drift)).items():
        _record(lake, contract, session, record, Finding(change, f"the answers about {shown(subjects)}"), subjects)
    for found in held.findings:
        _record(lake, contract, session, record, found, with_rows)
    return replace(held, is_seen=bool(record.drift or held.findings))


def _told(found: dict[Change, tuple[str, ...]]) -> dict[Change, tuple[str, ...]]:
    """Return the changes to write down: of more new names than anybody reads, that there are."""
    others = [change for change in found if change.kind is Kind.ADDED and change.field != OTHERS][MOST_NAMED:]
    if not others:
        return found
    told = {change: subjects for change, subjects in found.items() if change not in others}
    subjects = {subject for change in others for subject in found[change]}
    rest = Change(others[0].dataset, OTHERS, Kind.ADDED, MANY_NAMES)
    return told | {rest: tuple(sorted(subjects | {*told.get(rest, ())}))}


def _record(
    lake: Lake, contract: Contract, session: date, record: BatchRecord, found: Finding, subjects: tuple[str, ...]
) -> None:
    """Write down a sighting for each run whose answers show it: replayed ones may be of several."""
    # An answer that differs and cannot be read for another reason has none.
    coverage = {subject: record.coverage[subject] for subject in subjects if subject in record.coverage}
    for stage_id in sorted({known.stage_id for known in coverage.values()}):
        here = {subject: known for subject, known in coverage.items() if known.stage_id == stage_id}
        came = [known.fetched_utc for known in here.values() if known.fetched_utc is not None]
        sighting = Sighting(
            change=found.change,
            session=session,
            stage_id=stage_id,
            subjects=tuple(here),
            first_utc=min(came, default=lake.clock.now()),
            raw={name: digest for name, digest in record.raw.items() if name.startswith(f"{stage_id}/")},
            evidence=found.evidence,
            version=contract.version,
            seen_utc=lake.clock.now(),
        )
        log.warning("drift", dataset=found.change.dataset, session=session.isoformat(), change=str(found.change))
        write_down(lake, sighting)


def judge(lake: Lake, contract: Contract, dataset: str, session: date, good: pa.Table, quarantined: pa.Table) -> Held:
    """Compare a session's good rows with the trailing sessions, and hold them back where a value is not what it was.

    Parameters
    ----------
    good, quarantined
        Rows as the suite split them.
    """
    columns = compared_columns(contract)
    if not columns or not len(good):
        return Held(good, quarantined, ())
    trailing = _trailing(lake, dataset, session, columns)
    today = summarise(dataset, good, columns, "")
    split = _split_lately(lake, dataset, session, min(trailing, default=session))
    held = Held(good, quarantined, tuple(findings(dataset, contract, today, trailing, split)))
    if not held.why:
        return held
    reasons = pa.array([held.why] * len(good))
    refused = good.append_column(REASON_COLUMN, reasons).cast(quarantine_schema(dataset))
    return Held(good.slice(0, 0), pa.concat_tables([quarantined, refused]), held.findings)


def _trailing(lake: Lake, dataset: str, session: date, columns: list[str]) -> dict[date, Summary]:
    before = [each for each in lake.sessions(dataset) if each < session][-TRAILING:]
    found = {each: _summary(lake, dataset, each, columns) for each in before}
    return {each: summary for each, summary in found.items() if summary is not None}


def _summary(lake: Lake, dataset: str, session: date, columns: list[str]) -> Summary | None:
    """Return the summary of what is published of a session; None where that is gone by now."""
    manifest = lake.manifest(dataset, session)
    if manifest is None:
        return None
    key = paths.statistics(dataset, session)
    kept = _kept(lake, dataset, session)
    if kept is not None and kept.revision == manifest.revision and set(kept.nulls) >= set(columns):
        return kept
    published = lake.partition(dataset, session, columns=[*dict.fromkeys((*subject_columns(dataset), *columns))])
    if published is None:
        return None
    made = summarise(dataset, published.table, columns, published.manifest.revision)
    lake.storage.write(key, encode(made))
    return made


def _kept(lake: Lake, dataset: str, session: date) -> Summary | None:
    stored = lake.storage.read(paths.statistics(dataset, session))
    try:
        return msgspec.json.decode(stored.content, type=Summary) if stored else None
    except msgspec.MsgspecError:
        return None  # damaged: it is made anew


def _split_lately(lake: Lake, dataset: str, session: date, first: date) -> frozenset[str]:
    """Return the tickers whose shares split since the first session compared, as far as splits are published."""
    known = [each for each in lake.sessions("splits") if first <= each <= session + timedelta(days=7)]
    if dataset not in _SPLIT or not known:
        return frozenset()
    published = lake.partition("splits", known[-1], columns=["ticker", "execution_date"])
    if published is None:
        return frozenset()
    day = published.table["execution_date"]
    due = pc.and_(pc.greater(day, pa.scalar(first)), pc.less_equal(day, pa.scalar(session)))
    return frozenset(published.table.filter(due)["ticker"].to_pylist())
