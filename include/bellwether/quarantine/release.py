"""Deciding about refused rows: judged first, then written down, then put in force; killed anywhere, done again whole.

A release makes a revision of the partition as any publication does. Who decides about a row that somebody else has
decided about meanwhile, or that a newer answer overtook, is told so, and changes nothing of its session. Of several
sessions each stands for itself.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import pyarrow as pa
from msgspec import structs

from bellwether import __version__
from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.errors import LakeError, QuarantineError
from bellwether.faultpoints import reach
from bellwether.lake import Lake, Manifest, paths
from bellwether.lake.lake import Published
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import MOST_ROUNDS, put_in_force, write_index
from bellwether.lake.revisions import revision_of
from bellwether.logging import get_logger
from bellwether.news.versions import merge_versions
from bellwether.quality.gate import check_batch
from bellwether.quality.prepare import REASON_COLUMN, quarantine_schema
from bellwether.quarantine.audit import publish_audit
from bellwether.quarantine.decisions import Action, DecidedRow, Decision, Log, append, read_log
from bellwether.quarantine.respect import with_released
from bellwether.quarantine.standing import Row, Selection, State, find, standing
from bellwether.quarantine.validity import as_table, why_invalid
from bellwether.schemas import FORMS, SCHEMA_VERSION

log = get_logger(__name__)

_MOST_NAMED = 20
# A discarded row may still be released; from a release a newer answer leads back, or that of another row of the key.
_DECIDABLE = {
    Action.RELEASED: frozenset({State.OPEN, State.DISCARDED, State.REPLACED}),
    Action.DISCARDED: frozenset({State.OPEN, State.REPLACED}),
}


@dataclass(frozen=True)
class Judged:
    """What deciding about some rows would do.

    Attributes
    ----------
    action
        What is asked for.
    to_decide
        Rows it would decide about.
    decided
        Those that were decided so before; of a release, what is unfinished of it is finished.
    refused
        Why it cannot be done, by row id; as long as there is any, nothing is.
    """

    action: Action
    to_decide: tuple[Row, ...]
    decided: tuple[Row, ...]
    refused: dict[str, str]


@dataclass(frozen=True)
class Settled:
    """What deciding did.

    Attributes
    ----------
    judged
        What was looked at before.
    decisions
        The names of the decisions it wrote down.
    published
        The sessions whose partition it changed, with the dataset.
    touched
        All sessions it was about, with the dataset; but those left out.
    left_out
        What was not done, though it was judged possible, and why: something came in between.
    """

    judged: Judged
    decisions: tuple[str, ...]
    published: tuple[tuple[str, date], ...]
    touched: tuple[tuple[str, date], ...]
    left_out: tuple[str, ...]


def chosen(lake: Lake, selection: Selection, action: Action) -> list[Row]:
    """Return the rows to decide about.

    Those named, however they stand; else those selected that are open, or were decided so before: by that a decision
    that was cut off is finished by whoever makes it again.

    Raises
    ------
    QuarantineError
        Nothing was said of which rows are meant, there are none, or an id names none.
    """
    if selection == Selection():
        msg = "say which rows are meant: by id, or by dataset, sessions, tickers or rule"
        raise QuarantineError(msg)
    found = find(lake, selection)
    if not selection.rows:
        found = [row for row in found if row.state is State.OPEN or _is_decided(row, action)]
    if not found:
        msg = "no row in quarantine that waits for somebody is meant by that"
        raise QuarantineError(msg)
    return found


def judge(lake: Lake, action: Action, rows: Sequence[Row]) -> Judged:
    """Look at what deciding about some rows would do; nothing is changed.

    Raises
    ------
    LakeError
        A partition, or a record of drift, is damaged.
    """
    decided = tuple(row for row in rows if _is_decided(row, action))
    others = [row for row in rows if not _is_decided(row, action)]
    to_decide = tuple(row for row in others if row.state in _DECIDABLE[action])
    refused = {row.row_id: _why_not(row) for row in others if row.state not in _DECIDABLE[action]}
    if action is Action.RELEASED:
        for (dataset, session), each in _by_session(to_decide):
            invalid = why_invalid(lake, dataset, session, each)
            refused |= {row.row_id: invalid[row.digest] for row in each if row.digest in invalid}
    return Judged(action, to_decide, decided, refused)


def settle(lake: Lake, config: Config, judged: Judged, *, by: str, why: str, run_id: str) -> Settled:
    """Decide about rows that were judged.

    Parameters
    ----------
    by, why
        Who decides, and the reason.
    run_id
        For the manifests of what it publishes.

    Raises
    ------
    QuarantineError
        A row cannot be decided about like that, no reason is given, or of all sessions something came in between.
    LakeError
        The storage refused; what was decided by then is finished by doing the same again.
    """
    if not why.strip():
        msg = "say why: whoever meets the rows later will want to know"
        raise QuarantineError(msg)
    if judged.refused:
        refused = _shown(judged.refused)
        msg = f"{len(judged.refused)} rows cannot be {judged.action.value}, so nothing was changed: {refused}"
        raise QuarantineError(msg)
    names: list[str] = []
    published: list[tuple[str, date]] = []
    touched: list[tuple[str, date]] = []
    left_out: list[str] = []
    for (dataset, session), rows in _by_session((*judged.to_decide, *judged.decided)):
        reach("release.judged", session)
        try:
            names += _write_down(lake, judged.action, dataset, session, rows, by=by, why=why.strip())
        except QuarantineError as error:
            left_out.append(f"{error}; nothing was changed of {dataset} {session}")
            continue
        reach("release.decided", session)
        touched.append((dataset, session))
        if judged.action is Action.RELEASED and put_released(lake, config, dataset, session, run_id=run_id):
            published.append((dataset, session))
        reach("release.published", session)
        publish_audit(lake, config, session, run_id=run_id)
        reach("release.told", session)
        if judged.action is Action.RELEASED:
            left_out += _not_published(lake, dataset, session, [row for row in rows if row.state is not State.SETTLED])
    if left_out and not touched:
        raise QuarantineError("; ".join(left_out))
    return Settled(judged, tuple(names), tuple(published), tuple(touched), tuple(left_out))


def put_released(lake: Lake, config: Config, dataset: str, session: date, *, run_id: str) -> bool:
    """Publish all rows that were released of a session; return whether the partition was changed.

    Raises
    ------
    LakeError
        Nothing is published of the session, the storage refused, or others published in between too often.
    """
    layout = FileLayout(config.sinks.of(dataset), config.settings.lake.compression)
    for _ in range(MOST_ROUNDS):
        # First what is published, then what was decided: whoever publishes in between makes the swap fail.
        current = lake.partition(dataset, session)
        if current is None:
            msg = f"nothing of {dataset} {session} is published that released rows could be added to"
            raise LakeError(msg)
        table, manifest = _with_released(lake, config, current, read_log(lake, dataset, session), run_id)
        reach("release.composed", session)
        if (manifest.revision, manifest.coverage) == (current.manifest.revision, current.manifest.coverage):
            write_index(lake, current.manifest)
            return False
        if put_in_force(lake, table, manifest, current, layout):
            log.info("released", dataset=dataset, session=session.isoformat(), revision=manifest.revision[:12])
            return True
    msg = f"{dataset} {session}: {MOST_ROUNDS} other publications came in between; try again"
    raise LakeError(msg)


def _with_released(
    lake: Lake, config: Config, current: Published, decisions: Log, run_id: str
) -> tuple[pa.Table, Manifest]:
    before = current.manifest
    form = FORMS[before.dataset]
    table, coverage = with_released(decisions, current.table.cast(form.schema), before.coverage, before.coverage)
    if form.keeps_versions:
        table = merge_versions(form.schema.empty_table(), table)
    table = table.sort_by([(name, "ascending") for name in form.key]).combine_chunks()
    counted = check_batch(table, get_calendar().hours(before.session), before.dataset).warnings
    return table, structs.replace(
        before,
        revision=revision_of(table),
        publication_id=uuid.uuid4().hex,
        run_id=run_id,
        published_utc=lake.clock.now(),
        rows=table.num_rows,
        coverage=coverage,
        schema_version=SCHEMA_VERSION,
        code_version=__version__,
        config_hash=config.hash,
        replaces=paths.revision(before).name,
        warnings=before.warnings | {name: count for name, count in counted.items() if name != "duplicates_dropped"},
        api_calls=0,
        timings_s={},
    )


def _write_down(
    lake: Lake, action: Action, dataset: str, session: date, rows: Sequence[Row], *, by: str, why: str
) -> list[str]:
    """Append the decision to the log, as far as it is none there; return its name, or nothing.

    Raises
    ------
    QuarantineError
        Somebody decided otherwise about one of the rows since it was looked at, or it cannot be decided about any more.
    """
    seen = {row.digest: _number(row) for row in rows}
    meant = Selection(rows=tuple(row.row_id for row in rows))
    for _ in range(MOST_ROUNDS):
        # First the decisions, then how the rows stand by now: whoever decides in between takes the next number.
        decisions = read_log(lake, dataset, session)
        again = judge(lake, action, find(lake, meant))
        left = again.to_decide
        others = {row.row_id: f"was {row.decision}" for row in left if _number(row) != seen[row.digest]}
        if refused := again.refused | others:
            raise QuarantineError(_shown(refused))
        if not left:
            return []
        decided = tuple(DecidedRow(row.digest, row.key, row.subject, row.origin, row.seen_utc) for row in left)
        decision = Decision(action, by, lake.clock.now(), why, decided)
        reasons = pa.array([", ".join(row.reasons) for row in left], pa.string())
        table = as_table(dataset, left).append_column(REASON_COLUMN, reasons).cast(quarantine_schema(dataset))
        written = append(lake, decisions, decision, table)
        if written is not None:
            return [written.name]
    msg = f"{dataset} {session}: {MOST_ROUNDS} other decisions came in between; try again"
    raise LakeError(msg)


def _not_published(lake: Lake, dataset: str, session: date, rows: Sequence[Row]) -> list[str]:
    """Return which of some released rows are not published after all: a newer answer came in at the same instant."""
    meant = Selection(rows=tuple(row.row_id for row in rows))
    stand = standing(lake, dataset, session, meant) if rows else []
    return [f"{row.row_id} is not published: it is {row.state}" for row in stand if row.state is not State.RELEASED]


def _is_decided(row: Row, action: Action) -> bool:
    """Return whether that was decided about a row before, and still holds."""
    holds = row.state not in (State.OPEN, State.REPLACED)
    return holds and row.decision is not None and row.decision.decision.action is action


def _number(row: Row) -> int:
    return row.decision.number if row.decision else 0


def _why_not(row: Row) -> str:
    if row.state is State.SETTLED:
        return "nobody has to decide: a newer answer took its place, or is published with it"
    return f"{row.decision}"


def _shown(refused: Mapping[str, str]) -> str:
    lines = [f"{row_id}: {why}" for row_id, why in sorted(refused.items())[:_MOST_NAMED]]
    more = len(refused) - _MOST_NAMED
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")


def _by_session(rows: Iterable[Row]) -> list[tuple[tuple[str, date], list[Row]]]:
    def place(row: Row) -> tuple[str, date]:
        return row.dataset, row.session

    return [(key, list(each)) for key, each in groupby(sorted(rows, key=place), key=place)]
