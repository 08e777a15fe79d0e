"""Benchmarks: each module `bench_*.py` measures in `run()` and returns one row per figure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BenchRow:
    """One figure beside its target."""

    name: str
    value: float
    target: float
    unit: str
    ok: bool
