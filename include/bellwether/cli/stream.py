"""`bellwether stream`: a session as it happens, into the lake's `live` zone, until the session's end.

Minutes are recorded as they are broadcast, news as it is listed. SIGTERM and Ctrl-C flush and end it, as
`bellwether workers stop` does; started again, it goes on where its files end.
"""

import argparse
import asyncio
import os
import secrets
import signal
from datetime import date, datetime, timedelta

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn

from bellwether.calendar import NEW_YORK, get_calendar
from bellwether.cli.options import VendorAccess, add_lake, lake_location, tickers, vendor_access
from bellwether.config import Config
from bellwether.drift.reader import by_contracts
from bellwether.errors import ConfigError, NotASession
from bellwether.lake import Lake
from bellwether.news.sentiment import LexiconExtractor
from bellwether.streaming.assignment import NEWS, Assignment, whole_session
from bellwether.streaming.batches import Writer
from bellwether.streaming.client import CLUSTERS, Endpoint, stream_url
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.heartbeats import Teller
from bellwether.streaming.lease import Heartbeat, StopRequest
from bellwether.streaming.news import ENDED, NewsPoller, Round
from bellwether.streaming.pulse import Pulse
from bellwether.streaming.recorder import Recorder
from bellwether.streaming.simulated import simulated_time

_TODAY = "today"
_EARLIEST = timedelta(minutes=10)
_EVERYONE = ["*"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument(
        "dataset", nargs="?", choices=(*CLUSTERS, NEWS), default="equities", help="default equities; news is polled"
    )
    parser.add_argument(
        "--session", default=_TODAY, metavar="YYYY-MM-DD", help="the session (default: today, by the feed's clock)"
    )
    parser.add_argument("--url", metavar="URL", help="a simulator, e.g. http://127.0.0.1:8765")
    parser.add_argument(
        "--tickers", type=tickers, default=_EVERYONE, metavar="A,B", help="only these; default all there are"
    )
    add_lake(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """Run the command; 0 when everything was heard, 1 when there are gaps, or news was not polled to its end.

    Raises
    ------
    ConfigError
        The session is not going on, or single tickers of news are asked for.
    StreamError
        The vendor refuses, or somebody else records.
    """
    if args.dataset == NEWS and args.tickers != _EVERYONE:
        msg = "news are asked for all at once, for every ticker: leave --tickers out"
        raise ConfigError(msg)
    access = vendor_access(args.url)
    feed = simulated_time(access.url) if access.simulated else FeedTime()
    if access.is_delayed and args.dataset != NEWS:
        feed = feed.delayed()
    assignment = _assignment(args.dataset, args.session, feed)
    where = lake_location(args.lake, config)
    lake = Lake.open(where.root, options=where.options, simulated=access.simulated)
    console = Console(stderr=True)
    what = f"{assignment.dataset} {assignment.session}"
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console) as progress:
        line = _Line(what, progress, progress.add_task(f"{what}: connecting"))
        job = _Job(lake, config, access, assignment, feed, line)
        last, asked = job.poll() if args.dataset == NEWS else asyncio.run(job.record(args.tickers))
    console.print(_words(what, last), highlight=False)
    if asked is not None:
        console.print(f"told to stop by {asked.by}", highlight=False, markup=False)
    for gap in GapLog(lake, assignment.dataset, assignment.session, "cli").read():
        end = "open" if gap.end_utc is None else f"{gap.end_utc.astimezone(NEW_YORK):%H:%M:%S}"
        text = f"gap {gap.start_utc.astimezone(NEW_YORK):%H:%M:%S} to {end}, {gap.cause}: {gap.evidence}"
        console.print(text, style="yellow", highlight=False, markup=False)
    return 1 if last.gaps or (args.dataset == NEWS and last.state != ENDED) else 0


class _Line:
    """The progress line, told by every heartbeat."""

    def __init__(self, what: str, progress: Progress, task: TaskID) -> None:
        self._what = what
        self._progress = progress
        self._task = task

    def __call__(self, heartbeat: Heartbeat) -> None:
        self._progress.update(self._task, description=_words(self._what, heartbeat))

    def warn(self, heartbeat: Heartbeat) -> None:
        """Say, so that it stays, that nothing is heard."""
        at = f"{heartbeat.at_utc.astimezone(NEW_YORK):%H:%M:%S} New York"
        text = f"{self._what}: has stalled, {at}: {heartbeat.state}"
        self._progress.console.print(text, style="red", highlight=False, markup=False)


class _Job:
    """The recording of one session by this process."""

    def __init__(
        self, lake: Lake, config: Config, access: VendorAccess, assignment: Assignment, feed: FeedTime, line: _Line
    ) -> None:
        self._lake = lake
        self._config = config
        self._settings = config.settings.streaming
        self._access = access
        self._assignment = assignment
        self._feed = feed
        self._line = line
        self._writer = Writer(f"cli-{secrets.token_hex(4)}", 1, os.getpid())

    async def record(self, symbols: list[str]) -> tuple[Heartbeat, StopRequest | None]:
        """Record what is broadcast; return the last heartbeat, and who ended it by way of the lake."""
        pulse = Pulse(self._assignment.start, self._settings)
        teller = Teller(self._lake, self._assignment, self._writer, pulse, on_stall=self._line.warn)

        def tell(heartbeat: Heartbeat) -> None:
            self._line(heartbeat)
            teller(heartbeat)

        recorder = Recorder(
            self._lake,
            self._assignment,
            self._writer,
            Endpoint(
                stream_url(self._access.url, self._assignment.dataset, delayed=self._access.is_delayed),
                self._access.key,
            ),
            symbols=symbols,
            settings=self._settings,
            feed=self._feed,
            acknowledge=tell,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, recorder.stop)
        last = await recorder.run()
        teller.tell(last)
        return last, recorder.stop_request

    def poll(self) -> tuple[Heartbeat, StopRequest | None]:
        """Poll news; return the same."""
        poller = NewsPoller(
            self._lake,
            self._assignment.session,
            self._writer,
            by_contracts(self._access.connect(self._config), self._lake, self._config),
            feed=self._feed,
            settings=self._settings,
            extractor=LexiconExtractor(),
        )

        def tell(each: Round) -> None:
            self._line(each.heartbeat)
            if each.has_stalled:
                self._line.warn(each.heartbeat)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        return poller.run(tell), poller.stop_request


def _assignment(dataset: str, session: str, feed: FeedTime) -> Assignment:
    calendar, now = get_calendar(), feed.now()
    today = now.astimezone(NEW_YORK).date()
    try:
        asked: date = today if session == _TODAY else calendar.parse(session)
    except NotASession as error:
        msg = f"{error}; {_next_open(dataset, now)}"
        raise ConfigError(msg) from error
    if calendar.is_session(asked):
        assignment = whole_session(dataset, asked)
        if assignment.start - _EARLIEST <= now < assignment.until:
            return assignment
    verb = "polled" if dataset == NEWS else "broadcast"
    msg = f"{dataset} of {asked} are not being {verb} at {_clock(now)} New York; {_next_open(dataset, now)}"
    raise ConfigError(msg)


def _next_open(dataset: str, now: datetime) -> str:
    calendar = get_calendar()
    today = now.astimezone(NEW_YORK).date()
    days = (day for day in (today, calendar.next(today)) if calendar.is_session(day))
    coming = next(each for each in (whole_session(dataset, day) for day in days) if now < each.until)
    if coming.start <= now:  # those of the next session follow those of the one before
        return f"those of the next session can be polled since {_clock(coming.start)}: --session {coming.session}"
    return f"the next open is that of session {coming.session}, {_clock(coming.start)} New York"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"


def _words(what: str, heartbeat: Heartbeat) -> str:
    covered = heartbeat.covered_utc.astimezone(NEW_YORK)
    lag = "" if heartbeat.lag_s is None else f", {heartbeat.lag_s:.1f} s behind"
    quiet = f", {heartbeat.quiet} quiet" if heartbeat.quiet else ""
    gaps = f", {heartbeat.gaps} gaps" if heartbeat.gaps else ""
    return (
        f"{what}: {heartbeat.state}, {heartbeat.rows:,} rows in file {heartbeat.seq}, until {covered:%H:%M:%S} New York"
        f"{lag}{quiet}{gaps}"
    )
