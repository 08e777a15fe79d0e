"""The rate limit: how much of a small plan's budget is used while work is left, and what asking for leave costs.

Four processes with more work than fits send by the leave of one limit, 5 requests per 2 seconds here instead of
per minute. Twelve windows' worth of requests after the first ones can be sent in twelve windows and no sooner; what
it takes longer is wasted by margins, lateness and the processes' own time.
"""

import logging
import multiprocessing
import tempfile
import time
from contextlib import nullcontext
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import median

import structlog

from bellwether.sources.limit_stores import FileStore
from bellwether.sources.limits import RateLimit, open_limit
from bellwether.sources.turns import Rules
from tests.bench import BenchRow

_REQUESTS, _WINDOW_S, _WINDOWS, _PROCESSES = 5, 2.0, 12, 4
_ASKED = 100
_USED, _ACQUIRE_MS, _UNLIMITED_MS = 0.95, 5.0, 0.05


def run() -> list[BenchRow]:
    """Share a small plan between processes, then ask an empty and an unlimited one again and again."""
    used = _budget_used()
    with tempfile.TemporaryDirectory() as folder:
        limit = RateLimit(Rules(_ASKED), FileStore(Path(folder), "key"), url="", lane="bench")
        acquire_ms = 1000 * median([_slot_s(limit) for _ in range(_ASKED)])
        unlimited_ms = 1000 * median([_slot_s(_unlimited(folder)) for _ in range(_ASKED)])
    name = f"rate limit, {_PROCESSES} processes: budget used in {_WINDOWS} windows"
    return [
        BenchRow(name, used, _USED, "of the budget", used >= _USED),
        BenchRow("rate limit, a free slot taken and settled", acquire_ms, _ACQUIRE_MS, "ms", acquire_ms <= _ACQUIRE_MS),
        BenchRow("no rate limit, opened and passed", unlimited_ms, _UNLIMITED_MS, "ms", unlimited_ms <= _UNLIMITED_MS),
    ]


def _budget_used() -> float:
    context = multiprocessing.get_context("spawn")
    sent: Queue[float] = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        processes = [context.Process(target=_send, args=(folder, sent), daemon=True) for _ in range(_PROCESSES)]
        for process in processes:
            process.start()
        times_s = sorted(sent.get(timeout=10 * _WINDOW_S) for _ in range((_WINDOWS + 1) * _REQUESTS))
        for process in processes:
            process.terminate()
            process.join()
    if any(later - earlier < _WINDOW_S for earlier, later in zip(times_s, times_s[_REQUESTS:], strict=False)):
        message = "more requests in a window than the plan allows: a full budget is no figure"
        raise AssertionError(message)
    return _WINDOWS * _WINDOW_S / (times_s[_WINDOWS * _REQUESTS] - times_s[0])


def _unlimited(folder: str) -> RateLimit | None:
    return open_limit("https://api.polygon.io", "key", None, redis_url=None, folder=folder, lane="bench")


def _send(folder: str, sent: "Queue[float]") -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    limit = RateLimit(Rules(_REQUESTS, _WINDOW_S), FileStore(Path(folder), "key"), url="", lane="bench")
    while True:
        with limit.slot():
            sent.put(time.monotonic())


def _slot_s(limit: RateLimit | None) -> float:
    started_s = time.perf_counter()
    with limit.slot() if limit else nullcontext():
        pass
    return time.perf_counter() - started_s
