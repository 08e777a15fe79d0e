"""The Arrow schemas of every dataset: the one place that names columns and types.

Times are `timestamp[ms, UTC]` and mark a bar's START, as the vendor's do; what a bar says is known
only at its end. Prices and volumes are float64 (fractional shares exist).
"""

import pyarrow as pa

TIMESTAMP = pa.timestamp("ms", tz="UTC")

EQUITIES = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("ts", TIMESTAMP, nullable=False),
        pa.field("open", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("close", pa.float64(), nullable=False),
        pa.field("volume", pa.float64(), nullable=False),
        pa.field("vwap", pa.float64(), nullable=True),
        pa.field("transactions", pa.int64(), nullable=True),
    ]
)

INDICES = pa.schema([field for field in EQUITIES if field.name in {"ticker", "ts", "open", "high", "low", "close"}])
"""Computed, not traded: an index has no volume."""

SCHEMAS: dict[str, pa.Schema] = {"equities": EQUITIES}
SCHEMA_VERSION = 2
"""Of rows and manifests; a change of either takes the next number, and an entry in `bellwether.lake.migrations`."""
SORT_KEY = ("ticker", "ts")
