"""What the gate and the suite do alike, in Arrow: schema check, order, duplicates, derived columns.

It brings a table into the form both judge and spells verdicts in one way; it judges no row itself.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.errors import ConfigError
from bellwether.quality.reasons import RowReason
from bellwether.schemas import SCHEMAS, SORT_KEY

if TYPE_CHECKING:  # the calendar loads pandas, which the gate must not
    from bellwether.calendar import SessionHours

PRICES = ("open", "high", "low", "close")
DERIVED_COLUMNS = ("ms_past_minute", "has_sub_penny_price")
REASON_COLUMN = "reason"
_MINUTE_MS = 60_000
_CENT_TOLERANCE = 1e-6  # in cents: far above the float error of a real price, far below the finest print ($0.0001)


def schema_of(dataset: str) -> pa.Schema:
    """Return the schema a dataset is published with.

    Raises
    ------
    ConfigError
        There is no dataset of that name.
    """
    if dataset not in SCHEMAS:
        msg = f"no dataset {dataset!r}; known: {', '.join(sorted(SCHEMAS))}"
        raise ConfigError(msg)
    return SCHEMAS[dataset]


def staged_schema(dataset: str) -> pa.Schema:
    """Return the dataset's schema with every column nullable, as a row on its way to quarantine needs it."""
    return pa.schema([field.with_nullable(True) for field in schema_of(dataset)])


def quarantine_schema(dataset: str) -> pa.Schema:
    """Return the schema of quarantined rows: the staged one and the text column `reason`."""
    return staged_schema(dataset).append(pa.field(REASON_COLUMN, pa.string(), nullable=False))


def schema_errors(table: pa.Table, dataset: str) -> list[str]:
    """Return how names, order and types of the columns differ from the schema; empty when they do not.

    Nullability is left to the row rules: one null must cost one row, not the session.
    """
    expected = schema_of(dataset)
    found = table.schema
    errors = [f"column {name} is missing" for name in expected.names if name not in found.names]
    errors += [f"column {name} is unknown" for name in found.names if name not in expected.names]
    if not errors and found.names != expected.names:
        errors.append(f"columns are {', '.join(found.names)}; expected {', '.join(expected.names)}")
    if not errors:
        pairs = zip(found, expected, strict=True)
        errors = [
            f"column {has.name} is {has.type}, not {should.type}" for has, should in pairs if has.type != should.type
        ]
    return errors


def normalise(table: pa.Table, dataset: str) -> tuple[pa.Table, int]:
    """Sort by (ticker, ts), drop all but one of identical rows, and give it the staged schema.

    Parameters
    ----------
    table
        Passes `schema_errors`.
    dataset
        Name of the dataset.

    Returns
    -------
    tuple
        The table, one chunk per column, and the number of rows dropped.
    """
    table = pa.Table.from_arrays([column_of(table, name) for name in table.column_names], schema=staged_schema(dataset))
    if is_sorted_unique(table):
        return table, 0
    # Rows of one key that differ are left for quarantine, in an order that does not depend on their arrival.
    distinct = table.group_by(table.column_names, use_threads=False).aggregate([])
    by_key_first = [*SORT_KEY, *(name for name in table.column_names if name not in SORT_KEY)]
    return distinct.sort_by([(name, "ascending") for name in by_key_first]).combine_chunks(), len(table) - len(distinct)


def is_sorted_unique(table: pa.Table) -> bool:
    """Return whether the keys (ticker, ts) strictly ascend and none is null; neighbours tell it in one pass."""
    ticker, ts = (column_of(table, name) for name in SORT_KEY)
    if ticker.null_count or ts.null_count:
        return False
    tickers = neighbours(ticker)
    ascends = pc.or_(pc.less(*tickers), pc.and_(pc.equal(*tickers), pc.less(*neighbours(ts))))
    return bool(pc.all(ascends, min_count=0).as_py())


def neighbours(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return all values but the last and all but the first: each value beside its successor."""
    return values.slice(0, max(len(values) - 1, 0)), values.slice(1)


def column_of(table: pa.Table, name: str) -> pa.Array:
    """Return a column as one array, without a copy where it is one chunk already."""
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def ms_past_minute(ts: pa.Array) -> pa.Array:
    """Return the milliseconds of each time beyond its whole minute, int64; null stays null."""
    since_epoch = ts.cast(pa.int64())
    return pc.subtract(since_epoch, pc.multiply(pc.divide(since_epoch, _MINUTE_MS), _MINUTE_MS))


def has_sub_penny_price(table: pa.Table) -> pa.Array:
    """Return for each row whether a price of $1 or more is no whole number of cents; null counts as no.

    Below $1 quotes in fractions of a cent are allowed (SEC rule 612).
    """
    return any_of(*(_sub_penny(column_of(table, name)) for name in PRICES))


def _sub_penny(price: pa.Array) -> pa.Array:
    cents = pc.multiply(price, 100.0)
    distance = pc.abs(pc.subtract(cents, pc.round(cents)))
    return pc.and_(pc.greater_equal(price, 1.0), pc.greater(distance, _CENT_TOLERANCE))


def with_derived(table: pa.Table) -> pa.Table:
    """Return the table with `DERIVED_COLUMNS` appended: what the suite needs and GX cannot compute on pandas."""
    derived = (ms_past_minute(column_of(table, "ts")), has_sub_penny_price(table))
    for name, values in zip(DERIVED_COLUMNS, derived, strict=True):
        table = table.append_column(name, values)
    return table


def missing_regular_minutes(table: pa.Table, good: pa.Table, hours: "SessionHours") -> int:
    """Return how many minutes of regular trading have no good row, summed over the tickers of `table`.

    Parameters
    ----------
    table
        All rows judged; a ticker whose rows are all bad misses every minute.
    good
        The rows to be published: whole minutes, keys unique.
    hours
        Bounds of the session.
    """
    ts = good["ts"]
    opened = pc.greater_equal(ts, pa.scalar(hours.open, ts.type))
    regular = pc.sum(pc.and_(opened, pc.less(ts, pa.scalar(hours.close, ts.type)))).as_py() or 0
    return int(pc.count_distinct(table["ticker"]).as_py() * hours.expected_minutes() - regular)


def any_of(*masks: pa.Array) -> pa.Array:
    """Return the row-wise "or" of boolean masks, null counting as false."""
    combined = masks[0]
    for mask in masks[1:]:
        combined = pc.or_kleene(combined, mask)
    return combined.fill_null(False) if combined.null_count else combined


def spell_reasons(broken: Mapping[str, pa.Array], rows: int) -> pa.Array:
    """Return each row's reasons, joined by ", " in the order of `RowReason`; null for a good row."""
    used = [(reason, broken[reason]) for reason in RowReason if reason in broken and pc.any(broken[reason]).as_py()]
    if not used:
        return pa.nulls(rows, pa.string())
    # null_handling="skip" would be simpler, but in pyarrow 26 it drops the rows that are null in every array.
    words = [pc.if_else(mask, f"{reason}, ", "") for reason, mask in used]
    joined = pc.utf8_rtrim(pc.binary_join_element_wise(*words, ""), characters=", ")
    return pc.if_else(any_of(*(mask for _, mask in used)), joined, pa.scalar(None, pa.string()))
