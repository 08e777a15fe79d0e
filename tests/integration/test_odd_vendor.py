"""The recorder against a vendor that does what the simulator's does not: odd answers, and frames to one of two alone.

The clock is moved by hand; nothing sleeps but the recorder's own ticks.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bellwether.config.settings import StreamingSettings
from bellwether.errors import LeaseHeld
from bellwether.lake import Lake
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Batches, Writer
from bellwether.streaming.client import Endpoint
from bellwether.streaming.compact import compact
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.gaps import Gap, GapLog
from bellwether.streaming.recorder import Recorder
from tests.unit.streaming.feeds import NOON, SESSION, Hand, bar, frame

ASSIGNMENT = Assignment(dataset="equities", session=SESSION, start=NOON, until=NOON + timedelta(hours=2))


class Vendor:
    """A vendor that acknowledges what it is asked for, and says what it is told to.

    Attributes
    ----------
    ignored
        Topics it gives no word on.
    connections
        Those that have asked for something, in order.
    """

    def __init__(self) -> None:
        self.ignored: set[str] = set()
        self.connections: list[ServerConnection] = []
        self.url = ""

    async def serve(self, socket: ServerConnection) -> None:
        await self.say(socket, "connected")
        await socket.recv()
        await self.say(socket, "auth_success")
        async for message in socket:
            if socket not in self.connections:
                self.connections.append(socket)
            for topic in json.loads(message)["params"].split(","):
                if topic not in self.ignored:
                    await self.acknowledge(socket, topic)

    async def acknowledge(self, socket: ServerConnection, topic: str) -> None:
        await self.say(socket, "success", f"subscribed to: {topic}")

    async def say(self, socket: ServerConnection, status: str, message: str = "") -> None:
        await socket.send(json.dumps([{"ev": "status", "status": status, "message": message}]))


@asynccontextmanager
async def selling(vendor: Vendor) -> AsyncIterator[Vendor]:
    async with serve(vendor.serve, "127.0.0.1", 0, ping_interval=None) as server:
        vendor.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stocks"
        yield vendor


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", simulated=True)


@pytest.fixture
def hand() -> Hand:
    return Hand()


def recorder(vendor: Vendor, lake: Lake, hand: Hand, *, attempt: int = 1, symbols: Sequence[str] = ("*",)) -> Recorder:
    return Recorder(
        lake,
        ASSIGNMENT,
        Writer("run", attempt, attempt),
        Endpoint(vendor.url, "key-of-the-recorder"),
        symbols=symbols,
        settings=StreamingSettings(batch_s=1, idle_s=120),
        feed=FeedTime(hand, speed=1000, grace_s=0.05),
    )


async def until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0.01)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 20))


def gaps(lake: Lake) -> list[Gap]:
    return GapLog(lake, "equities", SESSION, "test").read()


def volumes(lake: Lake, writer: str = "") -> list[float]:
    tables = [table for name, table in Batches(lake, "equities", SESSION).read() if writer in name]
    return [volume for table in tables for volume in table["volume"].to_pylist()]


def test_a_try_that_was_frozen_while_a_newer_one_took_over_writes_nothing_of_what_came_then(
    lake: Lake, hand: Hand
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    thaw = Event()

    async def alone(vendor: Vendor) -> None:
        loops.append(asyncio.get_running_loop())
        await recorder(vendor, lake, hand).run()

    async def work() -> None:
        async with selling(Vendor()) as vendor:
            older = asyncio.create_task(asyncio.to_thread(asyncio.run, alone(vendor)))
            await until(lambda: bool(vendor.connections))
            loops[0].call_soon_threadsafe(thaw.wait, 10)
            await vendor.connections[0].send(frame(bar(v=100)).content)  # waits in its socket
            it = recorder(vendor, lake, hand, attempt=2)
            newer = asyncio.create_task(it.run())
            await until(lambda: len(vendor.connections) == 2)
            await vendor.connections[1].send(frame(bar(v=900)).content)
            hand.move(120)
            await until(lambda: volumes(lake) == [900])
            thaw.set()
            with pytest.raises(LeaseHeld, match="recorded by run~t2"):
                await older
            it.stop()
            await newer

    run(work())
    assert volumes(lake) == [900]
    assert compact(lake, "equities", SESSION).table["volume"].to_pylist() == [900]


def test_a_try_that_was_frozen_beyond_the_end_opens_no_gap_after_a_newer_one_has_ended(lake: Lake, hand: Hand) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    thaw = Event()

    async def alone(vendor: Vendor) -> None:
        loops.append(asyncio.get_running_loop())
        await recorder(vendor, lake, hand).run()

    async def work() -> list[Gap]:
        async with selling(Vendor()) as vendor:
            older = asyncio.create_task(asyncio.to_thread(asyncio.run, alone(vendor)))
            await until(lambda: bool(vendor.connections))
            loops[0].call_soon_threadsafe(thaw.wait, 10)
            hand.move(7300)
            last = await recorder(vendor, lake, hand, attempt=2).run()
            assert last.state == "ended"
            before = gaps(lake)
            thaw.set()
            with pytest.raises(LeaseHeld, match="recorded by run~t2"):
                await older
            return before

    assert run(work()) == gaps(lake)


@asynccontextmanager
async def recording(vendor: Vendor, lake: Lake, hand: Hand, *symbols: str) -> AsyncIterator[ServerConnection]:
    """Record until the context ends; its first connection has asked for its topics when it begins."""
    it = recorder(vendor, lake, hand, symbols=symbols)
    running = asyncio.create_task(it.run())
    await until(lambda: bool(vendor.connections))
    yield vendor.connections[0]
    it.stop()
    await running


def test_a_vendor_that_acknowledges_one_topic_after_the_other_is_waited_for(lake: Lake, hand: Hand) -> None:
    symbols = ("SPY", "QQQ", "XOM", "IBM")
    topics = [f"AM.{symbol}" for symbol in symbols]

    async def work() -> None:
        async with selling(Vendor()) as vendor:
            vendor.ignored.update(topics)
            async with recording(vendor, lake, hand, *symbols) as socket:
                for number, topic in enumerate(topics):
                    hand.move(10)
                    await vendor.acknowledge(socket, topic)
                    await socket.send(frame(bar(minute=number), arrived_s=0).content)
                    await until(lambda heard=number + 1: len(volumes(lake)) == heard)
                hand.move(120)
                await until(lambda: not any(gap.lasts for gap in gaps(lake)))
            assert len(vendor.connections) == 1

    run(work())
    assert [gap.cause for gap in gaps(lake)] == ["late_start", "stopped"]


def test_a_topic_on_which_the_vendor_gives_no_word_is_given_up_alone(lake: Lake, hand: Hand) -> None:
    async def work() -> None:
        async with selling(Vendor()) as vendor:
            vendor.ignored.add("AM.ODD")
            async with recording(vendor, lake, hand, "SPY", "QQQ", "ODD"):
                while len(vendor.connections) < 3:
                    hand.move(5)
                    await asyncio.sleep(0.01)
                await vendor.connections[-1].send(frame(bar()).content)
                await until(lambda: bool(volumes(lake)) and not any(gap.lasts for gap in gaps(lake)))
            assert len(vendor.connections) == 3

    run(work())
    [refused] = [gap for gap in gaps(lake) if gap.cause == "refused"]
    assert (refused.symbols, refused.end_utc) == (("ODD",), ASSIGNMENT.until)
    assert refused.evidence == "no word on it within 15 s, on two connections"


def test_a_frame_that_is_no_utf8_is_a_gap_and_ends_nothing(lake: Lake, hand: Hand) -> None:
    async def work() -> None:
        async with selling(Vendor()) as vendor, recording(vendor, lake, hand, "*") as socket:
            await socket.send(frame(bar("XX")).content.replace(b"XX", b"X\xff"), text=True)
            await socket.send(frame(bar(v=7)).content)
            await until(lambda: volumes(lake) == [7])

    run(work())
    assert [gap.cause for gap in gaps(lake)] == ["unreadable", "stopped"]
