"""The two processes of a drill, as they are started by it: `python -m bellwether.drill.children PARENT '{...}'`.

What they have to tell is a line of JSON on their output, beside their log. They end with the drill, however it ends.
"""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import date, datetime
from typing import Literal

import msgspec

from bellwether import logging
from bellwether.clock import SimulatedClock
from bellwether.config import Config
from bellwether.errors import BellwetherError
from bellwether.lake import Lake
from bellwether.lifeline import die_with_parent
from bellwether.monitoring.alerts import describe
from bellwether.simulator.feed.feed import FeedConfig
from bellwether.simulator.feed.replay import Script
from bellwether.simulator.market import GeneratedMarket
from bellwether.simulator.plans import PLANS
from bellwether.simulator.server import SimulatorConfig, running
from bellwether.streaming.assignment import Assignment
from bellwether.streaming.batches import Writer
from bellwether.streaming.client import Endpoint, stream_url
from bellwether.streaming.lease import Heartbeat
from bellwether.streaming.pulse import Pulse
from bellwether.streaming.recorder import Recorder
from bellwether.streaming.simulated import simulated_time

_LATE_SHARE = 0.1
_LOG_LINES = 200
_STOP_S = 6.0


class SimulatorPart(msgspec.Struct, frozen=True, tag="simulator"):
    """A simulator that replays a session of a generated market from a moment on."""

    session: date
    tickers: tuple[str, ...]
    at: datetime
    speed: float


class RecorderPart(msgspec.Struct, frozen=True, tag="recorder"):
    """One try of a recorder."""

    url: str
    key: str
    root: str
    session: date
    tickers: tuple[str, ...]
    start: datetime
    until: datetime
    attempt: int

    @property
    def assignment(self) -> Assignment:
        """What it records."""
        return Assignment(dataset="equities", session=self.session, start=self.start, until=self.until)


type Part = SimulatorPart | RecorderPart


class Said(msgspec.Struct, frozen=True, kw_only=True, tag_field="said"):
    """What a child has to tell.

    Attributes
    ----------
    what
        `up`: a simulator serves at `words`. `stalled`: a recorder neither listens nor writes, for the reason in
        `words`. `ended`: it was done or told to stop. `failed`: it met an error.
    covered_utc
        Until when it had heard everything.
    """

    what: Literal["up", "stalled", "ended", "failed"]
    words: str
    covered_utc: datetime | None = None


_MARK = b'{"said":'


class Child:
    """A part that runs as a process."""

    def __init__(self, part: Part) -> None:
        self.log: list[str] = []
        self._rest = b""
        module, parent = "bellwether.drill.children", str(os.getpid())
        command = [sys.executable, "-m", module, parent, msgspec.json.encode(part).decode()]
        # Its log goes through a pipe: a disk that is full for it must not be what breaks it.
        self._process = subprocess.Popen(  # noqa: S603 - the command is fixed
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def heard(self) -> list[Said]:
        """Return what it has said since the last call."""
        # Asked before its output is read, so that the last words of one that is gone are not missed.
        is_alive = self.is_alive
        while True:
            try:
                content = os.read(self._output, 65_536)
            except BlockingIOError:
                break
            self._rest += content
            if not content:
                break
        *lines, self._rest = self._rest.split(b"\n")
        if not is_alive:
            lines, self._rest = [*lines, self._rest], b""
        self.log += [line.decode(errors="replace") for line in lines if line and not line.startswith(_MARK)]
        del self.log[:-_LOG_LINES]
        return [msgspec.json.decode(line, type=Said) for line in lines if line.startswith(_MARK)]

    def signal(self, signum: signal.Signals) -> None:
        """Send it a signal, and wait until it has ended; it is killed where it does not."""
        self._process.send_signal(signum)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End it."""
        if self.is_alive:
            self.signal(signal.SIGTERM)
        if self._process.stdout is not None:
            self._process.stdout.close()


def main(parent: str, text: str) -> None:
    """Be a part until it is over."""
    die_with_parent()
    if os.getppid() != int(parent):  # which ended before it could be held on to
        return
    logging.configure("WARNING", "text")
    part = msgspec.json.decode(text, type=Part.__value__)
    if isinstance(part, SimulatorPart):
        _simulate(part)
    else:
        _say(_record(part))


def _say(said: Said) -> None:
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
    sys.stdout.flush()


def _simulate(part: SimulatorPart) -> None:
    market = GeneratedMarket(tickers=part.tickers, start=part.session, end=part.session)
    clock = SimulatedClock(part.at, part.speed)
    feed = FeedConfig(script=Script(late_share=_LATE_SHARE))
    with running(SimulatorConfig(market, clock=clock, plan=PLANS["realtime"], feed=feed)) as simulator:
        _say(Said(what="up", words=simulator.url))
        signal.pause()


def _record(part: RecorderPart) -> Said:
    settings = Config.load().settings.streaming
    pulse = Pulse(part.start, settings)

    def acknowledge(heartbeat: Heartbeat) -> None:
        if pulse.take(heartbeat).has_stalled:
            _say(Said(what="stalled", words=heartbeat.state, covered_utc=heartbeat.covered_utc))

    async def run() -> Heartbeat:
        recorder = Recorder(
            Lake.open(part.root, simulated=True),
            part.assignment,
            Writer("drill", part.attempt, os.getpid()),
            Endpoint(stream_url(part.url, part.assignment.dataset), part.key),
            symbols=part.tickers,
            settings=settings,
            feed=simulated_time(part.url),
            acknowledge=acknowledge,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, recorder.stop)
        return await recorder.run()

    try:
        last = asyncio.run(run())
    except BellwetherError as error:
        return Said(what="failed", words=describe(error))
    return Said(what="ended", words=last.state, covered_utc=last.covered_utc)


if __name__ == "__main__":
    main(*sys.argv[1:])
