"""What comparing answers with their contracts adds to reading them, in CPU seconds: pages of bars, and of a chain.

Both ways read the same raw page into the same chain, in turns; answers keep their contracts, as all but a few do.
"""

import time
from collections.abc import Callable
from datetime import date
from statistics import median
from typing import Any

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.drift.reader import Reader
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import SimulatorConfig, running
from bellwether.sources import endpoints
from bellwether.sources.aggregates import BarChain
from bellwether.sources.chain import Chain, take
from bellwether.sources.listing import ListingChain
from bellwether.sources.raw import RawPage
from bellwether.sources.rest import PolygonRest
from tests.bench import BenchRow

_FIRST, _LAST = date(2024, 3, 1), date(2024, 7, 3)
_MOST_PERCENT = 10.0
_KEY = "key-of-the-benchmark"


def run() -> list[BenchRow]:
    """Measure a full page of bars, a session, the few bars of an option, and a page of a chain."""
    calendar = get_calendar()
    first, last = calendar.hours(_FIRST), calendar.hours(_LAST)
    with running(SimulatorConfig(GeneratedMarket(tickers=["SPY"], start=_FIRST, end=_LAST))) as simulator:
        rest = PolygonRest(simulator.url, _KEY)
        from_ms, to_ms = (int(each.timestamp() * 1000) for each in (first.pre_open, last.post_close))
        full = rest.aggregates("SPY", from_ms, to_ms - 60_000).pages[0]
        one = rest.aggregates(
            "SPY", *(int(each.timestamp() * 1000) for each in (last.pre_open, last.post_close))
        ).pages[0]
        few = rest.aggregates("SPY", *(int(last.open.timestamp() * 1000) + 60_000 * n for n in (0, 4))).pages[0]
        contracts = {"underlying_ticker": "SPY", "as_of": _LAST, "expiration_date": _LAST, "expired": False}
        chain = rest.listing(endpoints.CONTRACTS, contracts).pages[0]
    return [
        _row("full page of bars", full, lambda: BarChain.of(full.request), repeats=1, turns=30),
        _row("session of bars", one, lambda: BarChain.of(one.request), repeats=2),
        _row("five bars", few, lambda: BarChain.of(few.request), repeats=20),
        _row("page of contracts", chain, lambda: ListingChain.of(chain.request), repeats=1),
    ]


def _row(name: str, page: RawPage, begin: Callable[[], Chain[Any]], *, repeats: int, turns: int = 300) -> BenchRow:
    reader = Reader(Config.load().contracts, goes_on=True)
    plain_s, compared_s = [], []
    # Short turns: whatever else the machine does then strikes both alike.
    for _ in range(turns):
        plain_s.append(_cpu_s(begin, page, take, repeats))
        compared_s.append(_cpu_s(begin, page, reader.take, repeats))
    if reader.drain():
        message = "the page does not keep its contract: another path than the usual one was measured"
        raise AssertionError(message)
    added = 100 * (median(compared_s) / median(plain_s) - 1)
    return BenchRow(f"drift checks, {name}", added, _MOST_PERCENT, "% more CPU", added < _MOST_PERCENT)


def _cpu_s(begin: Callable[[], Chain[Any]], page: RawPage, read: Callable[..., object], repeats: int) -> float:
    chains = [begin() for _ in range(repeats)]
    started_s = time.thread_time()
    for chain in chains:
        read(chain, page)
    return time.thread_time() - started_s
