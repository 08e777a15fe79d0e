"""The identity of a partition's content: a hash of its values, not of its file bytes.

The same rows give the same revision whatever the compression, the chunking or the library version.
"""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def revision_of(table: pa.Table) -> str:
    """Return the revision of a sorted table.

    Parameters
    ----------
    table
        The partition's rows in their published order.

    Returns
    -------
    str
        SHA-256, as 64 hexadecimal digits, over the column names, types, null positions and values.

    Raises
    ------
    TypeError
        A column's type has no canonical bytes here.
    """
    digest = hashlib.sha256()
    digest.update(f"{table.num_rows}\n".encode())
    for field in table.schema:
        digest.update(f"{field.name}:{field.type}\n".encode())
        array = table[field.name].combine_chunks()
        digest.update(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes())
        for part in _canonical(array):
            digest.update(np.ascontiguousarray(part))
    return digest.hexdigest()


def _canonical(array: pa.Array) -> list[NDArray[Any]]:
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        items = array.flatten()  # without those of null lists, whatever they hold
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        return [lengths, np.packbits(items.is_valid().to_numpy(zero_copy_only=False)), *_canonical(items)]
    if pa.types.is_dictionary(kind):
        return _canonical(array.dictionary_decode())
    if pa.types.is_string(kind):
        filled = pc.fill_null(array, "")
        return [_text(filled), pc.binary_length(filled).to_numpy(zero_copy_only=False)]
    if pa.types.is_timestamp(kind):
        array = array.cast(pa.int64())
    elif pa.types.is_date32(kind):
        array = array.cast(pa.int32())
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        msg = f"no canonical bytes for a column of type {kind}"
        raise TypeError(msg)
    values = pc.fill_null(array, 0).to_numpy(zero_copy_only=False)
    # 0.0 and -0.0 are equal prices; adding zero gives both the same bytes.
    return [values + 0.0 if pa.types.is_floating(kind) else values]


def _text(strings: pa.StringArray) -> NDArray[np.uint8]:
    """Return all strings without nulls one after the other: they lie in memory like that."""
    _, ends, text = strings.buffers()
    if text is None or not len(strings):
        return np.empty(0, np.uint8)
    offsets = np.frombuffer(ends, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    return np.frombuffer(text, np.uint8)[offsets[0] : offsets[-1]]
