"""`bellwether stream`, `workers` and `health` as an operator uses them: processes against the simulator."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bellwether.calendar import get_calendar
from bellwether.cli.main import main
from bellwether.clock import SimulatedClock
from bellwether.lake import Lake, read
from bellwether.simulator.faults import Fault
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import RunningSimulator, SimulatorConfig, running
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.lease import LeaseRecord, read_lease
from tests.builders import publish_bars, publish_gold_of
from tests.e2e.support import wait_until

DAY = date(2024, 7, 3)  # a half day, on Wednesday; Thursday is a holiday
HOURS = get_calendar().hours(DAY)
NEXT_OPEN = "the next open is that of session 2024-07-05, {} New York"
NEWS_PATH = "/v2/reference/news"


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(seed=3, tickers=["AAPL", "SPY"], start=DAY, end=DAY)


@pytest.fixture
def at(market: GeneratedMarket) -> Callable[..., Any]:
    """Return `at(moment, speed=0)`: a simulator whose clock begins, or stands, then."""

    @contextmanager
    def begun(moment: datetime, speed: float = 0) -> Iterator[RunningSimulator]:
        with running(SimulatorConfig(market, clock=SimulatedClock(moment, speed), plan=PLANS["realtime"])) as it:
            yield it

    return begun


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("BELLWETHER__LAKE__ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("BELLWETHER_CONFIG_DIR", str(tmp_path))
    return tmp_path / "lake"


@contextmanager
def command(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a command in a process of its own, which is gone when the context ends."""
    words = [sys.executable, "-m", "bellwether.cli.main", *arguments]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(met: Callable[[], bool]) -> None:
    wait_until(met, "it did not come about", 30, every_s=0.02)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Return exit code and last words of a process that ends by itself, in one line."""
    _, words = process.communicate(timeout=30)
    return process.returncode, " ".join(words.split())


def lease(root: Path, dataset: str) -> LeaseRecord | None:
    return read_lease(Lake.open(root, simulated=True), dataset, DAY)


def has_polled(simulator: RunningSimulator, times: int) -> bool:
    return len(simulator.requests.where(path=NEWS_PATH, status=200)) >= times


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """Return exit code and JSON of a command."""
    capsys.readouterr()
    code = main([*arguments, "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_stream_is_listed_stopped_by_its_id_with_everything_on_disk_and_goes_on_when_started_again(
    at: Callable[..., Any], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with at(HOURS.open) as simulator, command("stream", "equities", "--url", simulator.url) as process:
        simulator.feed.wait_subscribed("AM.*")
        simulator.feed.advance(HOURS.open + timedelta(minutes=3))
        _, [worker] = told(capsys, "workers", "list")
        assert (worker["id"], worker["kind"], worker["condition"]) == ("equities-2024-07-03", "stream", "alive")
        assert main(["workers", "list"]) == 0
        assert "equities-2024-07-03" in capsys.readouterr().out
        code, [stopped] = told(capsys, "workers", "stop", "equities-2024-07-03")
        assert (code, stopped["has_ended"]) == (0, True)
        code, words = ended(process)
        assert (code, "told to stop by " in words) == (1, True)
        assert told(capsys, "workers", "list") == (0, [])
        # What happens while nobody records is a gap; the wish of before stops nobody else.
        [*_, gap] = GapLog(Lake.open(root), "equities", DAY, "test").read()
        assert (gap.cause, gap.lasts) == ("stopped", True)
        assert gap.evidence.startswith("told to stop by ")
        with command("stream", "equities", "--url", simulator.url) as again:
            simulator.feed.wait_subscribed("AM.*")
            until(lambda: (found := lease(root, "equities")) is not None and found.stop is None)
            again.send_signal(signal.SIGTERM)
            assert ended(again)[0] == 1


def test_of_what_is_not_at_work_or_dead_nothing_is_stopped(
    at: Callable[..., Any], root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with at(HOURS.open) as simulator, command("stream", "equities", "--url", simulator.url) as process:
        simulator.feed.wait_subscribed("AM.*")
        process.kill()
    monkeypatch.setattr("bellwether.lake.lake.SystemClock.now", lambda _: datetime.now(UTC) + timedelta(seconds=91))
    _, [worker] = told(capsys, "workers", "list")
    assert (worker["condition"], worker["is_dead"]) == ("dead", True)
    code, [stopped] = told(capsys, "workers", "stop", worker["id"])
    assert (code, stopped["has_ended"]) == (1, False)
    assert stopped["why"].endswith("nobody is there to stop")
    assert main(["workers", "stop", "options-2024-07-03"]) == 2
    assert "there is: equities-2024-07-03" in capsys.readouterr().err


def test_news_is_polled_until_the_close_and_the_daily_pull_keeps_when_it_was_first_seen(
    at: Callable[..., Any], root: Path
) -> None:
    began = HOURS.close - timedelta(minutes=90)
    with at(began) as simulator, command("stream", "news", "--url", simulator.url) as process:
        until(partial(has_polled, simulator, 1))
        minutes = iter(range(1, 600))

        def another_minute_is_the_last() -> bool:
            simulator.feed.advance(began + timedelta(minutes=next(minutes)))
            return process.poll() is not None

        until(another_minute_is_the_last)
        assert has_polled(simulator, 2)
        code, words = ended(process)
        assert (code, "news 2024-07-03: ended, " in words) == (0, True)
        simulator.feed.advance(HOURS.post_close)
        days = ["--start", str(DAY), "--end", str(DAY), "--url", simulator.url]
        assert main(["backfill", "news", *days]) == 0
        rows = read("news", DAY, DAY, root=root).to_pylist()
        assert len(rows) > 20
        # Seen by the feed's time, while the daily pull was had by this machine's, years later.
        seen = {row["article_id"]: row["first_seen_utc"] for row in rows if row["version"] == 1}
        assert {moment.date() for moment in seen.values()} == {DAY}
        assert all(row["published_utc"] <= seen[row["article_id"]] for row in rows)
        assert any(moment > began for moment in seen.values())
        assert main(["replay-raw", "news", "--start", str(DAY), "--end", str(DAY), "--check"]) == 0
        assert main(["backfill", "news", *days, "--force"]) == 0
        assert read("news", DAY, DAY, root=root).to_pylist() == rows


def test_polling_ends_when_it_is_told_to_by_whatever_way_and_goes_on_where_it_was(
    at: Callable[..., Any], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with at(HOURS.open, speed=60) as simulator:
        arguments = ("stream", "news", "--url", simulator.url)
        with command(*arguments) as process:
            until(lambda: (found := lease(root, "news")) is not None and found.heartbeat is not None)
            assert told(capsys, "workers", "stop", "news-2024-07-03")[0] == 0
            code, words = ended(process)
        assert (code, "news 2024-07-03: stopped, " in words) == (1, True)
        asked = len(simulator.requests)
        with command(*arguments) as process:
            until(partial(has_polled, simulator, asked + 1))
            process.send_signal(signal.SIGTERM)
            assert ended(process)[0] == 1
        since = [request.query["published_utc.gte"] for request in simulator.requests.where(path=NEWS_PATH)]
        assert HOURS.open - timedelta(hours=3) < datetime.fromisoformat(since[-1]) < HOURS.open


@pytest.mark.parametrize(
    ("dataset", "session", "now", "words"),
    [
        (
            "equities",
            "today",
            HOURS.post_close + timedelta(minutes=16),
            "equities of 2024-07-03 are not being broadcast at 2024-07-03 20:16 New York; "
            + NEXT_OPEN.format("2024-07-05 04:00"),
        ),
        (
            "indices",
            "2024-07-04",
            HOURS.post_close + timedelta(hours=1),
            NEXT_OPEN.format("2024-07-05 00:00"),
        ),
        (
            "news",
            "today",
            HOURS.close,
            "13:00 New York; those of the next session can be polled since 2024-07-03 13:00: --session 2024-07-05",
        ),
    ],
)
def test_outside_its_hours_a_stream_is_not_begun_and_the_next_open_is_named(
    at: Callable[..., Any],
    root: Path,
    capsys: pytest.CaptureFixture[str],
    dataset: str,
    session: str,
    now: datetime,
    words: str,
) -> None:
    with at(now) as simulator:
        assert main(["stream", dataset, "--session", session, "--url", simulator.url]) == 2
    assert words in capsys.readouterr().err
    assert not root.exists()


def test_what_no_plan_has_or_nobody_can_ask_for_alone_is_refused_with_a_sentence(
    at: Callable[..., Any], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with at(HOURS.open) as simulator:
        assert main(["stream", "news", "--tickers", "SPY", "--url", simulator.url]) == 2
        assert "news are asked for all at once" in capsys.readouterr().err
        simulator.faults.add(Fault(kind="not_entitled", path=NEWS_PATH))
        assert main(["stream", "news", "--url", simulator.url]) == 2
        assert "the vendor refuses news: " in capsys.readouterr().err


def test_a_backfill_is_listed_and_ends_between_two_batches_when_it_is_told_to(
    at: Callable[..., Any], root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[AAPL, SPY]")
    monkeypatch.setenv("BELLWETHER__INGEST__BATCH_TICKERS", "1")
    days = ["--start", str(DAY), "--end", str(DAY), "--url"]
    with at(HOURS.post_close + timedelta(hours=1)) as simulator:
        arguments = ("backfill", "equities", *days, simulator.url)
        simulator.faults.add(Fault(kind="drip", ticker="AAPL", pause_s=0.15))
        with command(*arguments) as process:
            until(lambda: len(simulator.requests) > 0)
            _, [worker] = told(capsys, "workers", "list")
            assert (worker["kind"], worker["state"]) == ("backfill", "2024-07-03 to 2024-07-03: begins")
            assert told(capsys, "workers", "stop", worker["id"])[0] == 0
            code, words = ended(process)
        assert (code, "after 0 of 1; run it again to go on" in words) == (1, True)
        assert {request.ticker for request in simulator.requests} == {"AAPL"}
        assert Lake.open(root).manifest("equities", DAY) is None
        assert main([*arguments]) == 0
        # What was staged is not fetched again.
        assert [request.ticker for request in simulator.requests] == ["AAPL", "SPY"]


def test_health_is_told_by_the_exit_code_and_a_stream_nobody_hears_of_is_unhealthy(
    at: Callable[..., Any], root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bellwether.config import Config

    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[AAPL, SPY]")
    monkeypatch.setenv("BELLWETHER__SOURCES__OPTIONS__REQUIRED", "false")
    lake = Lake.open(root, simulated=True)
    publish_bars(lake, ["AAPL", "SPY"], DAY)
    health = ("health", "--session", str(DAY), "--sessions", "1")
    code, [found] = told(capsys, *health)
    assert (code, found["is_healthy"], [each["dataset"] for each in found["problems"]]) == (1, False, ["minutes"])
    publish_gold_of(lake, DAY, Config.load())
    code, [found] = told(capsys, *health)
    assert (code, found["is_healthy"], found["problems"], found["workers"]) == (0, True, [], [])
    assert main([*health]) == 0
    assert "healthy" in capsys.readouterr().out
    with at(HOURS.open) as simulator, command("stream", "equities", "--url", simulator.url) as process:
        simulator.feed.wait_subscribed("AM.*")
        process.kill()
    monkeypatch.setattr("bellwether.lake.lake.SystemClock.now", lambda _: datetime.now(UTC) + timedelta(seconds=91))
    code, [found] = told(capsys, *health)
    assert code == 1
    # What the stream missed is long overdue besides.
    assert [(each["dataset"], each["state"]) for each in found["problems"]] == [
        ("equities_live", "missing"),
        ("equities", "stream dead"),
    ]
    assert main([*health]) == 1
    assert "stream dead" in capsys.readouterr().out
