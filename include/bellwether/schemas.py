"""The rows of every dataset: the one place that names columns and types, and what tells rows apart.

Times are `timestamp[ms, UTC]` and mark a bar's START, as the vendor's do; what a bar says is known
only at its end. Prices and volumes are float64 (fractional shares exist).
"""

from dataclasses import dataclass

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
"""Minute bars of what is traded: stocks, and option contracts (price per share, volume in contracts)."""

INDEX_BARS = pa.schema([field for field in EQUITIES if field.name in {"ticker", "ts", "open", "high", "low", "close"}])
"""Minute bars of what is computed, as the vendor sends them: an index has no volume."""

INDICES = INDEX_BARS.append(pa.field("is_stale", pa.bool_(), nullable=False))
"""`is_stale`: after the close of regular trading, and equal to the bar before in all four prices: nothing moved, the
vendor went on repeating the last value."""


@dataclass(frozen=True)
class Form:
    """What the rows of a dataset look like.

    Attributes
    ----------
    schema
        Names and types of the columns.
    key
        What tells a row from every other of a session, and the order rows are published in.
    subject
        The column whose values are asked for one by one, and of which coverage is kept.
    """

    schema: pa.Schema
    key: tuple[str, ...] = ("ticker", "ts")
    subject: str = "ticker"


FORMS: dict[str, Form] = {
    "equities": Form(EQUITIES),
    "indices": Form(INDICES),
}

SCHEMAS: dict[str, pa.Schema] = {dataset: form.schema for dataset, form in FORMS.items()}
SCHEMA_VERSION = 2
"""Of rows and manifests; a change of either takes the next number, and an entry in `bellwether.lake.migrations`."""
