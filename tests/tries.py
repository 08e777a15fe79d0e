"""Tries of tasks for tests: one that took a minute, varied by keywords."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from bellwether.monitoring.tries import ErrorRecord, Identity, TryRecord

SESSION = date(2025, 7, 1)
BEGAN = datetime(2025, 7, 2, 0, 15, tzinfo=UTC)


def tried(session: date = SESSION, **changes: Any) -> TryRecord:
    """Return a try of `equities_daily.ingest`; what it is of and what it did are changed by the same keywords."""
    identity = Identity(
        dag_id="equities_daily",
        run_id=f"scheduled__{session}",
        task_id="ingest",
        map_index=0,
        try_number=1,
        dataset="equities",
        session=session,
    )
    own = {name: changes.pop(name) for name in list(changes) if name in Identity.__struct_fields__}
    record = TryRecord(
        identity=msgspec.structs.replace(identity, **own),
        state="success",
        started_utc=BEGAN,
        heard_utc=BEGAN + timedelta(minutes=1),
        moved_utc=BEGAN + timedelta(minutes=1),
        ended_utc=BEGAN + timedelta(minutes=1),
        duration_s=60.0,
    )
    return msgspec.structs.replace(record, **changes)


def running(heard: timedelta, moved: timedelta = timedelta(), **changes: Any) -> TryRecord:
    """Return a try that runs, and was heard of, and had got on, so long after it began."""
    heard_utc, moved_utc = BEGAN + heard, BEGAN + (moved or heard)
    return tried(state="running", ended_utc=None, heard_utc=heard_utc, moved_utc=moved_utc, **changes)


def met(*after_s: float, words: str = "down") -> ErrorRecord:
    """Return errors of a class that came so many seconds after the try began."""
    times: Sequence[datetime] = [BEGAN + timedelta(seconds=seconds) for seconds in after_s]
    return ErrorRecord(count=len(times), times_utc=tuple(times), last_utc=times[-1], example=words)
