"""The rows that are written down of datasets and tasks: how they stand, what befell them, what was decided about them.

Part of `bellwether.schemas`, which names them as datasets.
"""

import pyarrow as pa

TIMESTAMP = pa.timestamp("ms", tz="UTC")

HEALTH = pa.schema(
    [
        pa.field("session", pa.date32(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("is_required", pa.bool_(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("why", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=True),
        pa.field("quarantined_rows", pa.int64(), nullable=True),
        pa.field("published_utc", TIMESTAMP, nullable=True),
        pa.field("is_announced", pa.bool_(), nullable=False),
    ]
)
"""One row per session looked back on and dataset, as of when the partition's own session was looked at."""

GAPS = pa.schema(
    [
        pa.field("gap_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("session", pa.date32(), nullable=False),
        pa.field("start_utc", TIMESTAMP, nullable=False),
        pa.field("end_utc", TIMESTAMP, nullable=True),
        pa.field("symbols", pa.list_(pa.string()), nullable=False),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("opened_utc", TIMESTAMP, nullable=False),
        pa.field("closed_utc", TIMESTAMP, nullable=True),
        pa.field("evidence", pa.string(), nullable=False),
    ]
)
"""Intervals whose broadcasts a recorder may not have heard, of all symbols (`*`) or of some. `end_utc` is null while it
lasts, `closed_utc` until what it hid is filled."""

HEARTBEATS = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("writer", pa.string(), nullable=False),
        pa.field("at_utc", TIMESTAMP, nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("gaps", pa.int64(), nullable=False),
        pa.field("covered_utc", TIMESTAMP, nullable=False),
        pa.field("lag_s", pa.float64(), nullable=True),
        pa.field("quiet", pa.int64(), nullable=False),
    ]
)
"""How the streams of a session were getting on, a row for each heartbeat that was told of. Times are the feed's."""

RECONCILIATION = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("ts", TIMESTAMP, nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("move_bp", pa.float64(), nullable=True),
        pa.field("volume_difference", pa.float64(), nullable=True),
    ]
)
"""Minutes in which what was streamed and what the daily pull brought differ; those that agree have no row."""

RESTATEMENTS = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("pulled_utc", TIMESTAMP, nullable=False),
        pa.field("sessions_later", pa.int32(), nullable=False),
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("ts", TIMESTAMP, nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("move_bp", pa.float64(), nullable=True),
        pa.field("volume_difference", pa.float64(), nullable=True),
        pa.field("replaced", pa.string(), nullable=False),
        pa.field("revision", pa.string(), nullable=False),
    ]
)
"""Minutes of a session that the vendor told otherwise when it was asked again, a row for each time one changed."""

DRIFT = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("change_id", pa.string(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("is_breaking", pa.bool_(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("subjects", pa.list_(pa.string()), nullable=False),
        pa.field("evidence", pa.string(), nullable=False),
        pa.field("contract_version", pa.int32(), nullable=False),
        pa.field("seen_utc", TIMESTAMP, nullable=False),
        pa.field("decided_by", pa.string(), nullable=True),
        pa.field("decided_utc", TIMESTAMP, nullable=True),
        pa.field("reason", pa.string(), nullable=True),
    ]
)
"""Ways in which a session's answers differed from the contract of their dataset, and what was decided about them."""

INCIDENTS = pa.schema(
    [
        pa.field("incident_id", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("failed", pa.int64(), nullable=False),
        pa.field("planned", pa.int64(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("opened_utc", TIMESTAMP, nullable=False),
        pa.field("updated_utc", TIMESTAMP, nullable=False),
        pa.field("updates", pa.int64(), nullable=False),
        pa.field("healed_utc", TIMESTAMP, nullable=True),
        pa.field("healed_by", pa.string(), nullable=True),
        pa.field("told_utc", TIMESTAMP, nullable=True),
        pa.field("run_ids", pa.list_(pa.string()), nullable=False),
        pa.field("events", pa.list_(pa.string()), nullable=False),
    ]
)
"""What went wrong with a session's datasets, from the first word of it until it healed."""

QUARANTINE_AUDIT = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=True),
        pa.field("key", pa.string(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        pa.field("broke", pa.string(), nullable=False),
        pa.field("stage_id", pa.string(), nullable=False),
        pa.field("decided_by", pa.string(), nullable=False),
        pa.field("decided_utc", TIMESTAMP, nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""What people decided about the refused rows of a session: a row for each of them and decision."""

VERIFICATION = pa.schema(
    [
        pa.field("session", pa.date32(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("why", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=True),
        pa.field("rows_rebuilt", pa.int64(), nullable=True),
        pa.field("rows_different", pa.int64(), nullable=True),
        pa.field("columns", pa.list_(pa.string()), nullable=False),
        pa.field("revision", pa.string(), nullable=True),
        pa.field("verified_utc", TIMESTAMP, nullable=False),
    ]
)
"""Published partitions that were built again from their evidence and compared: a row for each session and dataset."""

_OF_A_TRY = (
    pa.field("dag_id", pa.string(), nullable=False),
    pa.field("task_id", pa.string(), nullable=False),
    pa.field("map_index", pa.int32(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
    pa.field("try_number", pa.int32(), nullable=False),
    pa.field("dataset", pa.string(), nullable=False),
    pa.field("session", pa.date32(), nullable=False),
)

PERFORMANCE = pa.schema(
    [
        *_OF_A_TRY,
        pa.field("state", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("started_utc", TIMESTAMP, nullable=False),
        pa.field("heard_utc", TIMESTAMP, nullable=False),
        pa.field("moved_utc", TIMESTAMP, nullable=False),
        pa.field("ended_utc", TIMESTAMP, nullable=True),
        pa.field("turns", pa.int32(), nullable=False),
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("median_s", pa.float64(), nullable=True),
        pa.field("deferred_s", pa.float64(), nullable=False),
        pa.field("vendor_s", pa.float64(), nullable=False),
        pa.field("read_s", pa.float64(), nullable=False),
        pa.field("write_s", pa.float64(), nullable=False),
        pa.field("limit_wait_s", pa.float64(), nullable=False),
        pa.field("limit_waits", pa.int64(), nullable=False),
        pa.field("api_calls", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("bytes_received", pa.int64(), nullable=False),
        pa.field("bytes_written", pa.int64(), nullable=False),
        pa.field("cpu_s", pa.float64(), nullable=False),
        pa.field("peak_memory_mb", pa.float64(), nullable=False),
        pa.field("doing", pa.string(), nullable=False),
        pa.field("errors", pa.int64(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
    ]
)
"""What the tasks of a session cost, a row for each try of each. Times are the machine's."""

ERRORS = pa.schema(
    [
        *_OF_A_TRY,
        pa.field("error", pa.string(), nullable=False),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("first_utc", TIMESTAMP, nullable=False),
        pa.field("last_utc", TIMESTAMP, nullable=False),
        pa.field("times_utc", pa.list_(TIMESTAMP), nullable=False),
        pa.field("example", pa.string(), nullable=False),
    ]
)
"""What the tasks of a session met, a row for each try and class of error; those a further request mended included."""
