"""Recorders of a stream that are killed or told to stop at random instants, started again as Airflow's tries would be.

A session is broadcast at six hundred times its speed, by a clock that waits for nobody, until enough recorders have
died; what is left of it goes as fast as the last one reads. Then every broadcast must be in a file, or in a gap; and
once the gaps are repaired, what was recorded is what REST has.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import urllib3

from bellwether.calendar import get_calendar
from bellwether.cli.options import VendorAccess
from bellwether.config import Config
from bellwether.lake import Lake
from bellwether.simulator.bars import Bars
from bellwether.simulator.feed.broadcasts import broadcasts
from bellwether.streaming.assignment import whole_session
from bellwether.streaming.batches import Batches, Writer
from bellwether.streaming.client import Endpoint, stream_url
from bellwether.streaming.compact import compact
from bellwether.streaming.feedtime import from_ms, to_ms
from bellwether.streaming.gaps import ALL, Gap, GapLog
from bellwether.streaming.recorder import Recorder
from bellwether.streaming.repair import repair
from bellwether.streaming.simulated import simulated_time
from tests.soak.checks import Found
from tests.soak.children import Child, Outcome, ask
from tests.soak.scene import DATASET, FEED, SEEDS, UNIVERSE, Scene, market
from tests.soak.tally import Tally

_SPEED = 600.0
_KILLS_A_SESSION = 50  # which lasts a hundred seconds at that speed
_LONGEST_LIFE_S = 1.6
_SIGNALS = (signal.SIGKILL, signal.SIGTERM)
_EARLY = timedelta(minutes=5)
_VALUES = ("open", "high", "low", "close", "volume", "vwap")

type Broadcast = tuple[Any, ...]
"""Ticker, start (ms UTC) and values."""


class RecorderRounds:
    """Sessions recorded one after the other, each in a lake of its own.

    Parameters
    ----------
    scene
        Where to play.
    tally
        Where to count.
    seed
        Of the instants and signals drawn.
    """

    def __init__(self, scene: Scene, tally: Tally, seed: int) -> None:
        self._scene = scene
        self._tally = tally
        self._rng = random.Random(seed)

    def play(self, wanted: int, is_time_up: Callable[[], bool], on_progress: Callable[[int], None]) -> None:
        """End `wanted` recorders, have each session recorded to its end, and judge."""
        kills = self._tally.recorder_kills
        sessions = iter(get_calendar().sessions(self._scene.sessions[0], get_calendar().last))
        while kills.total() < wanted and not is_time_up():
            session = next(sessions)
            root = self._scene.home / "streamed" / str(session)
            until = min(wanted, kills.total() + _KILLS_A_SESSION)
            self._record(session, root, lambda until=until: kills.total() >= until or is_time_up(), on_progress)
            found, heard, gaps = ask(lambda root=root, session=session: judge(root, session))
            self._tally.found += Counter(found)
            if not found:
                found = ask(lambda root=root, session=session: judge_repair(root, self._scene.feed_url, session))
                self._tally.found += Counter(found)
            self._tally.heard += Counter(heard)
            self._tally.gaps += Counter(gaps)
            if found:
                self._tally.errors.append(f"recorded {session}: {found}")

    def _record(
        self, session: date, root: Path, is_enough: Callable[[], bool], on_progress: Callable[[int], None]
    ) -> None:
        url, attempt, state = self._scene.feed_url, 0, ""
        begin = whole_session(DATASET, session).start - _EARLY
        ask(lambda: _steer(url, begin, _SPEED))
        while state != "ended" and not is_enough():
            attempt += 1
            state = self._one(session, root, attempt, self._rng.uniform(0, _LONGEST_LIFE_S))
            on_progress(self._tally.recorder_kills.total())
        if state != "ended":
            ask(lambda: _steer(url, None, "max"))
            self._one(session, root, attempt + 1, None)

    def _one(self, session: date, root: Path, attempt: int, life_s: float | None) -> str:
        """Let a recorder live for a while and return what it said last, nothing where it was killed."""
        signum = self._rng.choice(_SIGNALS)
        child = Child(lambda: record(root, self._scene.feed_url, session, attempt))
        outcome: Outcome = child.finish(life_s, signum)
        if outcome.error:
            self._tally.fail(f"recorder {attempt} of {session}", outcome.error)
        if outcome.killed or outcome.value == "stopped":
            self._tally.recorder_kills[signum.name] += 1
        return outcome.value or ""


def record(root: Path, url: str, session: date, attempt: int) -> str:
    """Record as the DAG's task does; return the last heartbeat's state."""
    recorder = Recorder(
        Lake.open(root, simulated=True),
        whole_session(DATASET, session),
        Writer("soak", attempt, os.getpid()),
        Endpoint(stream_url(url, DATASET), "key-of-the-soak"),
        symbols=UNIVERSE,
        settings=Config.load().settings.streaming,
        feed=simulated_time(url),
    )

    async def run() -> str:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, recorder.stop)
        return (await recorder.run()).state

    return asyncio.run(run())


def _steer(url: str, now: datetime | None, speed: float | Literal["max"]) -> None:
    """Set a simulator's clock; None leaves the time as it is."""
    now = simulated_time(url).now() if now is None else now
    told = urllib3.request("POST", f"{url}/_simulator/clock", json={"now_utc": now.isoformat(), "speed": speed})
    if told.status != 200:
        raise RuntimeError(told.data.decode())


def judge(root: Path, session: date) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Compare what was recorded of a session that is over with what was broadcast.

    Returns
    -------
    tuple of dict
        The broken invariants; how many broadcasts are in files and how many in gaps; the gaps by cause.
    """
    lake, asked = Lake.open(root), whole_session(DATASET, session)
    # As fast as it goes, the clock is in the next session before the recorder has gone; compaction leaves that out.
    until_ms = to_ms(asked.until)
    try:
        rows = (row for _, table in Batches(lake, DATASET, session).read() for row in _rows(table))
        recorded = Counter(row for row in rows if row[1] < until_ms)
        compacted = _rows(compact(lake, DATASET, session).table)
    except Exception:  # noqa: BLE001 - whatever keeps a file from being read
        return {"batches torn": 1}, {}, {}
    gaps = GapLog(lake, DATASET, session, "soak").read()
    told = _told(session)
    sent = {each: due for each, due in told.items() if due <= asked.until}
    lacking = {each: due for each, due in sent.items() if each not in recorded}
    lost = [each for each, due in lacking.items() if not any(_hides(gap, each[0], due) for gap in gaps)]
    excused = {each[:2] for each in lacking}
    final = {
        each[:2]: each for each, _ in sorted(told.items(), key=lambda item: item[1]) if each in sent or each in recorded
    }
    wrong = [row for row in compacted if row != final[row[:2]] and row[:2] not in excused]
    found: Found = Counter(
        {
            "rows lost": len(lost) + len(wrong) + len(final.keys() - excused - {row[:2] for row in compacted}),
            "rows doubled": recorded.total() - len(recorded) + len(compacted) - len({row[:2] for row in compacted}),
            "rows never sent": len(recorded.keys() - told.keys()),
            "gaps unsound": sum(not _is_sound(gap, session) for gap in gaps),
            "orphans left": len(list(root.rglob(".*"))),
        }
    )
    heard = {"in files": len(recorded), "in gaps": len(lacking) - len(lost)}
    return dict(+found), heard, Counter(gap.cause for gap in gaps)


def judge_repair(root: Path, url: str, session: date) -> dict[str, int]:
    """Have the gaps of a session that is over repaired, and compare what stands then with REST's minutes."""
    lake, asked = Lake.open(root), whole_session(DATASET, session)
    _steer(url, asked.until + timedelta(hours=1), 0.0)
    config = Config.load()
    rest = VendorAccess(url, "key-of-the-soak", environment="simulated").connect(config)
    left = repair(lake, config, asked, rest, simulated_time(url)).left
    standing, vendors = set(_rows(compact(lake, DATASET, session).table)), market(SEEDS[0])
    wanted = {
        row
        for ticker in UNIVERSE
        for bars in [vendors.bars(ticker, session)]
        for row in zip(repeat(ticker), bars.start_ms.tolist(), *_values(bars))
    }
    found = {"gaps left open": len(left), "minutes unlike REST's": len(standing ^ wanted)}
    return dict(+Counter(found))


def _values(bars: Bars) -> list[list[float]]:
    return [getattr(bars, name).tolist() for name in _VALUES]


def _told(session: date) -> dict[Broadcast, datetime]:
    """Return what is broadcast of a session, and when it is due."""
    script, start_ms = FEED.script, to_ms(whole_session(DATASET, session).start)
    sent: dict[Broadcast, datetime] = {}
    for ticker in UNIVERSE:
        told = broadcasts(market(SEEDS[0]).bars(ticker, session), ticker, session, script.seed, script.late_share)
        columns = (told.due_ms.tolist(), told.start_ms.tolist(), *_values(told.bars))
        for due_ms, start, *values in zip(*columns, strict=True):
            if start_ms < due_ms:
                sent[ticker, start, *values] = from_ms(due_ms)
    return sent


def _rows(table: pa.Table) -> list[Broadcast]:
    columns = [table["ticker"], table["ts"].cast(pa.int64()), *(table[name] for name in _VALUES)]
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def _hides(gap: Gap, ticker: str, due: datetime) -> bool:
    is_concerned = gap.symbols == ALL or ticker in gap.symbols
    return is_concerned and gap.end_utc is not None and gap.start_utc <= due <= gap.end_utc


def _is_sound(gap: Gap, session: date) -> bool:
    asked = whole_session(DATASET, session)
    return gap.end_utc is not None and asked.start <= gap.start_utc <= gap.end_utc
