"""Benchmarks: each module `bench_*.py` measures in `run()` and returns one row per figure."""

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True)
class BenchRow:
    """One figure beside its target."""

    name: str
    value: float
    target: float
    unit: str
    ok: bool


def apart[**P](step: Callable[P, float], *args: P.args, **kwargs: P.kwargs) -> float:
    """Return what a step returns in a process of its own, whose peak memory is not that of this one."""
    # A spawned process begins with the peak of the one that spawned it: Linux keeps it across exec.
    with ProcessPoolExecutor(1, multiprocessing.get_context("forkserver")) as process:
        return process.submit(step, *args, **kwargs).result()


def peak_memory_mb() -> float:
    """Return the most resident memory this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
