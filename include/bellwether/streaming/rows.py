"""What a recorded row looks like: a broadcast, and when it came. No dataset has such rows; compaction is their end."""

import pyarrow as pa

from bellwether.schemas import EQUITIES, TIMESTAMP

LIVE_BARS = pa.schema(
    [
        *(
            pa.field(field.name, field.type, nullable=field.nullable or field.name == "volume")
            for field in EQUITIES
            if field.name != "transactions"
        ),
        pa.field("arrived_utc", TIMESTAMP, nullable=False),
        pa.field("arrival", pa.int64(), nullable=False),
    ]
)
"""Minutes as they were broadcast, one row per broadcast: a minute that a late print changed has several. `arrived_utc`
is when it came, by the feed's time, `arrival` its number at the recorder that heard it. An index has no volumes."""

LIVE_VALUES = LIVE_BARS.append(pa.field("value_utc", TIMESTAMP, nullable=True))
"""The same where values of an index were broadcast among its minutes: a row with `value_utc` is one, all its prices are
the value at that moment, and `ts` is the minute it belongs to."""
