"""The recorder against the official client's default path, and against a feed faster than any market's.

The baseline does what the client does with a frame (`json.loads`, one object per event) and what a user then has to do
to get a table. The feed of the second part is a server in a process of its own, with the same frames again and again.
"""

import asyncio
import json
import logging
import multiprocessing
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from polygon.websocket.models import Market, parse
from websockets.asyncio.server import ServerConnection, serve

from bellwether.config.settings import StreamingSettings
from bellwether.lake import Lake, paths
from bellwether.schemas import LIVE_BARS
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Writer
from bellwether.streaming.client import Endpoint
from bellwether.streaming.decode import decode
from bellwether.streaming.inbox import Frame
from bellwether.streaming.recorder import Recorder
from tests.bench import BenchRow, peak_memory_mb

_SESSION = date(2024, 7, 3)
_START_MS = 1_720_013_400_000
_EVENTS = 50_000
_RATE, _SECONDS, _FRAME = 100_000, 30, 100
_BATCH_S = 5.0
_SETTLED_S = 15  # of the run, after which memory is no longer to grow


def run() -> list[BenchRow]:
    """Measure decoding of full and of single frames, and a recording of 100,000 events a second."""
    full = _ratio(100)
    single = _ratio(1)
    lost, delay_s, slope_mb = _flood()
    return [
        BenchRow("frames of 100 minutes to Arrow vs official client", full, 5.0, "x less CPU", full >= 5.0),
        BenchRow("frames of 1 minute to Arrow vs official client", single, 2.0, "x less CPU", single >= 2.0),
        BenchRow(f"lost of {_RATE:,} events/s for {_SECONDS} s", lost, 0, "events", lost == 0),
        BenchRow("event to disk, 99th percentile", delay_s, 2 * _BATCH_S, "s", delay_s < 2 * _BATCH_S),
        BenchRow("memory of the recorder", slope_mb, 1.0, "MB/min", slope_mb < 1.0),
    ]


def _frames(events: int, size: int) -> list[bytes]:
    rows: list[dict[str, Any]] = [
        {"ev": "AM", "sym": f"S{number % 5000:04d}", "v": 1200.0 + number % 7, "av": 55_555.0, "op": 100.0}
        | {"vw": 101.2345, "o": 100.1 + number % 11, "c": 100.2, "h": 111.3, "l": 99.9, "a": 100.5, "z": 55}
        | {"s": _START_MS + number // 5000 * 60_000, "e": _START_MS + (number // 5000 + 1) * 60_000}
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


def _flood() -> tuple[int, float, float]:
    """Return how many events were lost, how long the slow ones took to disk (seconds), and how memory grew (MB/min)."""
    context = multiprocessing.get_context("forkserver")
    (port, told), sent = context.Pipe(duplex=False), context.Value("q", 0)
    server = context.Process(target=_serve, args=(told, sent), daemon=True)
    server.start()
    told.close()  # the server's alone: should it die, there is nothing to wait for
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(folder, simulated=True)
        slope_mb = asyncio.run(_record(lake, port.recv(), sent))
        server.terminate()
        server.join()
        rows, delays_s = 0, []
        modified = {entry.key.name: entry.modified_utc for entry in lake.storage.list(paths.live("equities", _SESSION))}
        for name, written_utc in modified.items():
            arrived = pq.read_table(Path(folder, paths.live("equities", _SESSION), name))["arrived_utc"]
            rows += len(arrived)
            delays_s += [(written_utc - each).total_seconds() for each in arrived[::500].to_pylist()]
    return sent.value - rows, quantiles(delays_s, n=100)[-1], slope_mb


async def _record(lake: Lake, port: int, sent: Any) -> float:
    now = datetime.now(UTC)
    recorder = Recorder(
        lake,
        Assignment(dataset="equities", session=_SESSION, start=now, until=now + timedelta(hours=1)),
        Writer("bench", 1, 1),
        Endpoint(f"ws://127.0.0.1:{port}/stocks", "k"),
        symbols=["*"],
        settings=StreamingSettings(batch_s=_BATCH_S),
    )
    recording = asyncio.create_task(recorder.run())
    settled_mb = 0.0
    while sent.value < _RATE * _SECONDS:
        await asyncio.sleep(0.1)
        if not settled_mb and sent.value >= _RATE * _SETTLED_S:
            settled_mb = peak_memory_mb()
    await asyncio.sleep(_BATCH_S)
    recorder.stop()
    await recording
    return (peak_memory_mb() - settled_mb) / (_SECONDS - _SETTLED_S) * 60


def _serve(told: Any, sent: Any) -> None:
    frames = _frames(_RATE, _FRAME)

    async def feed(socket: ServerConnection) -> None:
        await socket.send('[{"ev":"status","status":"connected","message":""}]')
        await socket.recv()
        await socket.send('[{"ev":"status","status":"auth_success","message":""}]')
        await socket.recv()
        await socket.send('[{"ev":"status","status":"success","message":"subscribed to: AM.*"}]')
        started_s = time.monotonic()
        for number in range(_SECONDS * 10):
            for frame in frames[number % 10 * 100 : number % 10 * 100 + 100]:
                await socket.send(frame, text=True)
            sent.value += 100 * _FRAME
            await asyncio.sleep(max(0.0, started_s + (number + 1) / 10 - time.monotonic()))
        await socket.wait_closed()

    async def up() -> None:
        async with serve(feed, "127.0.0.1", 0, compression=None) as server:
            told.send(next(iter(server.sockets)).getsockname()[1])
            await server.serve_forever()

    asyncio.run(up())
