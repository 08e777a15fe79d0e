"""The datasets `performance` and `errors`: what tasks told of themselves, published by session.

What a session's partition holds and what its tasks have told since is one answer (`known_tries`), whoever asks. The
small files are deleted once what they say is published and can change no more; a file that is left over says the same
as its row.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa

from bellwether.config import Config
from bellwether.errors import LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.gold import GoldSubmission
from bellwether.lake.operational import operational, publish_operational
from bellwether.logging import get_logger
from bellwether.monitoring.alerts import blame_of
from bellwether.monitoring.judging import Judge
from bellwether.monitoring.tries import RUNNING, ErrorRecord, Identity, TryRecord, read_try
from bellwether.schemas import OPERATIONAL

log = get_logger(__name__)

DATASET, ERRORS = "performance", "errors"

KILLED = "killed"
"""State of a try that was never heard of again: a newer one took its place, or a day has passed."""

_FORGOTTEN_AFTER = timedelta(days=1)
_MOST_SESSIONS = 60

type Tries = Mapping[date, Sequence[TryRecord]]


def told_sessions(lake: Lake) -> list[date]:
    """Return the sessions of which tasks have told what is not published for good, ascending.

    Raises
    ------
    LakeError
        The lake cannot be read.
    """
    names = {entry.key.parent.name for entry in lake.storage.list(paths.PERFORMANCE)}
    found = (name.removeprefix("session=") for name in names if name.startswith("session="))
    return sorted(date.fromisoformat(session) for session in found)


def known_tries(lake: Lake, session: date) -> list[TryRecord]:
    """Return all tries of a session's tasks, as they are known now, in the order they began.

    Raises
    ------
    LakeError
        The lake cannot be read, or a partition is damaged.
    """
    published, told = _published(lake, session), _told(lake, session)
    known = {record.identity: record for record in (*published, *told)}
    return _without_the_dead(lake, sorted(known.values(), key=lambda each: each.started_utc))


def publish_performance(lake: Lake, config: Config, sessions: Iterable[date], tries: Tries, *, run_id: str) -> None:
    """Publish what is known of sessions of which tasks have told something new, the newest first, 60 at most.

    A session that cannot be published holds up no other.

    Parameters
    ----------
    lake, config
        Where, and by which thresholds tries are judged.
    sessions
        Of which.
    tries
        Of the sessions before, for the medians.
    run_id
        Who publishes.

    Raises
    ------
    LakeError
        The lake refused; of several sessions the last one's.
    """
    refused: LakeError | None = None
    for session in sorted(sessions, reverse=True)[:_MOST_SESSIONS]:
        try:
            _publish_session(lake, config, session, tries, run_id)
        except LakeError as error:
            log.error("the performance of a session was not published", session=session.isoformat(), problem=str(error))
            refused = error
    if refused is not None:
        raise refused


def _publish_session(lake: Lake, config: Config, session: date, tries: Tries, run_id: str) -> None:
    seen: dict[str, list[TryRecord]] = {}

    def compose(dataset: str) -> GoldSubmission:
        inputs = _inputs(lake, session)
        seen[dataset] = known = known_tries(lake, session)
        judge = Judge(config, lake.clock.now(), {**tries, session: known})
        table = as_table(known, judge) if dataset == DATASET else error_table(known)
        return operational(dataset, config, session, run_id, table, inputs=inputs, warnings={})

    for dataset in (ERRORS, DATASET):
        # Its own publication is among the inputs, so that of two who publish none loses what the other knew.
        made, published = compose(dataset), lake.partition(dataset, session)
        if published is None or not published.table.equals(made.table):
            publish_operational(lake, config, partial(compose, dataset), lambda: _inputs(lake, session))
    # What a try told between the two stands in one of them only.
    _forget(lake, [record for record in seen[DATASET] if record in seen[ERRORS]])


def _inputs(lake: Lake, session: date) -> dict[str, str]:
    manifests = (lake.manifest(dataset, session) for dataset in (DATASET, ERRORS))
    told = [f"{entry.key} {entry.modified_utc}" for entry in lake.storage.list(paths.performance(session))]
    digest = hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()
    return {"told": digest} | {each.dataset: each.publication_id for each in manifests if each is not None}


def _forget(lake: Lake, published: Iterable[TryRecord]) -> None:
    for record in published:
        if record.is_over:
            lake.storage.delete(record.identity.key)


def _told(lake: Lake, session: date) -> list[TryRecord]:
    keys = sorted(entry.key for entry in lake.storage.list(paths.performance(session)))
    return [record for key in keys if (record := read_try(lake, key)) is not None]


def _published(lake: Lake, session: date) -> list[TryRecord]:
    rows, errors = lake.partition(DATASET, session), lake.partition(ERRORS, session)
    if rows is None:
        return []
    met: dict[Identity, dict[str, ErrorRecord]] = {}
    for row in errors.table.to_pylist() if errors else ():
        met.setdefault(_identity(row), {})[row["error"]] = ErrorRecord(
            count=row["count"], times_utc=tuple(row["times_utc"]), last_utc=row["last_utc"], example=row["example"]
        )
    plain = [name for name in TryRecord.__struct_fields__ if name not in {"identity", "errors"}]
    return [
        TryRecord(
            identity=(identity := _identity(row)),
            errors=met.get(identity, {}),
            **{name: row[name] for name in plain},
        )
        for row in rows.table.to_pylist()
    ]


def _identity(row: Mapping[str, Any]) -> Identity:
    return Identity(**{name: row[name] for name in Identity.__struct_fields__})


def _without_the_dead(lake: Lake, tries: Sequence[TryRecord]) -> list[TryRecord]:
    """Return tries, those called killed that say that they run and cannot."""
    now = lake.clock.now()
    newest: dict[tuple[str, str, str, int], int] = {}
    for record in tries:
        task = _task(record)
        newest[task] = max(record.identity.try_number, newest.get(task, 0))
    return [
        msgspec.structs.replace(record, state=KILLED, ended_utc=record.heard_utc)
        if record.state == RUNNING
        and (record.identity.try_number < newest[_task(record)] or now - record.heard_utc >= _FORGOTTEN_AFTER)
        else record
        for record in tries
    ]


def _task(record: TryRecord) -> tuple[str, str, str, int]:
    each = record.identity
    return each.dag_id, each.run_id, each.task_id, each.map_index


def as_table(tries: Sequence[TryRecord], judge: Judge) -> pa.Table:
    """Return the rows of `performance`, each with what is to be said of it, sorted by key."""
    rows = [
        msgspec.structs.asdict(record.identity)
        | {name: value for name, value in msgspec.structs.asdict(record).items() if name != "identity"}
        | {"errors": sum(each.count for each in record.errors.values())}
        | {"verdict": judge.verdict(record), "median_s": judge.median_s(record)}
        for record in tries
    ]
    return _sorted(rows, DATASET)


def error_table(tries: Sequence[TryRecord]) -> pa.Table:
    """Return the rows of `errors`, sorted by key."""
    rows = [
        msgspec.structs.asdict(record.identity)
        | {
            "error": name,
            "cause": blame_of(name).value,
            "count": met.count,
            "first_utc": met.times_utc[0],
            "last_utc": met.last_utc,
            "times_utc": list(met.times_utc),
            "example": met.example,
        }
        for record in tries
        for name, met in record.errors.items()
    ]
    return _sorted(rows, ERRORS)


def _sorted(rows: list[dict[str, Any]], dataset: str) -> pa.Table:
    form = OPERATIONAL[dataset]
    table = pa.Table.from_pylist(rows, schema=form.schema)
    return table.sort_by([(name, "ascending") for name in form.key]).combine_chunks()
