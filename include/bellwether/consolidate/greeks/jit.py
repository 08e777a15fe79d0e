"""Compilation: how this room's numeric functions become machine code, and where that is kept.

The code of one entry point, with everything that it calls, is kept by numba beside the source, in `NUMBA_CACHE_DIR`
or in the user's cache folder, whichever can be written first. numba notices a change of the entry's own file only, so
the entry carries a digest of all files of this room in its name. Where nothing can be written it is compiled anew by
every process.

Nothing is compiled with `fastmath`, and the one operation that processors differ in, a product and a sum rounded once
instead of twice, is asked for by name (`elementary.fma`): results are the same bits on every machine.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import cast

import numba


def inlined[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function that becomes part of its callers, so that loops around it can be vectorised."""
    return cast("Callable[P, R]", numba.njit(function, error_model="numpy", forceinline=True))


def compiled[**P, R](function: Callable[P, R], signature: str) -> Callable[P, R]:
    """Return the machine code of an entry point, from the cache if it is there.

    Parameters
    ----------
    function
        Written in what numba understands, calling `inlined` functions.
    signature
        The only types it takes, in numba's words.
    """
    function.__qualname__ = f"{function.__qualname__}_{_digest()}"
    try:
        code = numba.njit(signature, error_model="numpy", cache=True)(function)
    except (OSError, RuntimeError):  # no folder can be written, or its disk is full; an error of ours comes again below
        code = numba.njit(signature, error_model="numpy")(function)
    return cast("Callable[P, R]", code)


def _digest() -> str:
    digest = sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
