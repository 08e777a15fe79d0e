"""A session of a large chain: read from the published partitions, aligned, solved, written and swapped in, on one core.

3,000 contracts print in every minute, 1.17 million rows; the market is synthetic, prices in cents. What the same would
cost with the reference engine is computed from the cost of some of its rows. All of consolidation beside it, with its
stage between tasks, its minutes and its checks, is told too, and its peak memory judged.
"""

import os
import shutil
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import ndtr

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate.build import build_chain_of, build_minutes_of, plan_gold, publish_session, solve_chain
from bellwether.consolidate.greeks.engine import greeks
from bellwether.consolidate.greeks.rows import Rows, rows
from bellwether.consolidate.handover import GoldPlan
from bellwether.consolidate.pinned import Pinned
from bellwether.lake import Coverage, Lake, TickerCoverage, read
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.schemas import EQUITIES, RATES, TIMESTAMP
from tests.bench import BenchRow, apart, peak_memory_mb
from tests.builders import SESSION, submission

_MINUTES = 390
_EXPIRATIONS = [SESSION + timedelta(days=days) for days in (0, 1, 2, 3, 10, 17, 24, 31, 45, 80)]
_STRIKES = range(525, 675)
_OF_REFERENCE = 20_000
_TIMES_REFERENCE, _MOST_SHARE, _MOST_S, _MOST_MB = 40.0, 0.35, 30.0, 2_000.0


def run() -> list[BenchRow]:
    """Publish the inputs, then build from them in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        prints = apart(publish_inputs, folder)
        whole_s, peak_mb = apart(_consolidate_s, folder), apart(_consolidate_peak_mb, folder)
        chain_s = apart(_chain_s, folder)
        engine_s, reference_s = apart(_engine_s, folder), apart(_reference_s, folder)
    ratio = (chain_s - engine_s + reference_s) / chain_s
    share = engine_s / chain_s
    name = f"chain of {prints:,.0f} prints"
    return [
        BenchRow(f"{name}: vs vollib row by row", ratio, _TIMES_REFERENCE, "x less CPU", ratio >= _TIMES_REFERENCE),
        BenchRow(f"{name}: share of the Greeks", 100 * share, 100 * _MOST_SHARE, "%", share < _MOST_SHARE),
        BenchRow(f"{name}: consolidated", whole_s, _MOST_S, "CPU s", whole_s < _MOST_S),
        BenchRow(f"{name}: consolidated, peak memory", peak_mb, _MOST_MB, "MB", peak_mb < _MOST_MB),
    ]


def publish_inputs(folder: str) -> float:
    """Publish the session's equity, option prints and rates; return how many prints there are."""
    lake, config = Lake.open(Path(folder), simulated=True), _config()
    draw = np.random.default_rng(7)
    open_ms = int(get_calendar().hours(SESSION).open.timestamp()) * 1000
    ts = open_ms + 60_000 * np.arange(_MINUTES)
    spots = np.round(600 * np.exp(np.cumsum(draw.normal(0, 3e-4, _MINUTES))), 2)
    equity = _bars(["SPY"], ts, spots[None, :])
    names, prices = [], []
    for expiration in _EXPIRATIONS:
        years = ((expiration - SESSION).days + 1 - np.arange(_MINUTES) / 1440) / 365
        for strike in _STRIKES:
            for sign, letter in ((1, "C"), (-1, "P")):
                names.append(f"O:SPY{expiration:%y%m%d}{letter}{strike * 1000:08d}")
                prices.append(_price(spots, float(strike), years, sign))
    order = np.argsort(names)
    options = _bars([names[each] for each in order], ts, np.maximum(np.round(np.array(prices)[order], 2), 0.01))
    rates = pa.table([[SESSION - timedelta(days=1)] * 2, [1, 12], [0.04, 0.04]], schema=RATES)
    for dataset, table, subjects in (
        ("equities", equity, ["SPY"]),
        ("options", options, names),
        ("rates", rates, ["*"]),
    ):
        coverage = {each: TickerCoverage(Coverage.COMPLETE, rows=1, stage_id="s1") for each in subjects}
        layout = FileLayout(getattr(config.sinks, dataset), config.settings.lake.compression)
        publish(lake, submission(dataset=dataset, table=table, coverage=coverage), layout)
    return float(options.num_rows)


def _price(
    spots: npt.NDArray[np.float64], strike: float, years: npt.NDArray[np.float64], sign: int
) -> npt.NDArray[np.float64]:
    total = (0.15 + 0.4 * np.log(strike / 600) ** 2) * np.sqrt(years)
    d1 = (np.log(spots / strike) + 0.04 * years) / total + total / 2
    price: npt.NDArray[np.float64] = sign * (
        spots * ndtr(sign * d1) - strike * np.exp(-0.04 * years) * ndtr(sign * (d1 - total))
    )
    return price


def _bars(names: list[str], ts: npt.NDArray[np.int64], closes: npt.NDArray[np.float64]) -> pa.Table:
    close = closes.ravel()
    return pa.table(
        {
            "ticker": pa.array(names).take(pa.array(np.repeat(np.arange(len(names)), len(ts)))),
            "ts": pa.array(np.tile(ts, len(names))).cast(TIMESTAMP),
            **dict.fromkeys(("open", "high", "low", "close"), close),
            "volume": np.ones(len(close)),
            "vwap": close,
            "transactions": np.ones(len(close), np.int64),
        },
        schema=EQUITIES,
    )


def _config() -> Config:
    return Config.model_validate({"sources": {"equities": {"universe": ["SPY"]}}})


def _chain_s(folder: str) -> float:
    lake, config = Lake.open(Path(folder), simulated=True), _config()
    plan = plan_gold(lake, config, SESSION, stage_id="bench", force=True)
    assert plan is not None
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    # What is imported and compiled at the first is no cost of a session.
    return median([_publish_chain_s(lake, config, plan, f"build {number}") for number in range(4)][1:])


def _publish_chain_s(lake: Lake, config: Config, plan: GoldPlan, build: str) -> float:
    shutil.rmtree(Path(lake.root) / "gold" / "chain", ignore_errors=True)
    started_s = time.process_time()
    submission = GoldSubmission(
        dataset="chain",
        session=SESSION,
        table=solve_chain(Pinned(lake, SESSION, plan.inputs), config, "SPY"),
        coverage={},
        inputs=plan.inputs | {"build": build},
        warnings={},
        stage_id=build,
        run_id=build,
        config_hash=config.hash,
        timings_s={},
    )
    layout = FileLayout(config.sinks.chain, config.settings.lake.compression)
    assert publish_gold(lake, submission, layout, lambda: submission.inputs).changed
    return time.process_time() - started_s


def _consolidate_s(folder: str) -> float:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    started_s = time.process_time()
    _consolidate(folder)
    return time.process_time() - started_s


def _consolidate_peak_mb(folder: str) -> float:
    _consolidate(folder)
    return peak_memory_mb()


def _consolidate(folder: str) -> None:
    lake, config = Lake.open(Path(folder), simulated=True), _config()
    plan = plan_gold(lake, config, SESSION, stage_id="bench", force=True)
    assert plan is not None
    for underlying in plan.underlyings:
        build_chain_of(lake, config, plan, underlying)
    build_minutes_of(lake, config, plan)
    publish_session(lake, config, plan, run_id="bench")


def _engine_s(folder: str) -> float:
    chain = _chain(folder)
    greeks(chain)
    started_s = time.thread_time()
    greeks(chain)
    return time.thread_time() - started_s


def _reference_s(folder: str) -> float:
    chain = _chain(folder)
    stride = len(chain.price) // _OF_REFERENCE
    some = Rows(*(column[::stride] for column in chain))
    greeks(Rows(*(column[:10] for column in some)), engine="vollib")
    started_s = time.thread_time()
    greeks(some, engine="vollib")
    return (time.thread_time() - started_s) * len(chain.price) / len(some.price)


def _chain(folder: str) -> Rows:
    day: date = SESSION
    table = read("chain", day, day, root=folder)
    return rows(
        price=table["close"],
        is_call=np.array(table["right"].to_numpy() == "call"),
        **{name: table[name] for name in ("spot", "strike", "t_years", "rate", "dividend_yield")},
    )
