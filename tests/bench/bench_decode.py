"""The transport against the official client: the same bytes to the same Arrow table, in CPU seconds.

The baseline does what the client does with a page (`json.loads`, one `Agg` object per bar) and what a
user then has to do to get a table of the same schema. Both sides run in turns, with the garbage
collector as Python sets it; the server of the HTTP figure runs in another thread, which is not counted.
"""

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from statistics import median

import pyarrow as pa
from polygon import RESTClient
from polygon.rest.models import Agg

from bellwether.calendar import get_calendar
from bellwether.schemas import EQUITIES
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.server import SimulatorConfig, running
from bellwether.sources.bars import decode_aggregates
from bellwether.sources.rest import PolygonRest
from tests.bench import BenchRow

_TICKER, _CONTRACT = "SPY", "O:SPY240719C00550000"
_KEY = "key-of-the-benchmark"
_FIRST, _LAST = date(2024, 3, 1), date(2024, 7, 3)
_BIG, _SMALL, _FEW = 50_000, 390, 5


def run() -> list[BenchRow]:
    """Measure decoding of a full page, a session and the few bars of an option, and a request with HTTP and gunzip."""
    with running(SimulatorConfig(GeneratedMarket(tickers=[_TICKER], start=_FIRST, end=_LAST))) as simulator:
        rest = PolygonRest(simulator.url, _KEY)
        client = RESTClient(api_key=_KEY, base=simulator.url)
        calendar = get_calendar()
        from_ms = _ms(calendar.hours(_FIRST).pre_open)
        to_ms = _ms(calendar.hours(_LAST).post_close) - 60_000
        page = rest.aggregates(_TICKER, from_ms, to_ms).pages[0].body
        window = (_TICKER, 1, "minute", from_ms, to_ms)

        def client_request() -> pa.Table:
            return _table(list(client.list_aggs(*window, adjusted=False, sort="asc", limit=_BIG)))

        whole = _ratio(client_request, lambda: rest.aggregates(_TICKER, from_ms, to_ms).table, rounds=7)
    big, small, few = _cut(page, _BIG), _cut(page, _SMALL), _cut(page, _FEW, _CONTRACT)
    return [
        _row(f"page to Arrow vs official client, {_BIG} bars", _decode_ratio(big, rounds=9, repeats=1), 5.0),
        _row(f"page to Arrow vs official client, {_SMALL} bars", _decode_ratio(small, rounds=15, repeats=30), 3.5),
        _row(f"page to Arrow vs official client, {_FEW} bars", _decode_ratio(few, rounds=15, repeats=500), 2.0),
        _row("request, gunzip and Arrow vs official client", whole, 3.0),
    ]


def _decode_ratio(body: bytes, *, rounds: int, repeats: int) -> float:
    ticker = json.loads(body)["ticker"]

    def official() -> pa.Table:
        return _table([Agg.from_dict(bar) for bar in json.loads(body.decode("utf-8"))["results"]], ticker)

    return _ratio(official, lambda: decode_aggregates(body, ticker, url="bench")[1], rounds=rounds, repeats=repeats)


def _ratio(official: Callable[[], pa.Table], ours: Callable[[], pa.Table], *, rounds: int, repeats: int = 1) -> float:
    """Return how many times the CPU of ours the official way takes; both must give the same table."""
    if not official().equals(ours().combine_chunks()):
        message = "the two ways disagree: a faster wrong answer is no figure"
        raise AssertionError(message)
    official_s, ours_s = [], []
    for _ in range(rounds):
        official_s.append(_cpu_s(official, repeats))
        ours_s.append(_cpu_s(ours, repeats))
    return median(official_s) / median(ours_s)


def _cpu_s(call: Callable[[], object], repeats: int) -> float:
    started_s = time.thread_time()
    for _ in range(repeats):
        call()
    return time.thread_time() - started_s


def _table(bars: Sequence[Agg], ticker: str = _TICKER) -> pa.Table:
    columns = {
        "ticker": [ticker] * len(bars),
        "ts": [bar.timestamp for bar in bars],
        "open": [bar.open for bar in bars],
        "high": [bar.high for bar in bars],
        "low": [bar.low for bar in bars],
        "close": [bar.close for bar in bars],
        "volume": [bar.volume for bar in bars],
        "vwap": [bar.vwap for bar in bars],
        "transactions": [bar.transactions for bar in bars],
    }
    return pa.table(columns, schema=EQUITIES)


def _cut(page: bytes, bars: int, ticker: str = _TICKER) -> bytes:
    content = json.loads(page)
    counts = dict.fromkeys(("queryCount", "resultsCount", "count"), bars)
    content |= counts | {"ticker": ticker, "results": content["results"][:bars]}
    return json.dumps(content, separators=(",", ":")).encode()


def _ms(instant: datetime) -> int:
    return int(instant.astimezone(UTC).timestamp() * 1000)


def _row(name: str, ratio: float, target: float) -> BenchRow:
    return BenchRow(name, ratio, target, "x less CPU", ratio >= target)
