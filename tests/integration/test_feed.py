"""The simulator's WebSocket side over loopback, as its clients meet it. Simulated time is driven; nothing sleeps."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from polygon import RESTClient, WebSocketClient
from polygon.exceptions import AuthError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from bellwether.calendar import get_calendar
from bellwether.clock import Clock, SimulatedClock
from bellwether.simulator.archive import ArchiveMarket
from bellwether.simulator.bars import Bars
from bellwether.simulator.faults import Chance, Fault
from bellwether.simulator.feed.feed import FeedConfig
from bellwether.simulator.feed.replay import Script
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import OPEN, PLANS, Plan
from bellwether.simulator.records import ContractQuery, Market
from bellwether.simulator.requestlog import key_id
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running

DAY = date(2024, 7, 3)  # a half day
HOURS = get_calendar().hours(DAY)
REALTIME = PLANS["realtime"]
START = HOURS.open + timedelta(seconds=5)  # when the last minute before the opening has been broadcast
EXACT = FeedConfig(script=Script(late_share=0))

type Row = dict[str, Any]


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3, tickers=["AAPL", "SPY"], start=DAY, end=DAY)


@contextmanager
def simulated(
    market: Market, plan: Plan = REALTIME, feed: FeedConfig = EXACT, clock: Clock | None = None
) -> Iterator[RunningSimulator]:
    """Serve a market whose clock stands just after the opening unless another is given."""
    clock = clock or SimulatedClock(START, speed=0)
    with running(SimulatorConfig(market, clock=clock, plan=plan, feed=feed)) as simulator:
        yield simulator


@pytest.fixture
def simulator(market: GeneratedMarket) -> Iterator[RunningSimulator]:
    with simulated(market) as simulator:
        yield simulator


def url(simulator: RunningSimulator, cluster: str = "stocks") -> str:
    return f"ws://127.0.0.1:{simulator.port}/{cluster}"


@asynccontextmanager
async def client(
    simulator: RunningSimulator, topics: str = "AM.SPY", key: str = "k", cluster: str = "stocks"
) -> AsyncIterator[ClientConnection]:
    """Connect, authenticate and subscribe; every message is kept until it is asked for."""
    async with connect(url(simulator, cluster), proxy=None, max_queue=None, max_size=None) as socket:
        await say(socket, "auth", key)
        await say(socket, "subscribe", topics)
        for _ in range(2 + len(topics.split(","))):
            await socket.recv()
        await asyncio.to_thread(simulator.feed.wait_subscribed, *topics.split(","))
        yield socket


async def say(socket: ClientConnection, action: str, params: str) -> None:
    await socket.send(json.dumps({"action": action, "params": params}))


async def advance(simulator: RunningSimulator, **since_open: float) -> None:
    await asyncio.to_thread(simulator.feed.advance, HOURS.open + timedelta(**since_open))


async def texts(socket: ClientConnection) -> list[str]:
    """Return the frames that have come, without waiting for more: the server answers in order."""
    await say(socket, "unsubscribe", "AM.NONE")
    come: list[str] = []
    while "AM.NONE" not in (text := str(await socket.recv())):
        come.append(text)
    return come


async def come(socket: ClientConnection) -> list[list[Row]]:
    """Return the events of the frames that have come."""
    return [json.loads(text) for text in await texts(socket)]


async def nothing_comes(socket: ClientConnection) -> bool:
    """Return whether no frame has come that has not been read."""
    try:
        await asyncio.wait_for(socket.recv(), 0.01)
    except TimeoutError:
        return True
    return False


async def until_closed(socket: ClientConnection) -> tuple[list[Row], int]:
    """Return the events that still come and the code the connection ends with, 1006 without one."""
    events: list[Row] = []
    try:
        while True:
            events += json.loads(await socket.recv())
    except ConnectionClosed as closed:
        return events, 1006 if closed.rcvd is None else closed.rcvd.code


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 30))


def streamed(simulator: RunningSimulator, cluster: str, topics: list[str], minutes: int) -> list[Any]:
    """Return what the unmodified official client hands on of the first minutes."""
    got: list[Any] = []

    async def take(messages: list[Any]) -> None:
        got.extend(messages)

    async def work() -> None:
        feed = f"127.0.0.1:{simulator.port}"
        official = WebSocketClient("k", feed=feed, market=cluster, subscriptions=topics, secure=False)
        streaming = asyncio.create_task(official.connect(take))
        await asyncio.to_thread(simulator.feed.wait_subscribed, *topics)
        await advance(simulator, minutes=minutes, seconds=2)
        await official.close()
        await streaming

    run(work())
    return got


def test_the_official_client_streams_the_minutes_of_stocks(
    simulator: RunningSimulator, market: GeneratedMarket
) -> None:
    got = streamed(simulator, "stocks", ["AM.*"], 30)
    names = ("start_timestamp", "open", "high", "low", "close", "volume", "vwap")
    for ticker in ("AAPL", "SPY"):
        bars = market.bars(ticker, DAY)
        first = int(HOURS.open.timestamp()) * 1000
        chosen = bars.rows((bars.start_ms >= first) & (bars.start_ms < first + 30 * 60_000))
        told = [tuple(getattr(bar, name) for name in names) for bar in got if bar.symbol == ticker]
        assert told == list(zip(*(column.tolist() for column in chosen[:7]), strict=True))
        assert len(told) > 25


def test_the_official_client_streams_indices_and_options(simulator: RunningSimulator, market: GeneratedMarket) -> None:
    got = streamed(simulator, "indices", ["AM.I:VIX", "V.I:VIX"], 3)
    assert [(each.event_type, getattr(each, "symbol", None) or each.ticker) for each in got].count(("AM", "I:VIX")) == 3
    assert sum(each.event_type == "V" for each in got) >= 12
    contract = next(iter(market.contracts(ContractQuery("SPY", DAY, expired=False, first=DAY, last=DAY))))
    with simulated(market) as another:
        quotes = streamed(another, "options", [f"Q.{contract.ticker}"], 3)
    assert {(quote.event_type, quote.symbol) for quote in quotes} == {("Q", contract.ticker)}


def test_the_official_client_is_refused_with_a_wrong_key(market: GeneratedMarket) -> None:
    config = SimulatorConfig(market, plans={"good": REALTIME})
    with running(config) as simulator:
        official = WebSocketClient("bad", feed=f"127.0.0.1:{simulator.port}", market="stocks", secure=False)
        with pytest.raises(AuthError, match="authentication failed"):
            run(official.connect(lambda _: asyncio.sleep(0)))


def test_greeting_key_and_topics_are_answered_as_the_vendor_does(simulator: RunningSimulator) -> None:
    async def work() -> list[Row]:
        async with connect(url(simulator), proxy=None) as socket:
            frames = [await socket.recv()]
            await say(socket, "auth", "k")
            frames.append(await socket.recv())
            await say(socket, "subscribe", "AM.SPY, AM.QQQ")
            frames += [await socket.recv(), await socket.recv()]
            return [event for frame in frames for event in json.loads(frame)]

    assert run(work()) == [
        {"ev": "status", "status": "connected", "message": "Connected Successfully"},
        {"ev": "status", "status": "auth_success", "message": "authenticated"},
        {"ev": "status", "status": "success", "message": "subscribed to: AM.SPY"},
        {"ev": "status", "status": "success", "message": "subscribed to: AM.QQQ"},
    ]
    assert [(entry.path, entry.status, entry.key) for entry in simulator.requests] == [("/stocks", 101, key_id("k"))]


@pytest.mark.parametrize(("plan", "cluster"), [(OPEN, "stocks"), (replace(REALTIME, classes={"stocks"}), "options")])
def test_a_plan_without_the_stream_is_refused(market: GeneratedMarket, plan: Plan, cluster: str) -> None:
    async def work() -> Any:
        async with connect(url(simulator, cluster), proxy=None) as socket:
            await say(socket, "auth", "k")
            return await until_closed(socket)

    with simulated(market, plan) as simulator:
        events, code = run(work())
    assert [event["status"] for event in events] == ["connected", "auth_failed"]
    assert code == 1008


def test_a_second_connection_of_a_class_is_told_so_and_closed_until_the_first_is_gone(
    simulator: RunningSimulator,
) -> None:
    async def work() -> Any:
        async with (
            client(simulator),
            client(simulator, "AM.I:VIX", cluster="indices"),
            client(simulator, key="other"),
            connect(url(simulator), proxy=None) as second,
        ):
            await say(second, "auth", "k")
            refused = await until_closed(second)
        await asyncio.to_thread(simulator.feed.wait_until, lambda views: not views)
        async with client(simulator):
            return refused, simulator.feed.connections()

    (events, code), views = run(work())
    assert [event["status"] for event in events] == ["connected", "auth_success", "max_connections"]
    assert code == 1008
    assert [(view.cluster, view.key, view.topics) for view in views] == [("stocks", key_id("k"), ["AM.SPY"])]


def test_who_sends_no_key_is_closed(market: GeneratedMarket) -> None:
    async def work() -> Any:
        async with connect(url(simulator), proxy=None) as socket:
            return await until_closed(socket)

    with simulated(market, feed=replace(EXACT, auth_timeout_s=0.01)) as simulator:
        events, code = run(work())
    assert [event["status"] for event in events] == ["connected", "auth_timeout"]
    assert code == 1008


@pytest.mark.parametrize(
    ("point", "seen"),
    [
        ("connected", []),
        ("auth", ["connected"]),
        ("authenticated", ["connected", "auth_success"]),
        ("subscribe", ["connected", "auth_success"]),
        ("frame", ["connected", "auth_success", "success"]),
    ],
)
@pytest.mark.parametrize(
    ("fault", "code"),
    [({"kind": "abort"}, 1006), *(({"kind": "close", "code": code}, code) for code in (1000, 1001, 1008, 1011))],
)
def test_the_connection_can_end_at_any_point(
    simulator: RunningSimulator, point: str, seen: list[str], fault: Row, code: int
) -> None:
    simulator.faults.add(Fault(at=point, path="/stocks", **fault))

    async def work() -> tuple[list[Row], int]:
        events: list[Row] = []
        async with connect(url(simulator), proxy=None) as socket:
            try:
                events += json.loads(await socket.recv())
                await say(socket, "auth", "k")
                events += json.loads(await socket.recv())
                await say(socket, "subscribe", "AM.SPY")
                events += json.loads(await socket.recv())
                await asyncio.to_thread(simulator.feed.wait_subscribed, "AM.SPY")
                await advance(simulator, minutes=2)
            except ConnectionClosed:
                pass  # at whichever point
            more, code = await until_closed(socket)
            return events + more, code

    events, ended = run(work())
    assert [event["status"] for event in events] == seen
    assert ended == code
    assert simulator.requests[0].fault == fault["kind"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind="reset", path="/stocks"), InvalidMessage),
        (Fault(kind="bad_gateway", path="/stocks"), InvalidStatus),
        (Fault(kind="server_error", status=503, path="/stocks"), InvalidStatus),
    ],
)
def test_the_upgrade_itself_can_fail(simulator: RunningSimulator, fault: Fault, error: type[Exception]) -> None:
    simulator.faults.add(fault)

    async def work() -> None:
        async with connect(url(simulator), proxy=None):
            pass

    with pytest.raises(error):
        run(work())
    run(work())


def test_a_request_that_is_no_upgrade_is_a_bad_one(simulator: RunningSimulator) -> None:
    assert urllib3.request("GET", f"{simulator.url}/stocks").status == 400


def test_a_torn_frame_ends_in_mid_frame_after_what_came_before(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="torn_frame", nth=3))

    async def work() -> Any:
        async with client(simulator) as socket:
            await advance(simulator, minutes=5)
            return await until_closed(socket)

    events, code = run(work())
    assert len(events) == 2
    assert code == 1006


def test_a_huge_frame_is_too_big_for_a_client_with_the_usual_limit(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="huge_frame"))

    async def work() -> None:
        async with connect(url(simulator), proxy=None) as socket:
            await say(socket, "auth", "k")
            await say(socket, "subscribe", "AM.SPY")
            await asyncio.to_thread(simulator.feed.wait_subscribed, "AM.SPY")
            await advance(simulator, minutes=2)
            await until_closed(socket)
            assert socket.protocol.close_sent is not None
            assert socket.protocol.close_sent.code == 1009

    run(work())


def test_a_mute_connection_answers_pings_and_says_nothing_more(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="mute", nth=2))

    async def work() -> list[Any]:
        async with client(simulator) as socket:
            await advance(simulator, minutes=10)
            await (await socket.ping())
            await say(socket, "subscribe", "AM.AAPL")
            await (await socket.ping())
            frames = [await socket.recv()]
            assert await nothing_comes(socket)
            return frames

    assert len(run(work())) == 1


def test_a_stall_ends_in_simulated_time_with_all_that_had_queued_up(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="stall", nth=3, pause_s=300))

    async def work() -> tuple[int, int]:
        async with client(simulator) as socket:
            await advance(simulator, minutes=7)
            before = [await socket.recv(), await socket.recv()]
            assert await nothing_comes(socket)
            unanswered = await socket.ping()
            assert not unanswered.done()
            await advance(simulator, minutes=10, seconds=2)
            await unanswered
            return len(before), len(await come(socket))

    assert run(work()) == (2, 8)


def test_a_late_answer_to_the_key_comes_when_its_time_has_passed(simulator: RunningSimulator) -> None:
    simulator.faults.add(Fault(kind="late_auth", pause_s=30))

    async def work() -> Row:
        async with connect(url(simulator), proxy=None) as socket:
            await socket.recv()
            await say(socket, "auth", "k")
            await (await socket.ping())
            await advance(simulator, seconds=34)
            assert await nothing_comes(socket)
            await advance(simulator, seconds=36)
            return json.loads(await socket.recv())[0]

    assert run(work())["status"] == "auth_success"


def test_who_reads_too_slowly_is_cut_off_and_others_are_not(market: GeneratedMarket) -> None:
    async def work() -> tuple[list[Any], int]:
        async with (
            connect(url(simulator), proxy=None, max_queue=1, ping_interval=None) as slow,
            client(simulator, key="other") as other,
        ):
            await say(slow, "auth", "k")
            await say(slow, "subscribe", "T.*,A.*,AM.*")
            await asyncio.to_thread(simulator.feed.wait_subscribed, "T.*")
            # A jump: nobody waits for readers.
            simulator.feed.follow(SimulatedClock(HOURS.post_close, speed=0))
            await asyncio.to_thread(simulator.feed.wait_until, lambda views: len(views) == 1)
            _, code = await until_closed(slow)
            return await come(other), code

    with simulated(market, feed=replace(EXACT, buffer_bytes=200_000)) as simulator:
        frames, code = run(work())
    assert len(frames) == 1  # everything of one symbol is due at once
    assert code in {1006, 1008}


def test_a_day_of_real_minutes_comes_as_it_is_in_the_archive_the_last_broadcast_of_each_counting(archive: Path) -> None:
    day = date(2014, 6, 6)
    market = ArchiveMarket(archive, start=day, end=day)
    bars, hours = market.bars("AAPL", day), get_calendar().hours(day)

    async def work() -> list[Row]:
        async with client(simulator, "AM.AAPL") as socket:
            await asyncio.to_thread(simulator.feed.advance, hours.post_close + timedelta(minutes=20))
            return [event for frame in await come(socket) for event in frame]

    clock = SimulatedClock(hours.pre_open, speed=0)
    with simulated(market, feed=FeedConfig(script=Script(late_share=0.1)), clock=clock) as simulator:
        told = run(work())
    assert len(told) > 1.05 * len(bars.start_ms)
    last = {event["s"]: [event[name] for name in ("o", "h", "l", "c", "v")] for event in told}
    expected = zip(*(column.tolist() for column in bars[:6]), strict=True)
    assert last == {start_ms: values for start_ms, *values in expected}


def test_rest_shows_no_minute_that_is_not_over_and_no_article_that_is_not_out(market: GeneratedMarket) -> None:
    async def work() -> None:
        async with client(simulator) as socket:
            for minutes in (1, 3, 5):
                await advance(simulator, minutes=minutes, seconds=2)
                streams = [event["s"] for frame in await come(socket) for event in frame]
                first, last = HOURS.open, HOURS.post_close
                asked = rest.list_aggs("SPY", 1, "minute", first, last, limit=50_000)
                served = await asyncio.to_thread(lambda asked=asked: [bar.timestamp for bar in asked])
                now = HOURS.open + timedelta(minutes=minutes, seconds=2)
                assert served[-1] == streams[-1] == int(HOURS.open.timestamp() + 60 * (minutes - 1)) * 1000
                news = await asyncio.to_thread(lambda: next(iter(rest.list_ticker_news(limit=1))))
                assert datetime.fromisoformat(news.published_utc) <= now

    with simulated(market) as simulator:
        rest = RESTClient("k", base=simulator.url)
        run(work())


def test_news_is_out_on_the_streams_clock(market: GeneratedMarket) -> None:
    with simulated(market) as simulator:
        rest = RESTClient("k", base=simulator.url)
        known = []
        for hours in (0, 3, 6):
            simulator.feed.advance(HOURS.open + timedelta(hours=hours))
            known.append({article.id for article in rest.list_ticker_news(published_utc_gte=str(DAY), limit=1000)})
    assert known[0] < known[1] < known[2]


def test_a_delayed_plan_hears_everything_fifteen_minutes_later(market: GeneratedMarket) -> None:
    async def work() -> list[int]:
        async with client(simulator) as socket:
            counts = []
            for minutes in (1, 15, 16):
                await advance(simulator, minutes=minutes, seconds=2)
                counts.append(sum(event["s"] >= HOURS.open.timestamp() * 1000 for (event,) in await come(socket)))
            return counts

    with simulated(market, PLANS["delayed"]) as simulator:
        assert run(work()) == [0, 0, 1]


def told(market: GeneratedMarket, chance: Chance | None) -> list[Any]:
    """Return every frame of an hour, over as many connections as chance makes necessary."""

    async def work() -> list[Any]:
        frames: list[Any] = []
        for minutes in range(10, 70, 10):
            async with client(simulator, "AM.*,T.SPY") as socket:
                await advance(simulator, minutes=minutes)
                frames += await texts(socket)
            await asyncio.to_thread(simulator.feed.wait_until, lambda views: not views)
        return frames

    with simulated(market, feed=FeedConfig(script=Script(seed=5))) as simulator:
        if chance is not None:
            simulator.faults.take(chance)
        return run(work())


def test_equal_seeds_give_equal_frames_in_equal_order(market: GeneratedMarket) -> None:
    chance = Chance(rate=0.02, seed=7, kinds=("duplicate", "garbage", "reorder"))
    assert told(market, chance) == told(market, chance) != told(market, None)


def test_as_fast_as_readers_read_the_clock_waits_for_one_and_ends_with_the_last_day(market: GeneratedMarket) -> None:
    before = HOURS.post_close - timedelta(hours=3, minutes=15)
    clock = SimulatedClock(before, speed=0)

    async def work() -> list[Any]:
        async with client(simulator, "AM.*") as socket:
            while (await asyncio.to_thread(now, simulator)).astimezone(UTC) < HOURS.post_close + timedelta(hours=4):
                pass
            return await come(socket)

    with simulated(market, feed=replace(EXACT, paced_by_readers=True), clock=clock) as simulator:
        assert now(simulator) == before
        frames = run(work())
        bars = [market.bars(ticker, DAY).start_ms for ticker in ("AAPL", "SPY")]
        expected = sum(int((start_ms >= before.timestamp() * 1000 - 60_000).sum()) for start_ms in bars)
        assert sum(map(len, frames)) == expected > 0
        assert now(simulator) == HOURS.post_close + timedelta(hours=4)


def test_a_clock_that_runs_by_itself_broadcasts_by_itself(market: GeneratedMarket) -> None:
    async def work() -> Any:
        async with client(simulator) as socket:
            return json.loads(await socket.recv())[0]

    with simulated(market, clock=SimulatedClock(HOURS.open, speed=1000)) as simulator:
        assert run(work())["ev"] == "AM"


def now(simulator: RunningSimulator) -> datetime:
    clock = urllib3.request("GET", f"{simulator.url}/_simulator/clock").json()
    return datetime.fromisoformat(clock["now_utc"])


def post(simulator: RunningSimulator, path: str, body: Row) -> urllib3.BaseHTTPResponse:
    return urllib3.request("POST", f"{simulator.url}/_simulator/{path}", json=body, timeout=20)


def test_streams_are_steered_from_another_process(simulator: RunningSimulator) -> None:
    def later(minutes: int) -> str:
        return (HOURS.open + timedelta(minutes=minutes, seconds=2)).isoformat()

    async def work() -> list[Any]:
        def ask(path: str, body: Row) -> Callable[[], Any]:
            return lambda: post(simulator, path, body).status

        async with client(simulator) as socket:
            views = await asyncio.to_thread(urllib3.request, "GET", f"{simulator.url}/_simulator/connections")
            statuses = [
                await asyncio.to_thread(ask("clock/advance", {"until_utc": later(2)})),
                await asyncio.to_thread(ask("clock", {"now_utc": later(3)})),  # what it passes is broadcast
                await asyncio.to_thread(ask("clock/advance", {"until_utc": later(3)})),
                await asyncio.to_thread(ask("clock/advance", {"until_utc": "2024-07-03"})),
                await asyncio.to_thread(ask("clock/advance", {"until_utc": "2024-07-03T10:00:00"})),
            ]
            return [views.json()[0]["topics"], statuses, len(await come(socket))]

    assert run(work()) == [["AM.SPY"], [200, 200, 200, 400, 400], 3]


def test_a_simulator_that_stops_says_that_it_goes_away(market: GeneratedMarket) -> None:
    async def work() -> int:
        with ExitStack() as stack:
            simulator = stack.enter_context(simulated(market))
            async with client(simulator) as socket:
                await asyncio.to_thread(stack.close)
                return (await until_closed(socket))[1]

    assert run(work()) == 1001


class BrokenMarket(GeneratedMarket):
    def bars(self, ticker: str, day: date) -> Bars:
        if ticker == "AAPL":
            raise RuntimeError(ticker)
        return super().bars(ticker, day)


def test_a_market_that_fails_ends_that_stream_and_no_other() -> None:
    async def work() -> tuple[int, int]:
        async with client(simulator) as good, connect(url(simulator), proxy=None) as failing:
            await say(failing, "auth", "other")
            await say(failing, "subscribe", "AM.AAPL")
            _, code = await until_closed(failing)
            await advance(simulator, minutes=3, seconds=2)
            return code, len(await come(good))

    with simulated(BrokenMarket(seed=3, tickers=["AAPL", "SPY"], start=DAY, end=DAY)) as simulator:
        assert run(work()) == (1011, 3)
