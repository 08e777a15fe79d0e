"""Implied volatility and five Greeks of a chain: the compiled engine against `vollib`, the reference, on one core.

The chain is like SPY's: an hour to 90 days, prices in cents, nothing below intrinsic value. Both engines run in turns;
the reference answers some of the rows, since all of them would take it a minute. Processes of their own tell what the
first call costs, with an empty cache of compiled code and with a full one.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from statistics import median

import numpy as np
from scipy.special import ndtr

from bellwether.consolidate.greeks.engine import greeks
from bellwether.consolidate.greeks.rows import Rows, rows
from tests.bench import BenchRow

_OPTIONS, _OF_REFERENCE, _ROUNDS = 100_000, 500, 9
_TIMES_VOLLIB = 500.0
_MOST_COLD_S, _MOST_WARM_S = 10.0, 2.0


def run() -> list[BenchRow]:
    """Measure both engines, and the first call of a process."""
    chain = _chain()
    some = Rows(*(column[:_OF_REFERENCE] for column in chain))
    ours, theirs = greeks(some), greeks(some, engine="vollib")
    if not (np.array_equal(ours.status, theirs.status) and np.allclose(ours.iv, theirs.iv, rtol=1e-6, equal_nan=True)):
        message = "the two engines disagree: a faster wrong answer is no figure"
        raise AssertionError(message)
    ours_ns, theirs_ns = [], []
    for _ in range(_ROUNDS):
        theirs_ns.append(_cpu_ns(lambda: greeks(some, engine="vollib")) / _OF_REFERENCE)
        ours_ns.append(min(_cpu_ns(lambda: greeks(chain)) for _ in range(5)) / _OPTIONS)
    ratio = median(theirs_ns) / median(ours_ns)
    with tempfile.TemporaryDirectory() as folder:
        cold_s, warm_s = _first_call_s(folder), _first_call_s(folder)
    name = "IV and five Greeks"
    return [
        BenchRow(
            f"{name}, {_OPTIONS:,} options: vs vollib", ratio, _TIMES_VOLLIB, "x less CPU", ratio >= _TIMES_VOLLIB
        ),
        BenchRow(f"{name}: first call, compiling", cold_s, _MOST_COLD_S, "CPU s", cold_s <= _MOST_COLD_S),
        BenchRow(f"{name}: first call, compiled before", warm_s, _MOST_WARM_S, "CPU s", warm_s <= _MOST_WARM_S),
    ]


def _chain() -> Rows:
    draw = np.random.default_rng(20_140_606)
    spot = 600 * np.exp(draw.normal(0, 0.003, 2 * _OPTIONS))
    t_years = np.exp(draw.uniform(np.log(1 / 8760), np.log(90 / 365), 2 * _OPTIONS))
    total_volatility = draw.uniform(0.1, 0.6, 2 * _OPTIONS) * np.sqrt(t_years)
    strike = np.round(spot * np.exp(total_volatility * draw.normal(0, 1.5, 2 * _OPTIONS)))
    rate, dividend_yield, is_call = 0.043, 0.012, draw.random(2 * _OPTIONS) < 0.5
    sign = np.where(is_call, 1, -1)
    forward, discount = spot * np.exp((rate - dividend_yield) * t_years), np.exp(-rate * t_years)
    d1 = np.log(forward / strike) / total_volatility + total_volatility / 2
    price = discount * sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - total_volatility)))
    price = np.maximum(np.round(price, 2), 0.01)
    excess = price - np.maximum(sign * discount * (forward - strike), sign * (spot - strike))
    kept = np.flatnonzero(excess > 0.001)[:_OPTIONS]
    columns = {"price": price, "spot": spot, "strike": strike, "t_years": t_years, "is_call": is_call}
    return rows(**{name: column[kept] for name, column in columns.items()}, rate=rate, dividend_yield=dividend_yield)


def _cpu_ns(call: Callable[[], object]) -> float:
    started_ns = time.thread_time_ns()
    call()
    return time.thread_time_ns() - started_ns


def _first_call_s(cache: str) -> float:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _use_cache, (cache,)) as process:
        return process.submit(_first_call).result()


def _use_cache(folder: str) -> None:
    os.environ["NUMBA_CACHE_DIR"] = folder


def _first_call() -> float:
    import numba

    numba.config.reload_config()
    started_s = time.process_time()
    greeks(rows(price=3.0, spot=100.0, strike=101.0, t_years=0.1, rate=0.04, is_call=True))
    return time.process_time() - started_s
