"""The recorder against the official client's default path, and against a feed faster than any market's.

The baseline does what the client does with a frame (`json.loads`, one object per event) and what a user then has to do
to get a table. The feed of the other parts is a server in a process of its own, the recorder another: how late an event
is on disk is measured from when it was sent, and memory is the recorder's alone.
"""

import asyncio
import json
import logging
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import batched, pairwise
from pathlib import Path
from statistics import linear_regression, median, quantiles
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from polygon.websocket.models import Market, parse
from websockets.asyncio.server import ServerConnection, serve

from bellwether.config.settings import StreamingSettings
from bellwether.lake import Lake, paths
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Writer
from bellwether.streaming.client import Endpoint
from bellwether.streaming.decode import decode
from bellwether.streaming.inbox import Frame
from bellwether.streaming.recorder import Recorder
from bellwether.streaming.rows import LIVE_BARS
from tests.bench import BenchRow

_SESSION = date(2024, 7, 3)
_START_MS = 1_720_013_400_000
_EVENTS = 50_000
_TICK_S = 0.1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class _Flood:
    """A feed: so many events a second for so long, in frames of so many, of so many symbols."""

    rate: int
    seconds: int
    frame: int
    symbols: int
    batch_s: float = 5.0  # the recorder's flush interval

    @property
    def events(self) -> int:
        return self.rate * self.seconds


_FULL = _Flood(rate=100_000, seconds=30, frame=100, symbols=5000)
# What has come and is not yet written is most of the memory at that rate; at a lower one, growth shows.
_STEADY = _Flood(rate=20_000, seconds=150, frame=100, symbols=5000, batch_s=1.0)
_WARM_S = 30
_LOOKS_A_SECOND = 10
_BIN_S = 5
_BURST = _Flood(rate=11_000, seconds=1, frame=1000, symbols=11_000)


@dataclass(frozen=True)
class _Recorded:
    """What became of a flood.

    Attributes
    ----------
    lost
        Events that are in no file.
    delays_s
        From sending to disk, of every 500th event.
    flushes
        Files written after the last event was sent.
    memory_mb
        The most resident memory of the recorder in every five seconds.
    """

    lost: int
    delays_s: list[float]
    flushes: int
    memory_mb: list[float]


def run() -> list[BenchRow]:
    """Measure decoding of full and of single frames, floods of 100,000 events a second and less, and a burst."""
    full = _ratio(100)
    single = _ratio(1)
    flood, steady, burst = _record(_FULL), _record(_STEADY), _record(_BURST)
    delay_s = quantiles(flood.delays_s, n=100)[-1]
    slope_mb = _slope_mb(steady.memory_mb[_WARM_S // _BIN_S :])
    rate, most_s = f"{_FULL.rate:,} events/s for {_FULL.seconds} s", 2 * _FULL.batch_s
    return [
        BenchRow("frames of 100 minutes to Arrow vs official client (goal 7 x)", full, 5.0, "x less CPU", full >= 5.0),
        BenchRow("frames of 1 minute to Arrow vs official client", single, 2.0, "x less CPU", single >= 2.0),
        BenchRow(f"lost of {rate}", flood.lost, 0, "events", flood.lost == 0),
        BenchRow("their way to disk, 99th percentile", delay_s, most_s, "s", delay_s < most_s),
        BenchRow(
            f"lost of {_STEADY.rate:,} events/s for {_STEADY.seconds} s", steady.lost, 0, "events", steady.lost == 0
        ),
        BenchRow("growth of the recorder's memory meanwhile", slope_mb, 1.0, "MB/min", slope_mb < 1.0),
        BenchRow("lost of a burst of 11,000 symbols in a second", burst.lost, 0, "events", burst.lost == 0),
        BenchRow("flushes until all of it is on disk", burst.flushes, 1, "flushes", burst.flushes == 1),
    ]


def _frames(events: int, size: int, symbols: int = 5000) -> list[bytes]:
    rows: list[dict[str, Any]] = [
        {"ev": "AM", "sym": f"S{number % symbols:05d}", "v": 1200.0 + number % 7, "av": 55_555.0, "op": 100.0}
        | {"vw": 101.2345, "o": 100.1 + number % 11, "c": 100.2, "h": 111.3, "l": 99.9, "a": 100.5, "z": 55}
        | {"s": _START_MS + number // symbols * 60_000, "e": _START_MS + (number // symbols + 1) * 60_000}
        for number in range(events)
    ]
    return [json.dumps(rows[low : low + size], separators=(",", ":")).encode() for low in range(0, len(rows), size)]


def _ratio(size: int) -> float:
    contents = _frames(_EVENTS, size)
    frames = [Frame(content, _START_MS) for content in contents]
    logger = logging.getLogger("bench")

    def official() -> pa.Table:
        events = [event for content in contents for event in parse(json.loads(content), logger, Market.Stocks)]
        columns = {
            "ticker": [event.symbol for event in events],
            "ts": [event.start_timestamp for event in events],
            "open": [event.open for event in events],
            "high": [event.high for event in events],
            "low": [event.low for event in events],
            "close": [event.close for event in events],
            "volume": [event.volume for event in events],
            "vwap": [event.vwap for event in events],
            "arrived_utc": [_START_MS] * len(events),
            "arrival": list(range(len(events))),
        }
        return pa.table(columns, schema=LIVE_BARS)

    if not official().equals(decode(frames, 0).table):
        message = "the two ways disagree: a faster wrong answer is no figure"
        raise AssertionError(message)
    official_s, ours_s = [], []
    for _ in range(7):
        started_s = time.thread_time()
        official()
        between_s = time.thread_time()
        decode(frames, 0)
        official_s.append(between_s - started_s)
        ours_s.append(time.thread_time() - between_s)
    return median(official_s) / median(ours_s)


def _slope_mb(samples: list[float]) -> float:
    """Return by how much memory grew a minute, by least squares."""
    return linear_regression(range(len(samples)), samples).slope * 60 / _BIN_S


def _record(flood: _Flood) -> _Recorded:
    """Have a flood recorded."""
    context = multiprocessing.get_context("forkserver")
    (heard, told), sent_s = context.Pipe(duplex=False), context.Array("d", round(flood.seconds / _TICK_S))
    server = context.Process(target=_serve, args=(told, sent_s, flood), daemon=True)
    server.start()
    told.close()  # the server's alone: should it die, there is nothing to wait for
    try:
        with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, context) as process:
            memory_mb = process.submit(_listen, folder, heard.recv(), flood).result()
            return _judge(folder, list(sent_s), flood, memory_mb)
    finally:
        server.terminate()
        server.join()


def _judge(folder: str, sent_s: list[float], flood: _Flood, memory_mb: list[float]) -> _Recorded:
    a_tick = round(flood.rate * _TICK_S)
    arrivals, delays_s, flushes = 0, [], 0
    for entry in Lake.open(folder).storage.list(paths.live("equities", _SESSION)):
        # Nothing is numbered twice, so that as long as nothing is lost a number says when an event was sent.
        numbers = pq.read_table(Path(folder, entry.key), columns=["arrival"])["arrival"]
        written_s = entry.modified_utc.timestamp()
        arrivals += len(numbers)
        delays_s += [
            written_s - sent_s[min(number // a_tick, len(sent_s) - 1)] for number in numbers[::500].to_pylist()
        ]
        flushes += written_s > sent_s[-1]
    return _Recorded(flood.events - arrivals, delays_s, flushes, memory_mb)


def _listen(folder: str, port: int, flood: _Flood) -> list[float]:
    """Record what a port serves; return the most memory of this process in every five seconds."""
    return asyncio.run(_listen_on(Lake.open(folder, simulated=True), port, flood))


async def _listen_on(lake: Lake, port: int, flood: _Flood) -> list[float]:
    now = datetime.now(UTC)
    recorder = Recorder(
        lake,
        Assignment(dataset="equities", session=_SESSION, start=now, until=now + timedelta(hours=1)),
        Writer("bench", 1, 1),
        Endpoint(f"ws://127.0.0.1:{port}/stocks", "k"),
        symbols=["*"],
        settings=StreamingSettings(batch_s=flood.batch_s),
    )
    recording = asyncio.create_task(recorder.run())
    memory_mb = []
    for _ in range((flood.seconds + round(flood.batch_s) + 3) * _LOOKS_A_SECOND):
        await asyncio.sleep(1.0 / _LOOKS_A_SECOND)
        memory_mb.append(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6)
    recorder.stop()
    await recording
    looks = memory_mb[: flood.seconds * _LOOKS_A_SECOND]
    return [max(part) for part in batched(looks, _BIN_S * _LOOKS_A_SECOND)]


def _serve(told: Any, sent_s: Any, flood: _Flood) -> None:
    ticks = len(sent_s)
    frames = _frames(flood.rate, flood.frame, flood.symbols)
    a_tick = len(frames) / round(1 / _TICK_S)
    bounds = [round(number * a_tick) for number in range(round(1 / _TICK_S) + 1)]
    parts = [frames[low:high] for low, high in pairwise(bounds)]

    async def feed(socket: ServerConnection) -> None:
        await socket.send('[{"ev":"status","status":"connected","message":""}]')
        await socket.recv()
        await socket.send('[{"ev":"status","status":"auth_success","message":""}]')
        await socket.recv()
        await socket.send('[{"ev":"status","status":"success","message":"subscribed to: AM.*"}]')
        started_s = time.monotonic()
        for number in range(ticks):
            sent_s[number] = time.time()
            for frame in parts[number % len(parts)]:
                await socket.send(frame, text=True)
            await asyncio.sleep(max(0.0, started_s + (number + 1) * _TICK_S - time.monotonic()))
        await socket.wait_closed()

    async def up() -> None:
        async with serve(feed, "127.0.0.1", 0, compression=None) as server:
            told.send(next(iter(server.sockets)).getsockname()[1])
            await server.serve_forever()

    asyncio.run(up())
