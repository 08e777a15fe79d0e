"""What the gate and the suite do alike, in Arrow: schema check, order, duplicates, spelling.

It brings a table into the form both judge and spells verdicts in one way; it judges no row itself.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bellwether.errors import ConfigError
from bellwether.quality.reasons import RowReason
from bellwether.schemas import FORMS, SCHEMAS

REASON_COLUMN = "reason"


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
    """Sort by key, drop all but one of identical rows, and give it the staged schema.

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
    key = FORMS[dataset].key
    if _is_sorted_unique([column_of(table, name) for name in key]):
        return table, 0
    # Rows of one key that differ are left for quarantine, in an order that does not depend on their arrival.
    distinct = table.group_by(table.column_names, use_threads=False).aggregate([])
    by_key_first = [*key, *(name for name in table.column_names if name not in key)]
    return distinct.sort_by([(name, "ascending") for name in by_key_first]).combine_chunks(), len(table) - len(distinct)


def _is_sorted_unique(key: Sequence[pa.Array]) -> bool:
    """Return whether the keys strictly ascend and none is null; neighbours tell it in one pass."""
    if any(column.null_count for column in key):
        return False
    *others, last = key
    ascends = pc.less(*neighbours(last))
    for column in reversed(others):
        pair = neighbours(column)
        ascends = pc.or_(pc.less(*pair), pc.and_(pc.equal(*pair), ascends))
    return bool(pc.all(ascends, min_count=0).as_py())


def neighbours(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return all values but the last and all but the first: each value beside its successor."""
    return values.slice(0, max(len(values) - 1, 0)), values.slice(1)


def column_of(table: pa.Table, name: str) -> pa.Array:
    """Return a column as one array, without a copy where it is one chunk already."""
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


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
