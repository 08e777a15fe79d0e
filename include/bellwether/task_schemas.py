"""The rows that tell of tasks: what they cost, and what they met. Part of `bellwether.schemas`, which names them."""

import pyarrow as pa

TIMESTAMP = pa.timestamp("ms", tz="UTC")

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
