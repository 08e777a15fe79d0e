"""Randomness that depends on names alone: equal seed and names give equal draws, in any process and any order."""

import hashlib

import numpy as np


def draw(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of `names` under `seed`."""
    # Python's hash() differs from process to process; this one does not.
    return np.random.Generator(np.random.PCG64(int.from_bytes(_digest(seed, names))))


def identifier(seed: int, *names: str) -> str:
    """Return 32 hexadecimal digits that stand for `names`, as the vendor's record ids look."""
    return _digest(seed, names).hex()


def _digest(seed: int, names: tuple[str, ...]) -> bytes:
    return hashlib.blake2b("|".join((str(seed), *names)).encode(), digest_size=16).digest()
